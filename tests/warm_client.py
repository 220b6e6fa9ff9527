"""Asks a warm Python (warm.py) to run something. It imports little: it starts in the place of `python` itself."""

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

MODULES = {"dvc": "dvc", "chromascape": "chromascape.cli"}


class Job:
    """A process that the server has started; `group` is its number, and that of its process group."""

    def __init__(
        self,
        server: str,
        arguments: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        files: Sequence[int],
        limit: int = 0,
    ):
        """Start what follows `python` on a command line.

        `files`: descriptors of its stdin, stdout and stderr. `limit`: bytes of the largest file that it writes; 0: any.
        """
        request: dict[str, Any] = {"arguments": [*arguments], "cwd": str(cwd), "env": {**env}, "limit": limit}
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(server)
        socket.send_fds(self.connection, [b" "], files)
        self.connection.sendall(f"{json.dumps(request)}\n".encode())
        self.answers = self.connection.makefile("rb", buffering=0)
        self.group = int(self.answers.readline())

    def ended(self, seconds: float) -> bool:
        """Whether the process ended within this time."""
        return bool(select.select([self.connection], [], [], seconds)[0])

    def status(self) -> int:
        """Wait for its end, and say how it ended: 0, or the signal, or 256 times the exit code."""
        status = int(self.answers.readline())
        self.answers.close()
        self.connection.close()
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send its whole group a signal."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, number)


def main(server: str, python: str, name: str, *arguments: str) -> None:
    """Do what a program of the environment does: `name` is `python` or a command that is a module of it."""
    if name == "python" and arguments[:1] == ("-u",):  # as torchrun does; a job's output is a file or a pipe
        arguments = arguments[1:]
    if name == "python" and not (arguments and (arguments[0] == "-m" or arguments[0].endswith(".py"))):
        os.execv(python, [python, *arguments])
    call = arguments if name == "python" else ("-m", MODULES[name], *arguments)
    job = Job(server, call, Path.cwd(), os.environ, [0, 1, 2])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: job.kill(number))
    code = os.waitstatus_to_exitcode(job.status())
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
