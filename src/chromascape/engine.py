"""Who works on the photos of a stage: processes of this machine, or the workers of a Dask cluster.

A cluster's worker gets chunks of tasks, and works on each in processes of its own, as one machine does, so that time
limits, decoders that crash and bounded memory hold there too. `parallel.in_parallel` hands both the same tasks.
"""

import hashlib
import logging
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromascape import __version__
from chromascape.errors import ChromascapeError, how_to_install
from chromascape.parallel import Jobs, cores
from chromascape.params import Engine
from chromascape.resume import tell

if TYPE_CHECKING:
    from chromascape.workers import Arguments, Workers

KEY = "engine.scheduler"
CONNECTING = 10.0  # seconds until a scheduler has answered
PATIENCE = 60.0  # seconds that a cluster may be without workers
AHEAD = 2  # chunks for each thread of the cluster that are scheduled before the oldest is done
LOOKING = 2.0  # seconds between looks at a cluster that is waited for
DECIDING = ("numpy", "pillow", "pillow-heif", "imagehash", "scipy", "scikit-image", "torch")  # packages


@contextmanager
def opened(engine: Engine, jobs: int) -> Iterator[Jobs]:
    """What `in_parallel` takes as its `jobs`: their number, or the cluster that the params name.

    Raises:
        ChromascapeError: Dask is not installed, the scheduler can't be reached, or it has no workers.
    """
    if engine.name == "local":
        yield jobs
        return
    with connected(engine, jobs) as cluster:
        yield cluster


@contextmanager
def connected(engine: Engine, jobs: int) -> Iterator["Cluster"]:
    """The cluster that the params name, once it has workers; raises as `opened`."""
    cluster = Cluster(engine, jobs)
    try:
        cluster.await_workers()
        yield cluster
    finally:
        cluster.close()


