"""Enlarge colors from the network's working size to the photo's own pixels, with the edges of its L*.

Enlarged by interpolation alone, colors run over edges: the network gives one color per cell, and a cell is many pixels
of the photo wide. But within a few cells color mostly follows lightness, so the difference between a pixel's L* and the
grid's L* gives the difference in color:

    ab = enlarged(ab) + enlarged(slope) · (L* − enlarged(L* of the grid))

`slope` is the least-squares slope of ab over L* in the 3 × 3 cells around, as in the guided filter (He, Sun and Tang
2010), computed on the small grid and enlarged, as in its fast form (He and Sun 2015, arXiv:1505.00996). The network's
colors stay unchanged on the scale of its grid; only finer detail is added. `benchmarks/fullsize.py` compares it
with interpolation alone.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromascape.color import kernel, lab, srgb
from chromascape.parallel import cpu_threads, in_threads
from chromascape.photos.pixels import Photo

Float = NDArray[np.floating]

# Colors are computed in tiles. Larger ones leave the processor's cache; with smaller ones threads wait more often for
# Python's lock. Products of matrices are too small for BLAS to split between threads, which would wait for each other.
TILE_ROWS, TILE_PIXELS = 12, 49_152
# Added to the variance of L* in the 3 × 3 cells: variation below about 5 says nothing about color.
NOISE = 25.0
READ_PIXELS = 98_304  # whose L* is measured at a time
EXTREMES = (0.5, 99.5)  # percentiles of L* that count as black and white
NARROW = 40.0  # units of L*: negatives whose L* spans less are stretched; 1.7 % of 500 landscapes span less
REDUCING_GAP = 3  # L* is averaged in whole blocks down to this multiple of the wanted size, then resampled


def strips(height: int, width: int, multiple: int = 1) -> Iterator[slice]:
    """Slices of a photo's rows, of about READ_PIXELS each; all but the last have a multiple of `multiple` rows."""
    rows = max(1, READ_PIXELS // width // multiple) * multiple
    yield from (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def resize(values: Float, height: int, width: int) -> NDArray[np.float32]:
    """(H, W) or (H, W, C) to (height, width), smoothed when it gets smaller, bilinear when it gets larger.

    Training resizes by torch (`augment.to_side`), which gives other bytes: one in place of the other would change
    weights, or the colors of the model that ships.
    """
    if values.ndim == 3:
        return np.stack([resize(values[..., n], height, width) for n in range(values.shape[2])], axis=-1)
    if values.shape == (height, width):
        return values.astype(np.float32)
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def reduced(
    part: Callable[[slice], NDArray[Any]], height: int, width: int, new_height: int, new_width: int,
    table: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """A plane of (height, width) at another size, averaged strip by strip.

    `part` gives the values of rows; or places in a table of values, where there is a compiled kernel.
    """
    block = max(1, int(min(height / new_height, width / new_width) / REDUCING_GAP))

    def strip(rows: slice) -> NDArray[np.float32]:
        if kernel.library():
            return kernel.block_means(part(rows), table, block)
        return np.asarray(Image.fromarray(part(rows)).reduce(block))

    parts = in_threads(strip, strips(height, width, block), cpu_threads())
    picture = Image.fromarray(np.concatenate(list(parts)))
    if picture.size == (new_width, new_height):
        return np.asarray(picture)
    box = (0, 0, width / block, height / block)  # the last blocks may be narrower
    return np.asarray(picture.resize((new_width, new_height), Image.Resampling.BILINEAR, box))


class Light:
    """A photo's L*, which is measured twice: for the network, and for the colors that follow it.

    Of 8-bit color, its luminance is kept between, in 2 bytes a pixel.

    Attributes:
        span: the L* that have become 0 and 100, see `stretch`.
    """

    def __init__(self, photo: Photo, luma: bool = False, negative: bool = False):
        """Take a photo; with `luma`, luma takes the place of L*; a negative's levels are inverted."""
        self.photo, self.height, self.width, self.negative = photo, photo.height, photo.width, negative
        self.measure: Callable[[NDArray[Any]], NDArray[np.float32]] = lab.luma_of_levels if luma else lab.lightness
        self.span = (0.0, 100.0)
        self._kept: NDArray[np.uint16] | None = None
        self._all_kept = False  # once it was measured
        values, alpha = photo.rows(slice(0, 1))
        self._integers = values.dtype if values.ndim == 2 and values.dtype.kind == "u" else None
        if values.ndim == 3 and values.dtype == np.uint8 and alpha is None and not luma:
            self._kept = np.empty((photo.height, photo.width), np.uint16)
            self._integers, self.measure = self._kept.dtype, lab.lightness_of_steps

    def small(self, height: int, width: int) -> NDArray[np.float32]:
        """L* at the size (height, width), 0..100; transparent parts are composed on white."""

        def part(rows: slice) -> NDArray[np.float32]:
            values, alpha = self.rows(rows) if self._all_kept else self._positive(rows)
            if self._kept is not None and not self._all_kept:
                values = self._kept[rows] = srgb.steps(values)
            values = values if alpha is None else on_white(values, alpha)
            return self.measure(values) if table is None else values

        table = self.table()
        small = reduced(part, self.height, self.width, height, width, table)
        self._all_kept = self._kept is not None
        if self._all_kept and self.photo.read_once and self.photo.image is not None:
            self.photo.image.close()
        return small

    def rows(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """What `measure` takes of these rows, after `small`, and their alpha where there is transparency."""
        return self._positive(rows) if self._kept is None else (self._kept[rows], None)

    def table(self) -> NDArray[np.float32] | None:
        """L* of every value that `rows` may give; None where these are colors or floats, or no kernel was compiled."""
        if not kernel.library() or self._integers is None:
            return None
        return self.measure(np.arange(np.iinfo(self._integers).max + 1, dtype=self._integers)[None])[0]

    def stretch(self, small: Float, parts: Sequence[Float]) -> NDArray[np.float32]:
        """Stretch L* from black to white if it spans too little, as in a negative whose clear film is not white.

        Args:
            small: L* of the photo. parts: its pictures, whose span counts.
        Returns:
            `small`, as `measure` measures from now on.
        """
        low, high = np.percentile(np.concatenate([part.ravel() for part in parts]), EXTREMES)
        if high - low >= NARROW or high == low:
            return np.asarray(small, np.float32)
        self.span = float(low), float(high)
        measure, factor = self.measure, np.float32(100 / (high - low))

        def stretched(lightness: Float) -> NDArray[np.float32]:
            return np.clip((lightness - np.float32(low)) * factor, 0, 100).astype(np.float32)

        self.measure = lambda values: stretched(measure(values))
        return stretched(small)

    def _positive(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """The photo's rows, those of a negative inverted."""
        values, alpha = self.photo.rows(rows)
        if self.negative:
            top = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
            values = values.dtype.type(top) - values
        return values, alpha


class FullSize:
    """Colors at working size, enlarged tile by tile.

    Attributes:
        planes: (5, h, W): ab, the slopes of ab over L*, and the grid's L*; (2, H, W), ab alone, if nothing is enlarged.
    """

    def __init__(self, ab: Float, lightness: Float, height: int, width: int, cell: int):
        """Prepare the planes of a photo of this height and width.

        Args:
            ab, lightness: at working size, (h, w, 2) and (h, w), L* in 0..100.
            cell: side of a cell of the network's colors in pixels of the working size.
        """
        self.height, self.width = height, width
        h, w = lightness.shape
        if height <= h or width <= w:  # nothing is enlarged
            self.planes = np.ascontiguousarray(resize(ab, height, width).transpose(2, 0, 1))
            return
        grid = (max(1, round(h / cell)), max(1, round(w / cell)))
        coarse = resize(lightness, *grid)
        slope = resize(slopes(coarse, resize(ab, *grid)), h, w)
        planes = (*np.moveaxis(ab, -1, 0), *np.moveaxis(slope, -1, 0), resize(coarse, h, w))
        self.planes = widened(np.stack([*planes]).astype(np.float32), width)

    def rows(self) -> Iterator[slice]:
        """The photo's rows, as many at a time as a tile of NumPy's has."""
        tall = max(1, min(TILE_ROWS, TILE_PIXELS // self.width, 3 * self.height // self.planes.shape[1]))
        yield from (slice(top, min(top + tall, self.height)) for top in range(0, self.height, tall))

    def columns(self, rows: slice) -> Iterator[slice]:
        """The photo's columns, as many at a time as a tile of these rows has: mostly all."""
        wide = max(1, TILE_PIXELS // (rows.stop - rows.start))
        yield from (slice(left, min(left + wide, self.width)) for left in range(0, self.width, wide))

    def places(self, rows: slice) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The row of the planes above each of these rows, and the share of the one below."""
        if len(self.planes) == 2:
            return np.arange(rows.start, rows.stop, dtype=np.int32), np.zeros(rows.stop - rows.start, np.float32)
        return places(self.planes.shape[1], self.height, rows.start, rows.stop)

    def ab(self, rows: slice, columns: slice, lightness: Float) -> NDArray[np.float32]:
        """a* and b* (2, h, w) of a tile with this L* (h, w)."""
        if len(self.planes) == 2:
            return self.planes[:, rows, columns]
        down, above = interpolation(self.planes.shape[1], self.height, rows.start, rows.stop)
        colors = np.matmul(down, self.planes[:, above, columns])  # (5, h, w)
        detail = np.subtract(lightness, colors[4], out=colors[4])
        colors[2:4] *= detail
        colors[:2] += colors[2:4]
        return colors[:2]


def widened(planes: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Planes (N, h, w), enlarged across to (N, h, width)."""
    count, h, w = planes.shape
    if kernel.library():
        return kernel.widen(planes.reshape(count * h, w), *places(w, width, 0, width)).reshape(count, h, width)
    return np.stack([resize(plane, h, width) for plane in planes])


def places(short: int, long: int, start: int, stop: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Where those from `start` to `stop` of `long` places are among `short`: after which, and the share of the next."""
    at = np.clip((np.arange(start, stop) + 0.5) * short / long - 0.5, 0, short - 1)
    before = np.minimum(at.astype(np.int32), max(short - 2, 0))
    return before, (at - before).astype(np.float32)


def interpolation(short: int, long: int, start: int, stop: int) -> tuple[NDArray[np.float32], slice]:
    """Linear interpolation of `short` places to those from `start` to `stop` of `long`; edges are repeated.

    Returns:
        A matrix (stop - start, few), the weights of a few short places, and the slice of these.
    """
    before, share = places(short, long, start, stop)
    first, last = int(before[0]), min(int(before[-1]) + 2, short)
    weights = np.zeros((len(before), last - first), np.float32)
    each = np.arange(len(before))
    weights[each, before - first] = 1 - share
    if short > 1:
        weights[each, before - first + 1] = share
    return weights, slice(first, last)


def slopes(lightness: Float, ab: Float) -> NDArray[np.float32]:
    """Least-squares slope of ab (h, w, 2) over L* (h, w) in the 3 × 3 cells around, near 0 where L* is flat."""
    light = lightness[..., None].astype(np.float64)
    mean, mean_ab = _mean(light), _mean(ab)
    covariance = _mean(light * ab) - mean * mean_ab
    variance = np.maximum(_mean(light * light) - mean * mean, 0)
    return _mean(covariance / (variance + NOISE)).astype(np.float32)


def _mean(values: Float) -> NDArray[np.float64]:
    """Mean of the 3 × 3 around each place of (h, w, C); edges are repeated."""
    h, w = values.shape[:2]
    padded = np.pad(values.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    total: NDArray[np.float64] = sum(padded[y : y + h, x : x + w] for y in range(3) for x in range(3))  # type: ignore
    return total / 9


def on_white(values: NDArray[Any], alpha: NDArray[np.uint8]) -> NDArray[Any]:
    """Gray or color of 8 or 16 bits, composed on white."""
    share = (alpha / np.float32(255)) if values.ndim == 2 else (alpha / np.float32(255))[..., None]
    white = np.float32(np.iinfo(values.dtype).max)
    return np.rint(white + (values - white) * share).astype(values.dtype)
