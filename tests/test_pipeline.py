"""The real pipeline in temporary clones: `dvc repro` and `dvc exp run` on small photos, as a user starts them."""

import hashlib
import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import pytest
import yaml
from alone import alone, written
from conftest import REPOSITORY, changed_params, copy_tree, write_photos
from killing import kill_training
from PIL import Image
from s3 import S3
from warm import cold_path, unmeasured, warm_path

from chromascape.params import flatten, load_params
from chromascape.photos.damage import FIXED

pytestmark = [pytest.mark.scale, pytest.mark.no_cover]  # what runs here but waits
STAGES = ["sample", "validate", "preprocess", "train", "evaluate", "register"]
SMALL = {
    "data.split": {"train": 0.6, "val": 0.2, "test": 0.2, "seed": 0},
    "sample.max_side": 128,
    "preprocess.side": 64,
    "preprocess.shard_mb": 0.03,  # two photos
    "train.network": "assignment",
    "train.init": "scratch",
    "train.epochs": 6,
    "train.side": 64,
    "train.working_size": 64,
    "train.batch_size": 2,
    "train.checkpoint_seconds": 0.05,
    "train.device": "cpu",
    "evaluate.rows": 2,
    "jobs": 1,
}
OUTPUTS = [
    "data/manifest.csv",
    "data/lab/index.json",
    "data/lab/train-00000.npy",
    "models/colorizer/weights.safetensors",
    "models/colorizer/config.json",
    "models/colorizer/MODEL_CARD.md",
    "models/colorizer/damage.jpg",
    "metrics/validate.json",
    "metrics/train.json",
    "metrics/evaluate.json",
    "metrics/curves.csv",
    "metrics/gains.csv",
    "metrics/headline/validate.json",
    "metrics/headline/train.json",
    "metrics/headline/evaluate.json",
    "reports/index.html",
    "reports/per_photo.csv",
    "reports/per_photo_val.csv",
    "reports/validation.html",
]


def start(
    folder: Path, *command: str, warm: bool = True, given: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command of the environment in the clone, in a process group of its own.

    `warm`: with all imports done, as what it starts has them too, in further groups. `given`: variables, in place of
    this process's. Nothing is measured for coverage.
    """
    outside = ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "PYTHONPATH")
    environment = {name: value for name, value in unmeasured(given).items() if name not in outside}
    # A warm process has one thread, so a cold one whose bytes are compared with its must have one too.
    environment |= {"PATH": warm_path() if warm else cold_path(), "OMP_NUM_THREADS": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "test", f"GIT_{role}_EMAIL": "test@example.org"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], ok: bool = True) -> str:
    """Wait for a command that `start` started; returns everything that it printed."""
    said, _ = process.communicate(timeout=300)
    assert not ok or process.returncode == 0, said
    assert "Traceback" not in said
    return said


def run(folder: Path, *command: str, ok: bool = True) -> str:
    return ended(start(folder, *command), ok)


def stages_run(output: str) -> list[str]:
    return [stage for stage in STAGES if f"Running stage '{stage}'" in output]


def hashes(folder: Path) -> dict[str, str]:
    shards = [file.relative_to(folder).as_posix() for file in (folder / "data/lab").iterdir()]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in {*OUTPUTS, *shards}}


def runs_of(folder: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("chromascape")
    return client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this working tree as its one commit and small photos beside it; `dvc repro` has run.

    Nobody was called, and nothing was written into the home folder: see `test_silent`.
    """
    base = tmp_path_factory.mktemp("pipeline")
    folder, photos = base / "clone", base / "photos"
    copy_tree(folder)
    write_photos(photos, 24)
    write_photos(photos / "deeper" / "still", 2, first_seed=100)
    Image.open(photos / "photo-000.png").convert("L").save(photos / "gray.png")
    (photos / "copy.png").write_bytes((photos / "photo-001.png").read_bytes())
    values = changed_params(SMALL | {"data.dir": str(photos)})
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "start")
    with alone(base / "home") as given:
        output = ended(start(folder, "dvc", "repro", warm=False, given=given))
    assert stages_run(output) == STAGES and written(base / "home") == []
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "first run")
    return folder


@pytest.fixture
def clone(first_run: Path) -> Iterator[Path]:
    """The clone as its first run left it, also for the test after this one."""
    yield first_run
    run(first_run, "git", "checkout", "-q", ".")
    run(first_run, "dvc", "checkout", "-q", "-f")


