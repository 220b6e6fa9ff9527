"""Models and photos for worker processes, each of which reads them from their files once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.model_files import CONFIG
from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file
from chromascape.photos.shards import Shards

INDEX = "index.json"


def stored_of(model: Path, lab_folder: Path) -> tuple[Path, str, Path, str]:
    """The folders of a model and of Lab shards, each before the checksum of the file that has those of the others."""
    return model, sha256_of_file(model / CONFIG), lab_folder, sha256_of_file(lab_folder / INDEX)


@lru_cache(maxsize=2)
def stored_model(folder: Path, digest: str = "") -> Colorizer:
    """The model in this folder on the CPU, computed by torch.

    Args:
        digest: the checksum of its configuration; none for the model that comes with the package.
    Raises:
        ChromascapeError: it can't be read, or is another one.
    """
    if folder != SHIPPED:
        _check(folder / CONFIG, digest)
    return Colorizer.load(folder, "cpu", by_torch=True)


@lru_cache(maxsize=3)
def stored_photos(folder: Path, digest: str, split: str) -> Shards:
    """The photos of a split; raises ChromascapeError if they can't be read, or are others than those of the index."""
    _check(folder / INDEX, digest)
    return Shards(folder, (split,))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: with several, its sums have other low bits, which depend on their number."""
    import torch  # here: a GPU's evaluation does not need it in workers

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(file: Path, digest: str) -> None:
    try:
        found = sha256_of_file(file)
    except OSError as error:
        raise ChromascapeError(f"{file}: {error.strerror}: every worker needs this folder at the same path") from None
    if found != digest:
        raise ChromascapeError(f"{file}: another one than where the stage runs: every worker needs the same folder")
