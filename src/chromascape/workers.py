"""The only place that starts worker processes. A worker that hangs is killed, and one that dies loses only its task.

Workers read files from anywhere with decoders written in C, which may hang where no exception reaches them, or crash.
"""

import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import current_process
from typing import Any

from joblib.externals.loky.backend import get_context  # its workers do not import the running script
from pebble import ProcessExpired, ProcessPool

QUEUED = 8  # tasks per worker that are scheduled before the oldest is done

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Lost:
    """Why a task has no result."""

    reason: str
    detail: str


@dataclass(frozen=True)
class _Raised:
    """An exception of a task. Workers return it, so that exceptions raised by futures are the pool's own."""

    error: Exception


_CRASHED = Lost("crashed", "crashed the reader")


def may_start() -> bool:
    """Whether this process may start others: Python forbids it to daemonic ones."""
    return not current_process().daemon


class Workers:
    """Worker processes, which start with the first task and stay until `stop`, for the tasks of several calls.

    A pool that has failed is replaced.
    """

    def __init__(self, count: int):
        """`count` processes at most."""
        self.count = count
        self._pool: ProcessPool | None = None

    def results(
        self, function: Callable[..., Any], arguments: Iterable[Arguments], seconds: float | None
    ) -> Generator[tuple[Arguments, Any], None, None]:
        """Yield each task's arguments with its result or `Lost`, in order. See `parallel.in_parallel`."""
        waiting: deque[tuple[Arguments, Future[Any] | None]] = deque()
        tasks = iter(arguments)
        pool = self._started()
        try:
            while True:
                while len(waiting) < QUEUED * self.count and (values := next(tasks, None)) is not None:
                    waiting.append((values, _schedule(pool, function, values, seconds)))
                if not waiting:
                    return
                values, future = waiting.popleft()
                result = _outcome(pool, future, seconds)
                if result is _CRASHED:
                    if not pool.active:  # all scheduled tasks are lost with the pool
                        pool = self._started()
                        waiting = deque((old, _schedule(pool, function, old, seconds)) for old, _ in waiting)
                    result = _outcome(pool, _schedule(pool, function, values, seconds), seconds)
                yield values, result
        except BaseException:  # GeneratorExit among them: what is scheduled is of no use any more
            self.close()
            raise

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._pool:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _started(self) -> ProcessPool:
        """The pool, if it works; else a new one."""
        if self._pool and not self._pool.active:
            self.close()
        self._pool = self._pool or _new_pool(self.count)
        return self._pool


def _schedule(
    pool: ProcessPool, function: Callable[..., Any], values: Arguments, seconds: float | None
) -> "Future[Any] | None":
    """The future result, or None if the pool has failed because an idle worker died."""
    try:
        return pool.schedule(_call, (function, values), timeout=seconds)
    except RuntimeError:
        return None


def _call(function: Callable[..., Any], values: Arguments) -> Any:
    """Run a task in a worker."""
    try:
        return function(*values)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return _Raised(error)


def _outcome(pool: ProcessPool, future: "Future[Any] | None", seconds: float | None) -> Any:
    """Wait for the result of a task, or `Lost`; an exception of the function is raised again."""
    # A pool that has failed sets an exception only on tasks that it had started.
    while future and not wait([future], timeout=1.0).done and pool.active:
        pass
    try:
        result = future.result(timeout=0) if future and future.done() else _CRASHED
    except TimeoutError:
        return Lost("too_slow", f"takes longer than {seconds:g} seconds to read")
    except (ProcessExpired, BrokenProcessPool):  # a worker died at this task, or the pool failed
        return _CRASHED
    if isinstance(result, _Raised):
        raise result.error
    return result


def _new_pool(workers: int) -> ProcessPool:
    return ProcessPool(workers, context=get_context("loky"))
