"""Batches of augmented photos; threads prepare them ahead for a GPU, so that it does not wait."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chromascape.learning.augment import Chances, augment, draw
from chromascape.learning.damage import damage
from chromascape.parallel import cores
from chromascape.params import Train
from chromascape.photos.shards import Shards

THREADS = 8  # at most; as many batches are prepared ahead
Batch = tuple[Tensor, Tensor]


def prepared(
    photos: Shards, batches: list[NDArray[np.integer]], params: Train, generator: torch.Generator, device: str
) -> Generator[Batch]:
    """Each batch as quantised Lab (N, 3, side, side) on the CPU, and the state of `generator` after it.

    Random numbers are drawn in the order of the batches, so that threads change no result. On a CPU, where threads
    would take time from the training, each batch is prepared when it is needed.
    """
    make = partial(_batch, photos, params, device == "cuda")
    if device == "cpu":
        for rows in batches:
            yield make(rows, draw(len(rows), generator)), generator.get_state()
        return
    threads = min(THREADS, cores())
    # Each thread would start as many of torch's own as there are cores.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[tuple[Future[Tensor], Tensor]] = deque()
        try:
            for rows in batches:
                waiting.append((pool.submit(make, rows, draw(len(rows), generator)), generator.get_state()))
                if len(waiting) > threads:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def _first(waiting: deque[tuple[Future[Tensor], Tensor]]) -> Batch:
    """The oldest batch, once it is ready."""
    future, state = waiting.popleft()
    return future.result(), state


def _batch(photos: Shards, params: Train, pinned: bool, rows: NDArray[np.integer], chances: Chances) -> Tensor:
    """Photos augmented; `pinned` in memory that a CUDA device fetches while others compute."""
    quantised = augment(photos.read(rows), params.flip, params.crop, params.side or photos.side, chances)
    if params.damage:
        quantised = damage(quantised, params.damage, chances)
    batch = torch.from_numpy(quantised)
    return batch.pin_memory() if pinned else batch
