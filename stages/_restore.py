"""Which command restores the outputs that DVC removed before it ran a stage. Importing this needs no package."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def restore_hint() -> str:
    """A line with the command that restores the stage's last outputs; empty if nothing can be restored.

    DVC removes the outputs of a stage before it runs it. A temporary copy is thrown away, so it gets no line.
    """
    stage, root = os.environ.get("DVC_STAGE"), os.environ.get("DVC_ROOT")
    if not stage or (root and Path(root).resolve() != Path.cwd().resolve()):
        return ""
    try:
        missing = [out for out in _cached_outs(stage) if not Path(out["path"]).exists()]
        kept = bool(missing) and _in_cache([out["md5"] for out in missing])
    except Exception:  # an unreadable dvc.lock must not hide why the stage ended
        return ""
    return f"\n`dvc checkout {stage}` restores the last outputs of this stage" if kept else ""


def _cached_outs(stage: str) -> list[dict[str, Any]]:
    """The outputs of the stage in dvc.lock, without those that DVC leaves to git."""
    from chromascape.lockfile import locked_stages  # here: its packages may be missing
    from chromascape.params import read_yaml

    lock, known = locked_stages()[stage], read_yaml(Path("dvc.yaml"))["stages"][stage]
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in known.get(kind, [])]
    options = {path: values for entry in entries if isinstance(entry, dict) for path, values in entry.items()}
    return [out for out in lock["outs"] if (options.get(out["path"]) or {}).get("cache", True)]


def _in_cache(hashes: list[str]) -> bool:
    """Whether DVC's cache on this machine has all of them: in a fresh clone it does not."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    return all((Path(cache) / "files" / "md5" / md5[:2] / md5[2:]).exists() for md5 in hashes)
