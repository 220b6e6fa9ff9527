"""The loops of kernel.c, where it was compiled when Chromascape was installed; where not, `library` is None.

Called by ctypes, which lets go of Python's lock. What is given to C is checked here: C reads no further than arrays go.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1  # of the parameters, as in kernel.c: what was compiled of another one is not called
_SIZE, _POINTER, _INT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int32


class Space(ctypes.Structure):
    """Linear RGB of XYZ relative to white, what fits into sRGB, and the toe of CIE's f."""

    _fields_ = [("matrix", ctypes.c_float * 9)] + [(name, ctypes.c_float) for name in ("lowest", "highest", "toe")]


@cache
def library() -> ctypes.CDLL | None:
    """What was compiled of kernel.c for this version; None if there is none that can be loaded."""
    for suffix in EXTENSION_SUFFIXES:
        file = Path(__file__).with_name(f"_kernel{suffix}")
        if file.exists():
            try:
                loaded = ctypes.CDLL(str(file))
                if loaded.chromascape_version() == VERSION:
                    return loaded
            except (OSError, AttributeError):  # of another system, or no such function
                continue
    return None


def luminance(rgb: NDArray[np.uint8], table: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """What each pixel's levels add up to by a table (3, 256), (H, W).

    Args:
        rgb: (H, W, 3), whose pixels lie 3 or 4 bytes apart without gaps between rows; else they are copied.
    """
    height, width, channels = rgb.shape
    _check(table, np.uint16, (3, 256))
    four = rgb.strides == (4 * width, 4, 1)
    if not four:
        rgb = np.ascontiguousarray(rgb)
    if channels != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    out = np.empty((height, width), np.uint16)
    _call("luminance", _at(rgb), _SIZE(out.size), _SIZE(4 if four else 3), _at(table), _at(out))
    return out


def block_means(values: NDArray[Any], table: NDArray[np.float32] | None, side: int) -> NDArray[np.float32]:
    """Mean L* of blocks of `side` × `side` pixels; those at the right and lower edges may be smaller.

    Args:
        values: (H, W), uint8 or uint16 with the L* of each value in `table`; or L* itself, float32.
    """
    values = _light(values, table)
    height, width = values.shape
    if side < 1:
        raise ValueError(f"blocks of {side}")
    out = np.empty((-(-height // side), -(-width // side)), np.float32)
    sizes = (_SIZE(height), _SIZE(width), _SIZE(side))
    _call("block_means", _at(values), _SIZE(values.itemsize), _at(table), *sizes, _at(out))
    return out


def widen(rows: NDArray[np.float32], before: NDArray[np.int32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (N, w) interpolated to (N, W): between the place `before` (W,) and the next, of which there is `share`."""
    count, small = rows.shape
    out = np.empty((count, len(before)), np.float32)
    rows = np.ascontiguousarray(rows, np.float32)
    _check_places(before, share, len(before), small)
    _call("widen", _at(rows), _SIZE(count), _SIZE(small), _at(before), _at(share), _SIZE(len(before)), _at(out))
    return out


def colors(
    values: NDArray[Any], table: NDArray[np.float32] | None, planes: NDArray[np.float32],
    before: NDArray[np.int32], share: NDArray[np.float32], cover: NDArray[np.float32] | None,
    space: Space, level: NDArray[np.uint8],
) -> NDArray[np.uint8]:  # fmt: skip
    """Rows of a photo as R, G, B and 255, (h, W, 4).

    Args:
        values: (h, W), as of `block_means`.
        planes: (5, H, W), as of `fullsize.FullSize`; or (2, H, W), a* and b*, whose rows are those in `before`.
        before, share: (h,), the row of the planes above each row, and the share of the one below.
        cover: (h, W), factors of a* and b*, if there are any.
        level: the 8-bit level of each step of linear light.
    """
    values = _light(values, table)
    height, width = values.shape
    count, tall, across = planes.shape
    if count not in (2, 5) or across != width or not len(level):
        raise ValueError(f"planes {planes.shape} of rows {values.shape}")
    _check(planes, np.float32, planes.shape)
    _check(level, np.uint8, (len(level),))
    _check_places(before, share, height, tall + (count == 2))  # of two planes no row below is read
    if cover is not None:
        cover = np.ascontiguousarray(cover, np.float32)
        _check(cover, np.float32, values.shape)
    out = np.empty((height, width, 4), np.uint8)
    _call(
        "colors", _at(values), _SIZE(values.itemsize), _at(table), _SIZE(height), _SIZE(width),
        _at(planes), _SIZE(count), _SIZE(tall), _at(before), _at(share), _at(cover),
        ctypes.byref(space), _at(level), _INT(len(level)), _at(out),
    )  # fmt: skip
    return out


def _call(name: str, *arguments: Any) -> None:
    function: Callable[..., None] = getattr(library(), f"chromascape_{name}")
    function.restype = None  # type: ignore[attr-defined]
    function(*arguments)


def _at(array: NDArray[Any] | None) -> ctypes.c_void_p:
    return _POINTER(None if array is None else array.ctypes.data)


def _light(values: NDArray[Any], table: NDArray[np.float32] | None) -> NDArray[Any]:
    """The values, contiguous, if the table has an L* for each that there can be."""
    if values.ndim != 2 or values.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"expected (H, W) of uint8, uint16 or float32, got {values.dtype} {values.shape}")
    if values.dtype != np.float32:
        if table is None:
            raise ValueError("a table is needed")
        _check(table, np.float32, (256**values.itemsize,))
    return np.require(values, requirements=["C", "A"])


def _check(array: NDArray[Any], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(f"expected contiguous {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


def _check_places(before: NDArray[np.int32], share: NDArray[np.float32], count: int, short: int) -> None:
    """Places and the next ones lie within `short`."""
    _check(before, np.int32, (count,))
    _check(share, np.float32, (count,))
    if count and not 0 <= before.min() <= before.max() <= max(short - 2, 0):
        raise ValueError(f"places from {before.min()} to {before.max()} of {short}")
