"""Strips of the same test photos for each run."""

import numpy as np
import pandas as pd

from chromascape.color import lab
from chromascape.judging.strips import strips

SIDE = 32


class Photos:
    """Four photos of one color each, as `Shards` gives them."""

    paths = ("hills/a b.png", "b.png", "größe.png", "d.png")
    true = lab.quantise(np.array([[50.0, 40, 20], [60, -40, 20], [70, 10, -40], [40, 0, 30]]))

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.true[rows][:, :, None, None], (len(rows), 3, SIDE, SIDE))


class Reddish:
    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return lab.join(photo[..., 0], np.broadcast_to(np.array([30, 10], np.float32), (*photo.shape[:2], 2)))

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return lab.join(picture[..., 0], picture[..., 1:] * (0.5 if rendering == "faithful" else 1))


def table(gains: list[float]) -> pd.DataFrame:
    gray = np.full(4, 20.0)
    return pd.DataFrame({"path": Photos.paths, "group": list("wxyz"), "model.psnr_db": gray + gains,
                         "gray.psnr_db": gray})  # fmt: skip


def test_a_strip_is_gray_faithful_vivid_truth() -> None:
    found = strips(Reddish(), Photos(), table([3, 1, -2, 0.5]), 4, seed=0)
    assert set(found) == set(Photos.paths)
    strip = np.asarray(found["hills/a b.png"])
    assert strip.shape == (SIDE, 4 * SIDE, 3) and strip.dtype == np.uint8
    for part, expected in enumerate([(50, 0, 0), (50, 15, 5), (50, 30, 10), (50, 40, 20)]):
        seen = lab.rgb_to_lab(strip[:, part * SIDE : (part + 1) * SIDE])
        np.testing.assert_allclose(seen[5, 5], expected, atol=0.8)


def test_the_photos_do_not_depend_on_the_model() -> None:
    first = strips(Reddish(), Photos(), table([3, 1, -2, 0.5]), 2, seed=0)
    assert list(first) == list(strips(Reddish(), Photos(), table([-1, 5, 0.2, 3]), 2, seed=0))
    assert len(first) == 2
