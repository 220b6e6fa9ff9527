"""A folder of photos: the only module that lists its files and reads their bytes, through `remote` from elsewhere."""

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from chromascape.errors import ChromascapeError

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # a disk of Windows has one letter and no second slash


class PhotoError(ChromascapeError):
    """A file that is not usable as a photo: `reason` is one of `rules.RULES`, `detail` is text for people."""

    def __init__(self, reason: str, detail: str):
        super().__init__(reason, detail)  # both, so that the exception can be pickled by a worker process
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class Limits:
    """Photos above these limits are refused before any memory is allocated: pixels of a photo, bytes of a file."""

    max_pixels: int = 178_000_000
    max_file_bytes: int = 1_000_000_000


DEFAULT_LIMITS = Limits()


class Entry(NamedTuple):
    """What a listing alone says of a file: its size in bytes, and a stamp that changes with its content.

    Both are None for files on this machine.
    """

    size: int | None = None
    stamp: str | None = None


UNKNOWN = Entry()


@dataclass(frozen=True)
class Source:
    """The photos of `data.dir`: a folder on this machine, or what fsspec opens, such as `s3://bucket/folder`.

    It is cheap to send to a worker process: the listing stays behind.
    """

    location: str

    def __reduce__(self) -> tuple[type["Source"], tuple[str]]:
        return Source, (self.location,)

    def __str__(self) -> str:
        return re.sub(r"(?<=[^/:])/+$", "", self.location) if self.is_remote else str(self.folder)

    @property
    def is_remote(self) -> bool:
        """Whether the photos are elsewhere than in a folder of this machine."""
        return URL.match(self.location) is not None

    @property
    def _remote(self) -> Any:
        """The module for photos that are elsewhere, imported here, as most photos are on a disk."""
        from chromascape.photos import remote

        return remote

    @property
    def folder(self) -> Path:
        """The folder, if it is on this machine."""
        return Path(self.location)

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """What a listing says of every file, by its name (see `list_files`), sorted. Listed once.

        Raises:
            ChromascapeError: elsewhere than on this machine, nothing is there or no answer comes.
        """
        if not self.is_remote:
            return dict.fromkeys(list_files(self.folder), UNKNOWN)
        return {name: Entry(*found) for name, found in self._remote.files(str(self)).items()}

    @property
    def patience(self) -> float:
        """Seconds that a file may take to come, besides the time that it may take to read."""
        return 2.0 * self._remote.LONGEST_READ if self.is_remote else 0.0

    def check(self) -> None:
        """Raises a ChromascapeError that names `data.dir` and the fix, unless files can be listed and read."""
        if self.is_remote:
            self._remote.check_readable(str(self), list(self.entries))
        else:
            check_folder(self.folder)

    def check_seen(self, name: str, last: str) -> None:
        """Raises ChromascapeError if this machine does not see the first file; elsewhere, if it can read neither."""
        if self.is_remote:
            self._remote.check_readable(str(self), [name, last])
        elif not os.path.lexists(self.folder / name):
            missing = f"data.dir: {self} has no {shown_name(name)} here"
            raise ChromascapeError(f"{missing}: every worker needs the same photos at the same path")

    def absolute(self) -> "Source":
        """The same photos for a process in another folder."""
        return self if self.is_remote else Source(str(self.folder.resolve()))

    def check_trackable(self) -> int:
        """The number of files; raises a ChromascapeError if DVC can't track some of them."""
        return len(self.entries) if self.is_remote else check_trackable(self.folder)

    def total_bytes(self) -> int:
        """The size of all files."""
        if self.is_remote:
            return sum(entry.size or 0 for entry in self.entries.values())
        return sum((self.folder / name).stat().st_size for name in self.entries)

    def read(self, name: str, limits: Limits = DEFAULT_LIMITS, size: int | None = None) -> bytes:
        """The file's bytes, read once.

        Args:
            size: of the file, if a listing told it, so that one too large is not read.
        Raises:
            PhotoError: this file is unreadable, empty or too large.
            ChromascapeError: it can't be read now, as others can't be.
        """
        if not self.is_remote:
            return read_bytes(self.folder / name, limits)
        if size is not None and size > limits.max_file_bytes:
            raise _too_large(size, limits)
        try:
            data: bytes = self._remote.read(str(self), name, limits.max_file_bytes + 1)
        except OSError as error:
            raise PhotoError("unreadable", " ".join(str(error).split()) or type(error).__name__) from None
        if len(data) > limits.max_file_bytes:
            raise _too_large(len(data), limits)
        return _not_empty(data)

    def path(self, name: str) -> str:
        """Where a file is, for people."""
        return f"{self}/{name}" if self.is_remote else str(self.folder / name)


