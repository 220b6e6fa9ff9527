"""Hashes of the photos that a model's weights have seen: that they were trained on or chosen by.

They are kept beside the weights as `seen.safetensors`, so that an evaluation can tell which photos are held out. In
memory they are uint8 (N, 40), sorted and without duplicates: a photo's SHA-256, then its 64-bit perceptual hash. The
tensor `trained` says of which the weights were trained; a file without it, as of older versions, of all.
"""

from collections.abc import Iterable
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
Hashes = NDArray[np.uint8]
NONE: Hashes = np.empty((0, SHA256_BYTES + PHASH_BYTES), np.uint8)


def hashes_of(manifest: "pd.DataFrame", splits: Iterable[str]) -> Hashes:
    """Hashes of the accepted photos of some splits, from the manifest's verdict, split, sha256 and phash."""
    return join(hashes_by_row(manifest[(manifest["verdict"] == "accepted") & manifest["split"].isin(list(splits))]))


def hashes_by_row(rows: "pd.DataFrame") -> Hashes:
    """Hashes of these rows of a manifest, in their order."""
    digits = "".join(rows["sha256"] + rows["phash"])
    return np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(-1, NONE.shape[1])


def join(*hashes: Hashes) -> Hashes:
    """All of these hashes, sorted and without duplicates."""
    return np.unique(np.concatenate(hashes), axis=0)


def read_seen(folder: Path, trained_only: bool = False) -> Hashes:
    """The photos that the model in this folder has seen; none if it has no such file.

    Args:
        trained_only: without those that chose the epoch and the factors, and nothing else.
    Raises:
        ChromascapeError: the file is damaged.
    """
    file = folder / FILE
    try:
        model_files.check_tensors(file)
        arrays = load(file.read_bytes())
        sha256, phash = arrays["sha256"], arrays["phash"]
        shapes = [(len(sha256), SHA256_BYTES), (len(sha256), PHASH_BYTES)]
        trained = arrays.get("trained", np.ones(len(sha256), np.uint8))
        if [sha256.shape, phash.shape] != shapes or {sha256.dtype, phash.dtype} != {np.dtype("u1")}:
            raise ValueError("expected uint8 (N, 32) and (N, 8)")
        if trained.shape != sha256.shape[:1] or trained.dtype != np.uint8:
            raise ValueError("expected uint8 (N,) for trained")
    except FileNotFoundError:
        return NONE
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # TypeError: an array without dimensions
        raise ChromascapeError(f"{file}: damaged ({error}): train again, or install Chromascape again") from None
    return np.hstack([sha256, phash])[trained.astype(bool) if trained_only else slice(None)]


def write_seen(folder: Path, trained: Hashes, chose: Hashes = NONE) -> None:
    """Write the hashes beside the weights: of the photos that they were trained on, and that chose the epoch."""
    seen = join(trained, chose)
    sha256, phash = np.hsplit(seen, [SHA256_BYTES])
    known = {row.tobytes() for row in trained}
    flags = np.array([row.tobytes() in known for row in seen], np.uint8)
    with atomic_write(folder / FILE) as temporary:
        temporary.write_bytes(save({"sha256": sha256.copy(), "phash": phash.copy(), "trained": flags}))


def count_seen(photos: Hashes, seen: Hashes, bits: int) -> int:
    """How many of `photos` were seen."""
    return int(are_seen(photos, seen, bits).sum())


def are_seen(photos: Hashes, seen: Hashes, bits: int) -> NDArray[np.bool_]:
    """Which of `photos` were seen, (N,): as the same file, or with at most `bits` other bits of the perceptual hash."""
    files = {row[:SHA256_BYTES].tobytes() for row in seen}
    values, seen_values = (rows[:, SHA256_BYTES:].copy().view(np.uint64).reshape(-1) for rows in (photos, seen))
    return np.array(
        [
            row[:SHA256_BYTES].tobytes() in files or bool(np.any(np.bitwise_count(seen_values ^ value) <= bits))
            for row, value in zip(photos, values, strict=True)
        ],
        bool,
    )