def test_one_repro_makes_every_output(clone: Path) -> None:
    assert all((clone / name).stat().st_size for name in OUTPUTS)
    validation = json.loads((clone / "metrics/validate.json").read_text())
    assert validation["n_files"] == 28
    assert validation["rejected_by_reason"] == {"channels": 1, "exact_duplicate": 1, "mode": 1}
    figures = json.loads((clone / "metrics/evaluate.json").read_text())
    assert figures["n_photos"] == validation["by_split"]["test"]
    assert figures["held_out"] is True
    for row in ("model", "gray", "mean_ab"):
        assert set(figures[row]) == {"psnr_db", "ssim", "ciede2000", "colorfulness", "loss_mse_l1"}
    assert set(figures["damage"]) == set(FIXED) and "damage" not in figures["val"]
    assert figures["gain_over_gray_db"] == pytest.approx(figures["model"]["psnr_db"] - figures["gray"]["psnr_db"])
    low, high = figures["gain_over_gray_ci95_db"]
    assert low <= figures["gain_over_gray_db"] <= high
    registered = json.loads((clone / "metrics/register.json").read_text())
    assert registered["version"] == 1 and registered["alias"] in ("champion", "challenger")


def test_the_photos_are_neither_copied_nor_touched(clone: Path) -> None:
    photos = clone.parent / "photos"
    assert sum(path.is_file() for path in photos.rglob("*")) == 28
    tracked = run(clone, "git", "ls-files")
    assert "photo-000" not in tracked
    cached = [path.stat().st_size for path in (clone / ".dvc/cache").rglob("*") if path.is_file()]
    assert (photos / "photo-000.png").stat().st_size not in cached


def test_a_second_repro_changes_nothing(clone: Path) -> None:
    output = run(clone, "dvc", "repro")
    assert stages_run(output) == []
    assert "Data and pipelines are up to date." in output


def set_folder(clone: Path, place: str) -> None:
    values = yaml.safe_load((clone / "params.yaml").read_text())
    values["data"]["dir"] = place
    (clone / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def test_a_colleague_with_the_same_photos_elsewhere_only_validates_them(clone: Path, tmp_path: Path, s3: S3) -> None:
    """Through a remote in a bucket; one in a folder, which may be on a disk of all, holds the same."""
    other, photos, remote = tmp_path / "clone", tmp_path / "own photos", tmp_path / "remote"
    run(tmp_path, "git", "clone", "-q", str(clone), str(other))
    shutil.copytree(clone.parent / "photos", photos)
    for folder in (clone, other):
        run(folder, "dvc", "remote", "add", "--local", "--default", "team", "s3://photos/remote")
    run(clone, "dvc", "push", "-q", "--run-cache")
    run(clone, "dvc", "remote", "add", "--local", "disk", str(remote))
    run(clone, "dvc", "push", "-q", "--run-cache", "--remote", "disk")
    on_disk = {file.relative_to(tmp_path).as_posix() for file in remote.rglob("*") if file.is_file()}
    assert set(s3.names("photos/remote")) == on_disk
    run(other, "dvc", "pull", "-q", "--run-cache")
    set_folder(other, str(photos))
    assert stages_run(run(other, "dvc", "repro")) == ["sample", "validate"]
    page = "reports/validation.html"  # names the folder
    assert hashes(other) | {page: ""} == hashes(clone) | {page: ""}
    assert stages_run(run(other, "dvc", "repro")) == []


def test_the_same_photos_in_a_bucket_are_validated_and_nothing_else_runs(clone: Path, s3: S3) -> None:
    before, page = hashes(clone), "reports/validation.html"
    s3.put_folder(clone.parent / "photos", "photos/in")
    set_folder(clone, "s3://photos/in")
    assert stages_run(run(clone, "dvc", "repro")) == ["sample", "validate"]
    assert hashes(clone) | {page: ""} == before | {page: ""}
    # Each of the two stages reads a byte to see that it may. Then validation reads each file once, its page some again.
    assert 2 + 28 <= s3.since()["GET"] <= 2 + 2 * 28
    start = len(s3.requests)
    assert stages_run(run(clone, "dvc", "repro")) == []
    assert "GET" not in s3.since(start)


def test_the_same_photos_and_params_give_the_same_bytes(clone: Path) -> None:
    before = hashes(clone)
    # Another number of workers must not change a byte either.
    params = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(params.replace("jobs: 1", "jobs: 3"))
    output = run(clone, "dvc", "repro", "--force", "--no-run-cache", "--no-commit", "--downstream", "validate")
    assert stages_run(output) == STAGES[1:]  # the photos that come with the project are not used here
    assert hashes(clone) == before


def test_the_mlflow_run_holds_params_metrics_lineage_and_data(clone: Path) -> None:
    run_ = runs_of(clone)[-1]
    assert run_.info.status == "FINISHED"
    assert run_.data.params == {key: str(value) for key, value in flatten(load_params(clone / "params.yaml")).items()}
    figures = json.loads((clone / "metrics/evaluate.json").read_text())
    assert run_.data.metrics["gain_over_gray_db"] == pytest.approx(figures["gain_over_gray_db"])
    assert run_.data.metrics["gray/psnr_db"] == pytest.approx(figures["gray"]["psnr_db"])
    assert "val_loss" in run_.data.metrics and "gray_val_loss" in run_.data.metrics
    first = run(clone, "git", "rev-list", "--max-parents=0", "HEAD").strip()
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]
    assert run_.data.tags["git.commit"] == first
    assert run_.data.tags["dvc.lab_md5"] == lock["preprocess"]["outs"][0]["md5"]
    assert run_.data.tags["dvc.photos_md5"] == lock["validate"]["deps"][0]["md5"]
    names = {entry.dataset.name for entry in run_.inputs.dataset_inputs}
    assert names == {"photos-train", "photos-val", "photos-test"}


