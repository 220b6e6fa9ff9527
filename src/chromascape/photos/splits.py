"""Groups of photos that show the same scene, and the split of each group."""

import hashlib
import itertools

import numpy as np
import pandas as pd

from chromascape.errors import ChromascapeError
from chromascape.params import Data, Split


def near_groups(hashes: pd.Series, bits: int) -> np.ndarray:
    """Number of the group that each photo belongs to: photos whose hashes differ in at most `bits` bits, and
    those that share a neighbor with them.

    Hashes that differ in at most `bits` bits are equal in at least one of `bits + 1` bands of bits, so only photos
    that share a band are compared.

    Args:
        hashes: (N,) 64-bit perceptual hashes in hex; missing ones form groups of their own.
    Returns:
        int (N,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    known = np.flatnonzero(hashes.notna())
    values = np.array([int(text, 16) for text in hashes.iloc[known]], dtype=np.uint64)
    edges = [np.empty((0, 2), dtype=np.int64)]
    bounds = np.linspace(0, 64, bits + 2).astype(int)
    for low, high in itertools.pairwise(bounds):
        band = (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ends = np.flatnonzero(band[order][1:] != band[order][:-1]) + 1
        for same in np.split(order, ends):
            for at, first in enumerate(same[:-1]):
                others = same[at + 1 :]
                near = others[np.bitwise_count(values[others] ^ values[first]) <= bits]
                edges.append(np.stack([np.full(len(near), first), near], axis=1))
    pairs = known[np.concatenate(edges)]
    size = len(hashes)
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def add_groups(manifest: pd.DataFrame, bits: int) -> None:
    """Fill `group`: exact and near duplicates share one, named after the smallest of its members' SHA-256."""
    groups = near_groups(manifest["phash"], bits)
    # Files that can't be decoded have no perceptual hash; equal ones still belong together.
    content = manifest["sha256"].where(manifest["sha256"].notna(), manifest["path"])
    keys = content.where(manifest["phash"].isna(), pd.Series(groups, index=manifest.index).map("near {}".format))
    # By number, because pandas can't group by names that are not UTF-8.
    numbers = pd.factorize(keys)[0]
    manifest["group"] = content.groupby(numbers).transform(lambda members: _digest(min(members))[:12])


def split_of(sha256: str, split: Split) -> str:
    """train, val or test: a function of the photo's own content and the seed alone."""
    place = int(_digest(f"{split.seed}:{sha256}")[:16], 16) / 2**64
    # test lies first, then val: when the shares change, as few photos as possible change sides.
    return "test" if place < split.test else "val" if place < split.test + split.val else "train"


def add_splits(
    manifest: pd.DataFrame, accepted: pd.Series, split: Split, train_only: list[str]
) -> tuple[pd.Series, pd.Series]:
    """Fill `split` for accepted photos, and find the duplicates among them that must not be used.

    A photo's split depends on nothing but itself, so it never moves when others come. Exact copies agree on it: the
    first path is kept. Near copies may not: then the held-out side keeps its photos (test before val before train)
    and the others are left out, so that no group straddles two splits and test sets stay comparable.

    Returns:
        exact, near: bool (N,), True for the rows to reject as exact or near duplicates.
    """
    chosen = manifest[accepted]
    exact = pd.Series(False, index=manifest.index)
    exact[chosen.index] = chosen.duplicated("sha256")
    chosen = chosen[~exact[chosen.index]]
    splits = chosen["sha256"].map(lambda sha: split_of(sha, split))
    folders = tuple(f"{folder.strip('/')}/" for folder in train_only)
    splits = splits.mask(chosen["path"].str.startswith(folders), "train") if folders else splits
    rank = splits.map({"test": 0, "val": 1, "train": 2})
    near = pd.Series(False, index=manifest.index)
    near[chosen.index] = rank > rank.groupby(chosen["group"]).transform("min")
    manifest["split"] = splits.where(~near[chosen.index])
    return exact, near


def check_splits(manifest: pd.DataFrame, data: Data) -> None:
    """Raises ChromascapeError where a split got no photo."""
    counts = manifest["split"].value_counts()
    empty = [name for name in ("train", "val", "test") if not counts.get(name)]
    if empty:
        raise ChromascapeError(
            f"data.split: no photo fell into {' and '.join(empty)} ({int(counts.sum())} accepted): add photos, "
            f"raise data.split.{empty[0]} (now {getattr(data.split, empty[0])}) or try another data.split.seed"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
