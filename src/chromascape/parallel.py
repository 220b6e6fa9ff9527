"""The only place that starts worker processes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, delayed
from tqdm import tqdm


def in_parallel(
    function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], jobs: int, total: int, title: str
) -> Iterator[Any]:
    """Results of `function(*arguments)`, in the order of the arguments, with a progress bar on a terminal.

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
    yield from tqdm(results, total=total, desc=title, unit="photo", disable=None)
