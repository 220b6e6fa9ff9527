"""What a user reads when something is wrong: each stage script as DVC starts it."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, changed_params, write_photos

from chromascape.errors import ChromascapeError, explain_os_error


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the stage scripts and params.yaml, whose data.dir holds a few photos."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("stages", "src"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    write_photos(folder / "photos", 6)
    write_params(folder, {})
    return folder


def write_params(folder: Path, changes: dict[str, object]) -> None:
    split = {"train": 0.4, "val": 0.3, "test": 0.3, "seed": 1}
    values = changed_params(
        {"data.dir": "photos", "data.split": split, "validate.min_accepted": 3, "jobs": 1} | changes
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def run_stage(folder: Path, name: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, f"stages/{name}.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    for part in parts:
        assert part in errors[0]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"data.dir": "nowhere"}, ["data.dir: nowhere does not exist", "write the path of your photos"]),
        ({"data.dir": "~/photos"}, ["data.dir", "'~' is not expanded"]),
        ({"data.dir": "params.yaml"}, ["data.dir: params.yaml is a file"]),
        ({"train.network": "resnet"}, ["train.network", "'unet', 'efficientnet', 'assignment' or", "'resnet'"]),
        ({"train.lr": -0.1}, ["train.lr", "greater than 0", "-0.1"]),
        ({"train.learning_rate": 0.1}, ["train.learning_rate: unknown key"]),
        ({"train.epoch": 3}, ["train.epoch: unknown key; did you mean train.epochs?"]),
        ({"train.loss.huber": 1.0}, ["train.loss.huber: unknown key"]),
        ({"data.split.test": 0.5}, ["data.split", "train + val + test must be 1"]),
    ],
)
def test_the_first_stage_stops_at_wrong_params(project: Path, changes: dict[str, object], parts: list[str]) -> None:
    write_params(project, changes)
    assert_one_line(run_stage(project, "sample"), *parts)
    assert not (project / "data").exists()


def test_files_that_dvc_can_not_track_are_named_before_dvc_meets_them(project: Path) -> None:
    os.mkfifo(project / "photos" / "pipe")  # DVC would wait for it for ever
    (project / "photos" / "broken.jpg").symlink_to("nowhere.jpg")
    (project / os.fsdecode(b"photos/\xff.jpg")).write_bytes(b"x")
    (project / "photos" / "folder").symlink_to(".")  # neither DVC nor we follow it
    done = run_stage(project, "sample")
    assert_one_line(done, "data.dir: DVC can't track 3 of the files in photos", "'broken.jpg' (broken link)")
    assert "'pipe' (not a regular file)" in done.stderr and "not UTF-8" in done.stderr


def test_validate_stops_at_an_empty_folder(project: Path) -> None:
    shutil.rmtree(project / "photos")
    (project / "photos").mkdir()
    assert_one_line(run_stage(project, "validate"), "data.dir: photos is empty")


def test_validate_stops_where_no_photo_is_usable(project: Path) -> None:
    shutil.rmtree(project / "photos")
    (project / "photos").mkdir()
    (project / "photos" / "notes.txt").write_text("no photo")
    done = run_stage(project, "validate")
    assert_one_line(done, "data.dir: photos: 0 of 1 files accepted", "not_an_image 1", "validate.min_accepted = 3")
    assert_can_be_looked_up(project, done)
    assert "notes.txt,rejected,not_an_image" in (project / "data/manifest.csv").read_text(encoding="utf-8")


def assert_can_be_looked_up(project: Path, done: subprocess.CompletedProcess[str]) -> None:
    """What a stopped validation found is there, and the line says where."""
    for name in ("data/manifest.csv", "reports/data_docs/files.html"):
        assert (project / name).is_file() and name in done.stderr
    assert (project / "reports/data_docs/set.html").is_file()
    counts = json.loads((project / "metrics/validate.json").read_text(encoding="utf-8"))
    assert counts["n_files"] == len((project / "data/manifest.csv").read_text(encoding="utf-8").splitlines()) - 1


def test_validate_stops_where_a_split_stays_empty(project: Path) -> None:
    write_params(project, {"data.split": {"train": 0.98, "val": 0.01, "test": 0.01, "seed": 0}})
    done = run_stage(project, "validate")
    assert_one_line(done, "data.split: no photo fell into val and test", "(6 accepted)")
    assert_can_be_looked_up(project, done)


def test_validate_stops_where_too_many_files_are_rejected(project: Path) -> None:
    write_params(project, {"validate.max_rejected_share": 0.1})
    for number in range(3):
        (project / "photos" / f"{number}.txt").write_text(str(number))
    done = run_stage(project, "validate")
    assert_one_line(done, "validate.max_rejected_share = 0.1", "not_an_image 3")
    assert_can_be_looked_up(project, done)


@pytest.mark.parametrize("stage", ["sample", "validate"])
def test_a_slip_in_the_policy_stops_the_first_stage_that_runs(project: Path, stage: str) -> None:
    write_params(project, {"validate.policy.cmyk": "x"})
    done = run_stage(project, stage)
    assert_one_line(done, "params.yaml: validate.policy.cmyk: must be 'reject' or 'convert' (it is 'x')")
    assert not (project / "data").exists()


def test_an_unreadable_cache_names_the_file_and_the_way_out(project: Path) -> None:
    assert_one_line(run_stage(project, "train"), "data/lab: no Lab cache here", "dvc repro")


def test_a_device_that_is_not_there(project: Path) -> None:
    assert run_stage(project, "validate").returncode == 0
    assert run_stage(project, "preprocess").returncode == 0
    write_params(project, {"train.device": "mps" if sys.platform != "darwin" else "cuda"})
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'runs.db'}"}
    assert_one_line(run_stage(project, "train", env=environment), "train.device", "not available here")
    assert not (project / "models").exists()


def test_a_disk_that_fills_leaves_nothing_half_written(project: Path) -> None:
    assert run_stage(project, "validate").returncode == 0

    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    # Not measured: coverage's own file would not fit either.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = run_stage(project, "preprocess", preexec_fn=few_bytes, env=environment)
    assert_one_line(done, "File too large")
    assert sorted(path.name for path in (project / "data").iterdir()) == ["manifest.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written(project: Path) -> None:
    (project / "data").mkdir(mode=0o500)
    assert_one_line(run_stage(project, "validate"), "data", "Permission denied", "check the permissions")


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "permissions"), (errno.EROFS, "read-only")],
)
def test_system_errors_name_the_file_and_the_way_out(number: int, hint: str) -> None:
    line = explain_os_error(OSError(number, os.strerror(number), "photos/a.jpg"))
    assert line.startswith("photos/a.jpg: ") and hint in line


def test_the_stage_wrapper_shows_one_line_for_each_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "stages"))
    monkeypatch.chdir(REPOSITORY)
    import _stage

    errors = {
        ChromascapeError("data.dir: wrong"): "error: data.dir: wrong",
        OSError(errno.ENOSPC, "No space left on device", "x"): "error: x: No space left on device; free some space",
        KeyboardInterrupt(): "stopped: run `dvc repro`",
    }
    for error, line in errors.items():

        def stage(params: object, error: BaseException = error) -> None:
            raise error

        with pytest.raises(SystemExit) as stopped:
            _stage.run(stage)
        assert str(stopped.value).startswith(line)

    def bug(params: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # a bug is no wrong input: it keeps its traceback
        _stage.run(bug)
