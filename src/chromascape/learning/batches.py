"""Batches of augmented photos; threads prepare them ahead for a GPU, so that it does not wait."""

from collections.abc import Generator, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chromascape.learning.augment import Chances, augment, damage, draw
from chromascape.learning.ranks import ALONE, Ranks
from chromascape.parallel import cores, in_threads
from chromascape.params import Train
from chromascape.photos.shards import Shards

THREADS = 8  # at most; twice as many batches are prepared ahead
Batch = tuple[Tensor, Tensor]


def prepared(
    photos: Shards,
    batches: list[NDArray[np.integer]],
    params: Train,
    generator: torch.Generator,
    device: str,
    ranks: Ranks = ALONE,
) -> Generator[Batch]:
    """This process's part of each batch as quantised Lab (N, 3, side, side) on the CPU, and `generator`'s state after.

    With `params.distill` there is a fourth plane, the L* of the undamaged photo.

    Random numbers are drawn in the order of the batches and for all photos of each, so that neither threads nor
    processes change them. On a CPU, where threads would take time from the training, each batch is prepared when it is
    needed.
    """

    def tasks() -> Iterator[tuple[NDArray[np.integer], Chances, Tensor]]:
        for rows in batches:
            own = ranks.own(len(rows))
            yield rows[own], draw(len(rows), generator)[own], generator.get_state()

    threads = 1 if device == "cpu" else max(2, min(THREADS, cores() // ranks.here))
    pinned = device == "cuda"
    yield from in_threads(partial(_batch, photos, params, pinned), tasks(), threads, partial(_begin, pinned, ranks))


def _begin(pinned: bool, ranks: Ranks) -> None:
    """Set up a thread: it would start as many of torch's own as there are cores, and pin memory for the first GPU."""
    torch.set_num_threads(1)
    if pinned and ranks.count > 1:
        torch.cuda.set_device(ranks.local)


def _batch(photos: Shards, params: Train, pinned: bool, task: tuple[NDArray[np.integer], Chances, Tensor]) -> Batch:
    """Photos augmented, `pinned` in memory that a CUDA device fetches while others compute, and the state."""
    rows, chances, state = task
    quantised = augment(photos.read(rows), params.flip, params.crop, params.side or photos.side, chances)
    undamaged = quantised[:, :1]
    if params.damage:
        quantised = damage(quantised, params.damage, chances)
    if params.distill:
        quantised = np.concatenate([quantised, undamaged], axis=1)
    batch = torch.from_numpy(quantised)
    return batch.pin_memory() if pinned else batch, state
