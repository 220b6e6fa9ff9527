"""Lab to the sRGB of a large picture, by tables: what `lab.fit_to_srgb` and `lab.lab_to_levels` give, in one pass."""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromascape.color import kernel, lab
from chromascape.color.lab import Float

STEPS = 16_384  # of linear light in the table of levels: a fifth of a level where the encoding is steepest
AT_ONCE = 24_576  # colors in a product with a matrix: few enough for BLAS not to split it between threads
_TOE = np.float32(6 / 29)  # CIE's f is a cube root above, and the cube's tangent below
_LIGHTNESSES, _DIRECTIONS = 192, 192  # rows of the table of reaches, and its columns in each quarter of the circle


def to_srgb(lightness: Float, ab: Float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A picture's sRGB, with the chroma of colors outside sRGB reduced until they fit, keeping L* and hue.

    Within a level of 8 bits of `lab.fit_to_srgb` and `lab.lab_to_levels`, but for one color in ten thousand of those
    outside sRGB: light yellows that leave it, come back and leave it again as their chroma grows.

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
    linear = _product(lab.TO_LINEAR, _cube(cone))
    if linear.min() < lab.LOWEST or linear.max() > lab.HIGHEST:
        outside = np.flatnonzero((linear.min(axis=0) < lab.LOWEST) | (linear.max(axis=0) > lab.HIGHEST))
        linear[:, outside] = _product(lab.TO_LINEAR, _cube(_fitted(cone[:, outside])))
    levels = _encoded(linear, dtype)
    picture = np.empty((*lightness.shape, 3), levels.dtype)
    for channel in range(3):  # three times as fast as one copy of all
        picture[..., channel] = levels[channel].reshape(lightness.shape)
    return picture


def steps(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """`lab.steps`, by the compiled kernel where there is one."""
    return kernel.luminance(rgb, lab.steps_of_level()) if kernel.library() else lab.steps(rgb)


def by_kernel(
    values: NDArray[Any],
    table: NDArray[np.float32] | None,
    planes: NDArray[np.float32],
    places: tuple[NDArray[np.int32], NDArray[np.float32]],
    cover: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Rows of a photo as 8-bit sRGB, as `to_srgb` gives them, see `kernel.colors`.

    Returns:
        (h, W, 3), a view of four bytes a pixel, the last of which is 255: Pillow takes such rows as they are.
    """
    return kernel.colors(values, table, planes, *places, cover, _space(), _level_of_step())[..., :3]


@cache
def _space() -> kernel.Space:
    return kernel.Space((ctypes.c_float * 9)(*lab.TO_LINEAR.ravel()), lab.LOWEST, lab.HIGHEST, _TOE)


def _encoded(linear: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Linear light, clipped to 0..1, as sRGB of this type; `linear` is overwritten."""
    if dtype == np.uint8:
        linear *= STEPS
        return _level_of_step().take(linear.astype(np.int32), mode="clip")
    levels = lab.encode(np.clip(linear, 0, 1, out=linear))
    return np.rint(levels * 65535).astype(np.uint16) if dtype == np.uint16 else levels


@cache
def _level_of_step() -> NDArray[np.uint8]:
    """The 8-bit level at the middle of each step of linear light."""
    return np.rint(lab.encode((np.arange(STEPS) + 0.5) / STEPS) * 255).astype(np.uint8)


def _product(matrix: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A matrix (3, 3) times values (3, N)."""
    found = np.empty_like(values)
    for start in range(0, values.shape[1], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        np.matmul(matrix, values[:, part], out=found[:, part])
    return found


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
    away = cone - gray
    a, b = away[0] * 500, away[2] * -200
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
    return gray + _corrected(factor, gray, away) * away


def _corrected(
    factor: NDArray[np.float32], gray: NDArray[np.float32], away: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The factor of `away` at which the first channel leaves sRGB, by one step of Newton's method.

    The table alone is off by several levels of a dark channel where two faces of sRGB meet.
    """
    cone = gray + factor * away
    slope = np.maximum(cone, _TOE)
    slope *= slope
    slope *= away
    slope = _product(3 * lab.TO_LINEAR, slope)  # of linear light over the factor
    step = np.where(slope > 0, np.float32(lab.HIGHEST), np.float32(lab.LOWEST))
    step -= _product(lab.TO_LINEAR, _cube(cone))
    with np.errstate(divide="ignore"):  # of gray, whose factor changes nothing
        step /= slope
    # A channel that hardly changes makes a step that leads far off.
    return np.clip(factor + step.min(axis=0), np.float32(0.9) * factor, np.minimum(np.float32(1.1) * factor, 1))


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
        linear = lab.TO_LINEAR @ _cube(cone.reshape(3, -1))
        fits = (linear.min(axis=0) >= lab.LOWEST) & (linear.max(axis=0) <= lab.HIGHEST)
        reach += step * fits.reshape(reach.shape)
    return reach
