"""The process that warm.py starts: with everything imported, it forks one for each request.

Its arguments: the number of a socket that it listens at, and the packages. It ends with its stdin.
"""

import atexit
import copy
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.resolver import implicit_resolvers


def run(first: str, *rest: str) -> NoReturn:
    """Ends as Python does but for freeing all that was imported, which takes seconds."""
    code = 0
    try:
        if first == "-m":
            sys.argv, sys.path[0] = [*rest], str(Path.cwd())
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = [first, *rest], str(Path(first).resolve().parent)
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


def work(request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the process that is asked for."""
    os.setpgid(0, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if request["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0)  # noqa: SIM115
    # DVC is not ours, and takes twice as long where it is measured; what it starts is.
    if request["arguments"][:2] != ["-m", "dvc"] and any(name.startswith("COVERAGE_") for name in os.environ):
        import coverage

        coverage.process_startup()
    run(*request["arguments"])


def keep(connection: socket.socket) -> NoReturn:
    """Start what is asked for; answer with its number, and then how it ended."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    line = connection.makefile("rb").readline()
    process = os.fork()
    if not process:
        connection.close()
        work(json.loads(line), files)
    connection.sendall(f"{process}\n".encode())
    ended = os.waitpid(process, 0)[1]
    with suppress(BrokenPipeError):  # who asked was killed
        connection.sendall(f"{ended}\n".encode())
    os._exit(0)


class Quick(yaml.CSafeLoader):
    """YAML 1.2 as ruamel.yaml reads it, by a parser in C; what has a key twice is left to ruamel.yaml."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise yaml.YAMLError
        return found


for versions, tag, pattern, first in implicit_resolvers:
    if (1, 2) in versions:
        Quick.add_implicit_resolver(tag, pattern, first)


def remembered(load: Callable[..., Any]) -> Callable[..., Any]:
    """ruamel.yaml's `YAML.load`, which reads a text of plain values once, and in C: `dvc exp run` parses dvc.yaml,
    dvc.lock and params.yaml some sixty times, in pure Python, which is half of its time.
    """
    known: dict[str, Any] = {}

    def loaded(self: Any, stream: Any) -> Any:
        if self.typ != ["safe"] or not isinstance(stream, str):
            return load(self, stream)
        if stream not in known:
            try:
                known[stream] = yaml.load(stream, Quick)
            except (yaml.YAMLError, ValueError):  # for the words of ruamel.yaml
                known[stream] = load(self, stream)
        return copy.deepcopy(known[stream])

    return loaded


def serve(listening: socket.socket) -> None:
    """Each request has a process that waits for the one which was asked for: many can run at once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those
    while True:
        ready, _, _ = select.select([listening, 0], [], [])
        if 0 in ready:
            return
        connection, _ = listening.accept()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            keep(connection)
        connection.close()


if __name__ == "__main__":
    gc.disable()  # a fifth of the time of imports
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.enable()
    for name in [name for name in sys.modules if name.partition(".")[0] == "chromascape"]:
        del sys.modules[name]  # MLflow imports its plugin; a stage has it from its own folder
    YAML.load = remembered(YAML.load)
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
