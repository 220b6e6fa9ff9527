"""Tasks for worker processes, some of which hang or die: apart from the tests, whose imports would take seconds."""

import itertools
import os
import signal
from pathlib import Path
from typing import Any


def double(number: int) -> int:
    return 2 * number


def hostile(number: int, folder: Path) -> int:
    """Twice the number; 3 hangs in C, where no signal's handler is run; 5 dies; 8 dies the first time."""
    if number == 3:
        sum(itertools.repeat(0))
    once = folder / "died"
    if number == 5 or (number == 8 and not once.exists()):
        once.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 6:
        raise TimeoutError("a slow disk")
    return 2 * number


def hostile_inspect(folder: Path, name: str, limits: Any, *_: object) -> dict[str, Any]:
    """A reader that hangs in C at one name, and takes its process with it at another."""
    from chromascape.photos import inspection

    if name.startswith("hang"):
        sum(itertools.repeat(0))
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return inspection.inspect(folder, name, limits)
