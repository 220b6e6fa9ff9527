"""Colors of another photo of the same place or season: where both photos look alike, its colors are taken as hints.

Cells of both photos are described by their L* on three scales, its variation, and how far down they are. Each cell of
the gray photo is compared with those of the other; the surest of them take its colors, and the rest follows as from
hints (see `hints`). Two photos that do not look alike are refused, as colors of another scene do harm.
`experiments/like_table.py` measures it, and docs/tried.md says what was tried.
"""

import math

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.colorizing.fullsize import on_white, reduced, resize
from chromascape.colorizing.hints import Float, Marks, grid, towards
from chromascape.errors import ChromascapeError
from chromascape.photos.pixels import Photo

EVERY = 2  # cells of the grid of hints along a side of the cells that are compared
NEAREST = 5  # cells of the other photo whose mean color is taken
SURE = 0.6  # the share of cells that take colors
ALIKE = 0.19  # the mean distance of a cell to its nearest ones above which photos show something else
FINER = 8  # the other photo is looked at at so many times its cells
GRAY = 2.0  # mean chroma below which a photo has no colors to take


class Reference:
    """The photo whose colors are taken.

    Attributes:
        name: in errors.
        looks: a description of each cell, (N, 5).
        ab: its a* and b*, (N, 2).
    """

    def __init__(self, photo: Photo, name: str = "like"):
        """Raises ChromascapeError: the photo is gray."""
        height, width = cells(photo.height, photo.width)
        picture = _small(photo, FINER * height, FINER * width)
        self.name = name
        self.looks = looks(picture[..., 0])
        self.ab = resize(picture[..., 1:], height, width).reshape(-1, 2)
        if np.linalg.norm(self.ab, axis=1).mean() < GRAY:
            raise ChromascapeError(f"{name}: has no colors to take: name a color photo")


def colors_of(reference: Reference, lightness: Float, ab: Float) -> NDArray[np.float32]:
    """What the colors of another photo change of the model's, as `hints.change` does.

    Raises:
        ChromascapeError: the photos don't look alike.
    """
    distance, nearest = compare(reference, lightness)
    if distance.mean() > ALIKE:
        raise ChromascapeError(f"{reference.name}: does not look alike, its colors would be wrong: name another photo")
    return towards(lightness, ab, surest(reference, lightness.shape, distance, nearest))


def compare(reference: Reference, lightness: Float) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Of each cell of the photo, (N,) and (N, NEAREST): how far it is from the nearest of the other's, and those."""
    own = looks(lightness)
    squares = (own**2).sum(axis=1)[:, None] + (reference.looks**2).sum(axis=1) - 2 * own @ reference.looks.T
    count = min(NEAREST, len(reference.ab))
    nearest = np.argpartition(squares, count - 1, axis=1)[:, :count]
    return np.sqrt(np.take_along_axis(squares, nearest, axis=1).clip(0)).mean(axis=1), nearest


def surest(
    reference: Reference, shape: tuple[int, ...], distance: NDArray[np.float32], nearest: NDArray[np.intp]
) -> Marks:
    """The cells of the grid of a photo of this shape (h, w) that take colors, and those colors.

    Near ones are sure whose nearest ones have one color.
    """
    colors = reference.ab[nearest]
    doubt = distance / max(float(distance.mean()), 1e-6) + np.linalg.norm(colors.std(axis=1), axis=1) / 10
    known, wanted = np.zeros(grid(*shape), bool), np.zeros((*grid(*shape), 2), np.float32)
    known[::EVERY, ::EVERY] = (doubt <= np.quantile(doubt, SURE)).reshape(cells(*shape))
    wanted[::EVERY, ::EVERY] = colors.mean(axis=1).reshape(*cells(*shape), 2)
    return known, wanted


def cells(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the cells that are compared, for a photo of this shape."""
    rows, columns = grid(height, width)
    return math.ceil(rows / EVERY), math.ceil(columns / EVERY)


def looks(lightness: Float) -> NDArray[np.float32]:
    """Descriptions of a photo's cells, (N, 5): L* of the cell and around it, its variation, and how far down it is."""
    height, width = cells(*lightness.shape)
    light = resize(lightness, height, width)
    around = [resize(resize(light, max(1, height // by), max(1, width // by)), height, width) for by in (2, 4)]
    variation = np.sqrt(np.maximum(resize(lightness.astype(np.float32) ** 2, height, width) - light**2, 0))
    down = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], light.shape)
    return np.stack([light / 50, *(part / 50 for part in around), variation / 10, 2 * down], axis=-1).reshape(-1, 5)


def _small(photo: Photo, height: int, width: int) -> NDArray[np.float32]:
    """Lab (h, w, 3) of a photo, at most of this size."""
    size = min(height, photo.height), min(width, photo.width)
    most = {"u1": 255, "u2": 65535}.get(photo.dtype.str[1:], 1)

    def channel(number: int) -> NDArray[np.float32]:
        def levels(rows: slice) -> NDArray[np.float32]:
            values, alpha = photo.rows(rows)
            values = values if alpha is None else on_white(values, alpha)
            one = values if values.ndim == 2 else values[..., number]
            return one.astype(np.float32) * np.float32(255 / most)

        return reduced(levels, photo.height, photo.width, *size)

    return lab.rgb_to_lab(np.rint(np.stack([channel(number) for number in range(3)], axis=-1)).astype(np.uint8))
