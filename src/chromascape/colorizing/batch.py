"""Colorize many files: a photo that fails is reported, and the rest continue."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer, Rendering, as_levels
from chromascape.colorizing.hint_files import hints_of, read_hints
from chromascape.colorizing.like import Reference
from chromascape.errors import ChromascapeError, explain_os_error, explain_photo_error
from chromascape.files import atomic_write
from chromascape.parallel import in_threads
from chromascape.photos import reading
from chromascape.photos.pixels import Photo, Strip
from chromascape.photos.source import PhotoError, read_bytes
from chromascape.photos.writing import SUFFIXES, prepare, write


@dataclass(frozen=True)
class Options:
    """How to colorize: see `Colorizer.colorize`. With `compare`, gray is written to the left of color.

    `hints` is a file as `hint_files.read_hints` reads it, or a folder of such files with the photos' names. `like` is
    the photo whose colors are taken, see `read_reference`.
    """

    rendering: Rendering = "faithful"
    saturation: float = 1.0
    compare: bool = False
    hints: Path | None = None
    like: Reference | None = None
    negative: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result for one photo: `error` if it failed, else `notes` on what its file lacks."""

    source: Path
    error: str = ""
    notes: tuple[str, ...] = ()


def colorize_files(
    colorizer: Colorizer, pairs: list[tuple[Path, Path]], options: Options, jobs: int
) -> Iterator[Outcome]:
    """Colorize each photo into its file, `jobs` at a time; outcomes are in the order of the photos."""
    if jobs > 1:
        colorizer.network.share(jobs)
    with warnings.catch_warnings(action="ignore"):  # by decoders of odd files, which an outcome reports
        yield from in_threads(lambda pair: _outcome(colorizer, *pair, options), pairs, jobs)


def read_reference(file: Path) -> Reference:
    """The photo whose colors others take.

    Raises:
        ChromascapeError: it can't be read, or is gray.
    """
    try:
        return Reference(Photo(reading.upright(reading.open_photo(read_bytes(file)))), str(file))
    except PhotoError as error:
        raise ChromascapeError(f"{file}: {error}") from None


def is_done(source: Path, target: Path, options: Options) -> bool:
    """Whether a photo's output exists, and its hints haven't changed since."""
    file = hints_of(source, options.hints)
    return target.exists() and not (file and file.exists() and file.stat().st_mtime > target.stat().st_mtime)


def _outcome(colorizer: Colorizer, source: Path, target: Path, options: Options) -> Outcome:
    try:
        return Outcome(source, notes=tuple(colorize_file(colorizer, source, target, options)))
    except OSError as error:
        return Outcome(source, explain_os_error(error))
    except Exception as error:
        return Outcome(source, explain_photo_error(error, "colorize a smaller copy, or use --jobs 1"))


def colorize_file(colorizer: Colorizer, source: Path, target: Path, options: Options = Options()) -> list[str]:
    """Colorize one photo into a file, whole or not at all, in the format that the file's suffix names.

    Resolution, EXIF and other metadata are kept as far as the format can hold them.

    Returns:
        Notes on what the written file lacks of the photo.
    Raises:
        PhotoError: the photo can't be read, or the format can't hold it.
        ChromascapeError: its hints can't be read.
        OSError: the file can't be written.
    """
    image = reading.open_photo(read_bytes(source))
    photo = prepare(image, SUFFIXES[target.suffix.lower()], 2 if options.compare else 1)
    photo.pixels.read_once = True
    file_of_hints = hints_of(source, options.hints)
    hints = read_hints(file_of_hints, (photo.pixels.width, photo.pixels.height)) if file_of_hints else ()
    look = (options.rendering, options.saturation, hints, options.like, options.negative, options.whole)
    strips: Iterable[Strip] = colorizer.strips(photo.pixels, *look)
    with atomic_write(target) as temporary, temporary.open("wb") as file:
        write(photo, map(_beside_gray, strips) if options.compare else strips, file)
    missing = [f"no hints for it in {options.hints}"] * (options.hints is not None and file_of_hints is None)
    return [*photo.notes, *missing]


def _beside_gray(strip: Strip) -> Strip:
    """The strip with a gray copy on its left."""
    rows, colors, alpha = strip
    lightness = lab.lightness(colors)
    gray = as_levels(lab.join(lightness, np.zeros((*lightness.shape, 2), np.float32)), colors.dtype)
    return rows, np.concatenate([gray, colors], axis=1), None if alpha is None else np.concatenate([alpha] * 2, axis=1)
