"""This machine: versions, device and free disk, against what params.yaml and its photos need."""

import platform
import re
import tempfile
from importlib import metadata
from pathlib import Path

import torch
from packaging.requirements import Requirement

from chromascape import __version__
from chromascape.devices import pick_device, pick_precision
from chromascape.disk import bytes_of, check_disk, free_bytes, shard_bytes, shown_bytes
from chromascape.health import Finding
from chromascape.learning.checkpoints import needed_bytes
from chromascape.parallel import cores
from chromascape.params import Params
from chromascape.photos.manifest import read_manifest
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import check_folder, check_trackable, list_files
from chromascape.resume import repository_root

SHOWN = ("torch", "dvc", "mlflow", "pillow", "scikit-image")
EXTRAS = ("pipeline", "sample")
CONSTRAINTS, MANIFEST = Path("constraints.txt"), Path("data/manifest.csv")
TEMPORARY_BYTES = 200_000_000  # a model that is logged passes through the temporary folder


def versions(params: Params | None) -> list[Finding]:
    """Python, Chromascape and its main packages; others only where they are not the tested or required version."""
    found = [Finding("ok", "python", platform.python_version()), Finding("ok", "chromascape", __version__)]
    tested = _tested()
    try:
        required = [Requirement(line) for line in metadata.requires("chromascape") or []]
    except metadata.PackageNotFoundError:
        required = [Requirement(name) for name in SHOWN]
    named = {_normalized(one.name): one for one in required if _applies(one)}
    for name in [*SHOWN, *sorted({*named} - {*SHOWN})]:
        finding = _version(name, named.get(name), tested.get(name))
        if name in SHOWN or finding.level != "ok":
            found.append(finding)
    return found


def _version(name: str, required: Requirement | None, tested: str | None) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("problem", name, "is not installed: run `make run`, which installs it")
    if required and not required.specifier.contains(version, prereleases=True):
        return Finding("note", name, f"{version}, but Chromascape requires {required.specifier}: install that")
    if tested and version.partition("+")[0] != tested:  # torch's ends in "+cpu"
        return Finding("note", name, f"{version}; tested with {tested} (constraints.txt)")
    return Finding("ok", name, version)


def _tested() -> dict[str, str]:
    """The versions in constraints.txt, by name; none where there is no such file."""
    if not CONSTRAINTS.exists():
        return {}
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return {_normalized(name): version for name, mark, version in (line.partition("==") for line in lines) if mark}


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _applies(requirement: Requirement) -> bool:
    return not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS)


def device(params: Params | None) -> list[Finding]:
    """The device, precision and number of threads that `train.device` gives."""
    wanted, precision = (params.train.device, params.train.precision) if params else ("auto", "auto")
    chosen = pick_device(wanted, "train.device")
    name = f" ({torch.cuda.get_device_name()})" if chosen == "cuda" else ""
    threads = f"threads: {torch.get_num_threads()}, cores: {cores()}"
    return [Finding("ok", "device", f"{wanted} is {chosen}{name} in {pick_precision(precision, chosen)}, {threads}")]


def data(params: Params) -> list[Finding]:
    """The number and size of the files in data.dir; the check stops at files that DVC can't track."""
    folder = Path(params.data.dir)
    if folder == Path("data/sample") and not folder.exists():
        return [Finding("ok", "data.dir", f"{folder}, which the first stage creates")]
    count = check_trackable(check_folder(folder))
    size = sum((folder / name).stat().st_size for name in list_files(folder))
    return [Finding("ok", "data.dir", f"{count:,} files, {shown_bytes(size)} in {folder}")]


def disk(params: Params) -> list[Finding]:
    """Free disk against the shards and checkpoints that are still to be written; the shards without DVC's copy.

    Raises:
        ChromascapeError: less is free.
    """
    root, side = repository_root(), params.preprocess.side
    shards = max(0, shard_bytes(_photos_to_accept(Path(params.data.dir)), side) - bytes_of(Path(), "data/lab/*"))
    checkpoints = needed_bytes(params.train, root)
    check_disk(root, shards + checkpoints, "shards and checkpoints", f"free some, or lower preprocess.side ({side})")
    needs = f"shards need {shown_bytes(shards)} more, checkpoints {shown_bytes(checkpoints)}"
    return [Finding("ok", "disk", f"{shown_bytes(free_bytes(root))} free in {root}; {needs}")]


def temporary_disk(params: Params) -> list[Finding]:
    """Free disk of the temporary folder; raises ChromascapeError where it is too little for a model."""
    folder = Path(tempfile.gettempdir())
    check_disk(folder, TEMPORARY_BYTES, "models on their way to MLflow", "free some, or set TMPDIR")
    return [Finding("ok", "temporary disk", f"{shown_bytes(free_bytes(folder))} free in {folder}")]


def _photos_to_accept(folder: Path) -> int:
    """The accepted photos of the manifest if it lists as many files as the folder has, else all photos there."""
    names = list_files(folder) if folder.is_dir() else []
    try:
        accepted = read_manifest(MANIFEST)["verdict"] == "accepted"
        if len(accepted) == len(names):
            return int(accepted.sum())
    except (OSError, ValueError, KeyError):  # nothing is validated yet
        pass
    known = set().union(*EXTENSIONS.values())
    return sum(Path(name).suffix.lower() in known for name in names)
