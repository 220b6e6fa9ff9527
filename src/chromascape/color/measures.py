"""Measures that stages before the evaluation use too: PSNR, colorfulness, and the interval of a mean over photos.

Apart from `color/metrics.py`, so that one metric more reruns the evaluation alone.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UInt8Image = NDArray[np.uint8]

# Equal pictures have infinite PSNR, which no mean survives. Large pictures that differ in a single level would lie
# above it (one level in one channel of 256 x 256 pixels: 101.07 dB), so it is the most that any pair gets.
PSNR_CAP_DB = 100.0
STRIP = 64  # rows at a time in sums over a picture, which then stay in the processor's cache


def psnr_db(truth: UInt8Image, picture: UInt8Image) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE), over all pixels and channels of RGB (H, W, 3).

    Higher is closer; it is at most 100, which equal pictures get.
    """
    error = np.mean((truth.astype(np.float64) - picture.astype(np.float64)) ** 2)
    return min(float(10 * np.log10(255**2 / error)), PSNR_CAP_DB) if error else PSNR_CAP_DB


def colorfulness(rgb: UInt8Image) -> float:
    """Colorfulness M3 of Hasler and Süsstrunk 2003 of RGB (H, W, 3), on signed rg and yb (some codes take abs() first).

    It is 0 for gray, about 15 for a slightly, 45 for an averagely and 80 for a highly colorful picture.
    """
    sums, count = np.zeros(4, np.int64), rgb.shape[0] * rgb.shape[1]
    for start in range(0, len(rgb), STRIP):
        red, green, blue = (rgb[start : start + STRIP, :, channel].astype(np.int16) for channel in range(3))
        both = red - green, red + green - 2 * blue  # rg, and twice yb
        squares = [np.multiply(values, values, dtype=np.int32) for values in both]
        sums += [values.sum(dtype=np.int64) for values in (*both, *squares)]
    rg, yb, rg2, yb2 = (sums / count * (1, 1 / 2, 1, 1 / 4)).tolist()
    return math.sqrt(max(rg2 - rg**2 + yb2 - yb**2, 0)) + 0.3 * math.hypot(rg, yb)


def mean_ci95(
    values: NDArray[np.floating], groups: Sequence[object] | NDArray[np.generic]
) -> tuple[float, float] | None:
    """95 % interval of the mean over photos, by Student's t over groups of photos.

    Photos of a group show the same scene and are not independent, so that groups count, and a mean is the ratio of
    two sums over them (Cochran, Sampling Techniques, 1977, 6.3). With few groups a bootstrap is too narrow:
    `experiments/gate_errors.py` compares them.

    Args:
        values, groups: (N,), each photo's value and the name of its group.
    Returns:
        low, high in the unit of `values`; None for fewer than two groups.
    """
    from scipy.special import stdtrit

    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(group_of, weights=values), np.bincount(group_of)
    if (n := len(sums)) < 2:
        return None
    mean = sums.sum() / counts.sum()
    error = np.sqrt(n / (n - 1) * ((sums - mean * counts) ** 2).sum()) / counts.sum()
    reach = float(stdtrit(n - 1, 0.975) * error)
    return float(mean) - reach, float(mean) + reach
