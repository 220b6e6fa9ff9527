"""How far a colorized photo is from the true one, and how colorful it is: one photo at a time, and the interval of a
mean over photos.

`METRICS` is the one table of them: evaluation, report, summary, model card and tables of experiments follow from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab

UInt8Image = NDArray[np.uint8]

# Equal pictures have infinite PSNR, which no mean survives. Large pictures that differ in a single level would lie
# above it (one level in one channel of 256 x 256 pixels: 101.07 dB), so it is the most that any pair gets.
PSNR_CAP_DB = 100.0


def psnr_db(truth: UInt8Image, picture: UInt8Image) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE), over all pixels and channels of RGB.

    Args:
        truth, picture: uint8 (H, W, 3).
    Returns:
        dB; higher is closer; 100 for equal pictures, which is also the cap.
    """
    error = np.mean((truth.astype(np.float64) - picture.astype(np.float64)) ** 2)
    return min(float(10 * np.log10(255**2 / error)), PSNR_CAP_DB) if error else PSNR_CAP_DB


def ssim(truth: UInt8Image, picture: UInt8Image) -> float:
    """Structural similarity (Wang et al. 2004) of RGB, scikit-image's default 7 × 7 uniform window, mean over
    pixels and channels.

    Args:
        truth, picture: uint8 (H, W, 3), sides of at least 7 pixels.
    Returns:
        -1..1; 1 for equal pictures.
    """
    from skimage.metrics import structural_similarity

    return float(structural_similarity(truth, picture, channel_axis=2, data_range=255))


def ciede2000(truth_lab: NDArray[np.floating], picture_lab: NDArray[np.floating]) -> float:
    """Mean over pixels of the CIEDE2000 color difference (Sharma et al. 2005).

    Args:
        truth_lab, picture_lab: (H, W, 3), L* in 0..100, a* and b* in -128..127.
    Returns:
        0 upwards; about 1 is a just noticeable difference.
    """
    from skimage.color import deltaE_ciede2000

    return float(np.mean(deltaE_ciede2000(truth_lab, picture_lab)))


def colorfulness(rgb: UInt8Image) -> float:
    """Colorfulness M3 of Hasler and Süsstrunk 2003, on signed rg and yb (some codes take abs() first).

    Args:
        rgb: uint8 (H, W, 3).
    Returns:
        0 for gray; about 15 slightly, 45 averagely, 80 highly colorful.
    """
    red, green, blue = (rgb[..., channel].astype(np.float32) for channel in range(3))
    rg = red - green
    yb = (red + green) / 2 - blue
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def loss_mse_l1(truth_lab: NDArray[np.floating], picture_lab: NDArray[np.floating]) -> float:
    """The assignment's loss: MSE plus mean absolute error over all pixels of a* and b*, scaled to 0..1.

    Args:
        truth_lab, picture_lab: (H, W, 3), L* in 0..100, a* and b* in -128..127, as predicted, not fitted into sRGB.
    Returns:
        0 upwards.
    """
    error = lab.scale_ab(picture_lab[..., 1:]) - lab.scale_ab(truth_lab[..., 1:])
    return float(np.mean(error**2) + np.mean(np.abs(error)))


@dataclass(frozen=True)
class Picture:
    """One picture in both forms that metrics read.

    Attributes:
        lab: float32 (H, W, 3), L* in 0..100, a* and b* in -128..127, as predicted.
        rgb: the same as sRGB can show it, uint8 (H, W, 3).
    """

    lab: NDArray[np.float32]
    rgb: UInt8Image


@dataclass(frozen=True)
class Metric:
    """One entry of METRICS.

    Attributes:
        label: head of its column, with the unit.
        format: of its numbers, as `format` takes it.
        direction: which values are better; `neither` for one that describes a picture alone: the truth has it too.
        of: value of a (truth, prediction) pair.
        note: how it is taken, for the line below the report's table.
    """

    label: str
    format: str
    direction: Literal["higher", "lower", "neither"]
    of: Callable[[Picture, Picture], float]
    note: str

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


def bootstrap_ci95(
    values: NDArray[np.floating], groups: Sequence[object] | NDArray[np.generic], resamples: int, seed: int
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean over photos, resampling groups of photos (Efron 1979).

    Photos of a group show the same scene and are not independent, so whole groups are drawn, and the statistic is
    the mean over all photos of the drawn groups.

    Args:
        values: (N,), one a photo.
        groups: (N,), name of each photo's group.
    Returns:
        low, high in the unit of `values`; None for fewer than two groups.
    """
    from scipy.stats import bootstrap

    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(group_of, weights=values), np.bincount(group_of)
    if len(sums) < 2:
        return None
    interval = bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis=axis) / counts.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=0.95,
        n_resamples=resamples,
        batch=max(1, 2**20 // len(sums)),  # resamples at a time: some 25 MB
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
