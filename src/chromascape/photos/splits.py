"""Groups of photos that show one scene, and the split of each group."""

import fnmatch
import itertools
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from chromascape.errors import ChromascapeError
from chromascape.params import Data, Split
from chromascape.photos import source
from chromascape.photos.source import Source, source_of

# The sample's folder that is for testing only. Its name is unusual, so that no user's folder has it by chance.
LANDSCAPES = "sample-landscapes"
_MISSING = "does not exist"


def near_links(hashes: pd.Series, bits: int) -> np.ndarray:
    """Links that connect photos whose hashes differ in at most `bits` bits, directly or through others: int (K, 2).

    Such hashes are equal in at least one of `bits + 1` bands of bits, so only photos that share a band are compared,
    and equal hashes only once. There is at most one link for each photo and band, which keeps memory linear.

    Args:
        hashes: (N,) 64-bit perceptual hashes in hex, or missing.
    """
    known = np.flatnonzero(hashes.notna())
    every = np.array([int(text, 16) for text in hashes.iloc[known]], dtype=np.uint64)
    values, first, place = np.unique(every, return_index=True, return_inverse=True)
    links = [np.empty((0, 2), dtype=np.int64)]
    bounds = np.linspace(0, 64, bits + 2).astype(int)
    for low, high in itertools.pairwise(bounds):
        band = (values >> np.uint64(low)) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ends = np.flatnonzero(band[order][1:] != band[order][:-1]) + 1
        links += [_spanning_links(values, same, bits) for same in np.split(order, ends) if len(same) > 1]
    between = first[np.concatenate(links)]
    equal = np.stack([first[place], np.arange(len(every))], axis=1)
    return known[np.concatenate([between, equal])]


def _spanning_links(values: np.ndarray, members: np.ndarray, bits: int) -> np.ndarray:
    """A spanning forest of the near pairs among `members`: int (K, 2)."""
    links = []
    waiting, left = [int(members[0])], members[1:]
    while len(left):
        if not waiting:
            waiting, left = [int(left[0])], left[1:]
            continue
        one = waiting.pop()
        near = np.bitwise_count(values[left] ^ values[one]) <= bits
        if near.any():
            links.append(np.stack([np.full(int(near.sum()), one), left[near]], axis=1))
            waiting += left[near].tolist()
            left = left[~near]
    return np.concatenate(links) if links else np.empty((0, 2), dtype=np.int64)


def _equal_links(keys: pd.Series) -> np.ndarray:
    """Links that connect rows with equal keys: int (K, 2). Rows without a key get none."""
    # Factorized, because pandas can't group by names that are not UTF-8.
    codes = pd.factorize(keys)[0]
    order = np.argsort(codes, kind="stable")
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    return pairs[(codes[order[:-1]] == codes[order[1:]]) & (codes[order[:-1]] >= 0)]


def _burst_links(manifest: pd.DataFrame, seconds: float) -> np.ndarray:
    """Links between consecutive photos of a camera that are at most `seconds` apart: int (K, 2); none for 0."""
    rows = np.flatnonzero(manifest["camera"].notna() & manifest["taken"].notna()) if seconds else np.empty(0, int)
    cameras = pd.factorize(manifest["camera"].iloc[rows])[0]
    times = manifest["taken"].to_numpy(dtype=float)[rows]
    order = np.lexsort((times, cameras))
    # The extra millisecond covers rounding: floats near 1.7e9 have a resolution of 2e-7.
    near = (np.diff(cameras[order]) == 0) & (np.diff(times[order]) <= seconds + 1e-3)
    return np.stack([rows[order[:-1][near]], rows[order[1:][near]]], axis=1)


def _pattern_links(paths: pd.Series, scenes: list[str | list[str]]) -> np.ndarray:
    """Links between all photos whose paths match the same pattern, or a pattern of the same list: int (K, 2).

    A pattern without a match is not an error, because the sample's patterns stay in params.yaml when data.dir changes.
    """
    links = [np.empty((0, 2), dtype=np.int64)]
    for scene in scenes:
        patterns = [scene] if isinstance(scene, str) else scene
        of_scene = [any(path == one or fnmatch.fnmatchcase(path, one) for one in patterns) for path in paths]
        rows = np.flatnonzero(of_scene)
        links.append(np.stack([rows[:-1], rows[1:]], axis=1))
    return np.concatenate(links)


