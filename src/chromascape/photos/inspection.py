"""The facts about one file, from a single read."""

import re
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import ExifTags, Image

from chromascape.color.measures import colorfulness
from chromascape.errors import ChromascapeError
from chromascape.parallel import Jobs, in_parallel
from chromascape.params import Validate
from chromascape.photos import reading, source
from chromascape.photos.likeness import describe
from chromascape.photos.manifest import COLUMNS, TYPES
from chromascape.photos.pixels import tolerantly
from chromascape.photos.source import UNKNOWN, Entry, Source, source_of
from chromascape.resume import WORK, Journal, photos_fingerprint, tell

# Pixels: photos are reduced to a shorter side of this, or up to twice as much, before they are measured. It is the
# default of preprocess.side, so that the scale at which a JPEG is decoded serves both stages.
MEASURING_SIDE = 256
# EXIF writes times as 2021:05:03 10:11:12, and fractions of a second as 05 for 0.05 s.
EXIF_TIME = re.compile(r"([0-9]{4}):([0-9]{2}):([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")
EXIF_FRACTION = re.compile(r"[0-9]{1,9}")
LONGEST_NAME = 100  # characters of a camera's make, model or serial number; longer ones are ignored


def inspect(
    photos: Path | Source, name: str, limits: source.Limits, known: dict[str, Any] | None = None, entry: Entry = UNKNOWN
) -> dict[str, Any]:
    """All facts about one file that validation needs, from a single read.

    Args:
        known: its row of an earlier run, which is returned if the content is the same.
        entry: what a listing says of it. A known row with the same stamp is returned without a read.

    Returns:
        A row with the columns up to `taken`. If the file is not a usable photo, `problem` (one of `rules.RULES`) and
        `detail` say why. Width, height and the box left..bottom (the picture without black bars) are in pixels of
        the upright photo. Gray modes have no `colorfulness`. `likeness` (see `likeness.describe`) and the entry's
        `stamp` are not kept in the manifest.
    Raises:
        ChromascapeError: no file can be read now.
    """
    stamp = {"stamp": entry.stamp} if entry.stamp else {}
    if known and stamp and known.get("stamp") == entry.stamp:
        return known
    row: dict[str, Any] = {"path": name} | stamp
    try:
        data = source_of(photos).read(name, limits, entry.size)
        row |= {"bytes": len(data), "sha256": source.sha256(data)}
        if known and known["sha256"] == row["sha256"]:
            return known | stamp if stamp else known
        image = reading.open_photo(data, limits)
        row |= _header(image, name)
        reading.decode(image, MEASURING_SIDE)
        if image.format != "TIFF":
            row |= shot(image)
            # After decoding: reading a PNG's EXIF decodes it too, but hides its errors.
            row["orientation"] = reading.orientation(image)
            if row["orientation"] >= 5:  # 5 to 8 swap width and height
                row["width"], row["height"] = row["height"], row["width"]
        row |= _measures(image, row)
    except source.PhotoError as error:
        # A mode that can't be converted is not damage: the rule on modes rejects the file.
        row["detail"] = str(error)
        row["problem"] = error.reason if error.reason != "mode" else None
    return row


def lost(
    photos: Source, name: str, limits: source.Limits, known: None, entry: Entry, reason: str, detail: str
) -> dict[str, Any]:
    """The row of a file for which `inspect` took too long or crashed."""
    return {"path": name, "problem": reason, "detail": detail}


def shot(image: Image.Image) -> dict[str, Any]:
    """The camera and the time of a photo, from its EXIF; None where missing or malformed.

    Returns:
        camera: make, model and the body's serial number, if any. taken: seconds since 1970 by the camera's own clock,
        whose time zone is unknown, so only differences are meaningful.
    """
    return tolerantly(lambda: _shot(image), {"camera": None, "taken": None})


