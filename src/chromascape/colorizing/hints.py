"""Colors that a user names: they spread over what looks alike and is connected, and stop at edges.

A hint says which a* and b* a place should have, or that it should be gray. What is solved for is the change of the
model's colors, on a small grid whose shorter side has SIDE cells. Neighbouring cells of like lightness want the same
change, hinted cells the change that their hint asks for, and all others none:

    (D − W + λ·hinted + ε) · change = λ·hinted · (wanted − model),  W = exp(−ΔL²/2σ²) between the 8 neighbours

as in colorization by optimization (Levin, Lischinski and Weiss 2004), but of the change. `experiments/hints_table.py`
measures it, and docs/tried.md says how σ, ε and SIDE were chosen.
"""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from chromascape.color import lab
from chromascape.colorizing.fullsize import resize
from chromascape.errors import ChromascapeError

Float = NDArray[np.floating]
Marks = tuple[NDArray[np.bool_], NDArray[np.float32]]  # cells with a hint (h, w), and the a* and b* they want (h, w, 2)

SIDE = 48  # cells of the grid's shorter side
LONGEST = 4 * SIDE  # cells of its longer side, at most
SIGMA = 3.0  # units of L*: the difference at which neighbours hardly share a change
EPSILON = 7e-4  # how strongly colors stay as the model has them
LAMBDA = 1e3  # how strongly hints hold
MOST = 1000  # hints of a photo
MOST_POINTS = 100_000  # of all strokes of a photo
NO_COLOR = "none"  # the color of a hint that asks for gray
FINER = 4  # a painted layer is looked at at so many times the grid's sides
PIECES = 1000  # of a stroke, which are gone along together
COVERED = 0.05  # the share of a cell that paint must cover to count


@dataclass(frozen=True)
class Hint:
    """A color at a point or along a stroke.

    Attributes:
        x, y: from the left and from the top, as shares of the photo's width and height, 0 to 1.
        color: "#c26a2e" or another name that CSS knows, of which a* and b* count; or "none": no color.
        path: further points (x, y), through which a stroke goes from there.
        radius: of the point or stroke, as a share of the photo's shorter side, 0 to 0.5.
    """

    x: float
    y: float
    color: str
    path: tuple[tuple[float, float], ...] = ()
    radius: float = 0.0

    def __post_init__(self) -> None:
        """Raises ChromascapeError: no numbers, a place outside the photo, or a color that is none."""
        try:
            outside = [(x, y) for x, y in self.points if not (0 <= x <= 1 and 0 <= y <= 1)]  # also NaN
            is_share = 0 <= self.radius <= 0.5
        except (TypeError, ValueError):
            raise ChromascapeError("hint: x, y and radius must be numbers, and path a list of pairs of them") from None
        for x, y in outside:
            raise ChromascapeError(
                f"hint: ({x:g}, {y:g}) is outside the photo: x and y are shares of its width and height, 0 to 1"
            )
        if not is_share:
            raise ChromascapeError(f"hint: radius {self.radius:g} is not a share of the shorter side from 0 to 0.5")
        _ = self.ab

    @property
    def points(self) -> list[tuple[float, float]]:
        """All points, in order."""
        return [(self.x, self.y), *self.path]

    @cached_property
    def ab(self) -> NDArray[np.float32]:
        """a* and b* of the color, (2,)."""
        if self.color == NO_COLOR:
            return np.zeros(2, np.float32)
        try:
            rgb = np.array(ImageColor.getrgb(self.color)[:3], np.uint8)
        except (ValueError, AttributeError, TypeError, OverflowError):  # Pillow reads rgb(300, 0, 0)
            raise ChromascapeError(
                f"hint: {reprlib.repr(self.color)} is no color: write #rrggbb or a name that CSS knows, or {NO_COLOR}"
            ) from None
        return lab.rgb_to_lab(rgb)[1:]


@dataclass(frozen=True)
class Painted:
    """Hints that somebody has painted: an RGBA image of the upright photo's shape. Gray paint asks for no color."""

    layer: Image.Image


Hints = Sequence[Hint] | Painted


