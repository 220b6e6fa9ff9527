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
_TO_LINEAR = (RGB_FROM_XYZ * WHITE).astype(np.float32)

STEPS = 16_384  # of linear light in the table of levels: a fifth of a level where the encoding is steepest
# Half an 8-bit level outside sRGB, which rounding hides: 0.00015 of linear light at black, 0.0045 at white.
_LOWEST, _HIGHEST = -1e-4, 1 + 2e-3
_TOE = np.float32(6 / 29)  # CIE's f is a cube root above, and the cube's tangent below
_LIGHTNESSES, _DIRECTIONS = 256, 256  # rows of the table of reaches, and its columns in each quarter of the circle


def rgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 sRGB (..., 3) to Lab float32 (..., 3)."""
    x, y, z = np.moveaxis(_cube_root(_LINEAR[rgb] @ _FROM_LINEAR.T), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_rgb(lab: Float) -> NDArray[np.uint8]:
    """Lab (..., 3) to uint8 sRGB (..., 3); colors outside sRGB are clipped (see `fit_to_srgb`)."""
    return np.rint(lab_to_levels(lab) * 255).astype(np.uint8)


def lab_to_levels(lab: Float) -> NDArray[np.float32]:
    """Lab (..., 3) to sRGB (..., 3) as floats in 0..1; colors outside sRGB are clipped (see `fit_to_srgb`)."""
    return _encode(np.clip(_lab_to_linear(lab), 0, 1))


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
    return 116 * _cube_root(linear if values.ndim == 2 else linear @ _FROM_LINEAR[1]) - 16


def steps(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Luminance Y of uint8 sRGB (H, W, 3) in steps of 1/65535, (H, W)."""
    red, green, blue = _steps_of_level()
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
    return 116 * _cube_root(np.clip(_lab_to_linear(lab) @ response.astype(np.float32), 0, 1)) - 16


def luma_of_levels(values: NDArray[Any]) -> NDArray[np.float32]:
    """`luma` of the arrays that `lightness` takes: (H, W) in 0..100."""
    scaled = values.astype(np.float32) / np.float32(1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max)
    return np.asarray(100 * (scaled if values.ndim == 2 else scaled @ _LUMA), np.float32)


