"""This machine: versions, device, disk and memory, against what params.yaml and its photos need."""

import os
import platform
import re
import tempfile
from importlib import metadata
from pathlib import Path

import psutil
import torch
from packaging.requirements import Requirement

from chromascape import __version__
from chromascape.devices import pick_device, pick_precision
from chromascape.health.findings import Finding, Level
from chromascape.learning import needs as training
from chromascape.params import Params
from chromascape.photos import footprint as photos
from chromascape.photos.source import check_folder, check_trackable, list_files
from chromascape.resume import repository_root
from chromascape.room import (
    check_disk,
    check_memory,
    container_limits,
    existing,
    free_disk,
    free_memory,
    shown_bytes,
)

SHOWN = ("torch", "dvc", "mlflow", "pillow", "scikit-image")
EXTRAS = ("pipeline", "sample")
CONSTRAINTS = Path("constraints.txt")
SMALL_DISK = 200_000_000  # of the temporary folder: a model on its way to MLflow lies there


def versions(params: Params | None) -> list[Finding]:
    """Python, Chromascape and what it stands on; others only where they are not what was tested or asked for."""
    found = [Finding("ok", "python", platform.python_version()), Finding("ok", "chromascape", __version__)]
    tested = _tested()
    try:
        asked = [Requirement(line) for line in metadata.requires("chromascape") or []]
    except metadata.PackageNotFoundError:
        asked = [Requirement(name) for name in SHOWN]
    named = {_plain(one.name): one for one in asked if _applies(one)}
    for name in [*SHOWN, *sorted({*named} - {*SHOWN})]:
        finding = _version(name, named.get(name), tested.get(name))
        if name in SHOWN or finding.level != "ok":
            found.append(finding)
    return found


def _version(name: str, asked: Requirement | None, tested: str | None) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("problem", name, "is not installed: run `make run`, which installs it")
    if asked and not asked.specifier.contains(version, prereleases=True):
        return Finding("note", name, f"{version}, and Chromascape asks for {asked.specifier}: install that one")
    if tested and version.partition("+")[0] != tested:  # torch's ends in "+cpu"
        return Finding("note", name, f"{version}; tested with {tested} (constraints.txt)")
    return Finding("ok", name, version)


def _tested() -> dict[str, str]:
    """The versions in constraints.txt, by name; none where the file is not there."""
    if not CONSTRAINTS.exists():
        return {}
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return {_plain(name): version for name, mark, version in (line.partition("==") for line in lines) if mark}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _applies(requirement: Requirement) -> bool:
    return not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS)


def device(params: Params | None) -> list[Finding]:
    """Where `train.device` would compute, how precisely, and with how many threads."""
    wanted, precision = (params.train.device, params.train.precision) if params else ("auto", "auto")
    taken = pick_device(wanted, "train.device")
    name = f" ({torch.cuda.get_device_name()})" if taken == "cuda" else ""
    threads = f"threads: {torch.get_num_threads()}, cores: {os.cpu_count()}"
    return [Finding("ok", "device", f"{wanted} takes {taken}{name} in {pick_precision(precision, taken)}, {threads}")]


def data(params: Params) -> list[Finding]:
    """The photos: how many files, and how large; what DVC can't track is a problem."""
    folder = Path(params.data.dir)
    if folder == Path("data/sample") and not folder.exists():
        return [Finding("ok", "data.dir", f"{folder}, which the first stage lays")]
    count = check_trackable(check_folder(folder))
    size = sum((folder / name).stat().st_size for name in list_files(folder))
    return [Finding("ok", "data.dir", f"{count:,} files, {shown_bytes(size)} in {folder}")]


def disk(params: Params) -> list[Finding]:
    """Free disk of the repository, DVC's cache and the temporary folder, against what is still to be made."""
    root = repository_root()
    cache = photos.cache_to_come(params)
    need = cache + training.disk_to_come(params)
    text = f"the Lab cache needs {shown_bytes(cache)} more, checkpoints and weights {shown_bytes(need - cache)}"
    out = "free some, or lower preprocess.side"
    found = [_space("disk", root, need, text, out)]
    dvc, _ = photos.dvc_cache(root)
    if existing(dvc).stat().st_dev != root.stat().st_dev:
        found.append(_space("disk, DVC's cache", dvc, need, text, out))
    temporary = Path(tempfile.gettempdir())
    found.append(
        _space("disk, temporary", temporary, SMALL_DISK, "models pass through here", "free some, or set TMPDIR")
    )
    return found


def _space(subject: str, folder: Path, need: int, text: str, way_out: str) -> Finding:
    free = free_disk(folder)
    level: Level = "ok" if free >= need else "problem"
    return Finding(level, subject, f"{shown_bytes(free)} free in {folder}; {text}" + _unless(level, way_out))


def memory(params: Params) -> list[Finding]:
    """Free memory, that of a container among it, against what preprocess and training will take."""
    free, limits = free_memory(), [limit for limit, _ in container_limits()]
    total = f"{shown_bytes(psutil.virtual_memory().total)}"
    inside = f", the container's limit is {shown_bytes(min(limits))}" if limits else ""
    found = [Finding("ok", "memory", f"{shown_bytes(free)} free of {total}{inside}")]
    for name, (need, way_out) in memory_needs(params).items():
        level: Level = "ok" if free >= need else "problem"
        found.append(Finding(level, f"memory, {name}", f"needs about {shown_bytes(need)}" + _unless(level, way_out)))
    return found


def memory_needs(params: Params) -> dict[str, tuple[int, str]]:
    """Bytes that each part of the pipeline takes at its peak, and what lowers it."""
    section, jobs = params.preprocess, params.jobs
    count, _ = photos.expected_photos(Path(params.data.dir))
    need = photos.preprocess_memory(photos.cache_bytes(count, section.side), section, jobs)
    return {
        "preprocess": (need, photos.memory_way_out(section, jobs)),
        **training.memory_needs(params.train, section.side, jobs),
    }


def check_room(params: Params) -> None:
    """Ask, before anything has run, whether what is still to be made fits into disk and memory.

    Where the model of these params lies there, memory is left to the stages, which ask again: nothing may have to run.

    Raises:
        ChromascapeError: there is less room; names what needs it, what is free and the param to lower.
    """
    cache, weights = photos.cache_to_come(params), training.disk_to_come(params)
    side = f"free some, or lower preprocess.side ({params.preprocess.side})"
    check_disk(repository_root(), cache + weights, "the Lab cache, checkpoints and weights", side)
    for what, (need, way_out) in memory_needs(params).items() if weights else ():
        check_memory(need, what, way_out)


def _unless(level: Level, way_out: str) -> str:
    return "" if level == "ok" else f": {way_out}"
