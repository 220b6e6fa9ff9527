"""The only place that starts worker processes, and the only one that tells how far long work has come."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from joblib import Parallel, delayed
from tqdm import tqdm

SECONDS = 30.0  # between signs of life where there is no terminal
DELAY = 1.0  # seconds, before a bar appears on a terminal


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
    """The results, one a photo, while a `ProgressBar` tells how many came."""
    with ProgressBar(total, title) as bar:
        for result in results:
            bar.add(1)
            yield result


class ProgressBar:
    """How far long work has come: a bar on a terminal, or a line at most every 30 seconds in a log.

    What ends within a second says nothing.
    """

    def __init__(self, total: int, title: str, done: int = 0):
        """Work on `total` photos, of which some are done already; the title names it."""
        self._total, self._title, self._done, self._note = total, title, done, ""
        self._said = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, desc=title, unit="photo", delay=DELAY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, count: int) -> None:
        """So many photos more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif time.monotonic() - self._said >= SECONDS:
            self._said = time.monotonic()
            print(f"{self._title}: {self._done} of {self._total} photos{self._note}", flush=True)

    def note(self, text: str) -> None:
        """What stands behind the numbers from now on."""
        self._note = f", {text}"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
