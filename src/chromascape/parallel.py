"""Work in several processes or threads, with progress: the only place that starts either or reports progress.

`workers` starts the processes, for `in_parallel` and for the workers of an `engine`.
"""

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from chromascape.errors import ChromascapeError

if TYPE_CHECKING:
    from chromascape.engine import Cluster

Jobs: TypeAlias = "int | Cluster"  # who works: so many processes of this machine, 0 for one per core; or a cluster
Given = TypeVar("Given")
Result = TypeVar("Result")

SECONDS = 30.0  # between lines of progress in a log
CGROUPS = Path("/sys/fs/cgroup")
DELAY = 1.0  # seconds before a bar appears on a terminal


class _Within(threading.local):
    """Whether the current thread is one of `in_threads`."""

    thread = False


_within = _Within()


def in_parallel(
    function: Callable[..., Any],
    arguments: Iterable[tuple[Any, ...]],
    jobs: Jobs,
    total: int,
    title: str,
    seconds: float | None = None,
    instead: Callable[..., Any] | None = None,
    check: partial[Any] | None = None,
) -> Iterator[Any]:
    """Yield the results of `function(*arguments)` in the order of the arguments, and show progress.

    Arguments are read only a little ahead of the workers, which bounds memory. A task whose worker dies is tried once
    more: another task may have used up the memory.

    Args:
        function: at the top level of a module, so that worker processes can import it.
        jobs: worker processes, 0 for one per core, or a cluster, whose workers start as many as it says. One job
            without `seconds` runs in this process.
        seconds: time limit of a task.
        instead: makes the result of a task that was too slow or whose worker died twice, from its arguments and two
            more: "too_slow" or "crashed", and a text for people.
        check: a partial that a cluster's worker calls before each chunk; it raises ChromascapeError to refuse it.
    Raises:
        ChromascapeError: a task was lost, and there is no `instead`; or the cluster can't work.
    """
    if jobs == 1 and seconds is None:
        yield from with_progress((function(*values) for values in arguments), total, title)
        return
    from chromascape.workers import Lost, Workers  # here: the base install lacks its packages

    with ExitStack() as stack:
        if isinstance(jobs, int):
            count = min(jobs or cores(), max(total, 1))
            results = stack.enter_context(closing(Workers(count))).results(function, arguments, seconds)
        else:
            count, results = jobs.jobs, jobs.results(function, arguments, total, title, seconds, check)
        stack.enter_context(closing(results))
        for values, result in with_progress(results, total, title):
            if not isinstance(result, Lost):
                yield result
            elif instead:
                yield instead(*values, result.reason, result.detail)
            else:
                raise ChromascapeError(f"{title}: a worker died or hung: if memory is short, lower jobs ({count})")


def in_threads(
    function: Callable[[Given], Result],
    values: Iterable[Given],
    jobs: int,
    initializer: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield the results of `function(value)` in the order of the values, computed by `jobs` threads of this process.

    For work that mostly runs without Python's lock and shares what is in memory. Values are read only a little ahead.
    If it stops early (Ctrl-C), tasks that have started are finished, and no others start. `initializer` is called in
    each thread first; one job has no thread, and within one of these threads there are no further ones: they would wait
    for each other.
    """
    if jobs == 1 or _within.thread:
        yield from map(function, values)
        return

    def begin() -> None:
        _within.thread = True
        if initializer:
            initializer()

    pool = ThreadPoolExecutor(jobs, initializer=begin)
    waiting: deque[Any] = deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) >= 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cpu_threads() -> int:
    """Threads for a computation: OMP_NUM_THREADS, as torch reads it, else one per core."""
    try:
        return max(1, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:
        return cores()


def cores() -> int:
    """CPU cores that this process may use: those it is bound to, and no more than the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # of cgroups 2 and 1
        with suppress(OSError, ValueError):  # no Linux, or no quota
            quota, period = (int(text) for file in files for text in (CGROUPS / file).read_text("ascii").split())
            count = min(count, math.ceil(quota / period)) if quota > 0 else count
    return count


def with_progress(results: Iterable[Any], total: int, title: str) -> Iterator[Any]:
    """Yield the results, one per photo, and count them on a `ProgressBar`."""
    with ProgressBar(total, title) as bar:
        for result in results:
            bar.add(1)
            yield result


class ProgressBar:
    """Progress of long work: a bar on a terminal, in a log a line at most every 30 seconds.

    Work that takes less than a second shows nothing.
    """

    def __init__(self, total: int, title: str, done: int = 0, quiet: bool = False):
        """Start the progress of `title`, of `total` photos, `done` of which are finished; `quiet` shows none."""
        self._total, self._title, self._done, self._note = total, title, done, ""
        self._printed = math.inf if quiet else time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty() and total > 1 and not quiet:
            from tqdm import tqdm  # here, as it takes as long as a photo

            self._bar = tqdm(total=total, initial=done, desc=title, unit="photo", delay=DELAY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, count: int) -> None:
        """Count so many more photos as done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._printed >= SECONDS:
            self._printed = time.monotonic()
            print(f"{self._title}: {self._done} of {self._total} photos{self._note}", flush=True)

    def note(self, text: str) -> None:
        """Set the text after the numbers."""
        self._note = f", {text}"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
