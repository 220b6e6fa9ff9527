"""What work that was stopped or killed goes on from: a folder that outlives it, whole files, and a journal.

The folder lies in `.checkpoints/` at the root of the repository, beyond what DVC removes before it runs a stage, and is
named by the kind of work and a fingerprint of all that its result follows from. Whatever is read from it has a
checksum; what is damaged is told in one line and done again. A disk that takes no checkpoints costs no work.
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

HOME = ".checkpoints"
WORK = {  # by the kind of a folder
    "validate": "validation",
    "preprocess": "preprocessing",
    "train": "training",
    "evaluate": "evaluation",
}
STALE_SECONDS = 7 * 24 * 3600
SYNC_SECONDS = 10.0  # at most so much of a journal is lost where the power fails; a kill costs nothing of it


def repository_root() -> Path:
    """Where checkpoints and runs are kept: DVC tells an experiment in a temporary copy where the repository is."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


@contextmanager
def open_folder(root: Path, kind: str, fingerprint: str) -> Iterator[Path | None]:
    """The folder of one piece of work, for this process alone; it goes where the block ends well, and stays elsewhere.

    None where another process has it, or it can't be made: that is told in one line.

    Args:
        root: of the repository.
        kind: a key of `WORK`.
        fingerprint: of all that the result follows from.
    """
    home = root / HOME
    folder = home / f"{kind}-{fingerprint}"
    with ExitStack() as stack:
        try:
            home.mkdir(exist_ok=True)
            _clean_stale(home, folder)
            stack.enter_context(FileLock(f"{folder}.lock", timeout=0))
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
    """What is known by key, a line each in a file: JSON behind its checksum, handed to the system at once.

    Attributes:
        entries: what the file held when it was opened. A last line that was cut short is dropped, as a kill leaves
            it; lines that are damaged otherwise are told in one line, and their keys are missing.
    """

    def __init__(self, file: Path | None, work: str):
        """`file` None keeps nothing; `work` is named where something is wrong."""
        self.file, self.work = file, work
        self.entries: dict[str, Any] = {}
        self._stream: BinaryIO | None = None
        self._synced = time.monotonic()
        if file:
            with self._failing_softly():
                self._open(file)

    def _open(self, file: Path) -> None:
        self._stream = file.open("a+b")
        self._stream.seek(0)
        *lines, cut = self._stream.read().split(b"\n")
        found = [_parsed(line) for line in lines]
        self.entries = {pair[0]: pair[1] for pair in found if pair}
        if damaged := found.count(None):
            tell(f"warning: {file}: {damaged} of {len(lines)} lines damaged: what they told is found out again")
        self._stream.truncate(self._stream.tell() - len(cut))

    def add(self, key: str, value: Any) -> None:
        """Write a line; where that fails it is told, and nothing more is written."""
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
            with suppress(OSError):  # what could not be written was told
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
    """Files that are done, under their names, each beside a small JSON with its checksum."""

    def __init__(self, folder: Path | None, work: str):
        """`folder` None keeps nothing; `work` is named where something is wrong."""
        self.folder, self.work = folder, work

    def restore(self, target: Path) -> str | None:
        """Bring back the kept file of this name; returns its SHA-256, or None where there is none that is whole."""
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
        """Keep a file with its SHA-256; where that fails it is told, and nothing more is kept."""
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
    """SHA-256 of values that JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def code(source: Path) -> dict[str, str]:
    """The checksums of a module and of all that it imports and that decides its results, by name."""
    source = source.resolve()
    return {module_name(file): sha256_of_file(file) for file in (source, *closure(source))}


def photos_fingerprint(source: Path, **parts: Any) -> str:
    """The fingerprint of work on photos, 16 hex digits: of these parts, the code and the libraries that decode.

    Args:
        source: the module that does the work.
    """
    versions = {package: version(package) for package in ("pillow", "numpy", "imagehash")}
    return digest({"parts": parts, "code": code(source), "versions": versions})[:16]


def short(error: Exception) -> str:
    """What went wrong in a few words."""
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:150] or type(error).__name__


def tell(line: str) -> None:
    """A line for people, above progress bars."""
    tqdm.write(line, file=sys.stderr)


def tell_unwritten(work: str, error: OSError) -> None:
    """The warning where a checkpoint could not be written."""
    tell(f"warning: no checkpoint could be written ({short(error)}): {work} goes on without")


def _parsed(line: bytes) -> tuple[str, Any] | None:
    """Key and value of a line of a journal; None where it is not as it was written."""
    checksum, _, text = line.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        return None
    key, value = json.loads(text)
    return key, value


def _note(file: Path) -> Path:
    """Where the checksum of a kept file stands."""
    return file.with_name(f"{file.name}.json")


def _link(file: Path, target: Path) -> None:
    """The file under another name too; a copy where the disk has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, target)


def _clean_stale(home: Path, own: Path) -> None:
    """Remove the folders of other work that nobody has gone on with for a week."""
    found = {path.with_suffix("") for kind in WORK for path in home.glob(f"{kind}-*")}
    for folder in found - {own}:
        with suppress(OSError):
            newest = max(file.stat().st_mtime for file in [*home.glob(f"{folder.name}*"), *folder.glob("*")])
            if time.time() - newest > STALE_SECONDS:
                with FileLock(f"{folder}.lock", timeout=0):
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder and its lock file, under the lock."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # Windows removes no open file
        Path(f"{folder}.lock").unlink()