class Cluster:
    """A connection to a Dask scheduler. `jobs` is the number of processes that each of its workers starts."""

    def __init__(self, engine: Engine, jobs: int):
        """Raises ChromascapeError if Dask is not installed or the scheduler does not answer."""
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            install = how_to_install("dask")
            raise ChromascapeError(f"engine.name: dask needs the package {error.name}: {install}") from None
        self.jobs, self.address, self._chunk = jobs, engine.scheduler, engine.chunk
        self._described = description()
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says is said here, in one line
        try:
            self._client = Client(self.address, timeout=CONNECTING)
        except (OSError, ValueError, RuntimeError, TypeError) as error:  # TypeError: tls:// without certificates
            said = " ".join(str(error).split())[:200]
            remedy = "start `dask scheduler` there, or set engine.name: local"
            raise ChromascapeError(f"{KEY}: {self.address} does not answer ({said}): {remedy}") from None

    def results(
        self,
        function: Callable[..., Any],
        arguments: "Iterable[Arguments]",
        total: int,
        title: str,
        seconds: float | None,
        check: partial[Any] | None,
    ) -> "Generator[tuple[Arguments, Any], None, None]":
        """Yield each task's arguments with its result or `workers.Lost`, in order. See `parallel.in_parallel`.

        A chunk whose worker is lost is done by another worker.
        """
        waiting: deque[tuple[list[Arguments], Any]] = deque()
        tasks = iter(arguments)
        check = check and partial(check.func, *absolute(check.args))
        size = max(1, min(self._chunk, -(-total // max(1, self._threads()))))  # few photos are for all workers too
        try:
            while True:
                while len(waiting) < AHEAD * max(1, self._threads()) and (values := list(islice(tasks, size))):
                    chunk = Chunk(
                        function, [absolute(each) for each in values], self.jobs, seconds, check, self._described
                    )
                    waiting.append((values, self._client.submit(chunk.run, pure=False)))
                if not waiting:
                    return
                found = self._outcome(waiting[0][1], title)
                values = waiting.popleft()[0]  # and no name keeps the future, whose result is freed
                yield from zip(values, found, strict=True)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self._client.cancel([future for _, future in waiting])

    def await_workers(self) -> None:
        """Return once there are workers; raises ChromascapeError after `PATIENCE` seconds without any."""
        patient_until = time.monotonic() + PATIENCE
        told = False
        while not self._threads():
            if time.monotonic() > patient_until:
                raise ChromascapeError(
                    f"{KEY}: {self.address} has no workers: start some with `dask worker {self.address}` and run this "
                    "again; docs/scale.md has the options that they need"
                )
            if not told:
                tell(f"engine: {self.address} has no workers: waiting {PATIENCE:g} seconds for some")
            told = True
            time.sleep(0.2)

    def refusals(self) -> dict[str, str]:
        """By the address of each worker why it can't do this machine's work, in a line that is empty if it can."""
        try:
            return self._client.run(refusal, self._described)  # type: ignore[no-any-return]
        except Exception as error:
            raise ChromascapeError(_unable(self.address, error)) from None

    def close(self) -> None:
        """End the workers' processes, unless others use them, and the connection."""
        with suppress(Exception):
            self._client.run(release)
        with suppress(Exception):
            self._client.close(timeout=2)

    def _threads(self) -> int:
        """Threads of all workers, 0 if there are none; raises ChromascapeError if the scheduler is gone."""
        try:
            if self._client.status == "running":
                return sum(self._client.nthreads().values())
        except Exception:  # of several classes, as its parts end one after the other
            pass
        remedy = "start the scheduler and its workers, then run this again"
        raise ChromascapeError(f"{KEY}: lost the connection to {self.address}: {remedy}")

    def _outcome(self, future: Any, title: str) -> list[Any]:
        """The results of a chunk; raises what a task of it raised, or ChromascapeError."""
        from distributed import KilledWorker, wait

        try:
            while future.status in ("pending", "lost"):
                with suppress(TimeoutError):
                    wait([future], timeout=LOOKING)
                self.await_workers()
            found = future.result()
        except (ChromascapeError, KeyboardInterrupt):
            raise
        except KilledWorker:
            remedy = f"see their logs; if memory is short, lower jobs ({self.jobs})"
            raise ChromascapeError(f"{title}: each worker that got one chunk of photos died: {remedy}") from None
        except BaseException as error:  # asyncio's CancelledError is no Exception
            self.await_workers()
            raise ChromascapeError(f"{title}: {_unable(self.address, error)}") from None
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Chunk:
    """Tasks that one worker of a cluster does, in processes of its own.

    `function`, `seconds` and `check` are as of `in_parallel`, `described` is the `description` of who sends it.
    """

    function: Callable[..., Any]
    tasks: "list[Arguments]"
    jobs: int
    seconds: float | None
    check: partial[Any] | None
    described: dict[str, str]

    def run(self) -> list[Any] | Exception:
        """Runs in a worker: the results, each a value or `Lost`; or what a task raised.

        So an exception of the future is the cluster's own.
        """
        try:
            if refused := refusal(self.described):
                raise ChromascapeError(refused)
            if self.check:
                self.check()
            with _CHUNK:
                workers = _workers(self.jobs or cores(), self.described["code"])
                return [result for _, result in workers.results(self.function, self.tasks, self.seconds)]
        except ChromascapeError as error:
            return ChromascapeError(f"{_name()}: {error}")
        except Exception as error:
            return error


# Of a worker: who has the lock has its processes. They stay, as starting them takes as long as a chunk.
_CHUNK = threading.Lock()
_started: "tuple[str, Workers] | None" = None


def _workers(count: int, code: str) -> "Workers":
    """This worker's processes, new ones where their number or the code has changed."""
    from chromascape.workers import Workers  # here, as below: only workers need its packages

    global _started
    if _started is None or (_started[0], _started[1].count) != (code, count):
        _stop()
        _started = code, Workers(count)
    return _started[1]


def _stop() -> None:
    global _started
    if _started:
        _started[1].close()
    _started = None


def release() -> None:
    """Runs in a worker: end its processes, after the chunk that they are at."""
    threading.Thread(target=_release, daemon=True).start()


def _release() -> None:
    with _CHUNK:
        _stop()


def refusal(described: dict[str, str]) -> str:
    """Runs in a worker: why it can't do the work of a machine of this `description`, in a line; empty if it can."""
    from chromascape.workers import may_start

    if not may_start():
        return (
            "may not start processes: start it with `dask worker --no-nanny`, or with "
            "DASK_DISTRIBUTED__WORKER__DAEMON=False in its environment"
        )
    here = description()
    differing = [f"{name} {here[name]}, not {value}" for name, value in described.items() if here[name] != value]
    return f"has {', '.join(differing)}: install the same there, or results may differ" if differing else ""


def description() -> dict[str, str]:
    """The versions of all that decides results on this machine, and the checksum of Chromascape's code, by name."""
    found = {"Python": f"{sys.version_info.major}.{sys.version_info.minor}", "chromascape": __version__}
    for package in DECIDING:
        try:
            found[package] = version(package).partition("+")[0]  # torch's has +cpu or +cu130
        except PackageNotFoundError:
            found[package] = "none"
    return found | {"code": _code()}


def _code() -> str:
    """Checksum of the package's modules, 12 hex digits; also of the configuration of its weights."""
    folder = Path(__file__).parent
    files = sorted([*folder.rglob("*.py"), *folder.rglob("*.json")])
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:12]


def absolute(values: "Arguments") -> "Arguments":
    """The values with absolute paths and sources: a cluster's workers have other current folders."""
    return tuple(value.absolute() if hasattr(value, "absolute") else value for value in values)


def _unable(address: str, error: BaseException) -> str:
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    remedy = "install this Chromascape there with the same packages, and start it again"
    return f"a worker of {address} can't work ({said}): {remedy}"


def _name() -> str:
    """This worker, for people."""
    from distributed import get_worker

    return f"worker {get_worker().address} on {socket.gethostname()}"
