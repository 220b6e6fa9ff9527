"""The training loop: Lab shards in, the weights of the best epoch out."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chromascape.color import lab
from chromascape.devices import Precision
from chromascape.errors import ChromascapeError
from chromascape.learning.augment import damage, draw, to_side
from chromascape.learning.batches import prepared
from chromascape.learning.checkpoints import Checkpoints, uninterrupted
from chromascape.learning.choosing import LOSS, cost, sum_of_metric
from chromascape.learning.learner import (
    History,
    Learner,
    Progress,
    build_learner,
    distilled,
    memory_errors_explained,
    share_state,
    take_step,
    train_mode,
)
from chromascape.learning.precision import choose_now
from chromascape.learning.ranks import ALONE, Ranks
from chromascape.parallel import ProgressBar
from chromascape.params import Train
from chromascape.photos.shards import Shards


@dataclass
class Trained:
    """The result of a training.

    Attributes:
        weights: state of the network after its best epoch, on the CPU.
        history: one row per epoch: epoch (from 1), train_loss, val_loss, gray_val_loss, lr (of the last step), and
            with another `train.choose_by` than the loss `val_` and `gray_val_` of that metric.
        best_epoch: the one with the lowest val_loss, or the best by `train.choose_by`.
        images_per_second: over all training steps; it varies with the machine's load, so no tracked file has it.
        precision: that it computed in; a resumed training computes as it began.
    """

    weights: dict[str, Tensor]
    history: History
    best_epoch: int
    images_per_second: float
    precision: Precision


def train(
    train_photos: Shards, val_photos: Shards, params: Train, on_epoch: Callable[[dict[str, float]], None] | None = None,
    checkpoints: Checkpoints | None = None, precision: Precision | None = None, ranks: Ranks = ALONE,
) -> Trained:  # fmt: skip
    """Train the network that `params` names; on a CPU the same input gives the same weights.

    Args:
        on_epoch: called after each epoch with its row of the history; after a resume, first with the earlier rows.
        checkpoints: to resume from and to write to; None: the training starts over and writes nothing.
        precision: that `params.precision` is here, as `learning.precision.choose` says; None: it is found out.
        ranks: the processes that train together, from `learning.ranks.joined`. All start from what process 0 has, and
            that one alone gets `on_epoch` and `checkpoints`.
    Raises:
        ChromascapeError: a batch has fewer photos than there are processes, the device is unavailable or runs out of
            memory, or the loss stops being a number.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    precision = precision or choose_now(params, train_photos.side)
    torch.manual_seed(params.seed)
    progress = Progress(math.ceil(len(train_photos) / params.batch_size), params.epochs)
    ranks.check_batch(len(train_photos) // progress.steps)
    learner = build_learner(params, progress.total, precision == "bf16", ranks)
    if checkpoints and checkpoints.restore(learner, progress) and on_epoch:
        for row in progress.history:
            on_epoch(row)
    share_state(learner, progress)
    # Batches have one size: the fastest convolution for it is worth finding.
    with torch.backends.cudnn.flags(enabled=True, benchmark=True), memory_errors_explained(learner):
        try:
            progress.gray = progress.gray or _validate(learner, val_photos, gray=True)
            while progress.epoch <= params.epochs:
                _train_epoch(learner, train_photos, progress, checkpoints)
                row = _end_epoch(learner, len(train_photos), val_photos, progress)
                if checkpoints:
                    checkpoints.save(learner, progress)
                if on_epoch:
                    on_epoch(row)
        except KeyboardInterrupt:
            if checkpoints:
                with uninterrupted():  # by a second Ctrl-C
                    checkpoints.save(learner, progress)
            raise
    return _trained(learner, progress, len(train_photos))


def _trained(learner: Learner, progress: Progress, n_photos: int) -> Trained:
    """The result of a training that has ended, of so many photos."""
    choose_by = learner.params.choose_by
    best_epoch = min(progress.history, key=lambda row: cost(choose_by, row))["epoch"]
    speed = progress.epochs * n_photos / progress.seconds
    return Trained(progress.best, progress.history, int(best_epoch), speed, "bf16" if learner.bf16 else "float32")


def _train_epoch(learner: Learner, photos: Shards, progress: Progress, checkpoints: Checkpoints | None) -> None:
    """One pass over the photos, or the rest of one, in an order that seed and epoch decide."""
    params, epoch, ranks = learner.params, progress.epoch, learner.ranks
    train_mode(learner)
    generator = torch.Generator().manual_seed(params.seed * 100_003 + epoch)
    order = torch.randperm(len(photos), generator=generator).numpy()
    if progress.generator is not None:
        generator.set_state(progress.generator)
    batches = _batches(order, params.batch_size)
    done = sum(len(rows) for rows in batches[: progress.step])
    coming = prepared(photos, batches[progress.step :], params, generator, learner.device, ranks)
    with closing(coming), ProgressBar(len(photos), f"epoch {epoch}/{params.epochs}", done, ranks.rank > 0) as bar:
        start = time.perf_counter()
        for quantised, state in coming:
            count = len(batches[progress.step])  # of all processes
            with uninterrupted():
                lightness, target = _tensors(learner, quantised[:, :3])
                if learner.teacher is not None:
                    undamaged = _scaled(learner, quantised[:, 3:]).contiguous(memory_format=torch.channels_last)
                    target = distilled(learner, learner.teacher, undamaged, target)
                loss = take_step(learner, lightness, target, ranks.weight(count))
                progress.losses.append(ranks.sum(loss * len(quantised)))
                progress.lr = float(learner.schedule.get_last_lr()[0])
                learner.schedule.step()
                progress.generator = state
                progress.step += 1
                now = time.perf_counter()
                progress.seconds, start = progress.seconds + now - start, now
            if progress.step % 10 == 1:  # reading the loss waits for the device
                bar.note(f"loss {loss.item():.4f}")
            bar.add(count)
            if checkpoints and checkpoints.due():
                checkpoints.save(learner, progress)
                start = time.perf_counter()


def _end_epoch(learner: Learner, n_photos: int, val_photos: Shards, progress: Progress) -> dict[str, float]:
    """Validate after an epoch of `n_photos` and keep the weights if they are the best; returns the epoch's row."""
    start = time.perf_counter()
    train_loss = float(torch.stack(progress.losses).sum()) / n_photos  # waits for the device
    waited = time.perf_counter() - start
    row = {
        "epoch": progress.epoch,
        "train_loss": train_loss,
        **_validate(learner, val_photos),
        **{f"gray_{name}": value for name, value in progress.gray.items()},
        "lr": progress.lr,
    }
    if not math.isfinite(train_loss + row["val_loss"]):
        raise ChromascapeError(f"train.lr: the loss became infinite in epoch {progress.epoch}: lower train.lr")
    choose_by = learner.params.choose_by
    if not math.isfinite(row[f"val_{choose_by}"]):
        raise ChromascapeError(
            f"train.choose_by: {choose_by} of the validation photos is no number in epoch {progress.epoch}: mend it in "
            "color/metrics.py, or choose by another"
        )
    with uninterrupted():
        if all(cost(choose_by, row) < cost(choose_by, earlier) for earlier in progress.history):
            progress.best = {name: value.cpu().clone() for name, value in learner.evaluated.state_dict().items()}
        progress.history.append(row)
        progress.epoch, progress.step, progress.losses, progress.generator = progress.epoch + 1, 0, [], None
        progress.seconds += waited
    return row


@torch.no_grad()
def _validate(learner: Learner, photos: Shards, gray: bool = False) -> dict[str, float]:
    """`val_loss` and `val_` of the metric that chooses: means over whole photos, at the size that will be seen.

    The network sees the same share of them damaged as of the training photos, each alike in every epoch: weights for
    old photos would not be chosen by clean ones alone.

    Args:
        gray: take the figures of the gray photo itself, beside which all others are read.
    """
    network, side = learner.evaluated.eval(), learner.params.working_size or photos.side
    choose_by, totals = learner.params.choose_by, {"val_loss": 0.0, f"val_{learner.params.choose_by}": 0.0}
    title = "validation, gray" if gray else "validation"
    generator = torch.Generator().manual_seed(learner.params.seed)
    with ProgressBar(len(photos), title, quiet=learner.ranks.rank > 0) as bar:
        for batch in _batches(np.arange(len(photos)), learner.params.batch_size):
            own, chances = learner.ranks.own(len(batch)), draw(len(batch), generator)
            if not len(batch[own]):  # fewer photos than processes
                continue
            true = to_side(photos.read(batch[own]), side)
            lightness, target = _tensors(learner, torch.from_numpy(true))
            if gray:
                quantised = true.copy()
                quantised[:, 1:] = lab.NEUTRAL
                colors = _tensors(learner, torch.from_numpy(quantised))[1]
            else:
                if learner.params.damage:
                    damaged = damage(true, learner.params.damage, chances[own])
                    lightness, _ = _tensors(learner, torch.from_numpy(damaged))
                colors = learner.predict(network, lightness)
            totals["val_loss"] += float(learner.loss(colors, target)) * len(colors)
            if choose_by != LOSS:
                totals[f"val_{choose_by}"] += sum_of_metric(choose_by, true, colors)
            bar.add(len(batch))
    sums = learner.ranks.sum(torch.tensor(list(totals.values()), dtype=torch.float64)).tolist()
    return {name: total / len(photos) for name, total in zip(totals, sums, strict=True)}


def _tensors(learner: Learner, quantised: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled L* (N, 1, H, W) and what a network should predict, scaled ab (N, 2, H, W) or RGB (N, 3, H, W) in 0..1.

    Args:
        quantised: Lab (N, 3, H, W) on the CPU; the results are on the device.
    """
    scaled = _scaled(learner, quantised)
    lightness, target = scaled[:, :1], scaled[:, 1:].contiguous()
    if learner.params.input == "luma":
        luma = lab.luma(lab.dequantise(quantised.numpy().transpose(0, 2, 3, 1)))
        lightness = torch.from_numpy(lab.scale_lightness(luma))[:, None].to(learner.device)
    if learner.network.predicts == "rgb":
        rgb = lab.lab_to_rgb(lab.dequantise(quantised.numpy().transpose(0, 2, 3, 1)))
        target = torch.from_numpy(np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))).to(learner.device).float() / 255
    return lightness.contiguous(memory_format=torch.channels_last), target


def _scaled(learner: Learner, quantised: Tensor) -> Tensor:
    """Quantised planes (N, C, H, W) on the CPU, scaled to 0..1 on the device."""
    return quantised.to(learner.device, non_blocking=True).float() / lab.LEVELS


def _batches(rows: NDArray[np.integer], size: int) -> list[NDArray[np.integer]]:
    """The rows cut into batches of at most `size`, all nearly equal: a small last batch would spoil batch norm."""
    return np.array_split(rows, math.ceil(len(rows) / size))
