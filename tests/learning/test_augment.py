"""What training does to photos before the network sees them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import quantised_photo as photo
from numpy.typing import NDArray

from chromascape.learning import batches
from chromascape.learning.augment import MOST, SCAN, SCANS, Chances, augment, damage, draw
from chromascape.params import Params
from chromascape.photos.damage import DAMAGES
from chromascape.photos.shards import Shards


def planes(size: int = 64) -> np.ndarray:
    """A quantised photo (1, 3, size, size) whose three planes are the same ramp to the right."""
    ramp = np.linspace(0, 255, size).astype(np.uint8)
    return np.broadcast_to(ramp, (1, 3, size, size)).copy()


def chances(count: int, seed: int = 0) -> Chances:
    return draw(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(8))
def test_lightness_and_color_stay_together(seed: int) -> None:
    changed = augment(planes(), True, 0.3, 64, chances(1, seed))
    assert changed.shape == (1, 3, 64, 64) and changed.dtype == np.uint8
    assert np.array_equal(changed[:, 0], changed[:, 1]) and np.array_equal(changed[:, 0], changed[:, 2])


def test_half_of_the_photos_are_mirrored() -> None:
    results = augment(planes().repeat(200, axis=0), True, 1.0, 64, chances(200))
    mirrored = sum(np.array_equal(result, planes()[0, :, :, ::-1]) for result in results)
    assert mirrored + sum(np.array_equal(result, planes()[0]) for result in results) == 200
    assert 70 < mirrored < 130


def test_crops_keep_at_least_the_share_that_was_asked_for() -> None:
    results = augment(planes().repeat(100, axis=0), False, 0.5, 64, chances(100))
    widths = [float(np.ptp(result[0].astype(int))) / 255 for result in results]
    assert min(widths) > (0.5 * 3 / 4) ** 0.5 - 0.05  # the narrowest box of half the area is 3:4
    assert np.std(widths) > 0.03


def test_photos_are_reduced_to_the_side_to_train_on() -> None:
    assert augment(planes(128), False, 1.0, 64, chances(1)).shape == (1, 3, 64, 64)


def test_nothing_changes_when_all_is_switched_off() -> None:
    assert np.array_equal(augment(planes(), False, 1.0, 64, chances(1)), planes())


def corners(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Top left and bottom right (x, y), in shares of the photo, of crops of at least a fifth of its area."""
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    photo = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64)), np.zeros((64, 64), np.uint8)])[None]
    results = augment(photo.repeat(count, axis=0), False, 0.2, 64, chances(count, 1)) / 255
    return results[:, :2].min(axis=(2, 3)), results[:, :2].max(axis=(2, 3))


def test_crops_lie_anywhere_in_the_photo() -> None:
    first, last = corners(400)
    room = 1 - (last - first)
    place = (first / np.maximum(room, 1e-9))[(room > 0.15).all(axis=1)]  # 0: at the left or top, 1: right or bottom
    assert len(place) > 200
    for axis in range(2):
        counts, _ = np.histogram(place[:, axis], bins=4, range=(0, 1.01))
        assert counts.min() > 0.15 * len(place)
    assert abs(np.corrcoef(place.T)[0, 1]) < 0.2


def test_crops_have_aspects_from_3_to_4_to_4_to_3() -> None:
    first, last = corners(400)
    width, height = (last - first).T
    aspect = (width / height)[(width < 0.95) & (height < 0.95)]
    assert len(aspect) > 200
    assert 0.7 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.42
    assert 0.3 < np.mean(aspect > 1) < 0.7


def photos(count: int) -> NDArray[np.uint8]:
    return np.stack([photo(seed) for seed in range(count)])


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


def test_every_damage_occurs_within_its_range_and_few_meet_or_those_of_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[str, float]]] = []
    monkeypatch.setattr(
        "chromascape.learning.augment.changed", lambda photo, steps, random: (seen.append(list(steps)), photo)[1]
    )
    damage(photos(1).repeat(900, axis=0), 1.0, chances(900))
    assert {len(steps) for steps in seen} == {*range(1, MOST + 1), len(SCAN)}
    order = list(DAMAGES)
    for steps in seen:
        assert [name for name, _ in steps] == sorted({name for name, _ in steps}, key=order.index)
    for name, kind in DAMAGES.items():
        strengths = [strength for steps in seen for drawn, strength in steps if drawn == name]
        low, high = sorted((kind.weakest, kind.strongest))
        assert low <= min(strengths) < low + 0.1 * (high - low)
        assert high >= max(strengths) > high - 0.1 * (high - low)


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


def test_the_fourth_plane_is_the_lightness_before_damage(make_params: Callable[..., Params]) -> None:
    taught = {"train.side": 32, "train.damage": 1.0, "train.distill": 0.5}
    clean, without, batches = (
        prepared(make_params(params)) for params in ({"train.side": 32}, taught | {"train.distill": 0.0}, taught)
    )
    for (plain, _), (damaged, _), (batch, _) in zip(clean, without, batches, strict=True):
        assert torch.equal(batch[:, :3], damaged) and torch.equal(batch[:, 3], plain[:, 0])


def test_the_damages_of_an_old_scan_meet_in_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        "chromascape.learning.augment.changed",
        lambda photo, steps, random: (seen.append(tuple(name for name, _ in steps)), photo)[1],
    )
    damage(photos(1).repeat(600, axis=0), 1.0, chances(600))
    assert abs(np.mean([names == SCAN for names in seen]) - SCANS) < 0.06


def test_a_training_that_was_stopped_resumes_to_the_same_weights(
    make_params: Callable[..., Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in its second epoch, with most photos damaged and the shipped model distilled."""
    from chromascape.learning import training
    from chromascape.learning.checkpoints import Checkpoints

    changes = {
        "train.network": "unet", "train.init": "scratch", "train.epochs": 2, "train.batch_size": 2, "train.side": 32,
        "train.working_size": 64, "train.damage": 0.8, "train.distill": 0.5, "train.device": "cpu",
        "train.precision": "float32",
    }  # fmt: skip
    params, noise = make_params(changes).train, Counted()
    expected = training.train(noise, noise, params).weights
    step, taken = training.take_step, []

    def stopping(*arguments: object) -> torch.Tensor:
        taken.append(0)
        if len(taken) == 5:
            raise KeyboardInterrupt
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "take_step", stopping)
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
