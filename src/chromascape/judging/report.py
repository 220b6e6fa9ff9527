"""`reports/index.html`: one file that opens offline, with figures, curves, validation and pictures."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import lab
from chromascape.color.metrics import METRICS
from chromascape.colorizing.colorizer import Colorizer, scale_chroma
from chromascape.errors import ChromascapeError
from chromascape.judging.evaluation import pick_rows, predicted_rgb
from chromascape.judging.predictions import caveats, labels
from chromascape.params import Params, flatten
from chromascape.photos.shards import Shards
from chromascape.photos.source import shown_name

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

# Sections of the params that shape what the report shows. The others (where runs are kept, how many workers there
# are) change no figure, and must change no byte of it.
SECTIONS = ("data", "validate", "preprocess", "train", "evaluate")


@dataclass
class Triptych:
    """One test photo three ways, uint8 (H, W, 3) each, with its figures."""

    path: str
    gray: NDArray[np.uint8]
    colorized: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    figures: dict[str, float]

    def strip(self) -> Image.Image:
        """gray | colorized | truth side by side."""
        return Image.fromarray(np.concatenate([self.gray, self.colorized, self.truth], axis=1))


def triptychs(colorizer: Colorizer, photos: Shards, table: pd.DataFrame, count: int, seed: int) -> dict[
    str, list[Triptych]
]:  # fmt: skip
    """The report's pictures: best, median and worst photos by gain over gray, and a fixed random sample."""
    return {
        title: [_triptych(colorizer, photos, table, row) for row in rows]
        for title, rows in pick_rows(table, count, seed).items()
    }


def _triptych(colorizer: Colorizer, photos: Shards, table: pd.DataFrame, row: int) -> Triptych:
    true_lab = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
    picture = colorizer.render(colorizer.network_lab(true_lab), "faithful")
    figures = table.drop(columns=["path", "group"]).iloc[row].to_dict()
    return Triptych(
        shown_name(photos.paths[row]),
        predicted_rgb(scale_chroma(true_lab, 0)),
        predicted_rgb(picture),
        lab.lab_to_rgb(true_lab),
        figures,
    )


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


def read_metrics(path: Path, stage: str) -> Any:
    """The figures that an earlier stage left in `metrics/`.

    Raises:
        ChromascapeError: the file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChromascapeError(f"{path}: not JSON ({error}): run `dvc repro -f {stage}`") from None


def render(
    figures: dict[str, Any],
    validation: dict[str, Any],
    curves: pd.DataFrame,
    histogram: pd.DataFrame,
    pictures: dict[str, list[Triptych]],
    params: dict[str, Any],
) -> str:
    """The report as HTML. Without times or paths of this machine: the same input gives the same bytes.

    Args:
        figures: metrics/evaluate.json.
        validation: metrics/validate.json.
        curves: a row an epoch, as `training.Trained.history`.
        histogram: as `evaluation.gain_histogram`.
        pictures: as `triptychs`.
        params: as `shown_params`.
    """
    environment = jinja2.Environment(loader=jinja2.PackageLoader("chromascape.judging", "."), autoescape=True)
    return environment.get_template("report.html.j2").render(
        figures=figures,
        metrics=METRICS,
        labels=labels(figures),
        caveats=caveats(figures),
        validation=validation,
        params=params,
        curves_svg=_curves_svg(curves),
        histogram_svg=_histogram_svg(histogram),
        pictures={
            title: [(picture, _data_uri(picture.strip())) for picture in group] for title, group in pictures.items()
        },
    )


def _data_uri(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _curves_svg(curves: pd.DataFrame) -> str:
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    axes.plot(curves["epoch"], curves["train_loss"], marker="o", markersize=3, label="train", color="#3b6ea8")
    axes.plot(curves["epoch"], curves["val_loss"], marker="o", markersize=3, label="validation", color="#c8662b")
    axes.plot(curves["epoch"], curves["gray_val_loss"], linestyle="--", label="gray, validation", color="#777777")
    axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return _svg(figure)


def _histogram_svg(histogram: pd.DataFrame) -> str:
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    colors = ["#c8662b" if gain < 0 else "#3b6ea8" for gain in histogram["gain_db"]]
    axes.bar(histogram["gain_db"], histogram["photos"], width=0.45, color=colors)
    axes.axvline(0, color="#777777", linestyle="--")
    axes.set(xlabel="gain over gray, dB PSNR", ylabel="photos")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure)


def _svg(figure: Any) -> str:
    axes = figure.axes[0]
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "chromascape", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = stream.getvalue()
    return text[text.index("<svg") :]
