"""Pictures on a page: where a scan has a border of paper around its photo, or several photos on one page.

The network should see what a picture shows and not the paper around it, and paper keeps no color. All is found on the
small plane of L* that the network gets anyway. A border is a level that runs along all four sides of the scan; what
differs from it is cut into blocks along gutters of it (the XY-cut of Nagy and Seth 1984), and a block is a picture if
each of its four sides is a straight line, which no sky and no snow has. Captions are too small to be pictures.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice]  # rows and columns
Line = tuple[float, float]  # a and b of a side: y = a + b x for the top and the bottom, x = a + b y for left and right

RIM = 0.02  # of the shorter side: how thick a border is at least
UNEVEN = 12.0  # units of L* between the paper at one side of the scan and at another, at most
NEAR, FAR = 3.0, 8.0  # units of L* by which paper differs from its level, at most: by its own spread, in this range
OF_RIM = 0.65  # the share of each side's rim that is paper, at least: the rest may lie beside a tilted page
DUST = 0.04  # the share of a row that may differ from paper in a gutter
GUTTER = 0.025  # of the shorter side: what is closer is one block
LEAST = 0.2  # of the scan's shorter side: the shorter side of a picture, at least
CAPTION = 0.08  # of the shorter side: what is lower or narrower is text
FULL = 0.2  # the share of paper in what lies between both, below which it may be a part of a picture
STEEPEST = math.tan(math.radians(2))  # of a picture's sides
STEP = 0.7  # of a pixel, between the slopes that are tried
STRAIGHT = 0.55  # the share of a side's length along which paper ends at its line, at least
SHARP = 0.5  # of a pixel, from where paper begins to end to where it has ended
NESTED = 3  # a page on a scanner's bed, a print on the page, a picture on the print


@dataclass(frozen=True)
class Picture:
    """A picture's four sides, in shares of the scan's width and height."""

    top: Line
    bottom: Line
    left: Line
    right: Line

    def scaled(self, down: float, across: float) -> "Picture":
        """The sides after y is multiplied by `down` and x by `across`."""
        flat = [(a * down, b * down / across) for a, b in (self.top, self.bottom)]
        steep = [(a * across, b * across / down) for a, b in (self.left, self.right)]
        return Picture(flat[0], flat[1], steep[0], steep[1])

    def moved(self, down: float, right: float) -> "Picture":
        """The sides so far down and to the right."""
        flat = [(a + down - b * right, b) for a, b in (self.top, self.bottom)]
        steep = [(a + right - b * down, b) for a, b in (self.left, self.right)]
        return Picture(flat[0], flat[1], steep[0], steep[1])

    def box(self, height: int, width: int) -> Box:
        """The pixels of a plane (height, width) in the largest upright box in which there is no paper."""
        shape = self.scaled(height, width)
        middle, center = (shape.top[0] + shape.bottom[0]) / 2, (shape.left[0] + shape.right[0]) / 2
        ends = [_at(side, middle) for side in (shape.left, shape.right)]
        top, bottom = max(_at(shape.top, x) for x in ends), min(_at(shape.bottom, x) for x in ends)
        ends = [_at(side, center) for side in (shape.top, shape.bottom)]
        left, right = max(_at(shape.left, y) for y in ends), min(_at(shape.right, y) for y in ends)
        rows = slice(max(0, math.ceil(top)), math.floor(bottom))
        return rows, slice(max(0, math.ceil(left)), math.floor(right))

    def cover(self, x: Float, y: Float, soft: tuple[float, float]) -> NDArray[np.float32]:
        """How far places lie in the picture, (len(y), len(x)): 0 on paper, up to 1 past a soft rim.

        Args:
            x, y: places, in shares of the scan's width and height.
            soft: width of the rim along x and y, in the same shares.
        """
        down, right = y[:, None].astype(np.float32), x[None].astype(np.float32)
        (top, down_a), (bottom, down_b), (left, right_a), (right_end, right_b) = (
            self.top, self.bottom, self.left, self.right,
        )  # fmt: skip
        sideways = np.minimum(right - left - right_a * down, right_end + right_b * down - right) / soft[0]
        upright = np.minimum(down - top - down_a * right, bottom + down_b * right - down) / soft[1]
        return np.clip(np.minimum(sideways, upright), 0, 1).astype(np.float32)


def _at(line: Line, place: float) -> float:
    return line[0] + line[1] * place


def find_pictures(lightness: Float) -> list[Picture]:
    """The pictures on a page.

    Args:
        lightness: L* of the whole scan (h, w), 0..100, at the network's working size.
    Returns:
        None, if the scan is a picture as a whole, as most are, or if a block of the page may be no picture.
    """
    height, width = lightness.shape
    found = _on_page(lightness, NESTED)
    return [picture.scaled(1 / height, 1 / width) for picture in found]


def _on_page(lightness: Float, depth: int) -> list[Picture]:
    """The pictures in pixels of the plane, and in their place those that are pages with pictures themselves."""
    paper = _paper(lightness)
    if paper is None:
        return []
    shorter = min(paper.shape)
    blocks = _blocks(paper, (0, 0), CAPTION * shorter)
    large = [block for block in blocks if min(shape(block)) >= LEAST * shorter]
    pictures = [picture for block in large if (picture := _sides(paper, block)) is not None]
    if len(pictures) < len(large) or any(paper[block].mean() < FULL for block in blocks if block not in large):
        return []
    found = []
    for picture in pictures:
        rows, columns = picture.box(1, 1)
        rows, columns = slice(rows.start + 1, rows.stop - 1), slice(columns.start + 1, columns.stop - 1)
        within = _on_page(lightness[rows, columns], depth - 1) if depth > 1 else []
        found += [inner.moved(rows.start, columns.start) for inner in within] or [picture]
    return found


def shape(box: Box) -> tuple[int, int]:
    """Height and width of a box."""
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def _paper(lightness: Float) -> Mask | None:
    """Where the plane has the level of its rim; None if its rim has no level."""
    height, width = lightness.shape
    thick = max(2, round(RIM * min(height, width)))
    if min(height, width) < 8 * thick:
        return None
    rims = [lightness[:thick], lightness[-thick:], lightness[:, :thick], lightness[:, -thick:]]
    top, bottom, left, right = levels = [float(np.median(rim)) for rim in rims]
    if max(levels) - min(levels) > UNEVEN:
        return None
    spread = np.median([np.median(np.abs(rim - level)) for rim, level in zip(rims, levels, strict=True)])
    near = np.clip(6 * spread, NEAR, FAR)
    if any((np.abs(rim - level) < near).mean() < OF_RIM for rim, level in zip(rims, levels, strict=True)):
        return None
    down, across = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in (height, width))
    level = sum(levels) / 4 + (bottom - top) * down[:, None] + (right - left) * across
    return np.abs(lightness - level) < near


def _blocks(paper: Mask, at: tuple[int, int], least: float) -> list[Box]:
    """What lies between gutters of paper, as wide as `least` or more; `at` is where this part of the page begins."""
    found = []
    for rows in _runs(1 - paper.mean(axis=1)):
        for columns in _runs(1 - paper[rows].mean(axis=0)):
            part = paper[rows, columns]
            (height, width), top, left = part.shape, at[0] + rows.start, at[1] + columns.start
            if part.shape == paper.shape:
                found.append((slice(top, top + height), slice(left, left + width)))
            elif min(height, width) >= least:
                found += _blocks(part, (top, left), least)
    return found


def _runs(other: Float) -> list[slice]:
    """The runs of rows that hold something other than paper, of which each row has a share."""
    full = np.flatnonzero(other > DUST)
    if not len(full):
        return []
    gaps = np.flatnonzero(np.diff(full) > max(1, GUTTER * len(other)))
    return [slice(int(run[0]), int(run[-1]) + 1) for run in np.split(full, gaps + 1)]


def _sides(paper: Mask, block: Box) -> Picture | None:
    """The straight sides of a block; None if more than one is not straight.

    One may be missed where it is as light as the paper, as a white sky or a black ground; there the block ends.
    """
    rows, columns = block
    height, width = paper.shape
    turned = (
        (paper, rows.start, columns),
        (paper[::-1], height - rows.stop, columns),
        (paper.T, columns.start, rows),
        (paper.T[::-1], width - columns.stop, rows),
    )
    sides: list[Line] = []
    missed = 0
    for plane, near, along in turned:
        side = _side(plane, near, along)
        missed += side is None
        if missed > 1:
            return None
        sides.append(side or (float(near), 0.0))
    top, bottom, left, right = sides
    return Picture(top, (height - bottom[0], -bottom[1]), left, (width - right[0], -right[1]))


def _side(paper: Mask, near: int, along: slice) -> Line | None:
    """The line along which paper ends, in a plane that is turned so that the paper lies above it.

    Args:
        near: the row at which the block begins. along: the block's columns.
    Returns:
        None if paper ends along less than STRAIGHT of it.
    """
    length = along.stop - along.start
    inset = max(1, length // 20)
    columns = np.arange(along.start + inset, along.stop - inset)
    places = columns + 0.5 - (along.start + along.stop) / 2
    steepest = STEEPEST * length
    rises = np.linspace(-steepest, steepest, 2 * math.ceil(steepest / STEP) + 1)
    rows = np.arange(max(0, near - 3), min(len(paper), near + math.ceil(steepest) + 6))
    at = rows[:, None] + np.rint(rises[:, None] * places / length).astype(int)[:, None]
    lines = paper[np.clip(at, 0, len(paper) - 1), columns]  # (rises, rows, columns)
    share = lines.mean(axis=2)
    ends = share[:, :-2] - share[:, 2:]
    if not ends.size or ends.max() < STRAIGHT:
        return None
    rise, row = np.unravel_index(int(ends.argmax()), ends.shape)
    # Of each column where paper ends near the line, how far from it; the line through these places.
    near_line = lines[rise, max(0, row - 1) : row + 4]
    past = near_line.argmin(axis=0)
    clear = near_line[0] & ~near_line.all(axis=0)
    if not clear.any():
        return None
    end = at[rise, max(0, row - 1)] + past
    slope, middle = _fitted(places[clear], end[clear])
    straight = clear & (np.abs(end - middle - slope * places) <= 1)
    if straight.sum() > 2:
        slope, middle = _fitted(places[straight], end[straight])
    return middle + SHARP - slope * (along.start + along.stop) / 2, slope


def _fitted(x: Float, y: NDArray[np.integer]) -> tuple[float, float]:
    """Slope, and y at x = 0, of the line of least squares."""
    from_mean = x - x.mean()
    slope = float((from_mean * y).sum() / max(float((from_mean**2).sum()), 1e-6))
    return slope, float(y.mean()) - slope * float(x.mean())
