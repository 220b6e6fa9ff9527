"""A training as the stage runs it, in the processes that its params and its environment say; test_ranks.py starts it.

It trains in the current folder on `lab` and writes `weights` and `history`. Its arguments change params, such as
`devices=2`; `without_norm` takes a network of its own. `steps` gets a byte for each step of each process.
"""

import ast
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from chromascape.colorizing.layers import Network
from chromascape.errors import ChromascapeError
from chromascape.learning import learner, training
from chromascape.learning.checkpoints import fingerprint, open_checkpoints
from chromascape.learning.ranks import helps, joined
from chromascape.params import Train
from chromascape.photos.shards import Shards

SMALL = {"network": "unet", "init": "scratch", "epochs": 3, "batch_size": 5, "lr": 0.005, "crop": 0.5, "side": 32}
SMALL |= {"ema": 0.9, "working_size": 64, "device": "cpu", "precision": "float32", "checkpoint_seconds": 0.01}


class Tiny(Network):
    """A network of a few hundred weights, with batch norm or without."""

    multiple = 4

    def __init__(self, norm: bool):
        super().__init__()
        layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8) if norm else nn.ReLU())
        self.head = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, lightness: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.layers(lightness)))


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def params_of(arguments: list[str]) -> Train:
    pairs = [argument.split("=") for argument in arguments if "=" in argument]
    return Train.model_validate(SMALL | {key: ast.literal_eval(value) for key, value in pairs})


def run(arguments: list[str]) -> None:
    section, lab = params_of(arguments), Path("lab")
    photos, val = Shards(lab, ["train"]), Shards(lab, ["val"])
    if helps():
        with joined(section, []) as ranks:
            training.train(photos, val, section, precision="float32", ranks=ranks)
        return
    with open_checkpoints(section, fingerprint(section, lab, "float32"), Path()) as checkpoints:
        with joined(section, [sys.executable, __file__, *arguments]) as ranks:
            trained = training.train(photos, val, section, None, checkpoints, "float32", ranks)
        save_file({name: value.contiguous() for name, value in trained.weights.items()}, "weights")
        Path("history").write_text(json.dumps(trained.history))


def counted(step: Any) -> Any:
    """A step that leaves a byte, and fails in process 1 where `fails` says so."""

    def one(*arguments: Any) -> Tensor:
        if Path("fails").exists() and helps():
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        loss = step(*arguments)
        with Path("steps").open("ab") as file:
            file.write(os.environ.get("RANK", "0").encode())
        return loss

    return one


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGTERM, stopped)
    learner.build_network = lambda name: Tiny("without_norm" not in sys.argv)
    training.take_step = counted(training.take_step)
    try:
        run(sys.argv[1:])
    except ChromascapeError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as error:
        sys.exit(f"stopped: {error}")
