"""A Python that has the third-party packages imported: what starts from it starts at once, in a process of its own.

Most of the seconds of a stage on small photos, or of a call of DVC, are imports. Nothing of the project itself is
imported ahead: each process has it from its own folder, as if it had been started by the shell.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

# For each line, a request, forks a process with a group of its own; answers with its number, and then how it ended.
SERVER = '''
import atexit, gc, json, os, resource, runpy, sys, threading
import great_expectations, imagehash, joblib, matplotlib.pyplot, mlflow.pyfunc, pandas, pydantic, safetensors.torch
import scipy.stats, skimage.color, skimage.metrics, torch, yaml
import dvc.api, dvc.cli.parser, dvc.repo.experiments.queue.workspace

def redirect(number, name, flags):
    file = os.open(name, flags, 0o644)
    os.dup2(file, number)
    os.close(file)

def run(first, *rest):
    """Ends as Python does but for freeing all that was imported, which takes seconds."""
    code = 0
    try:
        if first == "-m":
            sys.argv, sys.path[0] = [*rest], os.getcwd()
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = [first, *rest], os.path.dirname(os.path.abspath(first))
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

gc.freeze()
for line in sys.stdin:
    request = json.loads(line)
    process = os.fork()
    if not process:
        os.setpgid(0, 0)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        if request["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
        redirect(0, os.devnull, os.O_RDONLY)
        redirect(1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        redirect(2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sys.stdin = open(0)
        if any(name.startswith("COVERAGE_") for name in os.environ):
            import coverage
            coverage.process_startup()
        run(*request["arguments"])
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
'''


class WarmPython:
    """One process after the other; `started` to its end is one at a time."""

    def __init__(self) -> None:
        # Whether it is measured for coverage is for each process to say, by its own environment.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], env=environment | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip

    def start(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: Path, stderr: Path, limit: int = 0
    ) -> int:
        """Start what follows `python` on a command line; returns the number of its process, and of its group.

        `limit` is the size of the largest file that it can write, in bytes; 0 for none.
        """
        request: dict[str, Any] = {"arguments": [*arguments], "cwd": str(cwd), "env": {**env}, "limit": limit}
        request |= {"stdout": str(stdout), "stderr": str(stderr)}
        assert self.process.stdin
        self.process.stdin.write(f"{json.dumps(request)}\n".encode())
        return int(self._line())

    def ended(self, seconds: float) -> bool:
        """Whether the process ended within this time."""
        assert self.process.stdout
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def status(self) -> int:
        """How the process ended: 0, or the signal, or 256 times the exit code."""
        return int(self._line())

    def _line(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline()

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@cache
def shared() -> WarmPython:
    """The one of this test process."""
    return WarmPython()


def _limit_files(limit: int) -> None:
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def run_python(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, merged: bool = False, limit: int = 0
) -> "subprocess.CompletedProcess[str]":
    """`subprocess.run([sys.executable, *arguments], ...)` with what it said as text; quicker where fork is safe.

    `merged`: stderr is in stdout too. `limit`: bytes of the largest file that it can write; 0: any.
    """
    environment = os.environ if env is None else env
    command = [sys.executable, *arguments]
    if sys.platform != "linux":
        errors = subprocess.STDOUT if merged else subprocess.PIPE
        return subprocess.run(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, check=False,
            preexec_fn=partial(_limit_files, limit) if limit else None,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        group = shared().start(arguments, cwd, environment, out, out if merged else err, limit)
        try:
            status = shared().status()
        except BaseException:
            os.killpg(group, signal.SIGKILL)
            shared().status()
            raise
        said = [file.read_text(encoding="utf-8") if file.exists() else "" for file in (out, err)]
    return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), *said)
