"""What a training works on and how far it has come: together, all that a checkpoint holds."""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from chromascape.colorizing.layers import Network
from chromascape.colorizing.padding import predict
from chromascape.learning.losses import Loss

History = list[dict[str, float]]


@dataclass
class Learner:
    """A network and what moves its weights; `averaged` holds their moving average, if one is kept."""

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
    """How far a training has come, between two of its steps.

    Attributes:
        steps: batches of an epoch.
        epochs: that there will be.
        epoch: the one that is trained now, from 1; epochs + 1 after the last.
        step: batches of it that are done.
        losses: of these batches, each times its photos; scalars on the device.
        lr: of the last step.
        generator: the state of the epoch's random numbers after `step` batches; None before the first.
        gray_loss: the gray photo's on the validation photos; None until it was taken.
        history: a row an epoch that is done.
        best: the network's state after the epoch with the lowest val_loss so far, on the CPU.
        seconds: spent on steps.
    """

    steps: int
    epochs: int
    epoch: int = 1
    step: int = 0
    losses: list[Tensor] = field(default_factory=list)
    lr: float = 0.0
    generator: Tensor | None = None
    gray_loss: float | None = None
    history: History = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Steps of the whole training that are done."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps


def pack(learner: Learner, progress: Progress) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that decides how a training goes on: tensors by name, and what JSON can hold."""
    optimizer = learner.optimizer.state_dict()
    groups = {"network": learner.network.state_dict(), "best": progress.best, "random": _random_states(learner.device)}
    if learner.averaged:
        groups["averaged"] = learner.averaged.state_dict()
    for number, state in optimizer["state"].items():
        groups[f"optimizer/{number}"] = state
    if progress.losses:
        groups["epoch"] = {"losses": torch.stack(progress.losses)}
    if progress.generator is not None:
        groups["generator"] = {"state": progress.generator}
    tensors = {f"{group}/{name}": value for group, state in groups.items() for name, value in state.items()}
    values = {
        "progress": {
            name: getattr(progress, name)
            for name in ("steps", "epochs", "epoch", "step", "lr", "gray_loss", "history", "seconds")
        },
        "param_groups": optimizer["param_groups"],
        "schedule": learner.schedule.state_dict(),
    }
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, values


def unpack(learner: Learner, progress: Progress, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """The reverse of `pack`."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, rest = name.rpartition("/")
        groups.setdefault(group, {})[rest] = value.clone()  # out of the file's buffer, where nothing is aligned
    learner.network.load_state_dict(groups["network"])
    if learner.averaged:
        learner.averaged.load_state_dict(groups["averaged"])
    parameters = [parameter for group in learner.optimizer.param_groups for parameter in group["params"]]
    state = {
        number: {name: _laid_out_as(parameter, value) for name, value in groups[f"optimizer/{number}"].items()}
        for number, parameter in enumerate(parameters)
        if f"optimizer/{number}" in groups
    }
    learner.optimizer.load_state_dict({"state": state, "param_groups": values["param_groups"]})
    learner.schedule.load_state_dict(values["schedule"])
    for name, value in values["progress"].items():
        setattr(progress, name, value)
    progress.best = groups.get("best", {})
    progress.losses = list(groups["epoch"]["losses"].to(learner.device)) if "epoch" in groups else []
    progress.generator = groups["generator"]["state"] if "generator" in groups else None
    _set_random_states(learner.device, groups["random"])


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the memory format of its parameter: another order of summing would be other low bits."""
    if value.ndim == 0 or value.shape != parameter.shape:  # a counter of steps, which stays on the CPU
        return value
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _random_states(device: str) -> dict[str, Tensor]:
    """The states of torch's global generators."""
    states = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    if device == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_states(device: str, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(states["cuda"])
    if device == "mps":
        torch.mps.set_rng_state(states["mps"])
