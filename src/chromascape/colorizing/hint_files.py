"""Files with colors that a user names: places and colors as JSON, and layers that somebody has painted.

The JSON is `{"chromascape_hints": 1, "hints": [{"x": 0.4, "y": 0.2, "color": "#c26a2e"}, ...]}`, with the
fields of `hints.Hint`: `path`, a list of further points [x, y], and `radius` may be missing.
"""

import json
import reprlib
from pathlib import Path
from typing import Any

from PIL import Image

from chromascape.colorizing.hints import MOST, MOST_POINTS, Hint, Hints, Painted
from chromascape.errors import ChromascapeError
from chromascape.photos.pixels import WITH_ALPHA
from chromascape.photos.reading import decode, open_photo
from chromascape.photos.source import PhotoError, read_bytes

VERSION = 1
VERSION_KEY = "chromascape_hints"
MAX_BYTES = 5_000_000  # of a JSON file
ENDINGS = (".json", "-hints.json", ".png", "-hints.png")  # of a photo's hints in a folder, after the photo's stem
FIELDS = {"x", "y", "color", "path", "radius"}


def hints_of(photo: Path, place: Path | None) -> Path | None:
    """The file with a photo's hints: the place itself, or in a folder the first file with the photo's stem, if any."""
    if place is None or not place.is_dir():
        return place
    files = (place / f"{photo.stem}{ending}" for ending in ENDINGS)
    return next((file for file in files if file.is_file()), None)


def read_hints(file: Path, size: tuple[int, int]) -> Hints:
    """The hints in a file, for a photo of this width and height.

    Raises:
        ChromascapeError: the file is neither, or does not fit the photo.
    """
    if file.suffix.lower() == ".json":
        return from_json(_read(file), str(file))
    return _painted(file, size)


def from_json(data: bytes, name: str) -> list[Hint]:
    """The hints in a JSON file or text, which errors call `name`.

    Raises:
        ChromascapeError: they are none, or too large.
    """
    _check_size(len(data), name)
    try:
        values = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ChromascapeError(f"{name}: no JSON: docs/using.md says how hints are written") from None
    if not isinstance(values, dict) or VERSION_KEY not in values:
        raise ChromascapeError(f"{name}: no hints: they begin with {VERSION_KEY!r}: see docs/using.md")
    if values[VERSION_KEY] != VERSION:
        found = reprlib.repr(values[VERSION_KEY])
        raise ChromascapeError(f"{name}: hints of version {found}, but this version of Chromascape reads {VERSION}")
    entries = values.get("hints")
    if not isinstance(entries, list) or len(entries) > MOST:
        raise ChromascapeError(f"{name}: 'hints' must be a list of at most {MOST:,} hints")
    hints = [_hint(entry, f"{name}: hint {number}") for number, entry in enumerate(entries, 1)]
    if sum(1 + len(hint.path) for hint in hints) > MOST_POINTS:
        raise ChromascapeError(f"{name}: at most {MOST_POINTS:,} points of all hints together")
    return hints


def _hint(entry: Any, name: str) -> Hint:
    if not isinstance(entry, dict) or not {"x", "y", "color"} <= entry.keys() <= FIELDS:
        raise ChromascapeError(f"{name}: must have x, y and color, and may have path and radius, and nothing else")
    try:
        path = tuple((_number(x), _number(y)) for x, y in entry.get("path", ()))
        x, y, radius = (_number(entry.get(key, 0)) for key in ("x", "y", "radius"))
    except (TypeError, ValueError, OverflowError):  # of 400 digits
        raise ChromascapeError(f"{name}: x, y and radius must be numbers, and path a list of pairs of them") from None
    try:
        return Hint(x, y, entry["color"], path, radius)
    except ChromascapeError as error:
        raise ChromascapeError(f"{name}: {str(error).removeprefix('hint: ')}") from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _check_size(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise ChromascapeError(f"{name}: {size / 1e6:.0f} MB, more than hints have (at most {MAX_BYTES / 1e6:.0f} MB)")


def _read(file: Path) -> bytes:
    _check_size(file.stat().st_size, str(file))
    try:
        return read_bytes(file)
    except PhotoError as error:
        raise ChromascapeError(f"{file}: {error}") from None


def _painted(file: Path, size: tuple[int, int]) -> Painted:
    try:
        layer = open_photo(read_bytes(file))
        _check_paint(layer, file, size)
        decode(layer)
        return Painted(layer.convert("RGBA"))
    except PhotoError as error:
        why = "not a picture" if error.reason == "not_an_image" else str(error)
        raise ChromascapeError(f"{file}: {why}: hints are a .json file, or a PNG with paint") from None


def _check_paint(layer: Image.Image, file: Path, size: tuple[int, int]) -> None:
    """Before the layer is decoded, so that one of another size takes no memory."""
    if layer.mode not in WITH_ALPHA and "transparency" not in layer.info:
        raise ChromascapeError(
            f"{file}: has no transparency: paint on a layer of its own above the photo, hide the photo, and export a "
            "PNG with alpha"
        )
    if layer.size != size:
        found, wanted = (f"{width} × {height}" for width, height in (layer.size, size))
        raise ChromascapeError(f"{file}: {found} pixels, but the photo has {wanted}: paint on a layer of its size")