def connected(links: np.ndarray, count: int) -> np.ndarray:
    """The connected component of each of `count` rows: int (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def scenes(manifest: pd.DataFrame, bits: int, split: Split) -> np.ndarray:
    """The number of the scene of each row, int (N,), from path, sha256, phash, camera and taken.

    Rows show one scene if they are exact copies, near copies (perceptual hashes at most `bits` bits apart), were taken
    by one camera within `split.burst_seconds`, or match one entry of `split.same_scene`, directly or through others.
    """
    links = [
        _equal_links(manifest["sha256"]),
        near_links(manifest["phash"], bits),
        _burst_links(manifest, split.burst_seconds),
        _pattern_links(manifest["path"], split.same_scene),
    ]
    return connected(np.concatenate(links), len(manifest))


def add_groups(manifest: pd.DataFrame, accepted: pd.Series, bits: int, split: Split) -> None:
    """Fill the column `group`: one for each scene, named after the smallest SHA-256 of its accepted photos.

    Accepted photos are grouped without the rejected ones, so that an unusable file never joins two groups. A rejected
    file gets the group of the accepted photos of its scene (of two groups, the one with the smaller SHA-256). If there
    are none, the group is named after the smallest rejected file. `accepted` is bool (N,), accepted so far.
    """
    # An unreadable file has no SHA-256, so its path is used.
    content = manifest["sha256"].where(manifest["sha256"].notna(), manifest["path"])
    smallest = pd.Series(None, index=manifest.index, dtype=object)
    chosen = content[accepted]
    smallest[chosen.index] = _smallest(chosen, scenes(manifest[accepted], bits, split))
    everywhere = scenes(manifest, bits, split)
    among_accepted = _smallest(content.where(accepted), everywhere)
    among_all = _smallest(content, everywhere)
    named = smallest.where(accepted, among_accepted.where(among_accepted.notna(), among_all))
    names = {member: source.sha256(member.encode("utf-8", "surrogateescape"))[:12] for member in set(named)}
    manifest["group"] = pd.Series([names[member] for member in named], index=manifest.index, dtype=object)


def _smallest(content: pd.Series, numbers: np.ndarray) -> pd.Series:
    """For each row the smallest content among the rows with its number; missing values are ignored."""
    found: dict[int, str] = {}
    for number, member in zip(numbers.tolist(), content, strict=True):
        if isinstance(member, str) and (number not in found or member < found[number]):
            found[number] = member
    return pd.Series([found.get(number) for number in numbers.tolist()], index=content.index, dtype=object)


def split_of(sha256: str, split: Split) -> str:
    """train, val or test, as a function of only the photo's content and the seed."""
    place = int(source.sha256(f"{split.seed}:{sha256}".encode())[:16], 16) / 2**64
    # With this order, few photos change their split when the shares change.
    return "test" if place < split.test else "val" if place < split.test + split.val else "train"


def add_splits(manifest: pd.DataFrame, accepted: pd.Series, data: Data) -> tuple[pd.Series, pd.Series]:
    """Fill the column `split` for accepted photos, and find the duplicates among them.

    A group gets the split of its accepted member with the smallest SHA-256; or train or test, if an accepted member is
    in a `data.train_only` or `data.test_only` folder. So new photos move only photos of their own group. The first of
    exact copies is kept. A group in train keeps all photos, a held-out group only the one with the smallest SHA-256.

    Returns:
        exact, same_scene: bool (N,), True for rows to reject as exact copies or as further photos of a held-out scene.
    Raises:
        ChromascapeError: a group has members in folders of both kinds.
    """
    chosen = manifest[accepted]
    smallest = _smallest(chosen["sha256"], pd.factorize(chosen["group"])[0])
    splits = pd.Series([split_of(content, data.split) for content in smallest], index=chosen.index, dtype=object)
    trained, measured = _inside(chosen, data.train_only), _inside(chosen, data.test_only)
    _check_apart(trained, measured)
    splits = splits.mask(chosen["group"].isin(trained["group"]), "train")
    splits = splits.mask(chosen["group"].isin(measured["group"]), "test")
    exact = pd.Series(False, index=manifest.index)
    exact[chosen.index] = chosen.duplicated("sha256")
    same_scene = pd.Series(False, index=manifest.index)
    same_scene[chosen.index] = ~exact[chosen.index] & (splits != "train") & (chosen["sha256"] != smallest)
    manifest["split"] = splits.where(~(exact | same_scene)[chosen.index])
    return exact, same_scene


