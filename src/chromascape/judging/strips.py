"""The same test photos in each run, so that runs are compared by picture."""

import numpy as np
import pandas as pd
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer, scale_chroma
from chromascape.judging.evaluation import pick_rows, predicted_rgb
from chromascape.photos.shards import Shards
from chromascape.photos.source import shown_name


def strips(colorizer: Colorizer, photos: Shards, table: pd.DataFrame, count: int, seed: int) -> dict[str, Image.Image]:
    """gray | faithful | vivid | truth of a random sample, by path.

    Which photos these are follows from their number and the seed alone, not from the model.
    """
    found = {}
    for row in pick_rows(table, count, seed)["Random"]:
        true_lab = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
        network_lab = colorizer.network_lab(true_lab)
        parts = [predicted_rgb(scale_chroma(true_lab, 0))]
        parts += [predicted_rgb(colorizer.render(network_lab, rendering)) for rendering in ("faithful", "vivid")]
        found[shown_name(photos.paths[row])] = Image.fromarray(
            np.concatenate([*parts, lab.lab_to_rgb(true_lab)], axis=1)
        )
    return found
