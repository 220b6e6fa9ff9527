"""What a training works on, its step, and how far it has got: together, all that a checkpoint holds."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.efficientnet import EfficientNetLite
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.padding import predict
from chromascape.colorizing.torch_network import load_network
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.learning.batch_norm import synchronised
from chromascape.learning.losses import Loss, build_loss
from chromascape.learning.pretrained import load_imagenet_encoder
from chromascape.learning.ranks import ALONE, Ranks
from chromascape.learning.schedule import lr_factor
from chromascape.params import Train

History = list[dict[str, float]]


@dataclass
class Learner:
    """A network and what changes its weights; `averaged` holds their moving average, if there is one.

    `in_step` computes what `network` does, and with several processes (`ranks`) adds up the gradients of all. `teacher`
    is the shipped model, if it is distilled.
    """

    params: Train
    network: Network
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    loss: Loss
    device: str
    bf16: bool
    in_step: Any
    ranks: Ranks
    teacher: Network | None = None

    @property
    def evaluated(self) -> Network:
        """The network that is validated and kept."""
        return cast(Network, self.averaged.module) if self.averaged else self.network

    def predict(self, network: Any, lightness: Tensor) -> Tensor:
        """Scaled colors in float32, computed in the precision of the training."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            colors = predict(network, lightness)
        return colors.float()


def distilled(learner: Learner, teacher: Network, lightness: Tensor, target: Tensor) -> Tensor:
    """What to learn where a teacher is distilled (Hinton et al. 2015): its colors, in part.

    A damaged photo's own colors can't be known from it; those that the teacher gives the undamaged photo can, nearly.
    So gradients have less noise, and what the teacher knows of clean photos stays.

    Args:
        lightness: scaled L* (N, 1, H, W) of the undamaged photos.
        target: their scaled ab (N, 2, H, W).
    """
    with torch.no_grad():
        return target.lerp(learner.predict(teacher, lightness), learner.params.distill)


def initial_network(params: Train) -> Network:
    """The network with the weights that training starts from; `checks.check_train` says which fit it.

    Raises:
        ChromascapeError: the weights are not installed.
    """
    if params.init == "shipped":
        return load_network(SHIPPED)[1]
    network = build_network(params.network)
    if params.init == "imagenet":
        load_imagenet_encoder(cast(EfficientNetLite, network.encoder))
    return network


def build_learner(params: Train, steps: int, bf16: bool, ranks: Ranks = ALONE) -> Learner:
    """Network, optimizer and learning rate of a training of so many steps, in each of its processes."""
    device = pick_device(params.device, "train.device")
    network = initial_network(params).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if ranks.count > 1:
        network = synchronised(network, device)
    fused = True if device == "cuda" else None  # one kernel for all weights; on other devices torch decides
    decay = params.weight_decay if params.optimizer == "adamw" else 0.0
    kind = torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(network.parameters(), params.lr, weight_decay=decay, fused=fused)
    averaged = None
    if params.ema:
        averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(params.ema), use_buffers=True)
    return Learner(
        params,
        network,
        averaged,
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(params.schedule, step, steps)),
        build_loss(params.loss),
        device,
        bf16,
        _distributed(network) if ranks.count > 1 else network,
        ranks,
        _teacher(device) if params.distill else None,
    )


def _teacher(device: str) -> Network:
    """The shipped model's network, to predict with."""
    network = load_network(SHIPPED)[1].eval().requires_grad_(False)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _distributed(network: Network) -> nn.Module:
    """The network with gradients that are the mean of all processes'; the statistics of its norms are equal anyway."""
    from torch.nn.parallel import DistributedDataParallel

    distributed = DistributedDataParallel(network, forward_sync_buffers=False)
    distributed.multiple = network.multiple  # type: ignore[assignment]  # `padding.predict` asks
    return distributed


