"""Pictures of the same test photos after every experiment, so that experiments compare by eye."""

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
    """Row numbers of the photos to show, by name: those with the smallest hashes of content.

    The choice follows from the photos alone: not from their order, their paths or a model. A name stands for one
    photo, also after others were added.

    Args:
        paths: the photos, as `Shards.paths`.
        manifest: whose columns path and sha256 tell their contents.
    """
    hashes = dict(zip(manifest["path"], manifest["sha256"], strict=True))
    chosen = sorted((hashes[path], row) for row, path in enumerate(paths))[:count]
    return {digest[:12]: row for digest, row in chosen}


def four_ways(colorizer: Colorizer, photos: Shards, row: int) -> dict[str, NDArray[np.uint8]]:
    """One photo as it is cached: gray, faithful, vivid and truth, uint8 (H, W, 3) each, by name."""
    truth = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
    picture = colorizer.network_lab(truth)
    return {
        "gray": predicted_rgb(scale_chroma(truth, 0)),
        "faithful": predicted_rgb(colorizer.render(picture, "faithful")),
        "vivid": predicted_rgb(colorizer.render(picture, "vivid")),
        "truth": lab.lab_to_rgb(truth),
    }


def strip(colorizer: Colorizer, photos: Shards, row: int) -> Image.Image:
    """gray | faithful | vivid | truth of one photo side by side."""
    return Image.fromarray(np.concatenate(list(four_ways(colorizer, photos, row).values()), axis=1))


def write_strips(folder: Path, colorizer: Colorizer, photos: Shards, manifest: pd.DataFrame, count: int) -> None:
    """Write the strips of `fixed_photos` as NAME.jpg; the folder appears whole."""
    with atomic_folder(folder) as temporary:
        for name, row in fixed_photos(photos.paths, manifest, count).items():
            strip(colorizer, photos, row).save(temporary / f"{name}.jpg", quality=QUALITY)
