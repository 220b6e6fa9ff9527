"""`METRICS`, the table of what is measured on a colorized photo, and the functions that only this table needs.

Evaluation, report, summary, model card, tables of experiments and the values of `train.choose_by` follow from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.measures import UInt8Image, colorfulness, psnr_db


def ssim(truth: UInt8Image, picture: UInt8Image) -> float:
    """Structural similarity (Wang et al. 2004) of RGB (H, W, 3), sides of at least 7 pixels.

    The loss `ssim` of the training is the same formula on a* and b* alone, so its values are others.

    scikit-image's default 7 × 7 uniform window, mean over pixels and channels: -1..1, 1 for equal pictures.
    """
    from skimage.metrics import structural_similarity

    return float(structural_similarity(truth, picture, channel_axis=2, data_range=255))


def ciede2000(truth_lab: NDArray[np.floating], picture_lab: NDArray[np.floating]) -> float:
    """Mean over pixels of the CIEDE2000 color difference (Sharma et al. 2005) of Lab (H, W, 3).

    It is 0 or more; about 1 is a just noticeable difference.
    """
    from skimage.color import deltaE_ciede2000

    return float(np.mean(deltaE_ciede2000(truth_lab, picture_lab)))


def loss_mse_l1(truth_lab: NDArray[np.floating], picture_lab: NDArray[np.floating]) -> float:
    """The assignment's loss, 0 or more: MSE plus mean absolute error over all pixels of a* and b*, scaled to 0..1.

    Both are Lab (H, W, 3), as predicted, not fitted into sRGB.
    """
    error = lab.scale_ab(picture_lab[..., 1:]) - lab.scale_ab(truth_lab[..., 1:])
    return float(np.mean(error**2) + np.mean(np.abs(error)))


@dataclass(frozen=True)
class Picture:
    """One picture in both forms that metrics read."""

    lab: NDArray[np.float32]  # (H, W, 3), L* in 0..100, a* and b* in -128..127, as predicted
    rgb: UInt8Image  # (H, W, 3), the same as sRGB can show it


@dataclass(frozen=True)
class Metric:
    """One entry of METRICS."""

    label: str  # head of its column, with the unit
    format: str  # of its numbers, as `format` takes it
    # Which values are better; `neither` for one that describes a picture alone: the truth has it too.
    direction: Literal["higher", "lower", "neither"]
    of: Callable[[Picture, Picture], float]  # of truth and prediction
    note: str  # how it is taken, for the line below the report's table

    @property
    def heading(self) -> str:
        """The label with an arrow that says which values are better."""
        return self.label + {"higher": " ↑", "lower": " ↓", "neither": ""}[self.direction]


METRICS = {
    "psnr_db": Metric(
        "PSNR, dB", ".2f", "higher", lambda truth, picture: psnr_db(truth.rgb, picture.rgb), "PSNR on 8-bit RGB"
    ),
    "ssim": Metric(
        "SSIM", ".4f", "higher", lambda truth, picture: ssim(truth.rgb, picture.rgb),
        "SSIM on 8-bit RGB (7 × 7 uniform window)",
    ),
    "ciede2000": Metric(
        "CIEDE2000", ".2f", "lower",
        lambda truth, picture: ciede2000(lab.rgb_to_lab(truth.rgb), lab.rgb_to_lab(picture.rgb)),
        "CIEDE2000 on 8-bit RGB, mean over pixels",
    ),
    "colorfulness": Metric(
        "colorfulness", ".1f", "neither", lambda truth, picture: colorfulness(picture.rgb),
        "colorfulness after Hasler and Süsstrunk",
    ),
    "loss_mse_l1": Metric(
        "MSE + L1", ".4f", "lower", lambda truth, picture: loss_mse_l1(truth.lab, picture.lab),
        "MSE + L1 on ab scaled to 0..1",
    ),
}  # fmt: skip
