"""A training as the stage runs it, in the processes that its params and its environment say; test_ranks.py starts it.

The other processes are of the `python` in PATH, which may be a warm one.

It trains in the current folder on `lab` and writes the rows of its epochs to `history`. Its arguments change params,
such as `devices=2`, and name the network: `norm`, `plain`, or both, one after the other.
"""

import ast
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chromascape.colorizing.layers import Network
from chromascape.errors import ChromascapeError
from chromascape.learning import learner, training
from chromascape.learning.checkpoints import fingerprint, open_checkpoints
from chromascape.learning.ranks import helps, joined
from chromascape.learning.training import Trained
from chromascape.params import Train
from chromascape.photos.shards import Shards

SMALL = {"network": "unet", "init": "scratch", "epochs": 3, "batch_size": 5, "lr": 0.005, "crop": 0.5, "side": 32}
SMALL |= {"ema": 0.9, "working_size": 64, "device": "cpu", "precision": "float32", "checkpoint_seconds": 0.01}


class Tiny(Network):
    """A network of a few hundred weights, with batch norm or without."""

    multiple = 4

    def __init__(self, norm: bool):
        super().__init__()
        # A bias before a norm has a gradient of rounding alone, of which Adam makes steps as large as any.
        first, second = nn.Conv2d(1, 8, 3, padding=1, bias=not norm), nn.Conv2d(8, 8, 3, padding=1, bias=not norm)
        norms = [nn.BatchNorm2d(8) if norm else nn.Identity() for _ in range(2)]
        self.layers = nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU())
        self.head = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, lightness: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.layers(lightness)))


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def params_of(arguments: list[str]) -> Train:
    pairs = [argument.split("=") for argument in arguments if "=" in argument]
    return Train.model_validate(SMALL | {key: ast.literal_eval(value) for key, value in pairs})


def run(section: Train, arguments: list[str]) -> list[Trained]:
    """Train in this process and those that belong to it; with several `networks` they stay for all of them."""
    lab = Path("lab")
    photos, val = Shards(lab, ["train"]), Shards(lab, ["val"])
    if helps():
        with joined(section, []) as ranks:
            for network in networks(arguments):
                learner.build_network = network
                training.train(photos, val, section, precision="float32", ranks=ranks)
        return []
    command, trained = ["python", __file__, *arguments], []
    with open_checkpoints(section, fingerprint(section, lab, "float32"), Path()) as checkpoints:
        assert checkpoints
        kept = checkpoints if len(networks(arguments)) == 1 else None
        with joined(section, command) as ranks:
            for network in networks(arguments):
                learner.build_network = network
                trained.append(training.train(photos, val, section, None, kept, "float32", ranks))
    return trained


def networks(arguments: list[str]) -> list[Any]:
    """What builds the networks that are trained: with batch norm, without, or both."""
    named = [argument for argument in arguments if argument in ("norm", "plain")] or ["norm"]
    return [lambda _, norm=name == "norm": Tiny(norm) for name in named]


def counted(step: Any) -> Any:
    """A step that leaves a line with its process, is `slow` or `fails` in process 1 where there is such a file."""

    def one(*arguments: Any) -> Tensor:
        if Path("fails").exists() and helps():
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        loss = step(*arguments)
        with Path("steps").open("a") as file:
            file.write(f"{os.environ.get('RANK', '0')} {os.getpid()}\n")
        if Path("slow").exists():
            time.sleep(float(Path("slow").read_text() or 0.1))
        return loss

    return one


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, stopped)
    training.take_step = counted(training.take_step)
    try:
        trained = run(params_of(arguments), arguments)
    except ChromascapeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as error:
        sys.exit(f"stopped: {error}")
    if trained:
        Path("history").write_text(json.dumps([one.history for one in trained]))


if __name__ == "__main__":
    main(sys.argv[1:])
