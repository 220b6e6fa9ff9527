"""How work that was stopped or killed resumes: a folder that survives, with complete files or a journal.

The folder is in `.checkpoints/` at the root of the repository, which DVC never removes. Its name has the kind of work
and a fingerprint of all that decides the result. All that is read from it has a checksum; what is damaged is reported
in one line and done again. A disk that takes no checkpoints costs no work.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout
from tqdm import tqdm

from chromascape.files import sha256_of_file, write_json
from chromascape.imports import closure, module_name

FOLDER = ".checkpoints"
WORK = {  # by kind of folder
    "validate": "validation",
    "preprocess": "preprocessing",
    "train": "training",
    "evaluate": "evaluation",
}
STALE_SECONDS = 7 * 24 * 3600
SYNC_SECONDS = 10.0  # the most of a journal that a power cut loses; a kill loses nothing


def repository_root() -> Path:
    """Where checkpoints and runs are kept, also for an experiment in a temporary copy: DVC names its repository."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def folder_of(root: Path, kind: str, fingerprint: str) -> Path:
    """The folder of one piece of work; `kind` is a key of `WORK`."""
    return root / FOLDER / f"{kind}-{fingerprint}"


def lock_of(folder: Path) -> Path:
    """The file whose lock a process holds while it works in such a folder."""
    return folder.with_name(f"{folder.name}.lock")


def kept_folders(root: Path, kind: str = "*") -> list[Path]:
    """The folders of work that was interrupted or runs now, of one kind or of all."""
    return sorted(path for path in (root / FOLDER).glob(f"{kind}-*") if path.is_dir())


@contextmanager
def open_folder(root: Path, kind: str, fingerprint: str) -> Iterator[Path | None]:
    """The folder of one piece of work, for this process alone; it is removed if the block ends without an error.

    None, with a warning, if another process uses it or it can't be made. `kind` is a key of `WORK`.
    """
    folder = folder_of(root, kind, fingerprint)
    home = folder.parent
    with ExitStack() as stack:
        try:
            home.mkdir(exist_ok=True)
            _clean_stale(home, folder)
            stack.enter_context(FileLock(lock_of(folder), timeout=0))
            folder.mkdir(exist_ok=True)
        except Timeout:
            tell(f"warning: the same {WORK[kind]} runs in another process: this one has no checkpoints")
            yield None
            return
        except OSError as error:
            tell(f"warning: {home}: {short(error)}: this {WORK[kind]} has no checkpoints")
            yield None
            return
        yield folder
        _remove(folder)


class Journal:
    """Values by key, one line each in a file: JSON after its checksum, written at once.

    Attributes:
        entries: what the file held when it was opened. An incomplete last line, as a kill leaves it, is dropped; other
            damaged lines are reported in one line, and their keys are missing.
    """

    def __init__(self, file: Path | None, work: str):
        """`file` None keeps nothing; warnings name `work`."""
        self.file, self.work = file, work
        self.entries: dict[str, Any] = {}
        self._stream: BinaryIO | None = None
        self._synced = time.monotonic()
        if file:
            with self._failing_softly():
                self._stream = file.open("a+b")
                self._stream.seek(0)
                *lines, cut = self._stream.read().split(b"\n")
                found = [_parsed(line) for line in lines]
                self.entries = dict(pair for pair in found if pair)
                if damaged := found.count(None):
                    tell(f"warning: {file}: {damaged} of {len(lines)} lines damaged: their work is done again")
                self._stream.truncate(self._stream.tell() - len(cut))

    def add(self, key: str, value: Any) -> None:
        """Write a line. If that fails, there is one warning, and nothing more is written."""
        if self._stream is None:
            return
        text = json.dumps([key, value]).encode()
        with self._failing_softly():
            self._stream.write(hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n")
            self._stream.flush()
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._stream.fileno())
                self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file."""
        if self._stream:
            with suppress(OSError):  # there was a warning
                self._stream.close()
            self._stream = None

    @contextmanager
    def _failing_softly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            tell_unwritten(self.work, error)
            self.close()


class KeptFiles:
    """Finished files, each beside a small JSON with its checksum."""

    def __init__(self, folder: Path | None, work: str):
        """`folder` None keeps nothing; warnings name `work`."""
        self.folder, self.work = folder, work

    def restore(self, target: Path) -> str | None:
        """Restore the kept file of this name; returns its SHA-256, or None if there is none or it is damaged."""
        if not self.folder:
            return None
        file = self.folder / target.name
        try:
            recorded = json.loads(_note(file).read_text(encoding="utf-8"))["sha256"]
            _link(file, target)
            if sha256_of_file(target) == recorded:
                return str(recorded)
            reason = "its checksum is not the recorded one"
        except FileNotFoundError:
            return None  # killed between the two files, or before
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = short(error)
        target.unlink(missing_ok=True)
        tell(f"warning: {file}: damaged ({reason}): it is made again")
        return None

    def keep(self, file: Path, digest: str) -> None:
        """Keep a file with its SHA-256. If that fails, there is one warning, and nothing more is kept."""
        if not self.folder:
            return
        kept = self.folder / file.name
        try:
            _note(kept).unlink(missing_ok=True)
            _link(file, kept)
            write_json({"sha256": digest}, _note(kept))
        except OSError as error:
            tell_unwritten(self.work, error)
            self.folder = None


def digest(values: Any) -> str:
    """SHA-256 of values, as JSON."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def code(source: Path) -> dict[str, str]:
    """The checksums of a module and of all that it imports and that decides its results, by name."""
    source = source.resolve()
    return {module_name(file): sha256_of_file(file) for file in (source, *closure(source))}


def photos_fingerprint(source: Path, **parts: Any) -> str:
    """The fingerprint of a module's work on photos, 16 hex digits: of these parts, the code and the decoders."""
    versions = {package: version(package) for package in ("pillow", "numpy", "imagehash")}
    return digest({"parts": parts, "code": code(source), "versions": versions})[:16]


def short(error: Exception) -> str:
    """An error in a few words."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:150] or type(error).__name__


def tell(line: str) -> None:
    """Print a line above the progress bars."""
    tqdm.write(line, file=sys.stderr)


def tell_unwritten(work: str, error: OSError) -> None:
    """Warn that a checkpoint could not be written."""
    tell(f"warning: no checkpoint could be written ({short(error)}): {work} continues without")


def _parsed(line: bytes) -> tuple[str, Any] | None:
    """Key and value of a line of a journal; None if it is damaged."""
    checksum, _, text = line.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        return None
    key, value = json.loads(text)
    return key, value


def _note(file: Path) -> Path:
    """The file that holds the checksum of a kept file."""
    return file.with_name(f"{file.name}.json")


def _link(file: Path, target: Path) -> None:
    """Give the file a second name; copy it if the disk has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)


def _clean_stale(home: Path, own: Path) -> None:
    """Remove the folders of other work that nobody has resumed for a week."""
    found = {path.with_suffix("") for kind in WORK for path in home.glob(f"{kind}-*")}
    for folder in found - {own}:
        with suppress(OSError):
            newest = max(file.stat().st_mtime for file in [*home.glob(f"{folder.name}*"), *folder.glob("*")])
            if time.time() - newest > STALE_SECONDS:
                with FileLock(lock_of(folder), timeout=0):
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder and its lock file, under the lock."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # Windows removes no open file
        lock_of(folder).unlink()
