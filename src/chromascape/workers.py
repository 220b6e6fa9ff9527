"""The only place that starts worker processes. A worker that hangs is ended, one that dies costs no more than its task.

What a worker reads was made by others, and decoders are written in C: they may hang where no exception reaches, or
take the process with them.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from joblib.externals.loky.backend import get_context  # its workers import what they need, not the script that runs
from pebble import ProcessExpired, ProcessPool

from chromascape.parallel import cores

AHEAD = 8  # tasks a worker that are handed out before the oldest is done

Arguments = tuple[Any, ...]


def count_workers(jobs: int, total: int) -> int:
    """How many workers `jobs` means (0: one a core) for so many tasks."""
    return min(jobs or cores(), max(total, 1))


@dataclass(frozen=True)
class Lost:
    """What became of a task that has no result."""

    reason: str
    detail: str


@dataclass(frozen=True)
class _Raised:
    """What a task raised. A worker returns it, so that whatever is raised here comes from the pool itself."""

    error: Exception


_CRASHED = Lost("crashed", "crashed the reader")


def from_workers(
    function: Callable[..., Any], arguments: Iterable[Arguments], workers: int, seconds: float | None
) -> Iterator[tuple[Arguments, Any]]:
    """Each task's arguments with its result or `Lost`, in order. See `parallel.in_parallel`."""
    waiting: deque[tuple[Arguments, Future[Any] | None]] = deque()
    tasks = iter(arguments)
    pool = _new_pool(workers)
    try:
        while True:
            while len(waiting) < AHEAD * workers and (values := next(tasks, None)) is not None:
                waiting.append((values, _hand_out(pool, function, values, seconds)))
            if not waiting:
                return
            values, future = waiting.popleft()
            result = _outcome(pool, future, seconds)
            if result is _CRASHED:
                if not pool.active:  # all that was handed out went with the pool
                    _end(pool)
                    pool = _new_pool(workers)
                    waiting = deque((old, _hand_out(pool, function, old, seconds)) for old, _ in waiting)
                result = _outcome(pool, _hand_out(pool, function, values, seconds), seconds)
            yield values, result
    finally:
        _end(pool)


def _hand_out(
    pool: ProcessPool, function: Callable[..., Any], values: Arguments, seconds: float | None
) -> "Future[Any] | None":
    """The result to come, or None where the pool can't go on, because an idle worker died."""
    try:
        return pool.schedule(_caught, (function, values), timeout=seconds)
    except RuntimeError:
        return None


def _caught(function: Callable[..., Any], values: Arguments) -> Any:
    """The task as a worker does it."""
    try:
        return function(*values)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return _Raised(error)


def _outcome(pool: ProcessPool, future: "Future[Any] | None", seconds: float | None) -> Any:
    """The result of a task once it is there, or `Lost`; what the function raised is raised again."""
    # A pool that can't go on says so of the tasks that it had begun with alone.
    while future and not wait([future], timeout=1.0).done and pool.active:
        pass
    try:
        result = future.result(timeout=0) if future and future.done() else _CRASHED
    except TimeoutError:
        return Lost("too_slow", f"takes longer than {seconds:g} seconds to read")
    except (ProcessExpired, BrokenProcessPool):  # a worker died at this task; the pool can't go on
        return _CRASHED
    if isinstance(result, _Raised):
        raise result.error
    return result


def _new_pool(workers: int) -> ProcessPool:
    return ProcessPool(workers, context=get_context("loky"))


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()
