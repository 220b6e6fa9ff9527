"""What a model is worth on damaged photos: its colors count, from the lightness that the damage leaves."""

from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from conftest import quantised_photo, write_lab

from chromascape.color import lab
from chromascape.judging import evaluation
from chromascape.judging.damaged import PREFIX, gains_by_damage, gains_of_some, pictures_by_damage, worst_damages
from chromascape.judging.figures import summarize
from chromascape.photos.damage import FIXED, measured
from chromascape.photos.shards import Shards


class Seeing:
    """A 'colorizer' that remembers the lightness that it saw, and gives these colors, scaled by its mean."""

    def __init__(self, ab: np.ndarray, by_lightness: bool = False):
        self.ab, self.by_lightness = ab, by_lightness
        self.saw: list[np.ndarray] = []

    def predict_ab(self, lightness: np.ndarray) -> np.ndarray:
        self.saw.append(lightness)
        return self.ab * np.float32(lightness.mean() / 100 if self.by_lightness else 1)

    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return photo

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return picture


def true_ab(photo: np.ndarray) -> np.ndarray:
    return lab.dequantise(photo.transpose(1, 2, 0))[..., 1:]


def test_the_network_sees_the_damage_and_only_its_colors_count() -> None:
    photo = quantised_photo()
    truth = Seeing(true_ab(photo))
    gains = gains_by_damage(truth, photo)  # type: ignore[arg-type]
    assert list(gains) == list(FIXED) and len(set(gains.values())) == 1 and gains["none"] > 15
    for saw, label in zip(truth.saw, FIXED, strict=True):
        np.testing.assert_array_equal(saw, lab.dequantise(measured(photo, label).transpose(1, 2, 0))[..., 0])
    gray = gains_by_damage(Seeing(0 * true_ab(photo)), photo)  # type: ignore[arg-type]
    assert set(gray.values()) == {0.0}
    misled = gains_by_damage(Seeing(true_ab(photo), by_lightness=True), photo)  # type: ignore[arg-type]
    assert misled["dark"] < misled["none"] < gains["none"]


def test_some_photos_stand_for_all_and_the_worst_damages_come_first() -> None:
    photos = [quantised_photo(), *(np.zeros_like(quantised_photo()) for _ in range(3)), quantised_photo()]
    shards: Any = MagicMock(__len__=lambda _: 5, read=lambda rows: np.stack([photos[row] for row in rows]))
    model: Any = Seeing(true_ab(photos[0]), by_lightness=True)
    gains = gains_of_some(model, shards, 2)
    assert list(gains) == list(FIXED) and len(gains) == 2
    assert dict(gains.iloc[0]) == dict(gains.iloc[1]) == gains_by_damage(model, photos[0]), "the first and the last"
    assert len(gains_of_some(model, shards, 99)) == 5
    table = pd.DataFrame({"none": [-9.0, -9.0], "soft": [1.0, 3.0], "dark": [-1.0, 2.0], "sepia": [5.0, 5.0]})
    assert worst_damages(table, 2) == ["dark", "soft"]


def test_each_damage_is_a_picture_of_what_was_seen_above_its_colors() -> None:
    photo = quantised_photo()
    found = pictures_by_damage(Seeing(true_ab(photo)), photo)  # type: ignore[arg-type]
    assert list(found) == list(FIXED)
    assert all(picture.shape == (128, 64, 3) and picture.dtype == np.uint8 for picture in found.values())
    assert all(np.ptp(picture[:64].astype(int), axis=-1).max() <= 1 for picture in found.values())  # gray
    truth = lab.fit_to_srgb(lab.dequantise(photo.transpose(1, 2, 0)))
    np.testing.assert_array_equal(found["none"][64:], lab.lab_to_rgb(truth))


def test_an_evaluation_measures_them_on_one_split_and_keeps_them(tmp_path: Path) -> None:
    manifest = write_lab(tmp_path, groups="abc", train=1, val=1, test=1)
    photo = Shards(tmp_path / "lab", ["test"]).read(np.array([0]))[0]
    colorizer: Any = Seeing(true_ab(photo), by_lightness=True)
    kept = tmp_path / "kept"
    kept.mkdir()

    def tables(damaged: str | None) -> dict[str, pd.DataFrame]:
        sets = {split: Shards(tmp_path / "lab", (split,)) for split in ("test", "val")}
        measured = partial(evaluation.predicted_here, colorizer, colorizer, sets, lambda: np.zeros(2), 1)
        return evaluation.evaluate(partial(measured, damaged=damaged), sets, manifest, kept)

    found = tables("test")
    expected = {f"{PREFIX}{label}": gain for label, gain in gains_by_damage(colorizer, photo).items()}
    assert found["test"].iloc[0][list(expected)].to_dict() == pytest.approx(expected)
    assert not [name for name in found["val"] if name.startswith(PREFIX)]
    colorizer.saw.clear()
    pd.testing.assert_frame_equal(tables("test")["test"], found["test"], check_exact=True)
    assert not colorizer.saw  # all rows were kept
    unseen = np.zeros(1, bool)
    summary = summarize(found["test"], unseen, unseen)
    assert summary["damage"] == pytest.approx(gains_by_damage(colorizer, photo))
    assert "damage" not in summarize(found["val"], unseen, unseen)
