"""Which epoch's weights a training keeps: by `train.choose_by`, the loss or a metric on the validation photos."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from chromascape.color import lab
from chromascape.color.metrics import METRICS, Picture

LOSS = "loss"  # the training's own; the other choices are the metrics that say what is better


def choices_of_epoch() -> list[str]:
    """The values of `train.choose_by`."""
    return [LOSS, *(name for name, metric in METRICS.items() if metric.direction != "neither")]


def cost(choose_by: str, row: Mapping[str, float]) -> float:
    """What the epoch with this row of the history is chosen by: the lowest is kept, of equal ones the first."""
    higher = choose_by != LOSS and METRICS[choose_by].direction == "higher"
    return -row[f"val_{choose_by}"] if higher else row[f"val_{choose_by}"]


def sum_of_metric(choose_by: str, quantised: NDArray[np.uint8], colors: Tensor) -> float:
    """The metric of each predicted photo, added up.

    Args:
        choose_by: a name in METRICS.
        quantised: the true photos, Lab (N, 3, H, W).
        colors: predicted for them in 0..1, scaled ab (N, 2, H, W) or RGB (N, 3, H, W), on any device.
    """
    predicted = colors.cpu().numpy().transpose(0, 2, 3, 1)
    rgb = predicted.shape[-1] == 3
    ab = lab.rgb_to_lab(np.rint(predicted * 255).astype(np.uint8))[..., 1:] if rgb else lab.unscale_ab(predicted)
    total = 0.0
    for photo, its_ab in zip(lab.dequantise(quantised.transpose(0, 2, 3, 1)), ab, strict=True):
        picture = lab.join(photo[..., 0], its_ab)
        shown = Picture(picture, lab.lab_to_rgb(lab.fit_to_srgb(picture)))
        total += METRICS[choose_by].of(Picture(photo, lab.lab_to_rgb(photo)), shown)
    return total
