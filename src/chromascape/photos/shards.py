"""Lab shards on disk: uint8 arrays (N, 3, H, W), opened as memory maps, with an index and checksums.

`index.json` lists each shard with its split, its SHA-256 and its photos in the order of the array.
"""

import json
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from chromascape.color.quantised import rgb_to_quantised
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_folder, sha256_of_file, write_json
from chromascape.parallel import Jobs, ProgressBar, in_parallel
from chromascape.photos import reading, source
from chromascape.photos.source import Source, source_of
from chromascape.resume import WORK, KeptFiles, photos_fingerprint, tell

SPLITS = ("train", "val", "test")
# In landscapes of 640 pixels 44.6 dB from LANCZOS, which takes twice as long: BILINEAR has 42.3 and BOX 39.7 in about
# the same time, BICUBIC 49.5 in 1.5 times as long. A photo that is larger by far is first averaged.
FILTER, REDUCING_GAP = Image.Resampling.HAMMING, 2.0
BOX_COLUMNS = ["left", "top", "right", "bottom", "width", "height"]


def photo_to_lab(
    data: bytes,
    box: tuple[int, int, int, int],
    whole: tuple[int, int],
    side: int,
    fit: Literal["crop", "squash"],
) -> NDArray[np.uint8]:
    """A photo file as quantised Lab.

    Args:
        box: left, top, right, bottom of the picture without black bars, in pixels of the upright photo.
        whole: width and height of the upright photo.
        side: side of the result in pixels.
        fit: "crop" takes the centre square of the box, "squash" the whole box.
    Returns:
        uint8 (3, side, side), planar.
    Raises:
        PhotoError: the photo can't be decoded.
    """
    # JPEGs are decoded at the smallest scale that leaves the box `side` pixels on its shorter side.
    inside = min(box[2] - box[0], box[3] - box[1])
    rgb = reading.to_rgb(reading.open_photo(data), shorter_side=-(-side * min(whole) // inside))
    across, down = rgb.width / whole[0], rgb.height / whole[1]
    # Cropped before resizing and rounded inwards, so that the filter never mixes in black bars.
    inner = (math.ceil(box[0] * across), math.ceil(box[1] * down), int(box[2] * across), int(box[3] * down))
    picture = rgb if inner == (0, 0, *rgb.size) else rgb.crop(inner)
    shorter = min(picture.size)
    left, top = (picture.width - shorter) / 2, (picture.height - shorter) / 2
    square = (left, top, left + shorter, top + shorter) if fit == "crop" else None
    small = picture.resize((side, side), FILTER, box=square, reducing_gap=REDUCING_GAP)
    return rgb_to_quantised(np.asarray(small))


def write_shards(
    folder: Path, place: Path | Source, manifest: pd.DataFrame, side: int, fit: Literal["crop", "squash"],
    shard_mb: float, jobs: Jobs, kept: Path | None = None,
) -> None:  # fmt: skip
    """Write all accepted photos as shards into `folder`, which appears whole or not at all.

    Photos are converted in parallel and written in the manifest's order, so the bytes don't depend on `jobs`. Memory
    is bounded by one shard.

    Args:
        place: where the photos of the manifest are.
        kept: a folder for complete shards, from which a killed preprocessing resumes; None: nothing is kept.
    Raises:
        ChromascapeError: a photo changed or disappeared after validation.
    """
    shards = _plan(manifest, max(1, int(shard_mb * 1e6 / (3 * side**2))))
    photos, files = source_of(place), KeptFiles(kept, WORK["preprocess"])
    index: dict[str, Any] = {"side": side, "fit": fit, "shards": []}
    with atomic_folder(folder) as temporary:
        digests = {name: files.restore(temporary / name) for name in shards}
        todo = [row for name, rows in shards.items() if not digests[name] for row in rows]
        if found := sum(map(len, shards.values())) - len(todo):
            tell(f"preprocessing resumes at photo {found:,} of {found + len(todo):,}")
        arguments = ((photos, row, side, fit) for row in todo)
        ends = (todo[0]["path"], todo[-1]["path"]) if todo else ("", "")
        seen = partial(Source.check_seen, photos, *ends)
        converted = in_parallel(_convert, arguments, jobs, len(todo), "preprocess", check=seen)
        for name, rows in shards.items():
            digest = digests[name]
            if digest is None:
                digest = _write_shard(temporary / name, converted, len(rows), side)
                files.keep(temporary / name, digest)
            paths = [row["path"] for row in rows]
            index["shards"].append({"file": name, "split": rows[0]["split"], "sha256": digest, "photos": paths})
        write_json(index, temporary / "index.json")


def fingerprint(manifest: pd.DataFrame, side: int, fit: str, shard_mb: float) -> str:
    """Fingerprint of everything that the shards depend on, including the photos' content."""
    accepted = manifest[manifest["verdict"] == "accepted"]
    photos = accepted[["path", "split", "sha256", *BOX_COLUMNS]].astype(str).to_numpy().tolist()
    return photos_fingerprint(Path(__file__), photos=photos, side=side, fit=fit, shard_mb=shard_mb)


def _plan(manifest: pd.DataFrame, per_shard: int) -> dict[str, list[dict[str, Any]]]:
    """The manifest's rows for each shard, by the shard's file name, in the order of writing."""
    accepted = manifest[manifest["verdict"] == "accepted"]
    shards = {}
    for split in SPLITS:
        rows = accepted[accepted["split"] == split].to_dict("records")
        for start in range(0, len(rows), per_shard):
            shards[f"{split}-{start // per_shard:05}.npy"] = rows[start : start + per_shard]
    return shards  # type: ignore[return-value]


def _convert(photos: Source, row: dict[str, Any], side: int, fit: Literal["crop", "squash"]) -> NDArray[np.uint8]:
    """A manifest row as quantised Lab; runs in worker processes."""
    left, top, right, bottom, width, height = (int(row[column]) for column in BOX_COLUMNS)
    try:
        data = photos.read(row["path"])
        if source.sha256(data) != row["sha256"]:
            raise source.PhotoError("unreadable", "changed since it was validated")
        return photo_to_lab(data, (left, top, right, bottom), (width, height), side, fit)
    except source.PhotoError as error:
        raise ChromascapeError(
            f"{photos.path(row['path'])}: {error}, but it was accepted earlier: run `dvc repro` to validate again"
        ) from None


def _write_shard(file: Path, converted: Iterable[NDArray[np.uint8]], count: int, side: int) -> str:
    """Write the next `count` photos as one array; returns the file's SHA-256."""
    shard = np.empty((count, 3, side, side), np.uint8)
    for row, photo in zip(range(count), converted, strict=False):
        shard[row] = photo
    with file.open("wb") as stream:
        # The same bytes as `np.save`, whose error on a full disk lacks the errno.
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(shard))
        stream.write(shard.data)
    return sha256_of_file(file)


class Shards:
    """The photos of one or more splits, numbered consecutively, as read-only memory maps.

    `paths` are as in the manifest, `side` is that of the photos in pixels.
    """

    def __init__(self, folder: Path, splits: Iterable[str], verify: bool = True):
        """Raises ChromascapeError if the cache is missing, incomplete or altered."""
        index = _read_index(folder)
        self.side: int = index["side"]
        self.paths: list[str] = []
        self.arrays: list[NDArray[np.uint8]] = []
        shards = [shard for shard in index["shards"] if shard["split"] in splits]
        with ProgressBar(sum(len(shard["photos"]) for shard in shards), "check the Lab cache") as bar:
            for shard in shards:
                self.arrays.append(_open_shard(folder / shard["file"], shard, self.side, verify))
                self.paths += shard["photos"]
                bar.add(len(shard["photos"]))
        self.starts = np.cumsum([0, *(len(array) for array in self.arrays)])

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Quantised Lab of the photos `rows`, (len(rows), 3, side, side), in this order."""
        photos_read = np.empty((len(rows), 3, self.side, self.side), np.uint8)
        shard_of = np.searchsorted(self.starts, rows, side="right") - 1
        for at, (row, shard) in enumerate(zip(rows, shard_of, strict=True)):
            photos_read[at] = self.arrays[shard][row - self.starts[shard]]
        return photos_read

    def photo(self, row: int) -> NDArray[np.uint8]:
        """Quantised Lab of one photo as a picture, (side, side, 3).

        Contiguous, as a worker process receives it: sums in another order have other low bits.
        """
        return np.ascontiguousarray(self.read(np.array([row]))[0].transpose(1, 2, 0))


def _read_index(folder: Path) -> Any:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        side, shards = index["side"], index["shards"]
        known = all({"file", "split", "sha256", "photos"} <= shard.keys() for shard in shards)
        if not isinstance(side, int) or not known:
            raise ValueError
        return index
    except FileNotFoundError:
        raise ChromascapeError(f"{folder}: no Lab cache here: run `dvc repro`") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ChromascapeError(f"{folder / 'index.json'}: damaged: run `dvc repro -f preprocess`") from None


def _open_shard(file: Path, entry: dict[str, Any], side: int, verify: bool) -> NDArray[np.uint8]:
    remedy = "run `dvc repro -f preprocess`"
    try:
        if verify and sha256_of_file(file) != entry["sha256"]:
            raise ChromascapeError(f"{file}: its checksum differs from index.json, so it was altered: {remedy}")
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: this shard is missing: {remedy}") from None
    except (ValueError, EOFError):
        raise ChromascapeError(f"{file}: this shard is damaged: {remedy}") from None
    if array.shape != (len(entry["photos"]), 3, side, side) or array.dtype != np.uint8:
        raise ChromascapeError(f"{file}: contains {array.dtype} {array.shape}, which differs from index.json: {remedy}")
    return array
