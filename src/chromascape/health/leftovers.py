"""What earlier processes left behind: locks, checkpoints, and outputs that differ from dvc.lock."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from chromascape.disk import bytes_of, shown_bytes
from chromascape.files import repository_root
from chromascape.health import Finding
from chromascape.lockfile import locked_stages
from chromascape.params import Params
from chromascape.resume import STALE_SECONDS, kept_folders, lock_of

DAY = 24 * 3600
LOCK, RWLOCK = Path(".dvc/tmp/lock"), Path(".dvc/tmp/rwlock")
HASHED_BYTES = 50_000_000  # larger outputs are compared by size alone


def locks(params: Params | None) -> list[Finding]:
    """DVC's two locks. The process that one names may be gone; after a restart its number may be another program's."""
    root = repository_root()
    return [*_repository_lock(root / LOCK), *_path_locks(root / RWLOCK)] or [Finding("ok", "locks", "none is held")]


def _repository_lock(file: Path) -> list[Finding]:
    """DVC's lock of the whole repository.

    It is a lock of the system, which ends with its process; with `core.hardlink_lock` it is a file that stays.
    """
    if not file.exists():
        return []
    if _is_locked(file):
        return [Finding("note", "locks", f"{file} is held: DVC is working in this repository")]
    # With hard links the file holds claim | host | process | random number.
    parts = file.read_text(encoding="utf-8", errors="replace").split("|")
    if len(parts) < 3 or not parts[-2].isdecimal():
        return []
    holder = f"{file} is held by process {parts[-2]}"
    if _command(int(parts[-2])) is not None:
        return [Finding("note", "locks", holder)]
    return [Finding("problem", "locks", f"{holder}, which is gone: remove this file, as DVC waits for it")]


def _is_locked(file: Path) -> bool:
    """Whether a process holds the system's lock on a file; always False on Windows, which has other locks."""
    if os.name == "nt":
        return False
    import fcntl

    with file.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _path_locks(file: Path) -> list[Finding]:
    """The processes that DVC has recorded as reading or writing paths; DVC itself removes those that are gone."""
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))
        holders = [entry for entries in recorded.get("read", {}).values() for entry in entries]
        holders += list(recorded.get("write", {}).values())
        processes = {int(entry["pid"]): str(entry["cmd"]) for entry in holders}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Finding("problem", "locks", f"{file} is damaged, and DVC stops at it: remove this file")]
    found = []
    for process, command in sorted(processes.items()):
        running, named = _command(process), f"{file} names process {process} ({command})"
        if running is not None and "dvc" in running:
            found.append(Finding("note", "locks", f"{named}, which is running"))
        elif running is not None:
            text = f"{named}, but another program has that number now: remove this file"
            found.append(Finding("problem", "locks", text))
    return found


def _command(process: int) -> str | None:
    """What a process runs, in lower case; None where it is gone, and "dvc" where we may not see it."""
    try:
        return " ".join(psutil.Process(process).cmdline()).lower()
    except psutil.AccessDenied:
        return "dvc"
    except psutil.Error:
        return None


def checkpoints(params: Params | None) -> list[Finding]:
    """Each folder in `.checkpoints/`, and whether a process uses it."""
    return [_checkpoint(folder) for folder in kept_folders(repository_root())] or [Finding("ok", "checkpoints", "none")]


def _checkpoint(folder: Path) -> Finding:
    age = time.time() - max(path.stat().st_mtime for path in [*folder.rglob("*")] or [folder])
    ago = f"{age / DAY:.0f} days ago" if age > 2 * DAY else f"{max(age, 0) / 60:.0f} minutes ago"
    text = f"{shown_bytes(bytes_of(folder, '**/*'))} in {folder}, written {ago}"
    lock = lock_of(folder)
    if lock.exists() and _is_locked(lock):
        return Finding("ok", "checkpoints", f"{text}; in use by a process")
    if age > STALE_SECONDS:
        return Finding("note", "checkpoints", f"{text}: stale; the next run removes it, or you do")
    return Finding("note", "checkpoints", f"{text}: `dvc repro` resumes from it if params, data and code are the same")


def outputs(params: Params | None) -> list[Finding]:
    """Whether the outputs in the workspace match dvc.lock: files by MD5, folders by number of files and bytes."""
    if not Path("dvc.lock").exists():
        return [Finding("note", "outputs", "there is no dvc.lock: nothing has run here yet")]
    outs = [out for stage in locked_stages().values() for out in stage.get("outs", [])]
    states = {out["path"]: _state(out) for out in outs}
    found = []
    for state, remedy in {
        "missing": "`dvc repro` makes them",
        "different from dvc.lock": "`dvc repro` makes them again",
    }.items():
        paths = sorted(path for path, its in states.items() if its == state)
        if paths:
            shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
            restore = _restore([out for out in outs if out["path"] in paths])
            found.append(Finding("note", "outputs", f"{state}: {shown}: {remedy}, {restore}"))
    return found or [Finding("ok", "outputs", f"all {len(states)} match dvc.lock")]


def _restore(outs: list[dict[str, Any]]) -> str:
    """What restores outputs as dvc.lock has them: in a fresh clone the cache is empty."""
    cache = _cache()
    hashes = [str(out.get("md5", "")) for out in outs]
    if cache and all((cache / "files" / "md5" / md5[:2] / md5[2:]).exists() for md5 in hashes):
        return "`dvc checkout` restores the recorded ones"
    return "or `dvc pull` fetches the recorded ones from a remote that has them: DVC's cache here does not"


def _cache() -> Path | None:
    """The folder of DVC's cache, which its settings may put anywhere; None if DVC can't tell."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(done.stdout.strip())


def _state(out: dict[str, Any]) -> str:
    path = Path(out["path"])
    if not path.exists():
        return "missing"
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        same = (len(files), sum(file.stat().st_size for file in files)) == (out.get("nfiles"), out.get("size"))
    else:
        same = path.stat().st_size == out.get("size")
        if same and path.stat().st_size <= HASHED_BYTES:
            same = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == out.get("md5")
    return "" if same else "different from dvc.lock"
