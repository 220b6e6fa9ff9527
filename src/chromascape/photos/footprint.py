"""What the Lab cache will take, estimated before it is made: count × 3 × side² bytes, and what DVC copies of it."""

import configparser
import csv
import json
import os
from pathlib import Path

from chromascape.params import Params, Preprocess
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import list_files
from chromascape.room import check_disk, check_memory, existing

LAB, MANIFEST = Path("data/lab"), Path("data/manifest.csv")
# Measured with the packages of constraints.txt: what a process has taken once it has imported what it runs, and a
# photo of 24 megapixels that it decodes and turns into sRGB.
MAIN_BYTES, WORKER_BYTES = 150_000_000, 250_000_000


def cache_bytes(count: int, side: int) -> int:
    """Bytes of so many photos as Lab shards: a byte for each of three channels of each pixel."""
    return count * 3 * side**2


def dvc_cache(root: Path) -> tuple[Path, bool]:
    """The folder of DVC's cache, and whether outputs are links into it, so that nothing lies on the disk twice.

    Read from the two files of `.dvc/`; what a user's own or the system's configuration says is not looked at.
    """
    folder, kinds = Path("cache"), "reflink,copy"
    for name in ("config", "config.local"):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(root / ".dvc" / name, encoding="utf-8")
            folder = Path(parser.get("cache", "dir", fallback=str(folder)))
            kinds = parser.get("cache", "type", fallback=kinds)
        except (configparser.Error, UnicodeDecodeError):
            continue
    return Path(os.path.normpath(root / ".dvc" / folder)), "link" in kinds.replace("reflink", "")


def expected_photos(folder: Path) -> tuple[int, bool]:
    """How many photos of a folder will be accepted, and whether that is known: the manifest has as many files.

    Else all files with the extension of a photo count.
    """
    names = list_files(folder) if folder.is_dir() else []
    try:
        with MANIFEST.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            verdicts = [row["verdict"] for row in csv.DictReader(file)]
        if len(verdicts) == len(names):
            return verdicts.count("accepted"), True
    except (OSError, KeyError, csv.Error):
        pass
    known = set().union(*EXTENSIONS.values())
    return sum(Path(name).suffix.lower() in known for name in names), False


def cache_to_come(params: Params) -> int:
    """Bytes of disk that the Lab cache will take beyond those that it has, before anything has run.

    Where photos were not validated yet, one copy of all of them counts: at most half of the truth, where all are
    accepted and DVC copies them; at most twice the truth, where half of them are. The stage asks exactly.
    """
    count, validated = expected_photos(Path(params.data.dir))
    side, has = params.preprocess.side, 0
    try:
        index = json.loads((LAB / "index.json").read_text(encoding="utf-8"))
        has = sum(len(shard["photos"]) for shard in index["shards"])
        if (index["side"], index["fit"], has) == (side, params.preprocess.fit, count):
            return 0
        has = cache_bytes(has, index["side"])  # which DVC removes before the stage
    except (OSError, ValueError, KeyError, TypeError):
        pass
    need = cache_bytes(count, side) * (copies_here(Path.cwd()) if validated else 1)
    return max(0, need - has)


def copies_here(root: Path) -> int:
    """How many copies of an output will lie on the repository's disk: 2 where DVC's cache is there, and no links."""
    cache, links = dvc_cache(root)
    same = existing(cache).stat().st_dev == root.stat().st_dev
    return 2 if same and not links else 1


def check_cache_room(count: int, section: Preprocess, jobs: int) -> None:
    """Ask, before the photos are converted, whether they fit.

    Disk: the cache, and DVC's copy of it. Memory: a shard, and the worker processes.

    Args:
        count: accepted photos.
        jobs: worker processes, 0 for one a core.
    Raises:
        ChromascapeError: there is less room; names the param to lower.
    """
    root, size = Path.cwd(), cache_bytes(count, section.side)
    cache, _ = dvc_cache(root)
    lower = f"free some, or lower preprocess.side ({section.side}, a quarter of the bytes for half of it)"
    check_disk(LAB, max(0, size * copies_here(root) - kept_bytes()), f"the Lab cache of {count:,} photos", lower)
    if existing(cache).stat().st_dev != root.stat().st_dev:
        check_disk(cache, size, f"DVC's copy of the Lab cache of {count:,} photos", lower)
    check_memory(preprocess_memory(size, section, jobs), "preprocess", memory_way_out(section, jobs))


def kept_bytes() -> int:
    """Bytes of shards that a killed preprocessing has kept: they are linked into the cache, not copied."""
    home = Path(os.environ.get("DVC_ROOT") or ".") / ".checkpoints"
    return sum(file.stat().st_size for file in home.glob("preprocess-*/*.npy"))


def preprocess_memory(size: int, section: Preprocess, jobs: int) -> int:
    """Bytes of memory that the stage takes: its process, one shard, and the workers.

    Args:
        size: of the whole cache in bytes, or more.
        jobs: worker processes, 0 for one a core.
    """
    shard = min(size, int(section.shard_mb * 1e6))
    return MAIN_BYTES + shard + (jobs or os.cpu_count() or 1) * WORKER_BYTES


def memory_way_out(section: Preprocess, jobs: int) -> str:
    """What to do where that is too much."""
    return f"lower jobs ({jobs or 'one a core'}) or preprocess.shard_mb ({section.shard_mb:g})"
