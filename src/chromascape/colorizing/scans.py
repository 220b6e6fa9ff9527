"""A photo as the network sees it: at working size, the right way round, and without the paper around its pictures."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chromascape.colorizing.borders import Box, find_pictures, shape
from chromascape.colorizing.fullsize import Light, resize
from chromascape.photos.pixels import Photo

Float = NDArray[np.floating]

FINEST = 2.0  # times the working size: for a page whose pictures are small, which are seen at working size
AROUND = 8  # pixels of the working size: so far a picture's colors go on past its sides, so that its edges keep theirs


class Scan:
    """A photo's L* at working size, and where its pictures are.

    Attributes:
        light: its L* at full size.
        small: its L* (h, w) in 0..100, paper included; finer where there is paper.
        pictures: on paper; none if all of it is a picture.
    """

    def __init__(
        self,
        photo: Photo,
        size: Callable[[int, int], tuple[int, int]],
        luma: bool,
        negative: bool,
        whole: bool = False,
    ):
        """Measure a photo.

        Args:
            size: the size at which the network sees a photo of a height and width.
            luma, negative: see `Light`.
            whole: don't look for paper.
        """
        self.light = Light(photo, luma, negative)
        self._size = size
        self.small = self.light.small(*size(photo.height, photo.width))
        self.pictures = [] if whole else find_pictures(self.small)
        if self.pictures:
            height, width = self.small.shape
            shorter = min(min(shape(box)) for box in self._boxes())
            finer = min(min(height, width) / shorter, FINEST)
            self.small = self.light.small(round(height * finer), round(width * finer))
        if negative:
            self.small = self.light.stretch(self.small, [self.small[box] for box in self._boxes()])

    def colors(self, of: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """ab (h, w, 2) of the whole plane; `of` gives them for the L* of a picture at its own working size.

        Around a picture, those of its sides go on.
        """
        if not self.pictures:
            return of(self.small)
        ab = np.zeros((*self.small.shape, 2), np.float32)
        parts = [(box, self._colors_of_part(self.small[box], of)) for box in self._boxes()]
        for (rows, columns), part in parts:
            wide = np.pad(part, ((AROUND, AROUND), (AROUND, AROUND), (0, 0)), mode="edge")
            above, before = max(rows.start - AROUND, 0), max(columns.start - AROUND, 0)
            place = ab[above : rows.stop + AROUND, before : columns.stop + AROUND]
            first, left = above - rows.start + AROUND, before - columns.start + AROUND
            place[:] = wide[first : first + place.shape[0], left : left + place.shape[1]]
        for box, part in parts:
            ab[box] = part
        return ab

    def _colors_of_part(self, part: Float, of: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Float:
        return resize(of(resize(part, *self._size(*part.shape))), *part.shape)

    def without_paper(self, ab: NDArray[np.float32]) -> NDArray[np.float32]:
        """Colors (h, w, 2) of the plane `small`, none on paper."""
        if not self.pictures:
            return ab
        height, width = self.small.shape
        return ab * self.cover(height, width, slice(0, height), slice(0, width))[..., None]

    def cover(self, height: int, width: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """How much of the colors each pixel of a tile keeps, (h, w): 1 in pictures, 0 on paper; of (height, width)."""
        y, x = ((np.arange(part.start, part.stop) + 0.5) / side for part, side in ((rows, height), (columns, width)))
        soft = 1 / self.small.shape[1], 1 / self.small.shape[0]
        covers = [picture.cover(x, y, soft) for picture in self.pictures]
        return np.max(covers, axis=0)

    def _boxes(self) -> list[Box]:
        """The pixels of the plane in which pictures are, without paper."""
        height, width = self.small.shape
        boxes = [picture.box(height, width) for picture in self.pictures]
        # Without the pixels around, in which paper is mixed with the picture.
        boxes = [(slice(y.start + 1, y.stop - 1), slice(x.start + 1, x.stop - 1)) for y, x in boxes]
        return boxes or [(slice(0, height), slice(0, width))]
