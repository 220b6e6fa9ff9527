"""`reports/index.html`: one file that opens offline, with pictures, figures, curves and the recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chromascape.color.metrics import METRICS
from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError
from chromascape.judging import findings
from chromascape.judging.charts import curves_svg, histogram_svg
from chromascape.judging.evaluation import pick_rows
from chromascape.judging.predictions import caveats, labels
from chromascape.judging.strips import four_ways
from chromascape.params import Params, flatten, non_default
from chromascape.photos.pages import data_uri, render_page
from chromascape.photos.shards import Shards
from chromascape.photos.source import shown_name

# Sections of the params that shape what the report shows. The others (where runs are kept, how many workers there
# are) change no figure, and must change no byte of it.
SECTIONS = ("data", "validate", "preprocess", "train", "evaluate")
LARGEST = 512  # pixels, side of a picture in the report: sixteen photos four ways in 2048 pixels open nowhere
TITLES = {
    "All": "All photos, from the highest gain over gray to the lowest",
    "Random": "A random sample, the same for every model",
    "Best": "Highest gain over gray, of the others",
    "Median": "Middle gain over gray",
    "Worst": "Lowest gain over gray",
}


@dataclass
class Strip:
    """One test photo four ways, uint8 (H, W, 3) each, by name, with its figures."""

    path: str
    pictures: dict[str, NDArray[np.uint8]]
    figures: dict[str, float]


def strips(colorizer: Colorizer, photos: Shards, table: pd.DataFrame, count: int, seed: int) -> dict[str, list[Strip]]:
    """The report's pictures, each photo once: see `evaluation.pick_rows`."""
    return {
        title: [_strip(colorizer, photos, table, row) for row in rows]
        for title, rows in pick_rows(table, count, seed).items()
    }


def _strip(colorizer: Colorizer, photos: Shards, table: pd.DataFrame, row: int) -> Strip:
    figures = table.drop(columns=["path", "group"]).iloc[row].to_dict()
    return Strip(shown_name(photos.paths[row]), four_ways(colorizer, photos, row), figures)


def shown_params(params: Params) -> dict[str, Any]:
    """The params that the report prints, as dotted keys."""
    return {key: value for key, value in flatten(params).items() if key.split(".")[0] in SECTIONS}


def read_curves(path: Path) -> pd.DataFrame:
    """`metrics/curves.csv`: a row an epoch, with the columns epoch, train_loss, val_loss, gray_val_loss and lr.

    Raises:
        ChromascapeError: the file is damaged.
    """
    try:
        return pd.read_csv(path)
    except ValueError as error:
        raise ChromascapeError(f"{path}: not a table ({error}): run `dvc repro -f train`") from None


def render(
    figures: dict[str, Any],
    validation: dict[str, Any],
    curves: pd.DataFrame,
    histogram: pd.DataFrame,
    pictures: dict[str, list[Strip]],
    params: dict[str, Any],
    sha256: dict[str, str],
) -> str:
    """The report as HTML. Without times, commits or paths of this machine: the same input gives the same bytes.

    Args:
        figures: metrics/evaluate.json.
        validation: metrics/validate.json.
        curves: a row an epoch, as `training.Trained.history`.
        histogram: as `evaluation.gain_histogram`.
        pictures: as `strips`.
        params: as `shown_params`.
        sha256: of the files that tell which data and which weights these are, by their paths.
    """
    return render_page(
        Path(__file__).with_name("report.html.j2"),
        figures=figures,
        verdict=findings.verdict(figures),
        details=findings.details(figures),
        best=findings.best(figures),
        number=findings.number,
        signed=findings.signed,
        metrics=METRICS,
        labels=labels(figures),
        caveats=caveats(figures),
        validation=validation,
        params=params,
        changed=non_default(params),
        defaults=flatten(Params()),
        sha256=sha256,
        curves_svg=curves_svg(curves),
        histogram_svg=histogram_svg(histogram),
        titles=TITLES,
        pictures={title: [(strip, _tiles(strip)) for strip in group] for title, group in pictures.items()},
    )


def _tiles(strip: Strip) -> dict[str, str]:
    """The strip's pictures as addresses, by name."""
    tiles = {}
    for name, picture in strip.pictures.items():
        image = Image.fromarray(picture)
        image.thumbnail((LARGEST, LARGEST))
        tiles[name] = data_uri(image)
    return tiles
