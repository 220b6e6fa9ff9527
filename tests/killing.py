"""How far a training has come, and how to kill it together with all that runs it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def steps_kept(folder: Path) -> int:
    """The step of the last whole checkpoint of the training in a repository; 0 if there is none."""
    return max((int(file.stem) for file in folder.glob(".checkpoints/train-*/[0-9]*.checkpoint")), default=0)


def kill_training(folder: Path, share: float, total: int) -> int:
    """Kill all processes of the training's group when this share of it is done; returns the step that is kept.

    The training is the one that DVC runs for this repository, in the repository or in a temporary copy.
    """
    limit = time.monotonic() + 120
    while steps_kept(folder) < share * total:
        assert time.monotonic() < limit
        time.sleep(0.005)
    group = _group_of_training(folder)
    assert group != os.getpgrp()
    os.killpg(group, signal.SIGKILL)
    time.sleep(0.05)
    return steps_kept(folder)


def _group_of_training(folder: Path) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if b"stages/train.py" in command and f"DVC_ROOT={folder}".encode() in (entry / "environ").read_bytes():
                return os.getpgid(int(entry.name))
    raise AssertionError("no training runs")
