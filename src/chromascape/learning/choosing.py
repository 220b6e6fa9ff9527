"""Which epoch's weights a training keeps: by `train.choose_by`, the loss or a metric on the validation photos.

`color.metrics` is imported by name, and only where a metric chooses, so that one metric more reruns no training that is
chosen by its loss. DVC does not see that import: `check_choice` does, before the evaluation.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chromascape.color import lab
from chromascape.errors import ChromascapeError
from chromascape.resume import code, digest

if TYPE_CHECKING:
    from chromascape.color.metrics import Metric

LOSS = "loss"  # the training's own; the other choices are the metrics that say what is better


def _metrics() -> Any:
    """The module with the table of metrics."""
    return import_module("chromascape.color.metrics")


def metrics_that_choose() -> "dict[str, Metric]":
    """The metrics that `train.choose_by` may name, besides LOSS."""
    return {name: metric for name, metric in _metrics().METRICS.items() if metric.direction != "neither"}


def cost(choose_by: str, row: Mapping[str, float]) -> float:
    """What the epoch with this row of the history is chosen by: the lowest is kept, of equal ones the first."""
    higher = choose_by != LOSS and metrics_that_choose()[choose_by].direction == "higher"
    return -row[f"val_{choose_by}"] if higher else row[f"val_{choose_by}"]


def sum_of_metric(choose_by: str, quantised: NDArray[np.uint8], colors: Tensor) -> float:
    """The metric of each predicted photo, added up.

    Args:
        choose_by: one of `metrics_that_choose`.
        quantised: the true photos, Lab (N, 3, H, W).
        colors: predicted for them in 0..1, scaled ab (N, 2, H, W) or RGB (N, 3, H, W), on any device.
    """
    predicted = colors.cpu().numpy().transpose(0, 2, 3, 1)
    rgb = predicted.shape[-1] == 3
    ab = lab.rgb_to_lab(np.rint(predicted * 255).astype(np.uint8))[..., 1:] if rgb else lab.unscale_ab(predicted)
    metric, picture_of, total = metrics_that_choose()[choose_by], _metrics().Picture, 0.0
    for photo, its_ab in zip(lab.dequantise(quantised.transpose(0, 2, 3, 1)), ab, strict=True):
        picture = lab.join(photo[..., 0], its_ab)
        shown = picture_of(picture, lab.lab_to_rgb(lab.fit_to_srgb(picture)))
        total += metric.of(picture_of(photo, lab.lab_to_rgb(photo)), shown)
    return total


def code_of(choose_by: str) -> str:
    """16 hex digits that stand for the code of the metrics where one of them chooses, else ""."""
    return "" if choose_by == LOSS else digest(code(Path(str(_metrics().__file__))))[:16]


def check_choice(summary: Mapping[str, Any]) -> None:
    """Refuse weights that were chosen by metrics that have changed since; `summary` as in metrics/train.json.

    Raises:
        ChromascapeError: they have.
    """
    chosen_by = summary.get("chosen_by", LOSS)
    if code_of(chosen_by) != summary.get("chosen_by_code", ""):
        raise ChromascapeError(
            f"train.choose_by: color/metrics.py has changed since {chosen_by} chose the epoch: "
            "`dvc repro -f train` chooses again"
        )