def _shot(image: Image.Image) -> dict[str, Any]:
    exif = image.getexif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    named = [_name(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    camera = " ".join(part for part in [*named, _name(inner.get(ExifTags.Base.BodySerialNumber))] if part)
    taken = _seconds(inner.get(ExifTags.Base.DateTimeOriginal), inner.get(ExifTags.Base.SubsecTimeOriginal))
    # Two makers may use the same serial number.
    return {"camera": camera if any(named) else None, "taken": taken}


def _name(value: Any) -> str | None:
    """EXIF text with single spaces, or None if malformed."""
    text = " ".join(value.strip(" \0").split()) if isinstance(value, str) else ""
    return text if text.isprintable() and 0 < len(text) <= LONGEST_NAME else None


def _seconds(time: Any, fraction: Any) -> float | None:
    """An EXIF time in seconds since 1970, or None if malformed; a malformed fraction counts as 0."""
    found = EXIF_TIME.fullmatch(time.strip(" \0")) if isinstance(time, str) else None
    if found is None:
        return None
    try:
        whole = (datetime(*map(int, found.groups())) - datetime(1970, 1, 1)).total_seconds()  # type: ignore[arg-type]
    except ValueError:  # e.g. 0000:00:00 00:00:00, from a clock that was never set
        return None
    digits = fraction.strip(" \0") if isinstance(fraction, str) else ""
    return whole + (float(f"0.{digits}") if EXIF_FRACTION.fullmatch(digits) else 0.0)


def limits_of(validate: Validate) -> source.Limits:
    """The limits that params.yaml sets."""
    return source.Limits(validate.max_pixels, int(validate.max_file_mb * 1e6))


def _header(image: Image.Image, name: str) -> dict[str, Any]:
    # Pillow turns TIFFs upright while decoding and then has neither their orientation nor their EXIF.
    early = {"orientation": reading.orientation(image)} | shot(image) if image.format == "TIFF" else {}
    return early | {
        "format": image.format,
        "mode": image.mode,
        "channels": 1 if image.mode == "P" else len(image.getbands()),
        "bit_depth": reading.bit_depth(image),
        "frames": reading.frames(image),
        "width": image.width,
        "height": image.height,
        "extension_matches": Path(name).suffix.lower() in reading.EXTENSIONS[image.format or ""],
    }


def _measures(image: Image.Image, row: dict[str, Any]) -> dict[str, Any]:
    """Black bars, perceptual hash and colorfulness of a decoded photo."""
    gray = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
    rgb = reading.to_rgb(image)
    if (times := min(rgb.size) // MEASURING_SIDE) > 1:
        rgb = rgb.reduce(times)
    levels = np.asarray(rgb)
    box = reading.find_letterbox(levels)
    small = rgb if box == (0, 0, *rgb.size) else rgb.crop(box)
    # Scale the box back to the photo's own pixels, rounded inwards so that no bar remains.
    across, down = row["width"] / rgb.width, row["height"] / rgb.height
    return {
        "left": int(np.ceil(box[0] * across)),
        "top": int(np.ceil(box[1] * down)),
        "right": row["width"] if box[2] == rgb.width else int(box[2] * across),
        "bottom": row["height"] if box[3] == rgb.height else int(box[3] * down),
        "phash": str(imagehash.phash(small)),
        "likeness": describe(small),
        "colorfulness": None if gray else round(colorfulness(levels[box[1] : box[3], box[0] : box[2]]), 3),
    }


def inspect_folder(place: Path | Source, validate: Validate, jobs: Jobs, kept: Path | None = None) -> pd.DataFrame:
    """The rows of `inspect` for every file of a folder, sorted by path, computed in parallel.

    Args:
        kept: a folder for a journal of the rows, from which a killed validation resumes; None: no journal.
    Raises:
        ChromascapeError: the folder is missing, unreadable, empty or not a folder.
    """
    photos = source_of(place)
    photos.check()
    names = list(photos.entries)
    if not names:
        raise ChromascapeError(f"data.dir: {photos} is empty: put your photos there or point data.dir elsewhere")
    limits = limits_of(validate)
    journal = Journal(kept and kept / "inspected.jsonl", WORK["validate"])
    known = {name: journal.entries[name] for name in names if name in journal.entries}
    if known:
        tell(f"validation resumes at file {len(known):,} of {len(names):,}")
    seen = partial(Source.check_seen, photos, names[0], names[-1])
    calls = ((photos, name, limits, known.get(name), entry) for name, entry in photos.entries.items())
    found = in_parallel(inspect, calls, jobs, len(names), "validate", seconds_of(photos, validate), lost, seen)
    rows = []
    for name, row in zip(names, found, strict=True):
        if "sha256" in row and row != known.get(name):
            journal.add(name, row)
        rows.append(row)
    journal.close()
    if photos.is_remote and any(row.get("problem") == "unreadable" for row in rows):
        photos.check()  # access may have been lost on the way
    return pd.DataFrame(rows, dtype=object).reindex(columns=[*COLUMNS, "likeness"]).astype(TYPES)


def seconds_of(photos: Source, validate: Validate) -> float | None:
    """The time limit of a file, if there is one: a network that hangs must not reject it."""
    return validate.seconds + photos.patience if validate.seconds else None


def fingerprint(photos: Path | Source, validate: Validate) -> str:
    """Fingerprint of what the rows depend on, besides the content of the files."""
    limits = {"max_pixels": validate.max_pixels, "max_file_mb": validate.max_file_mb}
    return photos_fingerprint(Path(__file__), folder=str(photos), **limits)