def to_srgb(lightness: Float, ab: Float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A picture's sRGB, with the chroma of colors outside sRGB reduced until they fit, keeping L* and hue.

    `fit_to_srgb` and `lab_to_levels` in one pass, by tables: within a level of 8 bits of them, but for one color in a
    thousand outside sRGB, near its sharpest edges.

    Args:
        lightness: L* in 0..100, (H, W).
        ab: a* and b*, (2, H, W).
        dtype: uint8, uint16 or float32, in 0..1.
    Returns:
        (H, W, 3) of that type.
    """
    cone = np.empty((3, lightness.size), np.float32)  # f of X, Y and Z
    for place, color, share in ((0, ab[0], 1 / 500), (2, ab[1], -1 / 200)):
        np.multiply(color.reshape(-1), np.float32(share), out=cone[place])
    np.multiply(lightness.reshape(-1), np.float32(1 / 116), out=cone[1])
    cone[1] += np.float32(16 / 116)
    cone[0] += cone[1]
    cone[2] += cone[1]
    linear = _TO_LINEAR @ _cube(cone)
    if linear.min() < _LOWEST or linear.max() > _HIGHEST:
        outside = np.flatnonzero((linear.min(axis=0) < _LOWEST) | (linear.max(axis=0) > _HIGHEST))
        linear[:, outside] = _TO_LINEAR @ _cube(_fitted(cone[:, outside]))
    levels = _encoded(linear, dtype)
    picture = np.empty((*lightness.shape, 3), levels.dtype)
    for channel in range(3):  # three times as fast as one copy of all
        picture[..., channel] = levels[channel].reshape(lightness.shape)
    return picture


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


def _cube_root(xyz: Float) -> NDArray[np.float32]:
    """CIE's f of X, Y or Z relative to white: the cube root, linear near black."""
    return np.where(xyz > 0.008856, np.cbrt(xyz), xyz * np.float32(7.787) + np.float32(16 / 116))


@cache
def _lightness_of_level(size: int) -> NDArray[np.float32]:
    """L* of each level of gray, as integers of `size` bytes."""
    return 116 * _cube_root(_linear_levels(size)) - 16


@cache
def _steps_of_level() -> NDArray[np.uint16]:
    """Steps of 1/65535 of Y that each 8-bit level of R, G and B adds, (3, 256); of white they are 65535."""
    return np.rint(_FROM_LINEAR[1][:, None] * _LINEAR * 65535).astype(np.uint16)


@cache
def _lightness_of_step() -> NDArray[np.float32]:
    """L* of each step of Y."""
    return 116 * _cube_root(np.arange(65536, dtype=np.float32) / 65535) - 16


@cache
def _linear_levels(size: int) -> NDArray[np.float32]:
    """Linear light of each level of integers of `size` bytes."""
    return _LINEAR if size == 1 else linear_light(np.arange(65536) / 65535)


def _encode(linear: Float) -> NDArray[np.float32]:
    """Linear light in 0..1 to sRGB in 0..1."""
    encoded = np.where(linear > 0.0031308, 1.055 * linear ** np.float32(1 / 2.4) - 0.055, 12.92 * linear)
    return encoded.astype(np.float32)


def _encoded(linear: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Linear light, clipped to 0..1, as sRGB of this type; `linear` is overwritten."""
    if dtype == np.uint8:
        linear *= STEPS
        return _level_of_step().take(linear.astype(np.int32), mode="clip")
    levels = _encode(np.clip(linear, 0, 1, out=linear))
    return np.rint(levels * 65535).astype(np.uint16) if dtype == np.uint16 else levels


@cache
def _level_of_step() -> NDArray[np.uint8]:
    """The 8-bit level at the middle of each step of linear light."""
    return np.rint(_encode((np.arange(STEPS) + 0.5) / STEPS) * 255).astype(np.uint8)


def _cube(cone: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of CIE's f: X, Y or Z relative to white."""
    if cone.min() >= _TOE:
        cubes = cone * cone
        cubes *= cone
        return cubes
    above = np.maximum(cone, _TOE)
    below = cone - above
    below *= 3 * _TOE * _TOE
    below += above * above * above
    return below


def _fitted(cone: NDArray[np.float32]) -> NDArray[np.float32]:
    """f of X, Y and Z (3, N) moved towards gray until the color fits into sRGB."""
    gray = cone[1]
    a, b = (cone[0] - gray) * 500, (gray - cone[2]) * 200
    length = np.abs(a) + np.abs(b) + np.float32(1e-6)
    column = (a / length + 1) * np.float32(_DIRECTIONS / 2)
    first = np.minimum(column.astype(np.intp), _DIRECTIONS - 1)
    column -= first
    row = np.clip((gray * 116 - 16) * np.float32((_LIGHTNESSES - 1) / 100), 0, _LIGHTNESSES - 1)
    upper = np.minimum(row.astype(np.intp), _LIGHTNESSES - 2)
    row -= upper
    table = _reaches()
    width = table.shape[1]
    first += (b < 0) * (_DIRECTIONS + 1) + upper * width
    flat = table.reshape(-1)
    ends = [low + column * (flat.take(at + 1) - low) for at in (first, first + width) for low in (flat.take(at),)]
    factor = np.minimum((ends[0] + row * (ends[1] - ends[0])) / length, 1)
    return gray + factor * (cone - gray)


@cache
def _reaches() -> NDArray[np.float32]:
    """The largest |a*| + |b*| that fits into sRGB, by bisection, for each L* and direction.

    Returns:
        (rows, columns): L* from 0 to 100; a/(|a| + |b|) from -1 to 1, first with b of at least 0, then with b below.
    """
    a = np.linspace(-1, 1, _DIRECTIONS + 1, dtype=np.float32)
    x, z = np.concatenate([a, a]) / 500, np.concatenate([np.abs(a) - 1, 1 - np.abs(a)]) / 200
    gray = (np.linspace(0, 100, _LIGHTNESSES, dtype=np.float32)[:, None] + 16) / np.float32(116)
    reach, step = np.zeros((_LIGHTNESSES, len(x)), np.float32), np.float32(256)
    for _ in range(13):
        step /= 2
        further = reach + step
        cone = np.stack([gray + further * x, np.broadcast_to(gray, further.shape), gray + further * z])
        linear = _TO_LINEAR @ _cube(cone.reshape(3, -1))
        fits = (linear.min(axis=0) >= _LOWEST) & (linear.max(axis=0) <= _HIGHEST)
        reach += step * fits.reshape(reach.shape)
    return reach


def _lab_to_linear(lab: Float) -> NDArray[np.float32]:
    """Lab (..., 3) to linear RGB (..., 3), not clipped."""
    lab = lab.astype(np.float32, copy=False)
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2068966, f**3, (f - np.float32(16 / 116)) / np.float32(7.787))
    return xyz @ _TO_LINEAR.T


def _fits(lab: Float) -> NDArray[np.bool_]:
    """Whether Lab (..., 3) is within sRGB, to less than half an 8-bit level."""
    linear = _lab_to_linear(lab)
    return np.all((linear >= _LOWEST) & (linear <= _HIGHEST), axis=-1)
