"""The only place that starts worker processes. A worker that hangs is ended, one that dies costs no more than its task.

What a worker reads was made by others, and decoders are written in C: they may hang where no exception reaches, or
take the process with them.
"""

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import joblib
from joblib.externals.loky.backend import get_context  # its workers import what they need, not the script that runs
from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from chromascape.errors import ChromascapeError

SECONDS = 30.0  # between signs of life where there is no terminal
AHEAD = 8  # tasks a worker that are handed out before the oldest is done

Arguments = tuple[Any, ...]


def in_parallel(
    function: Callable[..., Any],
    arguments: Iterable[Arguments],
    jobs: int,
    total: int,
    title: str,
    seconds: float | None = None,
    instead: Callable[..., Any] | None = None,
) -> Iterator[Any]:
    """Results of `function(*arguments)`, in the order of the arguments, with a progress bar on a terminal and
    now and then a line elsewhere.

    Arguments are taken only a little ahead of the workers, so that memory stays bounded. A task whose worker dies is
    tried once more: it may have died of another's hunger for memory.

    Args:
        function: at the top level of a module, as worker processes import it.
        jobs: worker processes, 0 for one a core. One job without `seconds` is done in this process.
        total: number of arguments.
        title: of the progress bar.
        seconds: after which a task is ended, whatever it is at.
        instead: gives the result of a task that was ended or whose worker died twice, from its arguments, and what
            happened as two more: "too_slow" or "crashed", and a text for people.
    Raises:
        ChromascapeError: a task was lost, and nothing stands `instead`.
    """
    workers = min(jobs or joblib.cpu_count(), max(total, 1))
    if workers == 1 and seconds is None:
        yield from with_progress((function(*values) for values in arguments), total, title)
        return
    results = _from_workers(function, arguments, workers, seconds)
    for values, result in with_progress(results, total, title):
        if not isinstance(result, _Lost):
            yield result
        elif instead:
            yield instead(*values, result.reason, result.detail)
        else:
            raise ChromascapeError(f"{title}: a worker process died or hung: is there memory for {workers} jobs?")


@dataclass(frozen=True)
class _Lost:
    """What became of a task that has no result."""

    reason: str
    detail: str


@dataclass(frozen=True)
class _Raised:
    """What a task raised. A worker returns it, so that whatever is raised here comes from the pool itself."""

    error: Exception


_CRASHED = _Lost("crashed", "crashed the reader")


def _from_workers(
    function: Callable[..., Any], arguments: Iterable[Arguments], workers: int, seconds: float | None
) -> Iterator[tuple[Arguments, Any]]:
    """Each task's arguments with its result or `_Lost`, in order."""
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
    """The result of a task once it is there, or `_Lost`; what the function raised is raised again."""
    # A pool that can't go on says so of the tasks that it had begun with alone.
    while future and not wait([future], timeout=1.0).done and pool.active:
        pass
    try:
        result = future.result(timeout=0) if future and future.done() else _CRASHED
    except TimeoutError:
        return _Lost("too_slow", f"takes longer than {seconds:g} seconds to read")
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


def with_progress(results: Iterable[Any], total: int, title: str) -> Iterator[Any]:
    """The results, while a progress bar on a terminal, or a line every 30 seconds in a log, tells how many came."""
    if sys.stderr.isatty():
        yield from tqdm(results, total=total, desc=title, unit="photo")
        return
    said = time.monotonic()
    for count, result in enumerate(results, start=1):
        if time.monotonic() - said >= SECONDS:
            said = time.monotonic()
            print(f"{title}: {count} of {total} photos", flush=True)
        yield result
