"""What training does to photos before the network sees them."""

import numpy as np
import pytest
import torch

from chromascape.learning.augment import Chances, augment, draw


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