def change(lightness: Float, ab: Float, hints: Hints) -> NDArray[np.float32]:
    """What hints change of the model's colors.

    Args:
        lightness, ab: L* (h, w) in 0..100 and the model's a* and b* (h, w, 2), at working size.
    Returns:
        (h, w, 2), to be added to `ab`; zeros without hints.
    Raises:
        ChromascapeError: more hints than MOST, or more points than MOST_POINTS.
    """
    height, width = grid(*lightness.shape)
    found = painted(hints, height, width) if isinstance(hints, Painted) else marks(hints, height, width)
    return towards(lightness, ab, found)


def towards(lightness: Float, ab: Float, found: Marks) -> NDArray[np.float32]:
    """The change (h, w, 2) that cells of the grid with these marks ask for; `lightness` and `ab` as of `change`."""
    known, wanted = found
    if not known.any():
        return np.zeros_like(ab, dtype=np.float32)
    height, width = known.shape
    asked = np.where(known[..., None], wanted - resize(ab, height, width), 0)
    return resize(spread(resize(lightness, height, width), known, asked), *lightness.shape)


def grid(height: int, width: int) -> tuple[int, int]:
    """Cells of the grid for a photo of this shape."""
    scale = min(SIDE / min(height, width), LONGEST / max(height, width), 1)
    return max(1, round(height * scale)), max(1, round(width * scale))


def marks(hints: Sequence[Hint], height: int, width: int) -> Marks:
    """The cells of a grid that hints cover, and what they want.

    Cells that several hints cover want the mean of them, so that the order of hints is irrelevant.

    Raises:
        ChromascapeError: more hints than MOST, or more points than MOST_POINTS.
    """
    if not isinstance(hints, Sequence) or not all(isinstance(hint, Hint) for hint in hints):
        raise ChromascapeError("hints: expected a list of Hint(x, y, color)")
    if len(hints) > MOST or sum(len(hint.points) for hint in hints) > MOST_POINTS:
        raise ChromascapeError(f"hints: at most {MOST:,} hints of {MOST_POINTS:,} points together")
    count, total = np.zeros((height, width), np.int64), np.zeros((height, width, 2))
    for hint in hints:
        covered = _cells(hint, height, width)
        count += covered
        total[covered] += hint.ab
    return count > 0, (total / np.maximum(count, 1)[..., None]).astype(np.float32)


def painted(hints: Painted, height: int, width: int) -> Marks:
    """The cells of a grid that paint covers, and the mean of its a* and b*."""
    size = (FINER * width, FINER * height)
    # With colors multiplied by alpha, what is transparent has no share in the means.
    layer = hints.layer.convert("RGBa").resize(size, Image.Resampling.BOX).convert("RGBA")
    levels = np.asarray(layer)
    cover = levels[..., 3].reshape(height, FINER, width, FINER) / 255
    ab = lab.rgb_to_lab(levels[..., :3])[..., 1:].reshape(height, FINER, width, FINER, 2)
    total = cover.sum(axis=(1, 3))
    mean = (ab * cover[..., None]).sum(axis=(1, 3)) / np.maximum(total, 1e-6)[..., None]
    return total >= COVERED * FINER**2, mean.astype(np.float32)


def _cells(hint: Hint, height: int, width: int) -> NDArray[np.bool_]:
    """The cells that a hint covers: the four around each of its points, and those within its radius.

    The four are what the colors at the point are interpolated from.
    """
    points = np.array(hint.points) * (width, height)  # in cells
    moves = np.diff(points, axis=0)
    steps = np.ceil(2 * np.abs(moves).max(axis=1)).astype(int)
    corners = np.zeros((height + 1, width + 1), bool)
    _mark(corners, points[:1])
    for first in range(0, len(moves), PIECES):
        some = slice(first, first + PIECES)
        piece = np.repeat(np.arange(len(steps))[some], steps[some])
        nth = np.arange(1, len(piece) + 1) - np.repeat(steps[some].cumsum() - steps[some], steps[some])
        _mark(corners, points[piece] + moves[piece] * (nth / steps[piece])[:, None])
    covered = corners[:-1, :-1] | corners[:-1, 1:] | corners[1:, :-1] | corners[1:, 1:]
    radius = hint.radius * min(height, width)
    return covered | _discs(corners, radius) if radius > 1 else covered


