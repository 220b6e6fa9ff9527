"""The colors of the last few photos, kept for another style or strength."""

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from chromascape.colorizing.colorizer import Network

PHOTOS = 16  # whose colors are kept: about 1 MB each


class KeptColors:
    """A network that remembers what it said of the last PHOTOS photos.

    A photo is known by a hash of the network's input, and no input is kept: what is kept shows no photo.
    """

    def __init__(self, network: Network):
        self.network = network
        self.predicts, self.cell, self.multiple = network.predicts, network.cell, network.multiple
        self._kept: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Network`."""
        key = hashlib.sha256(repr(lightness.shape).encode() + lightness.tobytes()).digest()
        colors = self._kept.pop(key, None)
        self._kept[key] = self.network(lightness) if colors is None else colors  # the last one used comes last
        if len(self._kept) > PHOTOS:
            self._kept.popitem(last=False)
        return self._kept[key]

    def share(self, jobs: int) -> None:
        """See `Network`."""
        self.network.share(jobs)
