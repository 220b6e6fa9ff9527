"""This machine: versions, device and free disk, against what params.yaml and its photos need."""

import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from chromascape import __version__
from chromascape.color import kernel
from chromascape.devices import pick_device
from chromascape.disk import bytes_of, check_disk, free_bytes, shard_bytes, shown_bytes
from chromascape.errors import ChromascapeError
from chromascape.files import repository_root
from chromascape.health import Finding
from chromascape.parallel import cores
from chromascape.params import Params
from chromascape.photos.manifest import read_manifest
from chromascape.photos.reading import EXTENSIONS
from chromascape.photos.source import Source

SHOWN = ("torch", "onnxruntime", "numpy", "pillow", "scikit-image", "dvc", "mlflow")
CONSTRAINTS, MANIFEST = Path("constraints.txt"), Path("data/manifest.csv")
SAMPLE = str(Path("data/sample"))


def versions(params: Params | None) -> list[Finding]:
    """Python, Chromascape and the packages that decide its results, compared with the versions of constraints.txt."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines() if CONSTRAINTS.exists() else []
    tested = dict(line.split("==", 1) for line in lines if "==" in line)
    found = [Finding("ok", "python", platform.python_version()), Finding("ok", "chromascape", __version__)]
    return [*found, *(_version(name, tested.get(name)) for name in SHOWN)]


def _version(name: str, tested: str | None) -> Finding:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("problem", name, "is not installed: run `make run`, which installs it")
    if tested and version.partition("+")[0] != tested:  # torch's ends in "+cpu"
        return Finding("note", name, f"{version}; tested with {tested} (constraints.txt)")
    return Finding("ok", name, version)


def compiled(params: Params | None) -> list[Finding]:
    """Whether photos are colorized by the compiled kernel."""
    library, source = kernel.library(), Path(kernel.__file__).with_name("kernel.c")
    if library and source.exists() and source.stat().st_mtime > Path(library._name).stat().st_mtime:
        return [Finding("note", "kernel", "color/kernel.c is newer than what was compiled: install Chromascape again")]
    if library:
        return [Finding("ok", "kernel", "color/kernel.c is compiled: photos are colorized by it")]
    why = "color/kernel.c is not compiled for this version: NumPy takes its place, which takes about twice as long"
    return [Finding("note", "kernel", f"{why}; with a C compiler, install Chromascape again")]


def device(params: Params | None) -> list[Finding]:
    """The device and number of threads that `train.device` gives."""
    import torch

    wanted = params.train.device if params else "auto"
    chosen = pick_device(wanted, "train.device")
    name = f" ({torch.cuda.get_device_name()})" if chosen == "cuda" else ""
    threads = f"threads: {torch.get_num_threads()}, cores: {cores()}"
    return [Finding("ok", "device", f"{wanted} is {chosen}{name}, {threads}")]


def devices(params: Params) -> list[Finding]:
    """Whether there are GPUs, or cores, for the processes that `train.devices` starts here.

    Raises:
        ChromascapeError: there are fewer GPUs.
    """
    from chromascape.learning.ranks import check_devices  # here, as it imports torch

    count = params.train.devices
    if count == 1:
        return [Finding("ok", "train.devices", "one process trains")]
    check_devices(params.train)
    if pick_device(params.train.device, "train.device") == "cpu":
        text = f"{count} processes share this machine's {cores()} cores, without a GPU: one of them is about as fast"
        return [Finding("note", "train.devices", text)]
    return [Finding("ok", "train.devices", f"{count} processes train, each on a GPU")]


def precision(params: Params) -> list[Finding]:
    """The precision in which these params train here."""
    from chromascape.learning.precision import would_choose  # here, as it imports torch

    chosen, why = would_choose(params.train, params.preprocess.side, repository_root())
    return [Finding("ok", "precision", f"{params.train.precision} is {chosen}, {why}")]


def experiments(params: Params | None) -> list[Finding]:
    """Whether DVC can run experiments in copies of this folder: it writes the folder's name as ASCII."""
    root = repository_root()
    if str(root).isascii():
        return [Finding("ok", "experiments", "in the workspace, in copies (--temp) and in a queue")]
    text = f"`dvc exp run --temp` and `--queue` fail in {root}, as its name has other letters than ASCII: "
    return [Finding("note", "experiments", f"{text}rename it, or run them without these options")]


def data(params: Params) -> list[Finding]:
    """The number and size of the files in data.dir; the check stops at files that DVC can't track."""
    photos = Source(params.data.dir)
    if str(photos) == SAMPLE and not photos.folder.exists():
        return [Finding("ok", "data.dir", f"{photos}, which the first stage creates")]
    photos.check()
    count, size = photos.check_trackable(), photos.total_bytes()
    return [Finding("ok", "data.dir", f"{count:,} files, {shown_bytes(size)} in {photos}, all trackable by DVC")]


def engine(params: Params) -> list[Finding]:
    """Whether the workers that `engine` names can do the work of this machine."""
    if params.engine.name == "local":
        return []
    from chromascape.engine import connected  # here: it may not be installed, and takes a second

    with connected(params.engine, params.jobs) as cluster:
        found = cluster.refusals()
    if refused := sorted(f"worker {name} {why}" for name, why in found.items() if why):
        return [Finding("problem", "engine", line) for line in refused]
    return [
        Finding("ok", "engine", f"{params.engine.scheduler} has {len(found)} worker(s), with what this machine has")
    ]


def disk(params: Params) -> list[Finding]:
    """Free disk against the shards and checkpoints that are still to be written; the shards without DVC's copy.

    Raises:
        ChromascapeError: less is free.
    """
    from chromascape.learning.checkpoints import (
        needed_bytes,  # here, as it imports torch: `check` looks at photos first
    )

    root, side = repository_root(), params.preprocess.side
    shards = max(0, shard_bytes(_photos_to_accept(Source(params.data.dir)), side) - bytes_of(Path(), "data/lab/*"))
    checkpoints = needed_bytes(params.train, root)
    check_disk(root, shards + checkpoints, "shards and checkpoints", f"free some, or lower preprocess.side ({side})")
    needs = f"shards need {shown_bytes(shards)} more, checkpoints {shown_bytes(checkpoints)}"
    return [Finding("ok", "disk", f"{shown_bytes(free_bytes(root))} free in {root}; {needs}")]


def _photos_to_accept(photos: Source) -> int:
    """The accepted photos of the manifest if it lists as many files as the folder has, else all photos there."""
    names: list[str] = []
    with suppress(ChromascapeError):  # the check of data.dir reports it
        names = list(photos.entries) if photos.is_remote or photos.folder.is_dir() else []
    try:
        accepted = read_manifest(MANIFEST)["verdict"] == "accepted"
        if len(accepted) == len(names):
            return int(accepted.sum())
    except (OSError, ValueError, KeyError):  # nothing is validated yet
        pass
    known = set().union(*EXTENSIONS.values())
    return sum(Path(name).suffix.lower() in known for name in names)