def source_of(place: str | Path | Source) -> Source:
    """The photos of a place, which may be a source already."""
    return place if isinstance(place, Source) else Source(str(place))


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, as sorted paths relative to it, with '/' between the parts.

    Links to folders are not followed, because they may loop. They are listed as files, and so are folders that can't
    be listed; validation then rejects them.
    """
    found: list[str] = []

    def keep(error: OSError) -> None:
        found.append(Path(error.filename).relative_to(folder).as_posix())

    for parent, folders, files in os.walk(folder, onerror=keep):
        names = files + [name for name in folders if (Path(parent) / name).is_symlink()]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in names]
    return sorted(found)


def shown_name(name: str) -> str:
    """A file's name as valid UTF-8; other bytes appear as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_bytes(path: Path, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The file's bytes, read once.

    Raises:
        PhotoError: not a regular file (reading a pipe would block forever), unreadable, empty or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError("unreadable", "not a regular file")
        if status.st_size > limits.max_file_bytes:
            raise _too_large(status.st_size, limits)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise PhotoError("unreadable", getattr(error, "strerror", None) or str(error)) from None
    return _not_empty(data)


def _too_large(size: int, limits: Limits) -> PhotoError:
    shown, limit = -(-size // 10**6), limits.max_file_bytes // 10**6
    return PhotoError("too_large", f"{shown:,} MB, more than the limit of {limit:,} MB: save it smaller, as JPEG")


def _not_empty(data: bytes) -> bytes:
    if not data:
        raise PhotoError("not_an_image", "the file is empty")
    return data


def is_apple_double(path: Path) -> bool:
    """Whether a file is what macOS writes beside a file, under its name with `._` before it, on disks of others."""
    if not path.name.startswith("._") or not path.is_file():  # a pipe would block
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"\0\5\x16\7", b"\0\5\x16\0")  # AppleDouble, AppleSingle (RFC 1740)
    except OSError:
        return False


def sha256(data: bytes) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def check_folder(folder: Path) -> Path:
    """The folder, if it can be listed; else raises a ChromascapeError that names `data.dir` and the fix."""
    if not folder.exists():
        home = " ('~' is not expanded: write the whole path)" if str(folder).startswith("~") else ""
        raise ChromascapeError(f"data.dir: {folder} does not exist{home}: {_missing_hint(folder)}")
    if not folder.is_dir():
        raise ChromascapeError(f"data.dir: {folder} is a file: write the folder that holds the photos")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ChromascapeError(f"data.dir: {folder} can't be read: check its permissions")
    return folder


def check_trackable(folder: Path) -> int:
    """The number of files below a folder, none of which is opened.

    Raises:
        ChromascapeError: DVC, which hashes every file, would fail or block forever on some of them.
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
    """Why DVC can't track this file, or None."""
    try:
        status = path.stat()
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    except OSError as error:
        # In a folder without permissions, is_symlink fails as well.
        return "broken link" if error.errno != errno.EACCES and path.is_symlink() else str(error.strerror)
    if stat.S_ISDIR(status.st_mode):
        return None if path.is_symlink() else "folder that can't be listed"  # neither DVC nor we follow links
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if path.name == ".dvcignore":
        return "DVC allows this file only in the repository's root"
    return None if os.access(path, os.R_OK) else "no permission to read it"


def _missing_hint(folder: Path) -> str:
    """What to write instead of a missing folder. DVC_ROOT is set in an experiment's temporary copy."""
    root = os.environ.get("DVC_ROOT")
    if root and not folder.is_absolute() and (Path(root) / folder).exists():
        absolute = (Path(root) / folder).resolve()
        return f"this experiment runs in a temporary copy of the repository: write data.dir: {absolute}"
    return "write the path of your photos"


def relative_note(place: Path | Source) -> str:
    """A warning about a relative path outside the repository (the current folder); empty for other paths."""
    photos = source_of(place)
    folder, absolute = photos.folder, photos.folder.resolve()
    if photos.is_remote or folder.is_absolute() or absolute.is_relative_to(Path.cwd()):
        return ""
    return (
        f"note: data.dir: {folder} is relative and outside the repository. Experiments in a temporary copy (--temp, "
        f"--queue) would look for it beside the copy: write {absolute} for those\n"
    )
