"""A folder of files that somebody else made: listing them, their bytes, and what can't be used of them.

The only door to listing and bytes.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from chromascape.errors import ChromascapeError


class PhotoError(Exception):
    """A file that can't be used as a photo: `reason` from the closed list of `manifest`, and the detail."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)  # both, so that it survives the way back from a worker process
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class Limits:
    """What is refused before memory is taken for it: pixels of a photo, bytes of a file."""

    max_pixels: int = 178_000_000
    max_file_bytes: int = 1_000_000_000


DEFAULT_LIMITS = Limits()


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, as sorted paths relative to it with '/' between the parts.

    Links to folders, and folders that can't be listed, are named as if they were files, which are then rejected.
    Links are not followed: they may loop.
    """
    found: list[str] = []

    def keep(error: OSError) -> None:
        found.append(Path(error.filename).relative_to(folder).as_posix())

    for parent, folders, files in os.walk(folder, onerror=keep):
        names = files + [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in names]
    return sorted(found)


def shown_name(name: str) -> str:
    """A file's name as text that any tool can write: bytes that are not UTF-8 as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_bytes(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The file's bytes, read once.

    Raises:
        PhotoError: not a regular file (a pipe would wait for ever), unreadable, empty or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("unreadable", "not a regular file")
        if status.st_size > limits.max_file_bytes:
            raise PhotoError("too_large", f"{status.st_size / 1e6:.0f} MB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise PhotoError("unreadable", getattr(error, "strerror", None) or str(error)) from None
    if not data:
        raise PhotoError("not_an_image", "the file is empty")
    return data


def sha256(data: bytes) -> str:
    """The digest of a file's bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


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


def check_trackable(folder: Path) -> int:
    """The number of files below a folder, none of which is opened.

    Raises:
        ChromascapeError: the folder holds what DVC, which hashes every file, stops or waits for ever at.
    """
    names = list_files(folder)
    found = [(name, problem) for name in names if (problem := _untrackable(folder / name))]
    if found:
        shown = ", ".join(f"{name!r} ({problem})" for name, problem in found[:3])
        raise ChromascapeError(
            f"data.dir: DVC can't track {len(found)} of the files in {folder}: {shown}: remove, rename or repair them"
        )
    return len(names)


def _untrackable(path: Path) -> str | None:
    try:
        status = path.stat()
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        # Of a file in a closed folder not even that can be asked.
        return "broken link" if error.errno != errno.EACCES and path.is_symlink() else str(error.strerror)
    if stat.S_ISDIR(status.st_mode):
        return None if path.is_symlink() else "folder that can't be listed"  # neither DVC nor we follow links
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if path.name == ".dvcignore":
        return "DVC takes this file in the repository's root alone"
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
