"""Hashes of the photos that a model's weights have seen: that they were trained on or chosen by.

They are kept beside the weights as `seen.safetensors`, so that an evaluation can tell which photos are held out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chromascape.colorizing import model_files
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

FILE = "seen.safetensors"
SHA256_BYTES, PHASH_BYTES = 32, 8


@dataclass(frozen=True)
class Hashes:
    """Hashes of photos, one row per photo.

    Attributes:
        sha256: of the file, uint8 (N, 32).
        phash: 64-bit perceptual hash, uint8 (N, 8).
    """

    sha256: NDArray[np.uint8]
    phash: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sha256)

    def __or__(self, other: "Hashes") -> "Hashes":
        """The hashes of both, without duplicates, sorted."""
        rows = np.concatenate([np.hstack([self.sha256, self.phash]), np.hstack([other.sha256, other.phash])])
        rows = np.unique(rows, axis=0)
        return Hashes(rows[:, :SHA256_BYTES].copy(), rows[:, SHA256_BYTES:].copy())


def nothing() -> Hashes:
    """Hashes of no photo."""
    return Hashes(np.empty((0, SHA256_BYTES), np.uint8), np.empty((0, PHASH_BYTES), np.uint8))


def hashes_of(manifest: "pd.DataFrame", splits: Iterable[str]) -> Hashes:
    """Hashes of the manifest's accepted photos of some splits.

    Args:
        manifest: with the columns verdict, split, sha256 (64 hex digits) and phash (16 hex digits).
    """
    rows = manifest[(manifest["verdict"] == "accepted") & manifest["split"].isin(list(splits))]
    return nothing() | Hashes(_bytes(rows["sha256"], SHA256_BYTES), _bytes(rows["phash"], PHASH_BYTES))


def read_seen(folder: Path) -> Hashes:
    """The photos that the model in this folder has seen; none if it has no such file.

    Raises:
        ChromascapeError: the file is damaged.
    """
    file = folder / FILE
    try:
        model_files.check_tensors(file)
        arrays = load(file.read_bytes())
        seen = Hashes(arrays["sha256"], arrays["phash"])
        shapes = [(len(seen), SHA256_BYTES), (len(seen), PHASH_BYTES)]
        if [seen.sha256.shape, seen.phash.shape] != shapes or {seen.sha256.dtype, seen.phash.dtype} != {np.dtype("u1")}:
            raise ValueError("expected uint8 (N, 32) and (N, 8)")
    except FileNotFoundError:
        return nothing()
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # TypeError: an array without dimensions
        raise ChromascapeError(f"{file}: damaged ({error}): train again, or install Chromascape again") from None
    return seen


def write_seen(seen: Hashes, folder: Path) -> None:
    """Write the hashes beside the weights."""
    with atomic_write(folder / FILE) as temporary:
        temporary.write_bytes(save({"sha256": seen.sha256, "phash": seen.phash}))


def count_seen(photos: Hashes, seen: Hashes, bits: int) -> int:
    """How many of `photos` were seen, as the same file or a near copy.

    Args:
        bits: in how many of the 64 bits of its perceptual hash a near copy may differ.
    """
    files = {row.tobytes() for row in seen.sha256}
    seen_values = _as_integers(seen.phash)
    return sum(
        row.tobytes() in files or bool(np.any(np.bitwise_count(seen_values ^ value) <= bits))
        for row, value in zip(photos.sha256, _as_integers(photos.phash), strict=True)
    )


def _bytes(digits: "pd.Series", width: int) -> NDArray[np.uint8]:
    """Hex texts as uint8 (N, width)."""
    return np.frombuffer(bytes.fromhex("".join(digits)), np.uint8).reshape(-1, width)


def _as_integers(phash: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint8 (N, 8) as (N,)."""
    return np.ascontiguousarray(phash).view(np.uint64).reshape(-1)
