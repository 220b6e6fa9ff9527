"""The pipeline killed at seeded random moments, as a whole process group, ends in the bytes of an undisturbed one.

The kills hit the stage scripts as DVC starts them, in a process that has third-party packages imported already, so
that they hit work and not imports. test_pipeline.py kills `dvc repro`, `dvc exp run --temp` and `--queue`.
"""

import hashlib
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, changed_params, copy_tree, write_photos
from killing import steps_kept
from PIL import Image
from warm import cold_path, shared, unmeasured
from warm_client import Job

pytestmark = [pytest.mark.scale, pytest.mark.no_cover]  # what runs here but waits
DVC_YAML = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = ["validate", "preprocess", "train", "evaluate"]
PHOTOS, EPOCHS = 40, 4
SMALL = {
    "data.split": {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0},
    "preprocess.side": 64,
    "preprocess.shard_mb": 0.03,  # two photos
    "train.network": "assignment",
    "train.init": "scratch",
    "train.epochs": EPOCHS,
    "train.batch_size": 2,
    "train.side": 64,
    "train.working_size": 64,
    "train.checkpoint_seconds": 0.05,
    "train.device": "cpu",
    "evaluate.rows": 2,
    "jobs": 1,
}


def environment() -> dict[str, str]:
    outside = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI", "MAKEFLAGS", "MAKELEVEL", "PYTHONPATH")
    # Not measured: a killed process leaves half a file of coverage, and one on a full disk fails over its own.
    ours = {name: value for name, value in unmeasured().items() if name not in outside}
    ours |= {"PATH": cold_path(), "DVC_NO_ANALYTICS": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        ours |= {f"GIT_{role}_NAME": "test", f"GIT_{role}_EMAIL": "test@example.org"}
    return ours | {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def out_paths(stage: str) -> list[str]:
    listed = [*DVC_YAML[stage]["outs"], *DVC_YAML[stage].get("metrics", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


def hashes(folder: Path, stage: str) -> dict[str, str]:
    """The checksum of every output of a stage, and of every file in those that are folders."""
    found = [file for name in out_paths(stage) for path in [folder / name] for file in [path, *path.rglob("*")]]
    assert all(path.exists() for path in found)
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in found
        if file.is_file()
    }


def lines(folder: Path, pattern: str) -> int:
    """Whole lines of the one file that matches; 0 where there is none."""
    return sum(file.read_bytes().count(b"\n") for file in folder.glob(pattern))


# How far a stage has come, by what it keeps.
KEPT: dict[str, Callable[[Path], int]] = {
    "validate": lambda folder: lines(folder, ".checkpoints/validate-*/inspected.jsonl"),
    "preprocess": lambda folder: len(list(folder.glob(".checkpoints/preprocess-*/*.npy.json"))),
    "train": steps_kept,
}
STEP = {"validate": 8, "preprocess": 3, "train": 9}  # at most so much further between two kills: four are at work


def start_stage(folder: Path, stage: str, limit: int = 0) -> Job:
    """Start a stage as DVC does, whose outputs go first, without waiting for imports."""
    for name in out_paths(stage):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    said = folder / f"{stage}.said"
    return shared().start([f"stages/{stage}.py"], folder, environment(), said, said, limit)


def run_stage(folder: Path, stage: str) -> float:
    """Run a stage to its end; returns the seconds that it took."""
    started = time.monotonic()
    assert start_stage(folder, stage).status() == 0, (folder / f"{stage}.said").read_text()
    return time.monotonic() - started


def kill_stage(folder: Path, stage: str, reached: Callable[[], bool], delay: float) -> bool:
    """Start a stage and kill all of its processes a moment after it has come so far; False where it ended first."""
    job = start_stage(folder, stage)
    while not (ended := job.ended(0.004)) and not reached():
        pass
    if not ended and not job.ended(delay):
        job.kill()
    status = job.status()
    assert status in (0, signal.SIGKILL), (folder / f"{stage}.said").read_text()
    return status == signal.SIGKILL


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A repository with the stages and their code as its one commit, and photos beside it; nothing has run."""
    base = tmp_path_factory.mktemp("kills")
    folder, photos = base / "start", base / "photos"
    copy_tree(folder, "src", "stages", ".dvc", ".gitignore")
    write_photos(photos, PHOTOS - 2, width=320, height=240)
    Image.open(photos / "photo-000.png").convert("L").save(photos / "gray.png")
    (photos / "copy.png").write_bytes((photos / "photo-001.png").read_bytes())
    shutil.copy(empty_store, folder / "mlflow.db")
    values = changed_params(SMALL | {"data.dir": str(photos)})
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run(["git", *arguments], cwd=folder, env=environment(), check=True)
    return folder


class Undisturbed:
    """A run of all stages that nobody disturbed: its folder, and what each stage took and wrote."""

    def __init__(self, start: Path):
        self.folder = Path(shutil.copytree(start, start.parent / "undisturbed"))
        self.seconds = {stage: run_stage(self.folder, stage) for stage in STAGES}
        self.hashes = {stage: hashes(self.folder, stage) for stage in STAGES}
        assert not list((self.folder / ".checkpoints").iterdir())


@pytest.fixture(scope="module")
def undisturbed(start: Path) -> Undisturbed:
    return Undisturbed(start)


@pytest.fixture(scope="module")
def disturbed(start: Path) -> Path:
    """A copy of the repository whose stages are killed."""
    return Path(shutil.copytree(start, start.parent / "disturbed"))


def kill_at_work(folder: Path, stage: str, chance: random.Random) -> bool:
    """Kill a stage a few files, shards or steps later than it had come."""
    kept = KEPT[stage]
    goal = kept(folder) + chance.randint(1, STEP[stage])
    return kill_stage(folder, stage, lambda: kept(folder) >= goal, chance.uniform(0, 0.03))


def kill_at_output(folder: Path, stage: str, chance: random.Random, count: int) -> bool:
    """Kill a stage once some of its outputs are there."""
    outs = [folder / name for name in out_paths(stage)]
    return kill_stage(folder, stage, lambda: sum(map(Path.exists, outs)) >= count, chance.uniform(0, 0.01))


def kill_at_share(folder: Path, stage: str, seconds: float) -> bool:
    """Kill a stage after so many seconds."""
    return kill_stage(folder, stage, lambda: True, seconds)


def test_stages_killed_at_random_moments_end_in_the_bytes_of_an_undisturbed_run(
    undisturbed: Undisturbed, disturbed: Path
) -> None:
    chance, kills = random.Random(16), dict.fromkeys(STAGES, 0)
    for stage in STAGES:
        moments = [lambda stage=stage: kill_at_work(disturbed, stage, chance)] * 4 if stage in STEP else []
        if stage == "evaluate":
            shares = [undisturbed.seconds[stage] * chance.uniform(0.05, 0.9) for _ in range(3)]
            moments += [lambda share=share: kill_at_share(disturbed, "evaluate", share) for share in shares]
        if stage != "preprocess":  # its one output appears in the end
            moments += [
                lambda stage=stage, count=count: kill_at_output(disturbed, stage, chance, count) for count in (1, 2)
            ]
        kills[stage] = sum(kill() for kill in moments)
        run_stage(disturbed, stage)
        assert hashes(disturbed, stage) == undisturbed.hashes[stage]
        assert not list((disturbed / ".checkpoints").iterdir())  # what is finished is cleaned up
        assert not [path.name for path in disturbed.rglob(".*.part")]
    assert sum(kills.values()) >= 17 and all(kills.values()), kills
    for stage, words in {"validate": "file", "preprocess": "photo", "train": "step"}.items():
        told = (disturbed / f"{stage}.said").read_text()
        starts = [int(start) for start in re.findall(rf"resumes at {words} (\d+) of \d+", told)]
        assert len(starts) >= 4 and starts == sorted(starts) and len(set(starts)) >= 3, told
        assert "warning" not in told
    total = steps_in_all(undisturbed)
    assert starts[-1] > total / 2  # the last run of the training did less than those before it


# Bytes of the largest file: enough for MLflow's database where it is written first, too few for the stage's outputs.
TOO_SMALL = {
    "validate": (10_000, "reports/data_docs"),
    "preprocess": (10_000, "data/lab"),
    "train": (1_500_000, "models/colorizer"),
    "evaluate": (30_000, "reports/index.html"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_takes_no_more_leaves_nothing_half_written_and_the_next_run_is_whole(
    undisturbed: Undisturbed, start: Path, stage: str
) -> None:
    limit, named = TOO_SMALL[stage]
    folder = Path(shutil.copytree(undisturbed.folder, start.parent / f"full-{stage}", symlinks=True))
    said = folder / f"{stage}.said"
    said.unlink()
    assert start_stage(folder, stage, limit).status() == 256, said.read_text()
    *others, line = said.read_text().splitlines()
    assert line.startswith("error: ") and named in line and "File too large; this disk allows no file of that" in line
    warnings = [other for other in others if not other.startswith(("epoch ", "training in "))]
    assert len(warnings) == (stage in ("validate", "train")), others  # which write checkpoints before
    assert all(other.startswith("warning: no checkpoint could be written (File too large): ") for other in warnings)
    there = [name for name in out_paths(stage) if (folder / name).exists()]
    for name in there:  # what was written before that file is whole
        assert undisturbed.hashes[stage][name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert not [path.name for path in folder.rglob(".*.part")]
    run_stage(folder, stage)
    assert hashes(folder, stage) == undisturbed.hashes[stage]


def steps_in_all(undisturbed: Undisturbed) -> int:
    photos = sum(name.startswith("data/lab/train-") for name in undisturbed.hashes["preprocess"])
    return photos * EPOCHS  # a shard holds as many photos as a batch
