"""What a user reads when something is wrong: each stage script as DVC starts it."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from conftest import REPOSITORY, changed_params, lay_code, write_photos
from dvc.repo import Repo
from warm import cold_path, run_python, unmeasured, warm_path

from chromascape.errors import ChromascapeError, explain_os_error


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the stage scripts and params.yaml, whose data.dir holds a few photos."""
    folder = tmp_path / "project"
    folder.mkdir()
    lay_code(folder)
    write_photos(folder / "photos", 6)
    write_params(folder, {})
    return folder


def write_params(folder: Path, changes: dict[str, object]) -> None:
    split = {"train": 0.4, "val": 0.3, "test": 0.3, "seed": 1}
    values = changed_params(
        {"data.dir": "photos", "data.split": split, "validate.min_accepted": 3, "jobs": 1} | changes
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def run_stage(
    folder: Path, name: str, measured: bool = False, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a stage to its end. Once a stage it is enough to measure it for coverage, which takes half of the time."""
    return run_python([f"stages/{name}.py"], folder, env if measured else unmeasured(env), **options)


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
        ({"data.dir": "/nowhere/at/all"}, ["data.dir: /nowhere/at/all does not exist: write the path of your photos"]),
        ({"data.dir": "~/photos"}, ["data.dir", "'~' is not expanded"]),
        ({"data.dir": "params.yaml"}, ["data.dir: params.yaml is a file"]),
        ({"data.dir": "s3://me:secret@bucket/photos"}, ["data.dir: has a password in it"]),
        ({"train.network": "resnet"}, ["train.network", "'unet', ", "'efficientnet_lite1'", "'resnet'"]),
        ({"train.lr": -0.1}, ["train.lr", "greater than 0", "-0.1"]),
        ({"train.learning_rate": 0.1}, ["train.learning_rate: unknown key"]),
        ({"train.epoch": 3}, ["train.epoch: unknown key; did you mean train.epochs?"]),
        ({"train.loss.fourier": 1.0}, ["train.loss.fourier: unknown key"]),
        ({"data.split.test": 0.5}, ["data.split", "train + val + test must be 1"]),
    ],
)
def test_the_first_stage_stops_at_wrong_params(project: Path, changes: dict[str, object], parts: list[str]) -> None:
    write_params(project, changes)
    assert_one_line(run_stage(project, "sample"), *parts)
    assert not (project / "data").exists()


def test_train_stops_at_a_slip_in_its_names_too(project: Path) -> None:
    """Where `sample` has run before, DVC does not run it again for a change of `train`."""
    write_params(project, {"train.network": "unet", "train.init": "shipped"})
    assert_one_line(run_stage(project, "train"), "params.yaml: train.init: must be 'scratch' with network unet")


FULL = """
import runpy
import _stage
from chromascape import disk
disk.free_bytes = lambda folder: 3_000_000
runpy.run_path("stages/{name}.py", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("name", "what", "param"),
    [
        ("preprocess", "the Lab shards of 1,000 photos: they need about 393 MB", "preprocess.side (256;"),
        ("train", "checkpoints: they need about 294 MB", "train.network (efficientnet_lite2)"),
    ],
)
def test_preprocess_and_train_refuse_what_the_disk_cannot_hold_before_any_work(
    project: Path, name: str, what: str, param: str
) -> None:
    (project / "data").mkdir()
    (project / "data/manifest.csv").write_text("path,verdict\n" + "a.jpg,accepted\n" * 1000)
    (project / "stages/toy.py").write_text(FULL.format(name=name))
    assert_one_line(run_stage(project, "toy"), f"not enough disk for {what}", "3 MB are free", param)
    assert not (project / "data/lab").exists() and not (project / ".checkpoints").exists()


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
    for name in ("data/manifest.csv", "reports/validation.html"):
        assert (project / name).is_file() and name in done.stderr
    assert "The pipeline stopped here" in (project / "reports/validation.html").read_text(encoding="utf-8")
    assert all((project / "reports/data_docs" / name).is_file() for name in ("files.html", "set.html"))
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
    done = run_stage(project, stage, measured=True)
    assert_one_line(done, "params.yaml: validate.policy.cmyk: must be 'reject' or 'convert' (it is 'x')")
    assert not (project / "data").exists()


def test_an_unreadable_cache_names_the_file_and_the_way_out(project: Path) -> None:
    assert_one_line(run_stage(project, "train"), "data/lab: no Lab cache here", "dvc repro")


def test_a_device_that_is_not_there(project: Path, empty_store: Path) -> None:
    assert run_stage(project, "validate").returncode == 0
    assert run_stage(project, "preprocess").returncode == 0
    write_params(project, {"train.device": "mps" if sys.platform != "darwin" else "cuda"})
    shutil.copy(empty_store, project / "runs.db")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'runs.db'}"}
    assert_one_line(run_stage(project, "train", env=environment), "train.device", "not available here")
    assert not (project / "models").exists()


def test_evaluate_takes_the_device_of_the_training(project: Path) -> None:
    """And finds out before any work, so that nothing but params is needed to see it."""
    write_params(project, {"train.device": "mps" if sys.platform != "darwin" else "cuda"})
    assert_one_line(run_stage(project, "evaluate"), "train.device", "not available here")


def test_a_disk_that_fills_leaves_nothing_half_written(project: Path) -> None:
    assert run_stage(project, "validate").returncode == 0
    done = run_stage(project, "preprocess", limit=50_000)  # coverage's own file would not fit either
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
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    import _stage

    before = signal.getsignal(signal.SIGTERM)
    errors = {
        ChromascapeError("data.dir: wrong"): "error: data.dir: wrong",
        OSError(errno.ENOSPC, "No space left on device", "x"): "error: x: No space left on device; free some space",
        KeyboardInterrupt(): "stopped: `dvc repro` runs this stage again from the start",
        KeyboardInterrupt("`dvc repro` resumes at step 3 of 9"): "stopped: `dvc repro` resumes at step 3 of 9",
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
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("name", ["sample", "validate", "train"])
def test_a_server_that_is_not_there_stops_every_stage_before_any_work(project: Path, name: str) -> None:
    """MLflow itself was silent for 4 min 47 s and then wrote 118 lines."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"http://me:secret@127.0.0.1:{port}", "no_proxy": "*"}
    done = run_stage(project, name, env=environment)
    assert_one_line(done, f"MLFLOW_TRACKING_URI: no MLflow server at http://127.0.0.1:{port}", "unset the variable")
    assert not (project / "data").exists() and "secret" not in done.stderr


@pytest.mark.parametrize("name", ["sample", "validate", "preprocess", "train", "evaluate"])
def test_a_python_without_the_environment_gets_one_line(project: Path, name: str) -> None:
    command = [sys.executable, "-S", f"stages/{name}.py"]  # -S: without site-packages
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COVERAGE"))}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert_one_line(done, f"{sys.executable} lacks the package pydantic", "`make run`", "source .venv/bin/activate")


def test_a_python_with_a_part_of_the_environment_gets_one_line(project: Path) -> None:
    """The first package that is missing is named."""
    script = project / "stages/toy.py"
    script.write_text("import _stage\nimport a_package.of_others\n")
    assert_one_line(run_stage(project, "toy"), "lacks the package a_package", "`make run`")
    script.write_text("import _stage\nimport chromascape.nothing\n")  # ours: a bug, with its traceback
    assert "Traceback" in run_stage(project, "toy").stderr


def test_ctrl_c_during_imports_is_one_line(project: Path) -> None:
    """Half of the first seconds of a stage are torch's import."""
    (project / "stages/toy.py").write_text("import _stage\nraise KeyboardInterrupt\n")
    done = run_stage(project, "toy")
    assert done.returncode != 0 and done.stderr.splitlines() == [
        "stopped: `dvc repro` runs this stage again from the start"
    ]


@pytest.mark.parametrize(
    ("name", "way"),
    {
        "sample": "runs this stage again from the start",
        "validate": "resumes after the files that were inspected",
        "preprocess": "resumes after the last complete shard, if there is one",
        "train": "resumes from the last checkpoint, if there is one",
        "evaluate": "resumes after the last measured photo",
    }.items(),
)
def test_a_stopped_stage_says_what_is_true_of_it(project: Path, name: str, way: str) -> None:
    """Wherever it is stopped."""
    (project / f"stages/{name}.py").write_text("import _stage\nraise KeyboardInterrupt\n")
    assert run_stage(project, name).stderr == f"stopped: `dvc repro` {way}\n"


def toy(folder: Path, work: str) -> None:
    """A stage that writes models/colorizer/weights.safetensors in a run, and does some work before."""
    (folder / "stages/toy.py").write_text(TOY.format(work=work), encoding="utf-8")


TOY = """
import os
import time
from pathlib import Path
from _stage import run
from chromascape.files import atomic_folder
from chromascape.tracking.stream import stream_training

def stage(params):
    with stream_training(params, 'abc'), atomic_folder(Path("models/colorizer")) as folder:
        (folder / "weights.safetensors").write_bytes(b"weights")
        {work}

if __name__ == "__main__":
    run(stage)
"""
WAIT = 'print("working", flush=True); time.sleep(60)'


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "KILLED"), (signal.SIGINT, "KILLED"), (None, "FAILED")], ids=str
)
def test_a_stage_that_is_stopped_or_fails_ends_its_run_and_leaves_nothing(
    project: Path, empty_store: Path, number: signal.Signals | None, status: str
) -> None:
    """SIGTERM left the run RUNNING for ever, and a half-written folder beside the model."""
    toy(project, WAIT if number else "raise OSError(28, 'No space left on device', 'x')")
    shutil.copy(empty_store, project / "runs.db")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'runs.db'}", "PATH": warm_path()}
    process = subprocess.Popen(
        ["python", "stages/toy.py"], cwd=project, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if number:
        assert process.stdout and process.stdout.readline() == "working\n"
        process.send_signal(number)
    start = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and time.monotonic() - start < 30
    expected = (
        "stopped: `dvc repro` runs this stage again from the start" if number else "error: x: No space left on device"
    )
    assert len(errors.splitlines()) == 1 and errors.startswith(expected), errors
    client = mlflow.MlflowClient(f"sqlite:///{project / 'runs.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("chromascape").experiment_id])
    assert run.info.status == status and run.info.end_time
    assert not (project / "models").exists() or list((project / "models").iterdir()) == []


def dvc(folder: Path, *arguments: str, warm: bool = True) -> subprocess.Popen[str]:
    """DVC with a process group of its own, to which a terminal would send Ctrl-C; its stage is in it if not `warm`."""
    outside = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    environment["PATH"] = warm_path() if warm else cold_path()
    return subprocess.Popen(
        ["dvc", *arguments], cwd=folder, env=environment | {"DVC_NO_ANALYTICS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


DVC_YAML = {
    "stages": {
        "train": {
            "cmd": "python stages/toy.py",
            "deps": ["stages/toy.py"],
            "outs": ["models/colorizer"],
            "metrics": [{"metrics/toy.json": {"cache": False}}],
        }
    }
}
LIGHT = """
import time
from pathlib import Path
from _stage import run

def stage(params):
    {work}
    for name, text in {{"models/colorizer/weights": "old", "metrics/toy.json": "{{}}"}}.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)

if __name__ == "__main__":
    run(stage)
"""


@pytest.mark.scale
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "error", "bug"])
def test_the_command_that_is_printed_brings_the_last_model_back(project: Path, how: str) -> None:
    """DVC removes a stage's outputs before it runs it: the last trained model was gone."""
    Repo.init(str(project), no_scm=True).close()
    (project / "dvc.yaml").write_text(yaml.safe_dump(DVC_YAML))
    script = project / "stages/toy.py"
    script.write_text(LIGHT.format(work="pass"))
    said, _ = (first := dvc(project, "repro")).communicate(timeout=60)
    assert first.returncode == 0 and (project / "models/colorizer/weights").read_text() == "old", said
    broken = {"error": "raise OSError(28, 'No space left on device', 'x')", "bug": "1 / 0"}
    script.write_text(LIGHT.format(work=broken.get(how, WAIT)))
    stopped = how in ("Ctrl-C", "SIGTERM")
    process = dvc(project, "repro", warm=not stopped)
    lines: list[str] = []
    if stopped:
        assert process.stdout
        while not lines or lines[-1] not in ("working\n", ""):
            lines.append(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
    said = "".join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode != 0 and not (project / "models/colorizer").exists()
    (line,) = [line for line in said.splitlines() if line.startswith("`")]
    assert line == "`dvc checkout train` restores the last outputs of this stage"
    assert ("stopped: `dvc repro` runs this stage again from the start" in said) == stopped
    assert dvc(project, *line.split("`")[1].split()[1:]).wait(timeout=60) == 0
    assert (project / "models/colorizer/weights").read_text() == "old"


@pytest.mark.scale
def test_no_command_is_named_where_the_cache_lacks_the_outputs(project: Path) -> None:
    """As in a fresh clone, whose dvc.lock names outputs that this machine never had."""
    Repo.init(str(project), no_scm=True).close()
    (project / "dvc.yaml").write_text(yaml.safe_dump(DVC_YAML))
    (project / "stages/toy.py").write_text(LIGHT.format(work="pass"))
    assert dvc(project, "repro", "-q").wait() == 0
    (project / "stages/toy.py").write_text(LIGHT.format(work="raise OSError(28, 'No space left', 'x')"))
    shutil.rmtree(project / ".dvc/cache")
    said, _ = dvc(project, "repro").communicate(timeout=60)
    assert "error: x: No space left" in said and "dvc checkout" not in said
