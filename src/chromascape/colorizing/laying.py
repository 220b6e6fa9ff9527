"""Colors laid on a photo, strip by strip: by the compiled kernel where there is one, else by NumPy."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromascape.color import kernel, srgb
from chromascape.colorizing.fullsize import FullSize, strips
from chromascape.colorizing.scans import Scan
from chromascape.parallel import cpu_threads, in_threads
from chromascape.photos.pixels import Strip


def laid(colors: FullSize, scan: Scan, dtype: np.dtype[Any]) -> Iterator[Strip]:
    """A photo's strips from top to bottom, in sRGB of this type."""
    strip: Callable[[slice], Strip] = partial(by_numpy, scan, colors, dtype)
    parts = colors.rows()
    if dtype == np.uint8 and kernel.library():
        strip, parts = partial(by_kernel, scan, colors, scan.light.table()), strips(colors.height, colors.width)
    yield from in_threads(strip, parts, cpu_threads())


def by_numpy(scan: Scan, colors: FullSize, dtype: np.dtype[Any], rows: slice) -> Strip:
    """Rows in color, by NumPy."""
    values, alpha = scan.light.rows(rows)
    picture = np.empty((*values.shape[:2], 3), dtype)
    for columns in colors.columns(rows):
        lightness = scan.light.measure(values[:, columns])
        ab = colors.ab(rows, columns, lightness)
        if scan.pictures:
            ab = ab * scan.cover(colors.height, colors.width, rows, columns)
        picture[:, columns] = srgb.to_srgb(lightness, ab, dtype)
    return rows, picture, alpha


def by_kernel(scan: Scan, colors: FullSize, table: NDArray[np.float32] | None, rows: slice) -> Strip:
    """Rows in 8-bit color, by the compiled kernel; `table` is that of `Light.table`."""
    values, alpha = scan.light.rows(rows)
    whole = slice(0, colors.width)
    cover = scan.cover(colors.height, colors.width, rows, whole) if scan.pictures else None
    values = scan.light.measure(values) if table is None else values
    return rows, srgb.by_kernel(values, table, colors.planes, colors.places(rows), cover), alpha
