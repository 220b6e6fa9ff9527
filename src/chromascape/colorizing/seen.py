"""Which photos a model's weights have seen: hashes of the photos that they were trained on or chosen by.

They travel with the weights as `seen.safetensors`, so that whoever evaluates the model can tell which of their
photos are held-out ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chromascape.colorizing import received
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

FILE = "seen.safetensors"
SHA256_BYTES, PHASH_BYTES = 32, 8


@dataclass(frozen=True)
class Hashes:
    """Hashes of photos, a row each.

    Attributes:
        sha256: of the file, uint8 (N, 32).
        phash: 64-bit perceptual hash, uint8 (N, 8).
    """

    sha256: NDArray[np.uint8]
    phash: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sha256)

    def __or__(self, other: "Hashes") -> "Hashes":
        """Those of both, each pair once, in an order that follows from them alone."""
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
    """What the model in this folder has seen; nothing is known, and none returned, where it has no such file.

    Raises:
        ChromascapeError: the file is damaged.
    """
    file = folder / FILE
    try:
        received.check_tensors(file)
        arrays = load(file.read_bytes())
        seen = Hashes(arrays["sha256"], arrays["phash"])
    except FileNotFoundError:
        return nothing()
    except (SafetensorError, KeyError, ValueError) as error:
        raise ChromascapeError(f"{file}: damaged ({error}): train again, or install Chromascape again") from None
    count = seen.sha256.size // SHA256_BYTES
    shapes = [(count, SHA256_BYTES), (count, PHASH_BYTES)]
    if [seen.sha256.shape, seen.phash.shape] != shapes or {seen.sha256.dtype, seen.phash.dtype} != {np.dtype("u1")}:
        raise ChromascapeError(
            f"{file}: damaged (expected uint8 (N, 32) and (N, 8)): train again, or install Chromascape again"
        )
    return seen


def write_seen(seen: Hashes, folder: Path) -> None:
    """Write the hashes beside the weights."""
    with atomic_write(folder / FILE) as temporary:
        temporary.write_bytes(save({"sha256": seen.sha256, "phash": seen.phash}))


def count_seen(photos: Hashes, seen: Hashes, bits: int) -> int:
    """How many of `photos` are among those seen: the same file, or a near copy of one.

    Args:
        bits: of the 64 of the perceptual hash that a near copy may differ in.
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