@contextmanager
def memory_errors_explained(learner: Learner) -> Iterator[None]:
    """Turn a lack of memory into a line that says what to lower; torch has a class of its own for it only on GPUs."""
    try:
        yield
    except RuntimeError as error:
        lacking = ("out of memory", "can't allocate memory", "not enough memory")
        if not isinstance(error, torch.OutOfMemoryError) and not any(text in str(error) for text in lacking):
            raise
        size = learner.params.batch_size
        raise ChromascapeError(
            f"train.batch_size: {size} photos don't fit into the memory of {learner.device}: lower it"
        ) from None


def train_mode(learner: Learner) -> None:
    """Let batch norm take its means and variances from the batch, or from the shipped model if they are frozen."""
    learner.network.train()
    if learner.params.freeze_norm:
        for module in learner.network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def take_step(learner: Learner, lightness: Tensor, target: Tensor, weight: float = 1.0) -> Tensor:
    """Move the weights by one batch, or this process's part of one; returns its loss, a scalar on the device.

    Args:
        weight: what the part counts among those of all processes, `Ranks.weight`.
    """
    loss = learner.loss(learner.predict(learner.in_step, lightness), target)
    learner.optimizer.zero_grad(set_to_none=True)
    (weight * loss).backward()
    learner.optimizer.step()
    if learner.averaged:
        learner.averaged.update_parameters(learner.network)
    return loss.detach()


@dataclass
class Progress:
    """How far a training has got, between two of its steps.

    Attributes:
        steps: batches per epoch.
        epochs: number of epochs.
        epoch: the current one, from 1; epochs + 1 after the last.
        step: finished batches of this epoch.
        losses: of these batches (all processes' parts), each times its number of photos; scalars on the device.
        lr: learning rate of the last step.
        generator: state of the epoch's random numbers after `step` batches; None before the first.
        gray: figures of the gray photo on the validation photos, as those of an epoch; empty until they are computed.
        history: one row per finished epoch.
        best: the network's state after the best epoch so far, on the CPU.
        seconds: time spent on steps.
    """

    steps: int
    epochs: int
    epoch: int = 1
    step: int = 0
    losses: list[Tensor] = field(default_factory=list)
    lr: float = 0.0
    generator: Tensor | None = None
    gray: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Finished steps of the whole training."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps


def state_of(learner: Learner, progress: Progress) -> dict[str, Any]:
    """All that decides how a training continues, as `torch.load(weights_only=True)` can read it."""
    return {
        "network": learner.network.state_dict(),
        "averaged": learner.averaged.state_dict() if learner.averaged else None,
        "optimizer": learner.optimizer.state_dict(),
        "schedule": learner.schedule.state_dict(),
        "random": {name: module.get_rng_state() for name, module in _generators(learner.device).items()},
        "bf16": learner.bf16,
        # One tensor of losses: on a GPU each of its own would be a wait.
        "progress": vars(progress) | {"losses": torch.stack(progress.losses) if progress.losses else torch.empty(0)},
    }


def load_state(learner: Learner, progress: Progress, state: dict[str, Any]) -> None:
    """The reverse of `state_of`; the tensors of `state` lie on the CPU. The precision is what it began with, too."""
    learner.bf16 = state["bf16"]
    learner.network.load_state_dict(state["network"])
    if learner.averaged:
        learner.averaged.load_state_dict(state["averaged"])
    learner.optimizer.load_state_dict(state["optimizer"])
    learner.schedule.load_state_dict(state["schedule"])
    vars(progress).update(state["progress"], losses=list(state["progress"]["losses"].to(learner.device)))
    for name, module in _generators(learner.device).items():
        module.set_rng_state(state["random"][name])


def share_state(learner: Learner, progress: Progress) -> None:
    """Bring all processes to where process 0 is: at the start of a training, or at its checkpoint."""
    if learner.ranks.count == 1:
        return
    stream = io.BytesIO()
    if learner.ranks.rank == 0:
        torch.save(state_of(learner, progress), stream)
    data = learner.ranks.from_first(stream.getvalue())
    if learner.ranks.rank:
        load_state(learner, progress, torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))


def _generators(device: str) -> dict[str, Any]:
    """The modules that hold torch's global generators, by device."""
    return {"cpu": torch} if device == "cpu" else {"cpu": torch, device: torch.get_device_module(device)}
