"""The only place that starts worker processes."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

Given = TypeVar("Given")
Result = TypeVar("Result")

SECONDS = 30.0  # between signs of life where there is no terminal


def in_parallel(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int, total: int, title: str
) -> Iterator[Any]:
    """Results of `function(*arguments)`, in the order of the arguments, with a progress bar on a terminal and
    now and then a line elsewhere.

    Arguments are taken only a little ahead of the workers, so that memory stays bounded.

    Args:
        function: at the top level of a module, as worker processes import it.
        jobs: worker processes, 0 for one a core.
        total: number of arguments.
        title: of the progress bar.
    """
    from joblib import Parallel, delayed  # here: who only colorizes may not have it

    results = Parallel(n_jobs=jobs or -1, return_as="generator", batch_size="auto")(
        delayed(function)(*values) for values in arguments
    )
    yield from with_progress(results, total, title)


def in_threads(function: Callable[[Given], Result], values: Iterable[Given], jobs: int) -> Iterator[Result]:
    """Results of `function(value)`, in the order of the values, by `jobs` threads of this process.

    For work that spends its time where Python's lock is not held: they share one model in memory. Values are taken
    only a little ahead. When it ends early (Ctrl-C), what has begun is finished and nothing more begins.
    """
    if jobs == 1:
        yield from map(function, values)
        return
    pool = ThreadPoolExecutor(jobs)
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
