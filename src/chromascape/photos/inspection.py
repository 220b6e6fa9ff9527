"""The facts of one file, from a single read of it."""

from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from chromascape.color.metrics import colorfulness
from chromascape.errors import ChromascapeError
from chromascape.parallel import in_parallel
from chromascape.params import Validate
from chromascape.photos import reading, source
from chromascape.photos.manifest import COLUMNS, TYPES
from chromascape.photos.source import check_folder

# Measures are taken on photos reduced to about this shorter side, in pixels.
MEASURING_SIDE = 512


def inspect(folder: Path, name: str, limits: source.Limits) -> dict[str, Any]:
    """Everything that validation wants to know of one file, from a single read of it.

    Returns:
        A row with the columns up to `phash`, and `problem` (one of `validation.PROBLEMS`) with its `detail`
        where the file is no photo. Width, height and the box left..bottom (the picture without black bars) are
        in pixels of the upright photo. `colorfulness` is missing for gray modes.
    """
    row: dict[str, Any] = {"path": name}
    try:
        data = source.read_bytes(folder / name, limits)
        row |= {"bytes": len(data), "sha256": source.sha256(data)}
        image = reading.open_photo(data, limits)
        row |= _header(image, name)
        reading.decode(image, MEASURING_SIDE)
        if image.format != "TIFF":
            # Only now: asking a PNG for its EXIF decodes it, and what is wrong with it would go unnoticed.
            row["orientation"] = reading.orientation(image)
            if row["orientation"] >= 5:  # 5 to 8 lie on their side
                row["width"], row["height"] = row["height"], row["width"]
        row |= _measures(image, row)
    except source.PhotoError as error:
        # A mode that can't be converted is no damage: the expectation on modes rejects the file.
        row["detail"] = str(error)
        row["problem"] = error.reason if error.reason != "mode" else None
    return row


def _header(image: Image.Image, name: str) -> dict[str, Any]:
    return {
        "format": image.format,
        "mode": image.mode,
        "channels": 1 if image.mode == "P" else len(image.getbands()),
        "bit_depth": reading.bit_depth(image),
        "frames": reading.frames(image),
        "width": image.width,
        "height": image.height,
        # Pillow turns TIFFs upright by itself, and forgets that they were not.
        "orientation": reading.orientation(image) if image.format == "TIFF" else None,
        "extension_matches": Path(name).suffix.lower() in reading.EXTENSIONS[image.format or ""],
    }


def _measures(image: Image.Image, row: dict[str, Any]) -> dict[str, Any]:
    """Black bars, perceptual hash and colorfulness of a decoded photo."""
    gray = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
    rgb = reading.to_rgb(image)
    rgb = rgb.reduce(max(1, min(rgb.size) // MEASURING_SIDE))
    box = reading.find_letterbox(np.asarray(rgb))
    small = rgb.crop(box)
    # Back to the photo's own pixels, rounded inwards so that no bar is left.
    across, down = row["width"] / rgb.width, row["height"] / rgb.height
    return {
        "left": int(np.ceil(box[0] * across)),
        "top": int(np.ceil(box[1] * down)),
        "right": row["width"] if box[2] == rgb.width else int(box[2] * across),
        "bottom": row["height"] if box[3] == rgb.height else int(box[3] * down),
        "phash": str(imagehash.phash(small)),
        "colorfulness": None if gray else round(colorfulness(np.asarray(small)), 3),
    }


def inspect_folder(folder: Path, validate: Validate, jobs: int) -> pd.DataFrame:
    """Rows of `inspect` for every file below the folder, sorted by path, read in parallel.

    Raises:
        ChromascapeError: the folder is missing, is not a folder, can't be read or is empty.
    """
    names = source.list_files(check_folder(folder))
    if not names:
        raise ChromascapeError(f"data.dir: {folder} is empty: put your photos there or point data.dir elsewhere")
    limits = source.Limits(validate.max_pixels, int(validate.max_file_mb * 1e6))
    rows = in_parallel(inspect, ((folder, name, limits) for name in names), jobs, len(names), "validate")
    return pd.DataFrame(list(rows), dtype=object).reindex(columns=COLUMNS).astype(TYPES)
