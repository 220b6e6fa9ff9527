"""Photos of any sides are padded for a network, and its colors are cut to the photo, for arrays and tensors alike."""

from typing import Any

import numpy as np
import pytest
import torch

from chromascape.colorizing.padding import predict


class Watching:
    """Returns L* as it came, twice, and keeps it."""

    multiple = 32

    def __call__(self, lightness: Any) -> Any:
        self.given = lightness
        return (np.concatenate if isinstance(lightness, np.ndarray) else torch.cat)([lightness, lightness], 1)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    ("size", "padded"),
    [((65, 31), (96, 32)), ((33, 32), (64, 32)), ((32, 33), (32, 64)), ((64, 96), (64, 96)), ((1, 1), (32, 32))],
)
def test_photos_are_padded_on_the_right_and_below_and_cut_there(
    kind: Any, size: tuple[int, int], padded: tuple[int, int]
) -> None:
    network, photos = Watching(), np.random.default_rng(0).random((2, 1, *size), np.float32)
    colors = predict(network, kind(photos))
    assert type(colors) is type(network.given) is type(kind(photos))
    np.testing.assert_array_equal(colors, np.concatenate([photos, photos], 1))
    sides = ((0, 0), (0, 0), (0, padded[0] - size[0]), (0, padded[1] - size[1]))
    np.testing.assert_array_equal(network.given, np.pad(photos, sides, mode="edge"))
