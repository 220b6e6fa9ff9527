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
from chromascape.judging import conclusions
from chromascape.judging.charts import curves_svg, histogram_svg
from chromascape.judging.damaged import pictures_by_damage
from chromascape.judging.evaluation import fixed_rows, pick_rows
from chromascape.judging.photo_rows import four_ways
from chromascape.judging.predictions import caveats, labels
from chromascape.params import Params, flatten, non_default
from chromascape.photos.pages import data_uri, render_page
from chromascape.photos.shards import Shards
from chromascape.photos.source import shown_name

LARGEST = 512  # pixels, side of a picture in the report, which has up to 64 of them
TITLES = {
    "All": "All photos, from the highest gain over gray to the lowest",
    "Random": "A random sample, the same for every model",
    "Best": "Highest gain over gray, of the others",
    "Median": "Middle gain over gray",
    "Worst": "Lowest gain over gray",
}


@dataclass
class PhotoRow:
    """One photo: its pictures, uint8 (H, W, 3) by name, and its figures."""

    path: str
    pictures: dict[str, NDArray[np.uint8]]
    figures: dict[str, float]


def photo_rows(
    colorizer: Colorizer, photos: Shards, table: pd.DataFrame, count: int, seed: int
) -> dict[str, list[PhotoRow]]:
    """The report's pictures, each photo of the table once: see `evaluation.pick_rows`."""
    numbers = {path: number for number, path in enumerate(photos.paths)}
    at = [numbers[path] for path in table["path"]]
    figures = table.drop(columns=["path", "group"]).to_dict("records")
    return {
        title: [
            PhotoRow(shown_name(photos.paths[at[row]]), four_ways(colorizer, photos, at[row]), figures[row])
            for row in rows
        ]
        for title, rows in pick_rows(table, count, seed).items()
    }


def damaged_photo(colorizer: Colorizer, photos: Shards, seed: int) -> dict[str, NDArray[np.uint8]]:
    """The first photo of the report's random sample under each damage, see `damaged.pictures_by_damage`."""
    (row,) = fixed_rows(len(photos), 1, seed)
    return pictures_by_damage(colorizer, photos.read(np.array([row]))[0])


def read_curves(path: Path) -> pd.DataFrame:
    """`metrics/curves.csv`: a row for each epoch, with the columns epoch, train_loss, val_loss, gray_val_loss and lr.

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
    pictures: dict[str, list[PhotoRow]],
    params: dict[str, Any],
    sha256: dict[str, str],
    damaged: dict[str, NDArray[np.uint8]] | None = None,
) -> str:
    """The report as HTML. It contains no times, commits or absolute paths: the same input gives the same bytes.

    Args:
        figures: metrics/evaluate.json.
        validation: metrics/validate.json.
        curves: as `read_curves`.
        histogram: as `evaluation.gain_histogram`.
        pictures: as `photo_rows`.
        params: as `params.deciding`.
        sha256: of the files that identify data and weights, by path.
        damaged: as `damaged_photo`, where `figures` have a `damage`.
    """
    return render_page(
        Path(__file__).with_name("report.html.j2"),
        figures=figures,
        conclusion=conclusions.conclusion(figures),
        details=conclusions.details(figures),
        best=conclusions.best(figures),
        number=conclusions.number,
        signed=conclusions.signed,
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
        pictures={title: [(row, _data_uris(row.pictures)) for row in rows] for title, rows in pictures.items()},
        damaged=_data_uris(damaged or {}),
    )


def _data_uris(pictures: dict[str, NDArray[np.uint8]]) -> dict[str, str]:
    """Pictures, scaled down to `LARGEST` pixels, as data URIs by name."""
    images = {name: Image.fromarray(picture) for name, picture in pictures.items()}
    for image in images.values():
        image.thumbnail((LARGEST, LARGEST))
    return {name: data_uri(image) for name, image in images.items()}
