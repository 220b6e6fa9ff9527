"""Checkpoints of a training that was stopped or killed: it goes on from the last one, to the same bytes.

They lie in `.checkpoints/` at the root of the repository, in a folder named by a fingerprint of all that the result
follows from. A checkpoint is two files: tensors as safetensors, and JSON for the rest, with the checksums of both.
"""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.efficientnet import EfficientNetUNet
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.devices import pick_device, pick_precision
from chromascape.disk import bytes_of
from chromascape.files import atomic_write, sha256_of_file, write_json
from chromascape.learning.learner import Learner, Progress, pack, unpack
from chromascape.learning.pretrained import weights_file
from chromascape.params import Train
from chromascape.resume import code, digest, open_folder, short, tell, tell_unwritten

FORMAT = 1
KEPT = 2  # the last one, and the one before in case the last is damaged
NO_RESULT = ("checkpoint_seconds",)  # keys of the section that change no result


class Checkpoints:
    """The checkpoints of one training, in a folder of their own.

    Attributes:
        run_id: MLflow's run of the training that is gone on with; empty where there is none.
        at: steps done and steps in all at the last checkpoint that was written or read; None before the first.
    """

    def __init__(self, folder: Path, seconds: float):
        self.folder, self.seconds = folder, seconds
        self.at: tuple[int, int] | None = None
        self._written = time.monotonic()
        self._told = False
        with suppress(OSError, ValueError, KeyError, TypeError):
            self.run_id = str(json.loads((folder / "run.json").read_text(encoding="utf-8"))["run_id"])
            return
        self.run_id = ""

    def remember_run(self, run_id: str) -> None:
        """Keep MLflow's run from its start on, so that it is gone on with even before the first checkpoint."""
        self.run_id = run_id
        with self._failing_softly():
            write_json({"run_id": run_id}, self.folder / "run.json")

    def due(self) -> bool:
        """Whether the last checkpoint is as old as the params allow."""
        return time.monotonic() - self._written >= self.seconds

    def save(self, learner: Learner, progress: Progress) -> None:
        """Write a checkpoint; where that fails it is told once, and training goes on."""
        tensors, values = pack(learner, progress)
        file = self.folder / f"{progress.done:010}.safetensors"
        with self._failing_softly():
            data = save(tensors)
            with atomic_write(file) as temporary:
                temporary.write_bytes(data)
            values |= {"tensors_sha256": hashlib.sha256(data).hexdigest(), "format": FORMAT}
            write_json({"checkpoint": values, "sha256": digest(values)}, file.with_suffix(".json"))
            self.at = progress.done, progress.total
            for older in sorted(self.folder.glob("*.safetensors"))[:-KEPT]:
                older.with_suffix(".json").unlink(missing_ok=True)
                older.unlink()
        self._written = time.monotonic()

    def restore(self, learner: Learner, progress: Progress) -> bool:
        """Bring learner and progress to the last checkpoint that is whole; False where there is none.

        A damaged one is told in one line and never used.
        """
        for file in sorted(self.folder.glob("[0-9]*.json"), reverse=True):
            try:
                tensors, values = _read(file)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                tell(f"warning: {file}: damaged ({short(error)}): training goes on from the one before, or starts over")
                continue
            unpack(learner, progress, tensors, values)
            self.at = progress.done, progress.total
            tell(f"training goes on from step {progress.done} of {progress.total}")
            return True
        return False

    @contextmanager
    def _failing_softly(self) -> Iterator[None]:
        """A disk that is full or read-only costs checkpoints, and no training."""
        try:
            yield
        except OSError as error:
            if not self._told:
                tell_unwritten("training", error)
            self._told = True


@contextmanager
def open_checkpoints(params: Train, lab: Path, root: Path) -> Iterator[Checkpoints | None]:
    """The checkpoints of the training that these params, data and code make; they go where the block ends well.

    None where another process has them, or the folder can't be made: that is told in one line.

    Args:
        lab: the folder of the Lab shards.
        root: of the repository, where `.checkpoints/` lies.
    Raises:
        KeyboardInterrupt: again, with a text that says how to go on.
    """
    with open_folder(root, "train", fingerprint(params, lab)) as folder:
        if folder is None:
            yield None
            return
        checkpoints = Checkpoints(folder, params.checkpoint_seconds)
        try:
            yield checkpoints
        except KeyboardInterrupt:
            if checkpoints.at:
                done, total = checkpoints.at
                raise KeyboardInterrupt(f"`dvc repro` goes on from step {done} of {total}") from None
            raise


def needed_bytes(params: Train, root: Path) -> int:
    """Bytes that checkpoints will take beyond those in `.checkpoints/`: those that are kept, and one being written.

    Each holds the weights, those of the best epoch, two moments of Adam, and with `ema` the moving average.
    """
    with torch.device("meta"):  # shapes without numbers
        weights = build_network(params.network).state_dict().values()
    need = (KEPT + 1) * (4 + bool(params.ema)) * sum(value.nbytes for value in weights)
    return max(0, need - bytes_of(root, ".checkpoints/train-*/*"))  # a training that resumes has some


def fingerprint(params: Train, lab: Path) -> str:
    """What the result of a training follows from, as 16 hex digits: params, data, code, weights, torch and device.

    Raises:
        ChromascapeError: the device is not there.
    """
    device = pick_device(params.device, "train.device")
    parts = {
        "params": params.model_dump(mode="json", exclude=set(NO_RESULT)),
        "data": sha256_of_file(lab / "index.json"),
        "code": code(),
        "shipped": sha256_of_file(SHIPPED / "weights.safetensors") if params.init == "shipped" else "",
        "imagenet": sha256_of_file(weights_file(_lite(params.network))) if params.init == "imagenet" else "",
        "versions": [FORMAT, torch.__version__, np.__version__],
        "device": [device, _device_name(device), pick_precision(params.precision, device), torch.get_num_threads()],
    }
    return digest(parts)[:16]


def _lite(network: str) -> int:
    """Which EfficientNet-Lite is the encoder of a network that can start from ImageNet weights."""
    return cast(type[EfficientNetUNet], NETWORKS[network]).lite


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block has ended: weights that are half updated are no checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and values of a checkpoint.

    Raises:
        OSError, ValueError, KeyError, TypeError, SafetensorError: a file is missing or not as it was written.
    """
    whole = json.loads(file.read_text(encoding="utf-8"))
    values = whole["checkpoint"]
    if whole["sha256"] != digest(values) or values["format"] != FORMAT:
        raise ValueError("its checksum is not the recorded one")
    data = file.with_suffix(".safetensors").read_bytes()
    if values["tensors_sha256"] != hashlib.sha256(data).hexdigest():
        raise ValueError("the checksum of its tensors is not the recorded one")
    return load(data), values


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
