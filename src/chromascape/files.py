"""Writing files and folders whole or not at all, and their checksums."""

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromascape.errors import ChromascapeError

if TYPE_CHECKING:
    import pandas as pd


# What is being written (new), and what it is about to replace (old): `.NAME.PROCESS.new.part`. Git ignores both.
_PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.(?P<kind>new|old)\.part", re.DOTALL)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends well, else it goes away.

    Raises:
        OSError: the file can't be written; the error names it, and `path` is as it was.
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
    """An empty folder beside `path` to fill; it takes the place of `path` when the block ends well.

    No system swaps two folders in one step on every disk, so the old one is renamed aside, the new one renamed into
    its place, and only then the old one removed. Where the second step fails the old one is renamed back; where the
    process dies between the two, `clean_leftovers` does so.

    Raises:
        OSError: the folder can't be written; the error names it, and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_leftovers(path.parent, path.name)
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
    """Put the folder `new` in the place of `path`, which may be missing."""
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


def clean_leftovers(folder: Path, about_to_write: str = "") -> None:
    """Put right what killed processes left in a folder: what they were replacing comes back, half-made things go.

    Parts of living processes stay. Windows can't be asked who lives, so there nothing is touched. A part with this
    process's own number comes from an earlier process where its name is the one that we are about to write.
    """
    try:
        found = [(file, match) for file in folder.iterdir() if (match := _PART.fullmatch(file.name))]
    except OSError:
        return
    for file, match in found:
        process = int(match["process"])
        if is_alive(process) and not (process == os.getpid() and match["name"] == about_to_write):
            continue
        path = folder / match["name"]
        if match["kind"] == "old" and not path.exists():
            with suppress(OSError):  # somebody else did, or may not write here
                file.replace(path)
        else:
            _remove(file)


@cache
def _clean_once(folder: Path) -> None:
    """`clean_leftovers`, for many files that one process writes into one folder."""
    clean_leftovers(folder)


def _part(path: Path, kind: str) -> Path:
    name = path.name
    if kind == "new" and len(os.fsencode(name)) > 200:  # a disk's names end at 255 bytes
        name = f"{name[:40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return path.with_name(f".{name}.{os.getpid()}.{kind}.part")


def is_alive(process: int) -> bool:
    """Whether a process of this number runs on this machine; on Windows, which can't be asked, always True."""
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
    # Python before 3.13 does not see that a carriage return must be quoted.
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
    """SHA-256 of what lies on the disk, in hex; the file is read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _named(error: OSError, path: Path) -> OSError:
    """The error with the name of what could not be written; the system leaves it out for a full disk."""
    error.filename = error.filename or str(path)
    return error


def _sync(path: Path) -> None:
    """Have the disk hold what was written, so that a power cut after the rename loses nothing."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
