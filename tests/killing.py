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
    """Kill a training and what runs it when this share of it is done; returns the step that is kept.

    The training is the one that DVC runs for this repository, in the repository or in a temporary copy.
    """
    limit = time.monotonic() + 120
    while steps_kept(folder) < share * total:
        assert time.monotonic() < limit
        time.sleep(0.005)
    for group in _groups_of_training(folder):
        assert group != os.getpgrp()
        os.killpg(group, signal.SIGKILL)
    time.sleep(0.05)
    return steps_kept(folder)


def _groups_of_training(folder: Path) -> list[int]:
    """That of DVC, which has started `python`, and that of the process which does its work (warm.py)."""
    starters, workers = set(), set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if b"stages/train.py" in command and f"DVC_ROOT={folder}".encode() in (entry / "environ").read_bytes():
                starters.add(os.getpgid(int(entry.name)))
            opened = [str(file.readlink()) for file in (entry / "fd").iterdir()]
            if any(name.startswith(f"{folder}/.checkpoints/train-") for name in opened):
                workers.add(os.getpgid(int(entry.name)))
    assert len(starters) == len(workers) == 1, "no training runs"
    return [*starters, *workers]
