"""Rows of pictures of the same photos: which, under what names, and what they show."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing.colorizer import scale_chroma
from chromascape.judging.photo_rows import fixed_photos, four_ways, write_photo_rows

SIDE = 32
HASHES = {"b.png": "9" * 64, "a.png": "3" * 64, "c.png": "5" * 64, "elsewhere.png": "0" * 64}
MANIFEST = pd.DataFrame({"path": list(HASHES), "sha256": list(HASHES.values())})


class Photos:
    """Three photos of one color each, as `Shards` gives them."""

    paths = ["a.png", "b.png", "c.png"]
    true = lab.quantise(np.array([[50.0, 20, 10], [60, -20, 10], [70, 5, -20]]))

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.true[rows][:, :, None, None], (len(rows), 3, SIDE, SIDE))


class Halved:
    """Colors of half the truth's strength; the vivid rendering has all of it."""

    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return scale_chroma(photo, 0.5)

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return scale_chroma(picture, {"faithful": 1.0, "vivid": 2.0}[rendering])


def test_photos_are_chosen_by_content_alone() -> None:
    assert fixed_photos(["a.png", "b.png", "c.png"], MANIFEST, 2) == {"3" * 12: 0, "5" * 12: 2}
    assert fixed_photos(["c.png", "b.png", "a.png"], MANIFEST, 2) == {"3" * 12: 2, "5" * 12: 0}
    assert len(fixed_photos(["a.png", "b.png", "c.png"], MANIFEST, 9)) == 3


def test_another_photo_leaves_the_names_of_the_others() -> None:
    few = fixed_photos(["b.png", "c.png"], MANIFEST, 2)
    more = fixed_photos(["a.png", "b.png", "c.png"], MANIFEST, 3)
    assert set(few) < set(more)


def test_a_row_shows_gray_faithful_vivid_and_truth() -> None:
    pictures = four_ways(Halved(), Photos(), 0)
    assert list(pictures) == ["gray", "faithful", "vivid", "truth"]
    gray, faithful, vivid, truth = (picture.mean(axis=(0, 1)) for picture in pictures.values())
    assert np.ptp(gray) < 2 < np.ptp(faithful) < np.ptp(truth) - 10
    np.testing.assert_allclose(vivid, truth, atol=2)


def test_written_rows_replace_the_earlier_ones(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "old.jpg").write_text("old")
    write_photo_rows(folder, Halved(), Photos(), MANIFEST, 2)
    assert sorted(file.name for file in folder.iterdir()) == ["3" * 12 + ".jpg", "5" * 12 + ".jpg"]
    assert all(Image.open(file).size == (4 * SIDE, SIDE) for file in folder.iterdir())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    write_photo_rows(folder, Halved(), Photos(), MANIFEST, 2)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
