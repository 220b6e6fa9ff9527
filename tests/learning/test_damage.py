"""Damage of old photos: what the network sees gets worse, the colors that it should give stay true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.learning import batches
from chromascape.learning.augment import Chances, draw
from chromascape.learning.damage import DAMAGES, FIXED, MOST, changed, damage, measured
from chromascape.params import Params
from chromascape.photos.shards import Shards


def photo(seed: int = 0, side: int = 64) -> NDArray[np.uint8]:
    """A quantised photo (3, side, side) with shapes of all tones, many colors, and texture."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side] / side
    waves = [np.sin(6 * (down * x + right * y) + z) for x, y, z in random.uniform(-1, 3, (3, 3))]
    picture = np.stack([50 + 42 * waves[0] + random.normal(0, 3, (side, side)), 35 * waves[1], 35 * waves[2]], axis=-1)
    return lab.quantise(lab.rgb_to_lab(lab.lab_to_rgb(picture))).transpose(2, 0, 1).copy()


def photos(count: int) -> NDArray[np.uint8]:
    return np.stack([photo(seed) for seed in range(count)])


def chances(count: int, seed: int = 0) -> Chances:
    return draw(count, torch.Generator().manual_seed(seed))


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


def test_damage_is_repeatable_and_other_chances_give_other_damage() -> None:
    first = damage(photos(8), 1.0, chances(8))
    assert np.array_equal(first, damage(photos(8), 1.0, chances(8)))
    assert not np.array_equal(first, damage(photos(8), 1.0, chances(8, seed=1)))


def test_what_a_photo_gets_does_not_depend_on_the_others_of_its_batch() -> None:
    numbers = chances(8)
    together = damage(photos(8), 1.0, numbers)
    for at in range(8):
        assert np.array_equal(damage(photos(8)[at : at + 1], 1.0, numbers[at : at + 1])[0], together[at])


def test_color_is_true_in_every_photo() -> None:
    assert np.array_equal(damage(photos(50), 1.0, chances(50))[:, 1:], photos(50)[:, 1:])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_photos_is_damaged(share: float) -> None:
    result = damage(photos(1).repeat(400, axis=0), share, chances(400))
    damaged = np.mean([not np.array_equal(after, photo()) for after in result])
    assert damaged == share if share in (0, 1) else abs(damaged - share) < 0.07


def test_every_damage_occurs_within_its_range_and_at_most_five_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[str, float]]] = []
    monkeypatch.setattr(
        "chromascape.learning.damage.changed", lambda photo, steps, random: (seen.append(list(steps)), photo)[1]
    )
    damage(photos(1).repeat(600, axis=0), 1.0, chances(600))
    assert {len(steps) for steps in seen} == set(range(1, MOST + 1))
    order = list(DAMAGES)
    for steps in seen:
        assert [name for name, _ in steps] == sorted({name for name, _ in steps}, key=order.index)
    for name, kind in DAMAGES.items():
        strengths = [strength for steps in seen for drawn, strength in steps if drawn == name]
        low, high = sorted((kind.weakest, kind.strongest))
        assert low <= min(strengths) < low + 0.1 * (high - low)
        assert high >= max(strengths) > high - 0.1 * (high - low)


def test_fixed_damages_are_the_same_for_the_same_photo() -> None:
    for label in FIXED:
        first = measured(photo(), label)
        assert np.array_equal(first, measured(photo(), label))
        assert np.array_equal(first[1:], photo()[1:])
        assert np.array_equal(first, photo()) == (label == "none")


class Noise(Shards):
    """Six photos; no files."""

    def __init__(self) -> None:
        self.side = 64

    def read(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        return photos(6)[rows]


ROWS = [np.array([3, 1, 2]), np.array([0, 4]), np.array([5, 3])] * 4


def prepared(params: Params, device: str = "cpu", state: torch.Tensor | None = None, skip: int = 0) -> list:
    generator = torch.Generator().manual_seed(7)
    if state is not None:
        generator.set_state(state)
    return list(batches.prepared(Noise(), ROWS[skip:], params.train, generator, device))


def test_without_damage_batches_have_the_bytes_that_augmenting_alone_gives(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean, damaged = (make_params({"train.side": 32, "train.damage": share}) for share in (0.0, 1.0))
    before, after = prepared(clean), prepared(damaged)
    for (plain, state), (worse, worse_state) in zip(before, after, strict=True):
        assert torch.equal(state, worse_state)  # no further numbers are drawn
        assert torch.equal(plain[:, 1:], worse[:, 1:]) and not torch.equal(plain[:, :1], worse[:, :1])
    monkeypatch.setattr(batches, "damage", lambda *_: pytest.fail("damage was called"))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(before, prepared(clean), strict=True))


def test_threads_and_resuming_change_no_damaged_batch(make_params: Callable[..., Params]) -> None:
    params = make_params({"train.side": 32, "train.damage": 0.6})
    whole, ahead = prepared(params), prepared(params, device="mps")
    resumed = whole[:5] + prepared(params, state=whole[4][1], skip=5)
    for (batch, _), (threaded, _), (again, _) in zip(whole, ahead, resumed, strict=True):
        assert torch.equal(batch, threaded) and torch.equal(batch, again)


def test_a_training_that_was_stopped_resumes_to_the_same_weights(
    make_params: Callable[..., Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in its second epoch, with most photos damaged."""
    from chromascape.learning import training
    from chromascape.learning.checkpoints import Checkpoints

    changes = {
        "train.network": "unet", "train.init": "scratch", "train.epochs": 2, "train.batch_size": 2, "train.side": 32,
        "train.working_size": 64, "train.damage": 0.8, "train.device": "cpu", "train.precision": "float32",
    }  # fmt: skip
    params, noise = make_params(changes).train, Counted()
    expected = training.train(noise, noise, params).weights
    step, taken = training._step, []

    def stopping(*arguments: object) -> torch.Tensor:
        taken.append(0)
        if len(taken) == 5:
            raise KeyboardInterrupt
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        training.train(noise, noise, params, None, Checkpoints(tmp_path, 1000))
    resumed = training.train(noise, noise, params, None, Checkpoints(tmp_path, 1000)).weights
    assert len(taken) == 7  # 6 steps in all; the stopped one is taken again
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    clean = training.train(noise, noise, make_params(changes | {"train.damage": 0.0}).train).weights
    assert not all(torch.equal(clean[name], value) for name, value in expected.items())


class Counted(Noise):
    """The six photos for a training, which asks how many there are."""

    def __len__(self) -> int:
        return 6
