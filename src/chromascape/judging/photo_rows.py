"""Pictures of the same photos in every experiment: gray, faithful, vivid and truth in a row, to compare by eye."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer, scale_chroma
from chromascape.files import atomic_folder
from chromascape.judging.evaluation import predicted_rgb
from chromascape.photos.shards import Shards

QUALITY = 90  # of the JPEGs


def fixed_photos(paths: list[str], manifest: pd.DataFrame, count: int) -> dict[str, int]:
    """The numbers of `count` photos, by name: those with the smallest SHA-256.

    The choice depends only on the photos' content, and a name always stands for the same photo.

    Args:
        paths: of the photos, as `Shards.paths`.
        manifest: with the columns path and sha256.
    """
    hashes = dict(zip(manifest["path"], manifest["sha256"], strict=True))
    chosen = sorted((hashes[path], row) for row, path in enumerate(paths))[:count]
    return {digest[:12]: row for digest, row in chosen}


def four_ways(colorizer: Colorizer, photos: Shards, row: int) -> dict[str, NDArray[np.uint8]]:
    """One cached photo as gray, faithful, vivid and truth: uint8 (H, W, 3) each, by name."""
    truth = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
    picture = colorizer.network_lab(truth)
    return {
        "gray": predicted_rgb(scale_chroma(truth, 0)),
        "faithful": predicted_rgb(colorizer.render(picture, "faithful")),
        "vivid": predicted_rgb(colorizer.render(picture, "vivid")),
        "truth": lab.lab_to_rgb(truth),
    }


def write_photo_rows(folder: Path, colorizer: Colorizer, photos: Shards, manifest: pd.DataFrame, count: int) -> None:
    """Write gray | faithful | vivid | truth of each of `fixed_photos` as NAME.jpg; the folder appears whole."""
    with atomic_folder(folder) as temporary:
        for name, row in fixed_photos(photos.paths, manifest, count).items():
            pictures = list(four_ways(colorizer, photos, row).values())
            Image.fromarray(np.concatenate(pictures, axis=1)).save(temporary / f"{name}.jpg", quality=QUALITY)
