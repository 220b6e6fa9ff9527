"""The only place that starts worker processes."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm

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
    results = Parallel(n_jobs=jobs or -1, return_as="generator", batch_size="auto")(
        delayed(function)(*values) for values in arguments
    )
    yield from with_progress(results, total, title)


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