def test_a_params_change_reruns_only_what_depends_on_it(clone: Path) -> None:
    before = len(runs_of(clone))
    assert stages_run(run(clone, "dvc", "exp", "run", "-S", "evaluate.rows=1")) == ["evaluate"]
    newest = runs_of(clone)[0]
    assert len(runs_of(clone)) == before + 1
    assert newest.data.params["evaluate.rows"] == "1"
    assert "val_loss" in newest.data.metrics  # a run of its own is complete, though nothing was trained
    changes = [
        "train.loss.ssim=0.2", "train.network=efficientnet_lite2", "train.init=shipped", "train.epochs=1",
        "train.batch_size=4",
    ]  # fmt: skip
    output = run(clone, "dvc", "exp", "run", *(part for change in changes for part in ("-S", change)))
    assert stages_run(output) == ["train", "evaluate", "register"]
    assert len(runs_of(clone)) == before + 2
    assert json.loads((clone / "models/colorizer/config.json").read_text())["network"] == "efficientnet_lite2"
    assert "train.network" in run(clone, "dvc", "params", "diff")
    search = (REPOSITORY / "experiments/search.py").read_text(encoding="utf-8")
    epoch = re.findall(r'^EPOCH = re.compile\(r"(.+)"\)$', search, re.MULTILINE)[0]  # as a search reads it
    assert re.search(epoch, output, re.MULTILINE)
    assert "gain_over_gray_db" in run(clone, "dvc", "metrics", "diff")
    assert "gain_over_gray_db" in run(clone, "dvc", "exp", "show", "--csv")
    run(clone, "dvc", "plots", "show", "-o", "plots")
    page = (clone / "plots/index.html").read_text()
    photos = [file.name for file in (clone / "reports/photos").iterdir()]
    assert "train_loss" in page and photos and all(name in page for name in photos)


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")


def steps_in_all(clone: Path) -> int:
    """Steps of a training: a batch holds two photos."""
    train = json.loads((clone / "metrics/validate.json").read_text())["by_split"]["train"]
    return SMALL["train.epochs"] * math.ceil(train / SMALL["train.batch_size"])


def assert_resumed(said: str, at: int, total: int) -> None:
    assert f"training resumes at step {at} of {total}" in said
    assert total - at < at  # less work than before the kill


@needs_proc
def test_a_training_that_dvc_runs_goes_on_after_a_kill(clone: Path) -> None:
    before, total, train = hashes(clone), steps_in_all(clone), ("dvc", "repro", "-f", "-s", "train")
    first = start(clone, *train)
    at = kill_training(clone, 0.7, total)
    first.communicate(timeout=120)
    assert_resumed(run(clone, *train), at, total)
    assert hashes(clone) == before
    assert not list((clone / ".checkpoints").iterdir())