def _mark(corners: NDArray[np.bool_], points: NDArray[np.float64]) -> None:
    """Mark the corners of cells (h + 1, w + 1) that are nearest to points (N, 2)."""
    at = np.floor(points + 0.5).astype(int)
    corners[at[:, 1], at[:, 0]] = True


def _discs(corners: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """The cells (h, w) whose middle is within a radius of the corners of cells (h + 1, w + 1).

    They are found a row of the disc at a time, so that a stroke of 100,000 points costs what a point does.
    """
    height, width = corners.shape[0] - 1, corners.shape[1] - 1
    before = np.pad(corners.cumsum(axis=1), ((0, 0), (1, 0)))  # corners to the left of each
    column, row, covered = np.arange(width), np.arange(height), np.zeros((height, width), bool)
    for down in range(math.ceil(0.5 - radius), math.floor(0.5 + radius) + 1):
        reach = math.sqrt(max(radius**2 - (down - 0.5) ** 2, 0))
        first, last = math.ceil(0.5 - reach), math.floor(0.5 + reach)
        start, stop = (np.clip(column + shift, 0, width + 1) for shift in (1 - last, 2 - first))
        corner = row - down + 1
        near = (before[:, stop] > before[:, start])[np.clip(corner, 0, height)]
        covered |= near & ((corner >= 0) & (corner <= height))[:, None]
    return covered


def spread(lightness: Float, known: NDArray[np.bool_], asked: Float) -> NDArray[np.float32]:
    """Solve for the change of each cell.

    The system couples neighbouring rows alone, so it is solved by elimination, a block for each row: exact, the same
    at every call, and 10 ms of CPU for 48 × 72 cells. The longer side is the one that is gone along.

    Args:
        lightness: L* of the cells, (h, w). known: cells with a hint, (h, w). asked: their change, (h, w, 2).
    Returns:
        (h, w, 2).
    """
    if lightness.shape[0] < lightness.shape[1]:
        return spread(lightness.T, known.T, asked.transpose(1, 0, 2)).transpose(1, 0, 2)
    diagonal, below = _blocks(lightness.astype(np.float64), known)
    right = LAMBDA * known[..., None] * asked.astype(np.float64)
    inverses: list[NDArray[np.float64]] = []
    for row, block in enumerate(diagonal):
        if row:
            step = below[row - 1] @ inverses[-1]
            block = block - step @ below[row - 1].T
            right[row] -= step @ right[row - 1]
        inverses.append(np.linalg.inv(block))
    changes = np.empty_like(right)
    for row in range(len(right) - 1, -1, -1):
        rest = right[row] - (below[row].T @ changes[row + 1] if row + 1 < len(right) else 0)
        changes[row] = inverses[row] @ rest
    return changes.astype(np.float32)


def _blocks(lightness: Float, known: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The system's matrix by rows of cells: blocks on the diagonal (h, w, w), and those below it (h - 1, w, w)."""
    height, width = lightness.shape
    diagonal, below = np.zeros((height, width, width)), np.zeros((height - 1, width, width))
    total = np.full((height, width), EPSILON) + LAMBDA * known
    at = np.arange(width)
    beside = _alike(lightness[:, 1:], lightness[:, :-1])
    diagonal[:, at[1:], at[:-1]] = diagonal[:, at[:-1], at[1:]] = -beside
    total[:, 1:] += beside
    total[:, :-1] += beside
    for shift in (-1, 0, 1):  # column of the cell below minus that of the cell above
        under, over = at[max(0, shift) : width + min(0, shift)], at[max(0, -shift) : width + min(0, -shift)]
        weights = _alike(lightness[1:, under], lightness[:-1, over])
        below[:, under, over] = -weights
        total[1:, under] += weights
        total[:-1, over] += weights
    diagonal[:, at, at] = total
    return diagonal, below


def _alike(one: Float, other: Float) -> Float:
    """The weight between neighbours with these L*."""
    return np.exp(-((one - other) ** 2) / (2 * SIGMA**2))
