"""Free disk, checked before work that would fill it."""

import re
import shutil
from pathlib import Path

from chromascape.errors import ChromascapeError
from chromascape.resume import kept_folders


def check_disk(folder: Path, need: int, what: str, remedy: str) -> None:
    """Refuse work whose files would not fit.

    Args:
        folder: where they will be written; it need not exist yet.
        need: bytes, an estimate.
        what: the files, in the plural.
        remedy: what to do, with the key of params.yaml that lowers the need.
    Raises:
        ChromascapeError: less is free.
    """
    free = free_bytes(folder)
    if need > free:
        raise ChromascapeError(
            f"{folder}: not enough disk for {what}: they need about {shown_bytes(need)} and {shown_bytes(free)} are "
            f"free: {remedy}"
        )


def check_shards(count: int, side: int, root: Path) -> None:
    """Refuse to convert so many photos to shards where shards and DVC's copy of them would not fit.

    Args:
        side: of a converted photo, in pixels.
        root: of the repository. Shards that a killed run left in its `.checkpoints/` are reused, so they need nothing.
    Raises:
        ChromascapeError: too little disk is free.
    """
    need = shard_bytes(count, side) * (2 if _dvc_copies(root) else 1)
    need -= sum(bytes_of(folder, "*.npy") for folder in kept_folders(root, "preprocess"))
    remedy = f"free some, or lower preprocess.side ({side}; half of it needs a quarter)"
    check_disk(Path("data/lab"), need, f"the Lab shards of {count:,} photos", remedy)


def shard_bytes(count: int, side: int) -> int:
    """Bytes of so many photos as Lab shards: three channels of a byte a pixel."""
    return count * 3 * side**2


def bytes_of(root: Path, pattern: str) -> int:
    """Bytes of the files under `root` that match a pattern of `Path.glob`."""
    return sum(file.stat().st_size for file in root.glob(pattern) if file.is_file())


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    folder = folder.absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def shown_bytes(count: float) -> str:
    """A number of bytes for people: 3 MB, 1.2 GB."""
    if count < 1e9:
        return f"{max(count, 0) / 1e6:.0f} MB"
    return f"{count / 1e9:,.1f} GB" if count < 1e12 else f"{count / 1e12:,.1f} TB"


def _dvc_copies(root: Path) -> bool:
    """Whether DVC keeps a second copy of every output on the disk of the repository.

    It does unless `.dvc/` configures links (`cache.type`) or another place (`cache.dir`).
    """
    files = [file for name in ("config", "config.local") if (file := root / ".dvc" / name).is_file()]
    return not any(re.search(r"^\s*(dir|type)\s*=", file.read_text("utf-8", "replace"), re.MULTILINE) for file in files)