def outs_of_training(clone: Path, revision: str) -> dict[str, str]:
    """What dvc.lock of a commit says that the training wrote."""
    lock = yaml.safe_load(run(clone, "git", "show", f"{revision}:dvc.lock"))
    return {out["path"]: out["md5"] for out in lock["stages"]["train"]["outs"]}


def experiment(clone: Path, name: str) -> str:
    """The git reference of a finished experiment; empty where there is none."""
    found = run(clone, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    return next((reference for reference in found if reference.endswith(f"/{name}")), "")


def whole_run(clone: Path, param: str, value: str) -> mlflow.entities.Run:
    """The one finished run with this value of a param, in the repository that the experiment comes from."""
    found = [run_ for run_ in runs_of(clone) if run_.data.params.get(param) == value]
    (whole,) = [run_ for run_ in found if run_.info.status == "FINISHED"]
    assert "gain_over_gray_db" in whole.data.metrics and "val_loss" in whole.data.metrics
    return whole


@needs_proc
def test_a_temporary_experiment_that_is_killed_goes_on_in_another_copy_and_its_run_survives(clone: Path) -> None:
    """With a param that changes no result, so that the bytes can be compared."""
    command = ("dvc", "exp", "run", "--temp", "-n", "apart", "-S", "train.checkpoint_seconds=0.06")
    first, total = start(clone, *command), steps_in_all(clone)
    at = kill_training(clone, 0.6, total)
    first.communicate(timeout=120)
    assert_resumed(run(clone, *command), at, total)
    assert outs_of_training(clone, experiment(clone, "apart")) == outs_of_training(clone, "HEAD")
    assert not list((clone / ".checkpoints").iterdir())
    apart = whole_run(clone, "train.checkpoint_seconds", "0.06")
    assert apart.data.tags["dvc.experiment"] == "apart"
    assert apart.data.tags["dvc.baseline"] == run(clone, "git", "rev-parse", "HEAD").strip()
    artifacts = mlflow.MlflowClient(f"sqlite:///{clone / 'mlflow.db'}").list_artifacts(apart.info.run_id)
    assert "index.html" in {entry.path for entry in artifacts}


@needs_proc
def test_a_queued_experiment_that_is_killed_goes_on_and_runs_of_the_queue_survive(clone: Path) -> None:
    queue, same = ("dvc", "exp", "run", "--queue", "-n"), ("-S", "train.checkpoint_seconds=0.07")
    total = steps_in_all(clone)
    run(clone, *queue, "first", *same)
    first = start(clone, "dvc", "queue", "start", "-j", "1")
    at = kill_training(clone, 0.7, total)
    first.communicate(timeout=120)
    run(clone, *queue, "second", *same)
    run(clone, *queue, "other", "-S", "train.lr=0.0012")
    run(clone, "dvc", "queue", "start", "-j", "1")
    limit = time.monotonic() + 180
    while not (experiment(clone, "second") and experiment(clone, "other")):
        assert time.monotonic() < limit, run(clone, "dvc", "queue", "status")
        time.sleep(0.1)
    assert_resumed(run(clone, "dvc", "queue", "logs", "second"), at, total)
    assert outs_of_training(clone, experiment(clone, "second")) == outs_of_training(clone, "HEAD")
    whole_run(clone, "train.checkpoint_seconds", "0.07")
    other, start_run = whole_run(clone, "train.lr", "0.0012"), runs_of(clone)[-1]
    assert other.data.tags["chromascape.registered"] != start_run.data.tags["chromascape.registered"]
    assert not list((clone / ".checkpoints").iterdir())


def test_a_relative_folder_in_a_temporary_copy_gets_a_clear_line(clone: Path) -> None:
    output = run(clone, "dvc", "exp", "run", "--temp", "-S", "data.dir=../photos", ok=False)
    assert f"write data.dir: {clone.parent / 'photos'}" in output


def test_the_trained_model_colorizes_from_the_command_line(clone: Path, tmp_path: Path) -> None:
    Image.effect_noise((201, 133), 60).save(tmp_path / "old.png")
    run(clone, "chromascape", "colorize", str(tmp_path / "old.png"), "-o", str(tmp_path / "out"))
    assert Image.open(tmp_path / "out/old.png").size == (201, 133)
    assert "gray input" in run(clone, "chromascape", "summary")
