"""A Python that has the third-party packages imported: what starts from it starts at once, in a process of its own.

Most of the seconds of a stage on small photos, or of a call of DVC, are imports. Nothing of the project itself is
imported ahead: each process has it from its own folder, as if it had been started by the shell. But torch has one
thread in all of them, whatever OMP_NUM_THREADS says: it looks at that when it is imported.
"""

import gc
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

from warm_client import MODULES, Job

HERE = Path(__file__).parent
# What DVC, a stage or the command import sooner or later, the first optimizer and MLflow's store among them.
PACKAGES = [
    "alembic.command", "dvc.api", "dvc.cli.parser", "dvc.repo.experiments.queue.workspace", "filelock", "git",
    "great_expectations.render.renderer.site_builder", "imagehash", "joblib", "matplotlib.pyplot", "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.tracing.processor.otel", "pandas", "pebble", "PIL.Image", "pydantic", "safetensors.torch", "scipy.stats",
    "skimage.color", "skimage.metrics._structural_similarity", "torch._dynamo", "torch.onnx", "yaml",
]  # fmt: skip
# What DVC imports besides, once it runs an experiment or a queue.
DVC_PACKAGES = [
    "celery.app.base", "dulwich.porcelain", "dvc.data_cloud", "dvc.repo.artifacts", "dvc.repo.experiments.queue.celery",
    "dvc.repo.experiments.queue.tasks", "dvc.repo.index", "dvc.repo.plots", "dvc.utils.hydra", "dvc_render.html",
    "dvc_task.proc.manager", "hydra._internal.config_loader_impl", "hydra.core.override_parser.overrides_parser",
    "fsspec.implementations.memory", "kombu.transport.filesystem", "networkx", "scmrepo.git.backend.pygit2",
]  # fmt: skip
# Torch looks at these when it is imported; the second is what `train.devices` gives to its processes.
FOR_TORCH = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
TOOLS = Path(sys.executable).parent
SHARED = "CHROMASCAPE_WARM_PYTHON"  # the variable by which the processes that run tests share one


def import_all(import_one: Callable[[str], object]) -> None:
    """Import `PACKAGES`. Without looking for garbage, now or ever in them: that takes a fifth of the time."""
    gc.disable()
    for package in PACKAGES:
        import_one(package)
    gc.freeze()
    gc.enable()


def unmeasured(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process in which nothing is measured for coverage, which takes half of the time."""
    return {name: value for name, value in (given or os.environ).items() if not name.startswith("COVERAGE_")}


class WarmPython:
    """The server, warm_server.py, as long as this process lives, or the one that another process has started."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.address = os.environ.get(SHARED) or f"{self.folder.name}/socket"
        if SHARED in os.environ:
            return
        # Whether it is measured for coverage is for each process to say, by its own environment.
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self.address)
            listening.listen()
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "warm_server.py"), str(listening.fileno()), *PACKAGES, *DVC_PACKAGES],
                env=unmeasured() | FOR_TORCH, stdin=subprocess.PIPE, pass_fds=[listening.fileno()],
            )  # fmt: skip

    def start(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: Path, stderr: Path, limit: int = 0
    ) -> Job:
        """Start what follows `python` on a command line; what it says is added to files.

        `limit` is the size of the largest file that it can write, in bytes; 0 for none.
        """
        with ExitStack() as stack:
            opened = [(Path(os.devnull), "rb"), (stdout, "ab"), (stderr, "ab")]
            files = [stack.enter_context(file.open(mode)) for file, mode in opened]
            return Job(self.address, arguments, cwd, env, [file.fileno() for file in files], limit)

    @cache  # noqa: B019  (there is one)
    def tools(self) -> Path:
        """A folder of programs that are named as those of the environment, and start here."""
        for name in ("python", *MODULES):
            program = Path(self.folder.name) / "bin" / name
            program.parent.mkdir(exist_ok=True)
            # As a script of a shell: '#!' takes no path with spaces.
            call = [sys.executable, "-I", "-S", str(HERE / "warm_client.py"), self.address, sys.executable, name]
            program.write_text(f'#!/bin/sh\nexec {shlex.join(call)} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        return program.parent


@cache
def shared() -> WarmPython:
    """The one of this test process."""
    return WarmPython()


def cold_path() -> str:
    """A PATH whose `python`, `dvc` and `chromascape` are this environment's."""
    return f"{TOOLS}{os.pathsep}{os.environ['PATH']}"


def warm_path() -> str:
    """The same, quicker where fork is safe."""
    return f"{shared().tools()}{os.pathsep}{cold_path()}" if sys.platform == "linux" else cold_path()


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
        job = shared().start(arguments, cwd, environment, out, out if merged else err, limit)
        try:
            status = job.status()
        except BaseException:
            job.kill()
            raise
        said = [file.read_text(encoding="utf-8") if file.exists() else "" for file in (out, err)]
    return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), *said)
