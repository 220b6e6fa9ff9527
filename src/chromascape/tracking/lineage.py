"""Tags that tie a run to code, data and DVC experiment."""

import hashlib
import os
import platform
import subprocess
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write, repository_root
from chromascape.lockfile import locked_stages

# What a run's figures follow from, beside the photos and params that it logs itself.
CODE = ["src", "stages", "experiments", "dvc.yaml", "pyproject.toml", "constraints.txt"]


def lineage() -> dict[str, str]:
    """Tags that tie a run to code, data and DVC experiment."""
    try:
        lock = locked_stages()  # as far as this execution has come
    except ChromascapeError:
        lock = {}
    validate = lock.get("validate", {}).get("deps", [])
    photos = [dep for dep in validate if not str(dep.get("path", "")).startswith(("src/", "stages/"))]
    shards = lock.get("preprocess", {}).get("outs", [])
    commit = _git("rev-parse", "HEAD")
    tags = {
        "git.commit": commit,
        "git.dirty": str(_code_changed()).lower() if commit else "",
        "dvc.photos_md5": photos[0].get("md5", "") if photos else "",
        "dvc.lab_md5": shards[0].get("md5", "") if shards else "",
        "dvc.experiment": experiment(),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "chromascape.place": place(),
        "chromascape.version": version("chromascape"),
    }
    return {name: value for name, value in tags.items() if value}


def checkout() -> str:
    """An id of this checkout, kept in `.dvc/tmp/`. Temporary copies of DVC share it; a clone has its own.

    It stays when the folder is moved. A copy of the folder, which has a copy of the file too, gets another.
    """
    root = repository_root()
    file = _id_file(root)
    try:
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            own = file.with_name(f"checkout-{uuid.uuid4().hex}")
            own.write_text(f"{uuid.uuid4().hex[:16]}\n{root}", encoding="utf-8", errors="surrogateescape")
            with suppress(FileExistsError):  # another process was quicker
                os.link(own, file)
            own.unlink()
        name, made = _id_and_place(file)
        if made != str(root):
            original = _id_file(Path(made)) if made else file
            copied = original != file and original.exists() and _id_and_place(original)[0] == name
            name = uuid.uuid4().hex[:16] if copied else name
            with atomic_write(file) as new:
                new.write_text(f"{name}\n{root}", encoding="utf-8", errors="surrogateescape")
        return name
    except OSError:  # no repository of DVC, or a disk that is read-only or has no links
        return hashlib.sha256(f"{platform.node()} {file}".encode()).hexdigest()[:16]


def experiment() -> str:
    """The name of the DVC experiment that runs this; empty outside of one."""
    return os.environ.get("DVC_EXP_NAME", "")


def _id_file(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "checkout"


def _id_and_place(file: Path) -> tuple[str, str]:
    """The id in a file, and the folder in which it was given; older versions kept none."""
    name, _, place = file.read_text(encoding="utf-8", errors="surrogateescape").partition("\n")
    return name, place


def place() -> str:
    """Where DVC runs this: workspace, temporary (`dvc exp run --temp`) or queue."""
    root, here = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve(), Path.cwd().resolve()
    if root == here:
        return "workspace"
    return "temporary" if "standalone" in here.parts else "queue"


def _code_changed() -> bool:
    """Whether code differs from the commit. A new module counts, although git does not track it yet."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *CODE)
    return bool(changed or _git("ls-files", "--others", "--exclude-standard", "--", "src", "stages"))


def _git(*arguments: str) -> str:
    """The output of git; empty without git or without a repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
