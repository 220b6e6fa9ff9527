"""How much disk and memory is free, and the line that refuses work which can't fit, before it begins."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from chromascape.errors import ChromascapeError

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
# The files of both versions of Linux's control groups: the limit, what is used, and the key of `memory.stat` whose
# bytes are files that were read: the system gives them back before anybody runs out of memory.
V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def shown_bytes(count: float) -> str:
    """A number of bytes as a person reads it: 3 MB, 1.2 GB."""
    if count < 1e9:
        return f"{max(count, 0) / 1e6:.0f} MB"
    return f"{count / 1e9:,.1f} GB" if count < 1e12 else f"{count / 1e12:,.1f} TB"


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_disk(path: Path) -> int:
    """Bytes that may still be written on the disk of a path, which need not exist yet."""
    return shutil.disk_usage(existing(path)).free


def free_memory() -> int:
    """Bytes of memory that a program may take before the system swaps, or its container is ended."""
    return min([psutil.virtual_memory().available, *(max(0, limit - used) for limit, used in container_limits())])


def container_limits() -> list[tuple[int, int]]:
    """Limit and use, in bytes, of every control group (of a container, a job of a cluster) that we are in.

    Only Linux has them, and only those with a limit count.
    """
    return [
        pair
        for folder, names in _groups()
        if (pair := _limit_and_use(folder, names)) and pair[0] < psutil.virtual_memory().total
    ]


def check_disk(folder: Path, need: int, what: str, way_out: str) -> None:
    """Refuse work whose files don't fit.

    Args:
        folder: where they will lie; it need not exist yet.
        need: bytes.
        what: they are.
        way_out: what to do, named by a key of params.yaml where one helps.
    Raises:
        ChromascapeError: less is free.
    """
    free = free_disk(folder)
    if need > free:
        raise ChromascapeError(
            f"{folder}: no room for {what}: they need about {shown_bytes(need)} and {shown_bytes(free)} are free on "
            f"this disk: {way_out}"
        )


def check_memory(need: int, what: str, way_out: str) -> None:
    """Refuse work that needs more memory than there is; arguments and errors as of `check_disk`."""
    free = free_memory()
    if need > free:
        raise ChromascapeError(
            f"not enough memory for {what}: it needs about {shown_bytes(need)} and {shown_bytes(free)} are free: "
            f"{way_out}"
        )


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folders of our control groups, from the innermost outwards, each with the names of its files.

    Inside a container the path is often that of the host, and not there: the outermost folder is then the container's.
    """
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (CGROUPS / "memory", V1) if controllers else (CGROUPS, V2)
        inner = top / path.strip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(top):
                yield folder, names


def _limit_and_use(folder: Path, names: tuple[str, str, str]) -> tuple[int, int] | None:
    """Bytes a group may use, and uses without what the system gives back; None where it has no limit."""
    limit, used, returned = names
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        taken = int((folder / used).read_text(encoding="ascii"))
        stat = dict(line.split(maxsplit=1) for line in (folder / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):  # the file says "max", or there is none
        return None
    return most, taken - int(stat.get(returned, 0))
