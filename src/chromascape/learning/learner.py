"""What a training works on and how far it has got: together, all that a checkpoint holds."""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from chromascape.colorizing.layers import Network
from chromascape.colorizing.padding import predict
from chromascape.learning.losses import Loss
from chromascape.params import Train

History = list[dict[str, float]]


@dataclass
class Learner:
    """A network and what changes its weights; `averaged` holds their moving average, if there is one."""

    params: Train
    network: Network
    averaged: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    loss: Loss
    device: str
    bf16: bool

    @property
    def evaluated(self) -> Network:
        """The network that is validated and kept."""
        return cast(Network, self.averaged.module) if self.averaged else self.network

    def predict(self, network: Network, lightness: Tensor) -> Tensor:
        """Scaled colors in float32, computed in the precision of the training."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            colors = predict(network, lightness)
        return colors.float()


@dataclass
class Progress:
    """How far a training has got, between two of its steps.

    Attributes:
        steps: batches per epoch.
        epochs: number of epochs.
        epoch: the current one, from 1; epochs + 1 after the last.
        step: finished batches of this epoch.
        losses: of these batches, each times its number of photos; scalars on the device.
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
        # One tensor of losses: on a GPU each of its own would be a wait.
        "progress": vars(progress) | {"losses": torch.stack(progress.losses) if progress.losses else torch.empty(0)},
    }


def load_state(learner: Learner, progress: Progress, state: dict[str, Any]) -> None:
    """The reverse of `state_of`; the tensors of `state` lie on the CPU."""
    learner.network.load_state_dict(state["network"])
    if learner.averaged:
        learner.averaged.load_state_dict(state["averaged"])
    learner.optimizer.load_state_dict(state["optimizer"])
    learner.schedule.load_state_dict(state["schedule"])
    vars(progress).update(state["progress"], losses=list(state["progress"]["losses"].to(learner.device)))
    for name, module in _generators(learner.device).items():
        module.set_rng_state(state["random"][name])


def _generators(device: str) -> dict[str, Any]:
    """The modules that hold torch's global generators, by device."""
    return {"cpu": torch} if device == "cpu" else {"cpu": torch, device: torch.get_device_module(device)}
