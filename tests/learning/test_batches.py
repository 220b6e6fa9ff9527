"""Batches that other threads prepare ahead."""

import threading
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest
import torch

from chromascape.learning import batches
from chromascape.params import Params, Train
from chromascape.photos.shards import Shards

ROWS = [np.array([3, 1, 2]), np.array([0, 4]), np.array([5, 3])] * 5


class Photos(Shards):
    """Six photos of noise; no files."""

    def __init__(self) -> None:
        self.side = 64
        self.noise = np.random.default_rng(0).integers(0, 256, (6, 3, 64, 64), dtype=np.uint8)

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.noise[rows]


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Train:
    return make_params({"train.crop": 0.3, "train.flip": True, "train.side": 32}).train


def made(photos: Shards, params: Train, device: str) -> list[batches.Batch]:
    return list(batches.prepared(photos, ROWS, params, torch.Generator().manual_seed(7), device))


def test_threads_change_no_batch_and_no_state_of_the_random_numbers(params: Train) -> None:
    ahead, direct = made(Photos(), params, "mps"), made(Photos(), params, "cpu")
    assert len(ahead) == len(direct) == len(ROWS)
    for (batch, state), (expected, expected_state) in zip(ahead, direct, strict=True):
        assert torch.equal(batch, expected) and torch.equal(state, expected_state)
    assert not torch.equal(ahead[0][0], ahead[3][0])  # the same photos, other crops


def test_batches_are_prepared_ahead_and_not_all_at_once(monkeypatch: pytest.MonkeyPatch, params: Train) -> None:
    begun: list[threading.Thread] = []
    read = Photos.read

    def watched(self: Photos, rows: np.ndarray) -> np.ndarray:
        begun.append(threading.current_thread())
        return read(self, rows)

    monkeypatch.setattr(Photos, "read", watched)
    monkeypatch.setattr(batches, "THREADS", 2)
    coming = batches.prepared(Photos(), ROWS, params, torch.Generator(), "mps")
    with closing(coming):
        next(coming)
        assert 1 <= len(begun) <= 4 and threading.main_thread() not in begun
    assert len(begun) <= 4  # what was not begun when the training ended is not begun then
    assert not any(thread.is_alive() for thread in begun)


def test_an_error_in_a_thread_reaches_the_training(monkeypatch: pytest.MonkeyPatch, params: Train) -> None:
    monkeypatch.setattr(Photos, "read", lambda self, rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made(Photos(), params, "mps")
