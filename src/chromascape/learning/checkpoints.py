"""Checkpoints of a training: one that was stopped or killed resumes from the last, and ends in the same bytes.

They are kept in `.checkpoints/` at the root of the repository, in a folder named by the training's fingerprint. A
checkpoint is one file: a SHA-256, then what `torch.save` writes. Reading it runs no code.
"""

import hashlib
import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.devices import Precision, pick_device
from chromascape.disk import bytes_of
from chromascape.files import atomic_write, sha256_of_file
from chromascape.learning.choosing import code_of
from chromascape.learning.learner import Learner, Progress, load_state, state_of
from chromascape.learning.pretrained import weights_file
from chromascape.learning.ranks import threads_of_one
from chromascape.params import Train
from chromascape.resume import code, digest, folder_of, kept_folders, open_folder, short, tell, tell_unwritten

KEPT = 2  # the last one, and the one before in case the last is damaged
SUFFIX = ".checkpoint"


class Checkpoints:
    """The checkpoints of one training, in a folder of their own.

    Attributes:
        at: finished steps and all steps at the last checkpoint that was written or read; None before the first.
    """

    def __init__(self, folder: Path, seconds: float):
        self.folder, self.seconds = folder, seconds
        self.at: tuple[int, int] | None = None
        self._written = time.monotonic()
        self._warned = False

    def due(self) -> bool:
        """Whether the last checkpoint is older than `train.checkpoint_seconds`."""
        return time.monotonic() - self._written >= self.seconds

    def save(self, learner: Learner, progress: Progress) -> None:
        """Write a checkpoint. A full or read-only disk costs checkpoints, with one warning, and no training."""
        buffer = io.BytesIO()
        torch.save(state_of(learner, progress), buffer)
        try:
            with atomic_write(self.folder / f"{progress.done:010}{SUFFIX}") as temporary:
                temporary.write_bytes(hashlib.sha256(buffer.getbuffer()).digest() + buffer.getbuffer())
            self.at = progress.done, progress.total
            for older in sorted(self.folder.glob(f"*{SUFFIX}"))[:-KEPT]:
                older.unlink()
        except OSError as error:
            if not self._warned:
                tell_unwritten("training", error)
            self._warned = True
        self._written = time.monotonic()

    def restore(self, learner: Learner, progress: Progress) -> bool:
        """Bring learner and progress to the last undamaged checkpoint; False if there is none.

        A damaged one is reported in one line and never used.
        """
        for file in sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True):
            try:
                state = _read(file)
            except (OSError, ValueError) as error:
                tell(f"warning: {file}: damaged ({short(error)}): training resumes from the one before, or starts over")
                continue
            load_state(learner, progress, state)
            self.at = progress.done, progress.total
            tell(f"training resumes at step {progress.done} of {progress.total}")
            return True
        return False


@contextmanager
def open_checkpoints(params: Train, identity: str, root: Path) -> Iterator[Checkpoints | None]:
    """The checkpoints of the training with this fingerprint; they are removed when the block ends without an error.

    None, with a warning, if another process uses them or the folder can't be made.

    Raises:
        KeyboardInterrupt: again, with a text that says how to resume.
    """
    with open_folder(root, "train", identity) as folder:
        if folder is None:
            yield None
            return
        checkpoints = Checkpoints(folder, params.checkpoint_seconds)
        try:
            yield checkpoints
        except KeyboardInterrupt:
            if checkpoints.at:
                done, total = checkpoints.at
                raise KeyboardInterrupt(f"`dvc repro` resumes at step {done} of {total}") from None
            raise


def needed_bytes(params: Train, root: Path) -> int:
    """Bytes that checkpoints will take beyond those in `.checkpoints/`: those that are kept, and one being written.

    Each holds the weights, those of the best epoch, two moments of Adam, and with `ema` the moving average.
    """
    with torch.device("meta"):  # shapes without numbers
        weights = build_network(params.network).state_dict().values()
    need = (KEPT + 1) * (4 + bool(params.ema)) * sum(value.nbytes for value in weights)
    # A training that resumes has some.
    return max(0, need - sum(bytes_of(folder, "*") for folder in kept_folders(root, "train")))


def begun(root: Path, identity: str) -> bool:
    """Whether the training with this fingerprint has checkpoints, from which it would resume."""
    return any(folder_of(root, "train", identity).glob(f"*{SUFFIX}"))


def fingerprint(params: Train, lab: Path, precision: Precision) -> str:
    """16 hex digits that stand for all that decides a training: params, data, code, weights, versions and device.

    Two trainings with the same fingerprint give the same weights, but for the rounding of sums where the number of
    processes differs. It is known also where there are no checkpoints.

    Args:
        precision: that `params.precision` is here.
    Raises:
        ChromascapeError: the device is unavailable.
    """
    device = pick_device(params.device, "train.device")
    name = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    lite: Any = getattr(NETWORKS[params.network], "lite", None)  # the number of an EfficientNet-Lite
    parts = {
        "params": params.model_dump(mode="json", exclude={"checkpoint_seconds", "devices"}),
        "data": sha256_of_file(lab / "index.json"),
        "code": code(Path(__file__).with_name("training.py")),
        "metrics": code_of(params.choose_by),
        "shipped": sha256_of_file(SHIPPED / "weights.safetensors") if params.uses_shipped else "",
        "imagenet": sha256_of_file(weights_file(lite)) if params.init == "imagenet" else "",
        "versions": [torch.__version__, np.__version__],
        "device": [device, name, precision, threads_of_one() if device == "cpu" else 0],
    }
    return digest(parts)[:16]


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM to the end of the block: half-updated weights make no checkpoint."""
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


def _read(file: Path) -> dict[str, Any]:
    """The state in a checkpoint, its tensors on the CPU.

    Raises:
        OSError, ValueError: the file can't be read, or is damaged.
    """
    data = memoryview(file.read_bytes())
    size = hashlib.sha256().digest_size
    if hashlib.sha256(data[size:]).digest() != data[:size]:
        raise ValueError("its checksum is not the recorded one")
    return cast(dict[str, Any], torch.load(io.BytesIO(data[size:]), map_location="cpu", weights_only=True))
