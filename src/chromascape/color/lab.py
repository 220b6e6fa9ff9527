"""sRGB ↔ CIE L*a*b* (D65, 2°), scaled and quantised: the only module that knows the numbers 100, 128 and 255.

A photo has one of three forms:

- Lab: float, L* in 0..100, a* and b* in -128..127, as `skimage.color.rgb2lab` returns it;
- scaled, for networks and losses: L*/100 and (ab + 128)/255, both in 0..1;
- quantised, for the cache: uint8, round(L* · 255/100) and round(ab + 128), so that quantised/255 is scaled.

Formulas: CIE 15:2004 for Lab, IEC 61966-2-1 for sRGB, with scikit-image's constants.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]

XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)
WHITE = np.array([0.95047, 1.0, 1.08883])
LEVELS = 255  # quantised / LEVELS is scaled
NEUTRAL = 128  # quantised a or b of a gray pixel
NEUTRAL_AB = NEUTRAL / LEVELS  # the same, scaled

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS > 0.04045, ((_LEVELS + 0.055) / 1.055) ** 2.4, _LEVELS / 12.92).astype(np.float32)
_LUMA = np.array([0.2125, 0.7154, 0.0721], np.float32)
_FROM_LINEAR = (XYZ_FROM_RGB / WHITE[:, None]).astype(np.float32)  # linear RGB to XYZ relative to white
TO_LINEAR = (RGB_FROM_XYZ * WHITE).astype(np.float32)

# Half an 8-bit level outside sRGB, which rounding hides: 0.00015 of linear light at black, 0.0045 at white.
LOWEST, HIGHEST = -1e-4, 1 + 2e-3


def rgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 sRGB (..., 3) to Lab float32 (..., 3)."""
    x, y, z = np.moveaxis(cube_root(_LINEAR[rgb] @ _FROM_LINEAR.T), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: Float) -> NDArray[np.uint8]:
    """Lab (..., 3) to uint8 sRGB (..., 3); colors outside sRGB are clipped (see `fit_to_srgb`)."""
    return np.rint(lab_to_levels(lab) * 255).astype(np.uint8)


def lab_to_levels(lab: Float) -> NDArray[np.float32]:
    """Lab (..., 3) to sRGB (..., 3) as floats in 0..1; colors outside sRGB are clipped (see `fit_to_srgb`)."""
    return encode(np.clip(_lab_to_linear(lab), 0, 1))


def linear_light(levels: Float) -> NDArray[np.float32]:
    """sRGB in 0..1 to linear light."""
    levels = levels.astype(np.float32)
    return np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92).astype(np.float32)


def lightness(values: NDArray[Any]) -> NDArray[np.float32]:
    """L* in 0..100, (H, W), of sRGB: gray (H, W) or color (H, W, 3), as uint8, uint16, or floats in 0..1."""
    if values.ndim == 2 and values.dtype in (np.uint8, np.uint16):
        return _lightness_of_level(values.dtype.itemsize).take(values)
    if values.dtype == np.uint8:
        return lightness_of_steps(steps(values))
    linear = linear_light(values) if values.dtype.kind == "f" else _linear_levels(values.dtype.itemsize)[values]
    return 116 * cube_root(linear if values.ndim == 2 else linear @ _FROM_LINEAR[1]) - 16


