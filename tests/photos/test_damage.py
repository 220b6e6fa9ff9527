"""Damage of old photos: the lightness gets worse, the colors stay true."""

import numpy as np
import pytest
from conftest import quantised_photo as photo
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.photos.damage import DAMAGES, FIXED, changed, measured


def once(name: str, strength: float, seed: int = 0, of: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    return changed(photo() if of is None else of, [(name, strength)], np.random.default_rng(seed))


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("end", ["weakest", "strongest"])
def test_every_damage_changes_lightness_and_never_color(name: str, end: str) -> None:
    result = once(name, getattr(DAMAGES[name], end))
    assert result.shape == (3, 64, 64) and result.dtype == np.uint8
    assert not np.array_equal(result[0], photo()[0])
    assert np.array_equal(result[1:], photo()[1:])


@pytest.mark.parametrize(
    "name", [name for name in DAMAGES if name != "film"]
)  # whose range goes to both sides of what the eye sees
def test_the_strongest_changes_more_than_the_weakest(name: str) -> None:
    weak, strong = (
        np.abs(once(name, strength)[0].astype(int) - photo()[0]).mean()
        for strength in (DAMAGES[name].weakest, DAMAGES[name].strongest)
    )
    assert 0 < weak < strong


@pytest.mark.parametrize("name", DAMAGES)
def test_an_odd_shape_stays(name: str) -> None:
    wide = np.concatenate([photo(), photo()[:, :, :33]], axis=2)[:, :61]
    assert once(name, DAMAGES[name].strongest, of=wide).shape == (3, 61, 97)


def test_film_zero_is_what_the_eye_sees() -> None:
    assert np.abs(once("film", 0.0)[0].astype(int) - photo()[0]).max() <= 1


def test_film_for_blue_shows_blue_lighter_and_red_darker_and_gray_the_same() -> None:
    colors = np.array([[(40, 60, 220), (220, 50, 40), (128, 128, 128)]], np.uint8)
    true = lab.quantise(lab.rgb_to_lab(colors)).transpose(2, 0, 1)
    blue, red, gray = (once("film", 1.0, of=true)[0].astype(int) - true[0])[0]
    assert blue > 20 and red < -20 and abs(gray) <= 1
    blue, red, gray = (once("film", -0.6, of=true)[0].astype(int) - true[0])[0]
    assert blue < -5 and red > 10 and abs(gray) <= 1


def test_fading_and_reproductions_lose_contrast() -> None:
    for name in ("fading", "reproduction"):
        assert np.ptp(once(name, 0.5)[0]) == pytest.approx(np.ptp(photo()[0]) / 2, abs=1)


def test_gamma_above_one_darkens_and_below_one_lightens() -> None:
    assert once("gamma", 2.0)[0].mean() < photo()[0].mean() - 10
    assert once("gamma", 0.6)[0].mean() > photo()[0].mean() + 10


def test_grain_has_the_sigma_that_was_asked_for() -> None:
    flat = np.full((3, 128, 128), 128, np.uint8)
    assert once("grain", 8.0, of=flat)[0].std() == pytest.approx(8, rel=0.05)
    fine, coarse = (once(name, 12.0, of=flat)[0].astype(float) - 128 for name in ("grain", "coarse grain"))
    assert abs(np.corrcoef(fine[:, 1:].ravel(), fine[:, :-1].ravel())[0, 1]) < 0.05
    assert np.corrcoef(coarse[:, 1:].ravel(), coarse[:, :-1].ravel())[0, 1] > 0.3


def test_a_vignette_darkens_the_corners_most() -> None:
    flat = np.full((3, 64, 64), 200, np.uint8)
    result = once("vignette", 0.6, of=flat)[0].astype(int)
    corners = result[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.max() < result[24:40, 24:40].min() and 60 <= corners.mean() <= 120


def test_fixed_damages_are_the_same_for_the_same_photo() -> None:
    for label in FIXED:
        first = measured(photo(), label)
        assert np.array_equal(first, measured(photo(), label))
        assert np.array_equal(first[1:], photo()[1:])
        assert np.array_equal(first, photo()) == (label == "none")
