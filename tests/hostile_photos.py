"""Readers of photos for the workers of a cluster, some of which hang or die. What they import costs no photo's time."""

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

from chromascape.photos import inspection

READ = inspection.inspect


def hostile_inspect(photos: Any, name: str, limits: Any, known: None, entry: Any) -> dict[str, Any]:
    """A reader that hangs in C at one name, and takes its process with it at another; the others take a while."""
    if name.startswith("hang"):
        sum(itertools.repeat(0))
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(0.1)
    return READ(photos, name, limits)


def slowly(number: int, folder: Path) -> int:
    """Twice the number, after a while; a file says that it has begun."""
    (folder / f"begun-{number}").touch()
    time.sleep(0.5)
    return 2 * number