def steps(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Luminance Y of uint8 sRGB (H, W, 3) in steps of 1/65535, (H, W)."""
    red, green, blue = steps_of_level()
    total = red.take(rgb[..., 0])
    total += green.take(rgb[..., 1])
    total += blue.take(rgb[..., 2])
    return total


def lightness_of_steps(steps: NDArray[np.uint16]) -> NDArray[np.float32]:
    """L* in 0..100 of luminance as `steps` measures it."""
    return _lightness_of_step().take(steps)


def film_lightness(lab: Float, response: Float) -> NDArray[np.float32]:
    """L* in 0..100, (...), of the gray photo that a film takes of Lab (..., 3).

    Args:
        response: (3,), the film's sensitivity to linear R, G and B of sRGB, with a sum of 1: gray stays as it is.
    """
    return 116 * cube_root(np.clip(_lab_to_linear(lab) @ response.astype(np.float32), 0, 1)) - 16


def luma_of_levels(values: NDArray[Any]) -> NDArray[np.float32]:
    """`luma` of the arrays that `lightness` takes: (H, W) in 0..100."""
    scaled = values.astype(np.float32) / np.float32(1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max)
    return np.asarray(100 * (scaled if values.ndim == 2 else scaled @ _LUMA), np.float32)


def fit_to_srgb(lab: Float) -> NDArray[np.float32]:
    """Lab (..., 3) with the chroma of colors outside sRGB reduced until they fit, keeping L* and hue.

    The largest factor of (a, b) that fits is found by bisection to 1/4096. Gray of any L* in 0..100 fits.
    """
    fitted = np.array(lab, dtype=np.float32)
    fitted[..., 0] = np.clip(fitted[..., 0], 0, 100)
    outside = ~_fits(fitted)
    pixels = fitted[outside]
    low, high = np.zeros(len(pixels), np.float32), np.ones(len(pixels), np.float32)
    for _ in range(12):
        middle = (low + high) / 2
        fits = _fits(np.concatenate([pixels[:, :1], pixels[:, 1:] * middle[:, None]], axis=1))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    pixels[:, 1:] *= low[:, None]
    fitted[outside] = pixels
    return fitted


def luma(lab: Float) -> NDArray[np.float32]:
    """Luma (ITU-R BT.709, as `skimage.color.rgb2gray`) of Lab (..., 3), times 100: (...) in 0..100.

    It differs from L* by up to 15. Only the baseline network uses it in place of L*.
    """
    return (lab_to_rgb(lab) @ _LUMA) * np.float32(100 / 255)


def quantise(lab: Float) -> NDArray[np.uint8]:
    """Lab (..., 3) to the cache's uint8 (..., 3)."""
    scaled = np.concatenate([lab[..., :1] * (255 / 100), lab[..., 1:] + 128], axis=-1)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def dequantise(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The cache's uint8 (..., 3) to Lab float32 (..., 3)."""
    lab = quantised.astype(np.float32)
    lab[..., 0] *= 100 / 255
    lab[..., 1:] -= 128
    return lab


def scale_lightness(lightness: Float) -> NDArray[np.float32]:
    """L* in 0..100 to 0..1."""
    return (lightness / np.float32(100)).astype(np.float32)


def scale_ab(ab: Float) -> NDArray[np.float32]:
    """a* and b* to 0..1."""
    return ((ab + np.float32(128)) / np.float32(255)).astype(np.float32)


def unscale_ab(scaled: Float) -> NDArray[np.float32]:
    """Scaled ab to a* and b*, clamped to -128..127."""
    return np.clip(scaled * np.float32(255) - np.float32(128), -128, 127).astype(np.float32)


def join(lightness: Float, ab: Float) -> NDArray[np.float32]:
    """L* (..., ) and ab (..., 2) to Lab (..., 3)."""
    return np.concatenate([lightness[..., None], ab], axis=-1).astype(np.float32)


def cube_root(xyz: Float) -> NDArray[np.float32]:
    """CIE's f of X, Y or Z relative to white: the cube root, linear near black."""
    return np.where(xyz > 0.008856, np.cbrt(xyz), xyz * np.float32(7.787) + np.float32(16 / 116))


@cache
def _lightness_of_level(size: int) -> NDArray[np.float32]:
    """L* of each level of gray, as integers of `size` bytes."""
    return 116 * cube_root(_linear_levels(size)) - 16


@cache
def steps_of_level() -> NDArray[np.uint16]:
    """Steps of 1/65535 of Y that each 8-bit level of R, G and B adds, (3, 256); of white they are 65535."""
    return np.rint(_FROM_LINEAR[1][:, None] * _LINEAR * 65535).astype(np.uint16)


@cache
def _lightness_of_step() -> NDArray[np.float32]:
    """L* of each step of Y."""
    return 116 * cube_root(np.arange(65536, dtype=np.float32) / 65535) - 16


@cache
def _linear_levels(size: int) -> NDArray[np.float32]:
    """Linear light of each level of integers of `size` bytes."""
    return _LINEAR if size == 1 else linear_light(np.arange(65536) / 65535)


def encode(linear: Float) -> NDArray[np.float32]:
    """Linear light in 0..1 to sRGB in 0..1."""
    encoded = np.where(linear > 0.0031308, 1.055 * linear ** np.float32(1 / 2.4) - 0.055, 12.92 * linear)
    return encoded.astype(np.float32)


def _lab_to_linear(lab: Float) -> NDArray[np.float32]:
    """Lab (..., 3) to linear RGB (..., 3), not clipped."""
    lab = lab.astype(np.float32, copy=False)
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2068966, f**3, (f - np.float32(16 / 116)) / np.float32(7.787))
    return xyz @ TO_LINEAR.T


def _fits(lab: Float) -> NDArray[np.bool_]:
    """Whether Lab (..., 3) is within sRGB, to less than half an 8-bit level."""
    linear = _lab_to_linear(lab)
    return np.all((linear >= LOWEST) & (linear <= HIGHEST), axis=-1)
