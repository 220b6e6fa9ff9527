"""The manifest: one row for every file of the folder, with what it is, its verdict, its group and its split."""

import csv
import hashlib
import itertools
import os
import stat
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from chromascape import photos
from chromascape.color.metrics import colorfulness
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write
from chromascape.params import Data, Split, Validate

COLUMNS = [
    "path", "verdict", "reasons", "format", "mode", "channels", "bit_depth", "frames", "width", "height",
    "orientation", "extension_matches", "left", "top", "right", "bottom", "colorfulness", "bytes", "sha256",
    "phash", "group", "split", "problem", "detail",
]  # fmt: skip

INTEGERS = ["channels", "bit_depth", "frames", "width", "height", "orientation", "left", "top", "right", "bottom",
            "bytes"]  # fmt: skip
TEXTS = [
    "path",
    "verdict",
    "reasons",
    "format",
    "mode",
    "sha256",
    "phash",
    "group",
    "split",
    "problem",
    "detail",
]

# Types that know missing values, so that whole numbers stay whole.
TYPES = dict.fromkeys(INTEGERS, "Int64") | dict.fromkeys(TEXTS, "object")
TYPES |= {"colorfulness": "float64", "extension_matches": "boolean"}

# Measures are taken on photos reduced to about this shorter side, in pixels.
MEASURING_SIDE = 512


def inspect(folder: Path, name: str, limits: photos.Limits) -> dict[str, Any]:
    """Everything that validation wants to know of one file, from a single read of it.

    Returns:
        A row with the columns up to `phash`, and `problem` (one of `validation.PROBLEMS`) with its `detail`
        where the file is no photo. Width, height and the box left..bottom (the picture without black bars) are
        in pixels of the upright photo. `colorfulness` is missing for gray modes.
    """
    row: dict[str, Any] = {"path": name}
    try:
        data = photos.read_bytes(folder / name, limits)
        row |= {"bytes": len(data), "sha256": photos.sha256(data)}
        image = photos.open_photo(data, limits)
        row |= _header(image, name)
        photos.decode(image, MEASURING_SIDE)
        if image.format != "TIFF":
            # Only now: asking a PNG for its EXIF decodes it, and what is wrong with it would go unnoticed.
            row["orientation"] = photos.orientation(image)
            if row["orientation"] >= 5:  # 5 to 8 lie on their side
                row["width"], row["height"] = row["height"], row["width"]
        row |= _measures(image, row)
    except photos.PhotoError as error:
        # A mode that can't be converted is no damage: the expectation on modes rejects the file.
        row["detail"] = str(error)
        row["problem"] = error.reason if error.reason != "mode" else None
    return row


def _header(image: Image.Image, name: str) -> dict[str, Any]:
    return {
        "format": image.format,
        "mode": image.mode,
        "channels": 1 if image.mode == "P" else len(image.getbands()),
        "bit_depth": photos.bit_depth(image),
        "frames": photos.frames(image),
        "width": image.width,
        "height": image.height,
        # Pillow turns TIFFs upright by itself, and forgets that they were not.
        "orientation": photos.orientation(image) if image.format == "TIFF" else None,
        "extension_matches": Path(name).suffix.lower() in photos.EXTENSIONS[image.format or ""],
    }


