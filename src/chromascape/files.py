"""Writing files and folders completely or not at all, and their checksums."""

import csv
import hashlib
import json
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromascape.errors import ChromascapeError

if TYPE_CHECKING:
    import pandas as pd


# What is being written (new), and what it will replace (old): `.NAME.PLACE-PROCESS-RUN.new.part`. Git ignores both.
_PART = re.compile(r"\.(?P<name>.+)\.(?P<place>\w+)-(?P<process>\d+)-(?P<run>\w+)\.(?P<kind>new|old)\.part", re.DOTALL)
_RUN = uuid.uuid4().hex[:8]  # distinguishes this process from an earlier one with its number
STALE_SECONDS = 24 * 3600  # far longer than any writer pauses


def repository_root() -> Path:
    """Where checkpoints and runs are kept, also for an experiment in a temporary copy: DVC names its repository."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it replaces `path` when the block ends without an error, else it is removed.

    Raises:
        OSError: the file can't be written; the error names it, and `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(path.parent.absolute())
    temporary = _part(path, "new")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to fill; it replaces `path` when the block ends without an error.

    Not every disk can swap two folders in one step. So the old folder is renamed, the new one takes its name, and only
    then is the old one removed. If the second step fails, the old folder gets its name back; if the process dies
    between the two, `clean_leftovers` does that.

    Raises:
        OSError: the folder can't be written; the error names it, and `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_leftovers(path.parent)
    temporary = _part(path, "new")
    temporary.mkdir()
    try:
        yield temporary
        for file in [temporary, *temporary.rglob("*")]:
            _sync(file)
        _swap(temporary, path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        _remove(temporary)


def _swap(new: Path, path: Path) -> None:
    """Replace the folder `path`, which may be missing, by `new`."""
    old = _part(path, "old")
    if path.exists():
        path.replace(old)
    try:
        new.replace(path)
        _sync(path.parent)  # before the old one goes
    except BaseException:
        if old.exists():
            _remove(path)
            old.replace(path)
        raise
    _remove(old)


def clean_leftovers(folder: Path) -> None:
    """Undo what killed processes left in a folder: restore what they were replacing, remove what is incomplete."""
    try:
        found = [(file, match) for file in folder.iterdir() if (match := _PART.fullmatch(file.name))]
    except OSError:
        return
    for file, match in found:
        path = folder / match["name"]
        with suppress(OSError):  # another process did it, or this folder is read-only
            if not _is_abandoned(file, match):
                continue
            if match["kind"] == "old" and not path.exists():
                file.replace(path)
            else:
                _remove(file)


def _is_abandoned(file: Path, match: re.Match[str]) -> bool:
    """Whether the writer of a part is certainly gone: it is dead, or the part has not changed for a day.

    Nobody can ask for processes of other containers and machines that share the disk, nor for any on Windows.
    """
    process = int(match["process"])
    if match["place"] == _place():
        if process == os.getpid():
            return match["run"] != _RUN
        if not is_alive(process):
            return True
    status = file.lstat()  # renaming a folder changes its ctime alone
    return time.time() - max(status.st_mtime, status.st_ctime) > STALE_SECONDS


@cache
def _place() -> str:
    """Where a process's number belongs to it alone, as 8 hex digits: this machine, or on Linux this container."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


@cache
def _clean_once(folder: Path) -> None:
    """`clean_leftovers`, for many files that one process writes into one folder."""
    clean_leftovers(folder)


def _part(path: Path, kind: str) -> Path:
    name = path.name
    if kind == "new" and len(os.fsencode(name)) > 200:  # names have at most 255 bytes
        name = f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return path.with_name(f".{name}.{_place()}-{os.getpid()}-{_RUN}.{kind}.part")


def is_alive(process: int) -> bool:
    """Whether a process with this number runs on this machine; always True on Windows, where this is unknown."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def write_table(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV without its index; names of files that are not UTF-8 keep their bytes."""
    texts = frame.select_dtypes(exclude=["number", "bool"])
    # Python before 3.13 does not quote carriage returns.
    returns = any("\r" in value for name in texts for value in texts[name] if isinstance(value, str))
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    with atomic_write(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", errors="surrogateescape", quoting=quoting)


def write_json(values: Any, path: Path) -> None:
    """Write JSON with sorted keys; NaN and infinity are refused, because other tools can't read them."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_metrics(path: Path, stage: str) -> Any:
    """The figures that a stage left in `metrics/`.

    Raises:
        ChromascapeError: the file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ChromascapeError(f"{path}: not JSON ({error}): run `dvc repro -f {stage}`") from None


def sha256_of_file(file: Path) -> str:
    """SHA-256 of a file, in hex; it is read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _named(error: OSError, path: Path) -> OSError:
    """The error with the name of the file, which the system leaves out for a full disk."""
    error.filename = error.filename or str(path)
    return error


def _sync(path: Path) -> None:
    """Flush to the disk, so that a power cut after the rename loses nothing."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