def _inside(photos: pd.DataFrame, folders: list[str]) -> pd.DataFrame:
    """The rows whose photos are in one of the folders."""
    places = tuple(f"{PurePosixPath(folder)}/" for folder in folders)
    return photos[photos["path"].str.startswith(places)] if places else photos[:0]


def only_note(manifest: pd.DataFrame, data: Data) -> str:
    """How many photos data.train_only and data.test_only assign: a line for each that has an effect."""
    used = manifest[manifest["split"].notna()]
    return "".join(
        f"note: {count:,} photo{'s' * (count > 1)} in {', '.join(names)}: for {purpose} only (data.{key})\n"
        for key, purpose, names in (
            ("train_only", "training", data.train_only),
            ("test_only", "testing", data.test_only),
        )
        if (count := len(_inside(used, names)))
    )


def _check_apart(trained: pd.DataFrame, measured: pd.DataFrame) -> None:
    """Raises ChromascapeError if a scene has photos in both `data.train_only` and `data.test_only`."""
    both = measured[measured["group"].isin(trained["group"])]
    if len(both):
        path, group = both[["path", "group"]].iloc[0]
        other = trained["path"][trained["group"] == group].iloc[0]
        shows = "is also in" if other == path else f"shows the same scene as {source.shown_name(other)!r} of"
        raise ChromascapeError(
            f"data.test_only: {source.shown_name(path)!r} {shows} data.train_only, and no scene may be both trained "
            f"on and measured ({len(both)} such photos): remove such photos from one of the two"
        )


def check_named_folders(place: Path | Source, data: Data) -> None:
    """Raises ChromascapeError unless `data.train_only` and `data.test_only` name folders inside `data.dir`.

    Only the sample's own folder may be missing, because it stays in params.yaml when data.dir changes.
    """
    photos = source_of(place)
    for key, names in (("train_only", data.train_only), ("test_only", data.test_only)):
        for name in names:
            problem = _folder_problem(photos, PurePosixPath(name))
            if problem and (problem, key, name) != (_MISSING, "test_only", LANDSCAPES):
                raise ChromascapeError(
                    f"data.{key}: {name!r} {problem}: name folders inside data.dir ({photos}), relative to it"
                )


def _folder_problem(photos: Source, name: PurePosixPath) -> str | None:
    """Why `name` is not a usable folder among the photos, or None."""
    if not photos.is_remote:
        source.check_folder(photos.folder)
    if name.is_absolute() or Path(name).is_absolute():
        return "is an absolute path"
    if ".." in name.parts:
        return "has a '..' in it"
    if not name.parts:
        return "is data.dir itself"
    if photos.is_remote:
        return None if any(file.startswith(f"{name}/") for file in photos.entries) else _MISSING
    place = photos.folder
    for part in name.parts:
        try:
            # Compared with the listing, because some file systems ignore case and the manifest's paths do not.
            if part not in {inside.name for inside in place.iterdir()}:
                return _MISSING
        except OSError as error:
            return f"can't be looked up ({error.strerror})"
        place /= part
        if place.is_symlink():
            return "is a link or behind one, and links are not followed"
        if not place.is_dir():
            return "is not a folder"
    return None


def empty_split(manifest: pd.DataFrame, data: Data) -> str | None:
    """One line that names the splits without photos and what to do, or None."""
    counts = manifest["split"].value_counts()
    empty = [name for name in ("train", "val", "test") if not counts.get(name)]
    if not empty:
        return None
    return (
        f"data.split: no photo fell into {' and '.join(empty)} ({int(counts.sum())} accepted): add photos, "
        f"raise data.split.{empty[0]} (now {getattr(data.split, empty[0])}) or try another data.split.seed"
        + f"; {only_note(manifest, data)}".replace("\n", " ").rstrip("; ")
    )