def _measures(image: Image.Image, row: dict[str, Any]) -> dict[str, Any]:
    """Black bars, perceptual hash and colorfulness of a decoded photo."""
    gray = image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16")
    rgb = photos.to_rgb(image)
    rgb = rgb.reduce(max(1, min(rgb.size) // MEASURING_SIDE))
    box = photos.find_letterbox(np.asarray(rgb))
    small = rgb.crop(box)
    # Back to the photo's own pixels, rounded inwards so that no bar is left.
    across, down = row["width"] / rgb.width, row["height"] / rgb.height
    return {
        "left": int(np.ceil(box[0] * across)),
        "top": int(np.ceil(box[1] * down)),
        "right": row["width"] if box[2] == rgb.width else int(box[2] * across),
        "bottom": row["height"] if box[3] == rgb.height else int(box[3] * down),
        "phash": str(imagehash.phash(small)),
        "colorfulness": None if gray else round(colorfulness(np.asarray(small)), 3),
    }


def inspect_folder(folder: Path, validate: Validate, jobs: int) -> pd.DataFrame:
    """Rows of `inspect` for every file below the folder, sorted by path, read in parallel.

    Raises:
        ChromascapeError: the folder is missing, is not a folder, can't be read or is empty.
    """
    names = photos.list_files(check_folder(folder))
    if not names:
        raise ChromascapeError(f"data.dir: {folder} is empty: put your photos there or point data.dir elsewhere")
    limits = photos.Limits(validate.max_pixels, int(validate.max_file_mb * 1e6))
    rows = Parallel(n_jobs=jobs or -1, return_as="generator", batch_size="auto")(
        delayed(inspect)(folder, name, limits) for name in names
    )
    rows = list(tqdm(rows, total=len(names), desc="validate", unit="photo", disable=None))
    return pd.DataFrame(rows, dtype=object).reindex(columns=COLUMNS).astype(TYPES)


def check_folder(folder: Path) -> Path:
    """The folder, if it can be listed; else a ChromascapeError that names `data.dir` and the way out."""
    if not folder.exists():
        home = " ('~' is not expanded: write the whole path)" if str(folder).startswith("~") else ""
        raise ChromascapeError(f"data.dir: {folder} does not exist{home}: {_other_place(folder)}")
    if not folder.is_dir():
        raise ChromascapeError(f"data.dir: {folder} is a file: write the folder that holds the photos")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ChromascapeError(f"data.dir: {folder} can't be read: check its permissions")
    return folder


def check_trackable(folder: Path) -> None:
    """Raises ChromascapeError where the folder holds what DVC, which hashes every file, stops or waits for ever at."""
    found = [(name, problem) for name in photos.list_files(folder) if (problem := _untrackable(folder / name))]
    if found:
        shown = ", ".join(f"{name!r} ({problem})" for name, problem in found[:3])
        raise ChromascapeError(
            f"data.dir: DVC can't track {len(found)} of the files in {folder}: {shown}: remove, rename or repair them"
        )


def _untrackable(path: Path) -> str | None:
    try:
        status = path.stat()
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        return "broken link" if path.is_symlink() else str(error.strerror)
    if stat.S_ISDIR(status.st_mode):
        return None if path.is_symlink() else "folder that can't be listed"  # neither DVC nor we follow links
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    return None if os.access(path, os.R_OK) else "no permission to read it"


def _other_place(folder: Path) -> str:
    """What to write instead; DVC tells stages of an experiment in a temporary copy where the repository is."""
    root = os.environ.get("DVC_ROOT")
    if root and not folder.is_absolute() and (Path(root) / folder).exists():
        absolute = (Path(root) / folder).resolve()
        return f"this experiment runs in a temporary copy of the repository: write data.dir: {absolute}"
    return "write the path of your photos"


def relative_note(folder: Path) -> str:
    """What to know of a relative folder outside of the repository (the current folder); else nothing."""
    absolute = folder.resolve()
    if folder.is_absolute() or absolute.is_relative_to(Path.cwd()):
        return ""
    return (
        f"note: data.dir: {folder} is relative and outside the repository. Experiments in a temporary copy (--temp, "
        f"--queue) look for it beside the copy: for those write {absolute}\n"
    )


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


def summarize(manifest: pd.DataFrame) -> dict[str, Any]:
    """Deterministic counts for `metrics/validate.json`: files by verdict, reason, mode and split."""
    reasons = manifest["reasons"].str.split(";").explode()
    reasons = reasons[reasons.notna() & (reasons != "")]

    def counts(values: pd.Series) -> dict[str, int]:
        return {str(key): int(count) for key, count in values.value_counts().sort_index().items()}

    return {
        "n_files": len(manifest),
        "n_accepted": int((manifest["verdict"] == "accepted").sum()),
        "n_rejected": int((manifest["verdict"] == "rejected").sum()),
        "n_letterboxed": int((_kept_area(manifest) < 1).sum()),
        "n_duplicate_groups": int((manifest["group"].value_counts() > 1).sum()),
        "rejected_by_reason": counts(reasons),
        "by_mode": counts(manifest["mode"].dropna()),
        "by_split": counts(manifest["split"].dropna()),
    }


def _kept_area(manifest: pd.DataFrame) -> pd.Series:
    """Share of a photo's area inside its black bars; 1 for those without bars or never decoded."""
    boxed = manifest[["left", "top", "right", "bottom", "width", "height"]].astype(float)
    area = (boxed["right"] - boxed["left"]) * (boxed["bottom"] - boxed["top"])
    return (area / (boxed["width"] * boxed["height"])).fillna(1.0)


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write the CSV; names that are not UTF-8 keep their bytes."""
    with atomic_write(path) as beside:
        # Python before 3.13 does not see that a carriage return must be quoted.
        quoting = csv.QUOTE_ALL if any("\r" in path for path in manifest["path"]) else csv.QUOTE_MINIMAL
        manifest[COLUMNS].to_csv(beside, index=False, lineterminator="\n", errors="surrogateescape", quoting=quoting)


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest as `write_manifest` wrote it; missing values are None or NaN."""
    return pd.read_csv(path, encoding_errors="surrogateescape", dtype=TYPES, keep_default_na=False, na_values=[""])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
