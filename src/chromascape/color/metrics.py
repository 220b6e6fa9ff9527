"""How far a colorized photo is from the true one, and how colorful it is. RGB, uint8, one photo at a time."""

import numpy as np
from numpy.typing import NDArray

UInt8Image = NDArray[np.uint8]

# Equal pictures have infinite PSNR, which no mean survives; 8-bit pictures that differ at all stay below 100 dB
# up to ten thousand megapixels.
PSNR_OF_EQUAL_PICTURES = 100.0


def psnr_db(truth: UInt8Image, picture: UInt8Image) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(255² / MSE), over all pixels and channels of RGB.

    Args:
        truth, picture: uint8 (H, W, 3).
    Returns:
        dB; higher is closer; 100 for equal pictures.
    """
    error = np.mean((truth.astype(np.float64) - picture.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else PSNR_OF_EQUAL_PICTURES


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


def bootstrap_ci95(values: NDArray[np.floating], resamples: int, seed: int) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean over photos (Efron 1979).

    Args:
        values: (N,), one a photo.
    Returns:
        low, high in the unit of `values`; None for fewer than two photos.
    """
    if len(values) < 2:
        return None
    generator = np.random.default_rng(seed)
    means = np.array([generator.choice(values, len(values)).mean() for _ in range(resamples)])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
