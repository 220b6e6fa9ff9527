"""What earlier processes left behind: locks, checkpoints, outputs that are not those of dvc.lock."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import psutil

from chromascape.files import is_alive
from chromascape.health.findings import Finding
from chromascape.params import Params, read_yaml
from chromascape.resume import STALE_SECONDS, repository_root
from chromascape.room import shown_bytes

DAY = 24 * 3600
LOCK, RWLOCK = Path(".dvc/tmp/lock"), Path(".dvc/tmp/rwlock")
HASHED_BYTES = 50_000_000  # larger outputs are compared by their number of bytes alone


def locks(params: Params | None) -> list[Finding]:
    """DVC's two locks. What holds them may be dead, or, after a restart, another program with the same number."""
    root = repository_root()
    return [*_repository_lock(root / LOCK), *_path_locks(root / RWLOCK)] or [Finding("ok", "locks", "none is held")]


def _repository_lock(file: Path) -> list[Finding]:
    """The lock of the whole repository: the system's, which ends with its process, or with `core.hardlink_lock` a file
    that stays."""
    if not file.exists():
        return []
    if _is_held(file):
        return [Finding("note", "locks", f"{file} is held: DVC works in this repository at this moment")]
    # With hard links the file holds claim | host | process | random number.
    parts = file.read_text(encoding="utf-8", errors="replace").split("|")
    if len(parts) < 3 or not parts[-2].isdecimal():
        return []
    if is_alive(int(parts[-2])):
        return [Finding("note", "locks", f"{file} is held by process {parts[-2]}")]
    gone = f"{file} is held by process {parts[-2]}, which is gone"
    return [Finding("problem", "locks", f"{gone}: remove this file, for DVC waits for it")]


def _is_held(file: Path) -> bool:
    """Whether a process holds the system's lock on a file; on Windows, which has another kind, always False."""
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
    """What processes have noted that they read or write."""
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        holders = [entry for entries in noted.get("read", {}).values() for entry in entries]
        holders += list(noted.get("write", {}).values())
        processes = {int(entry["pid"]): str(entry["cmd"]) for entry in holders}
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, AttributeError):
        return [Finding("problem", "locks", f"{file} is damaged, and DVC stops at it: remove this file")]
    return [_path_lock(file, process, command) for process, command in sorted(processes.items())]


def _path_lock(file: Path, process: int, command: str) -> Finding:
    who = f"{file} names process {process} ({command})"
    if not is_alive(process):
        return Finding("note", "locks", f"{who}, which is gone: DVC itself takes it out at its next command")
    if _is_dvc(process):
        return Finding("note", "locks", f"{who}, which is at work")
    return Finding("problem", "locks", f"{who}, but that number is another program's now: remove this file")


def _is_dvc(process: int) -> bool:
    """Whether a living process is one of DVC; one that may not be asked counts as such."""
    try:
        return "dvc" in " ".join(psutil.Process(process).cmdline()).lower()
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def checkpoints(params: Params | None) -> list[Finding]:
    """What `.checkpoints/` holds, and who works on it."""
    home = repository_root() / ".checkpoints"
    folders = sorted(path for path in home.glob("*") if path.is_dir()) if home.is_dir() else []
    return [_checkpoint(folder) for folder in folders] or [Finding("ok", "checkpoints", "none")]


def _checkpoint(folder: Path) -> Finding:
    files = [file.stat() for file in folder.rglob("*") if file.is_file()]
    age = time.time() - max([status.st_mtime for status in files], default=folder.stat().st_mtime)
    text = f"{shown_bytes(sum(status.st_size for status in files))} in {folder}, written {_ago(age)}"
    lock = Path(f"{folder}.lock")
    if lock.exists() and _is_held(lock):
        return Finding("ok", "checkpoints", f"{text}; a process works on it")
    if age > STALE_SECONDS:
        return Finding("note", "checkpoints", f"{text}: stale; the next training removes it, or you do")
    return Finding("note", "checkpoints", f"{text}: `dvc repro` goes on from it if params, data and code are the same")


def _ago(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days ago" if seconds > 2 * DAY else f"{max(seconds, 0) / 60:.0f} minutes ago"


def outputs(params: Params | None) -> list[Finding]:
    """Whether the outputs in the workspace are those that dvc.lock names: by MD5, and folders by number and bytes."""
    lock = Path("dvc.lock")
    if not lock.exists():
        return [Finding("note", "outputs", "there is no dvc.lock: nothing has run here yet")]
    try:
        stages = read_yaml(lock)["stages"]
        states = {out["path"]: _state(out) for stage in stages.values() for out in stage.get("outs", [])}
    except (KeyError, TypeError, AttributeError):
        return [Finding("problem", "outputs", "dvc.lock is damaged: `git checkout dvc.lock`")]
    found = []
    for state, way_out in (
        ("missing", "`dvc repro` makes them, or `dvc checkout` brings them"),
        ("other than dvc.lock says", "`dvc repro` makes them anew, or `dvc checkout` brings those back"),
    ):
        paths = sorted(path for path, its in states.items() if its == state)
        if paths:
            shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
            found.append(Finding("note", "outputs", f"{state}: {shown}: {way_out}"))
    return found or [Finding("ok", "outputs", f"all {len(states)} as dvc.lock names them")]


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
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            same = digest == out.get("md5")
    return "" if same else "other than dvc.lock says"
