"""Runs in a real MLflow store in a temporary folder, and what ties them to code and data."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import REPOSITORY, changed_params, make_photo
from mlflow.entities import Run
from PIL import Image
from torch import nn
from warm import unmeasured, warm_path

from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import save
from chromascape.errors import ChromascapeError
from chromascape.params import Params, flatten
from chromascape.tracking import delivery, lineage, outbox
from chromascape.tracking import runs as tracking
from chromascape.tracking import store as stores
from chromascape.tracking.artifacts import quilt
from chromascape.tracking.figures import result_in_words

CURVES = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [0.3, 0.2, 0.1],
        "val_loss": [0.35, 0.25, 0.3],
        "gray_val_loss": [0.4, 0.4, 0.4],
        "lr": [0.01, 0.005, 0.001],
    }
)
OUTSIDE = [
    "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "GIT_DIR", "GIT_WORK_TREE", "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI",
]  # fmt: skip


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; nothing that MLflow keeps in this process comes in or goes out."""
    for name in OUTSIDE:
        monkeypatch.setenv(name, "")  # so that what a test or MLflow sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(sys, "path", sys.path.copy())  # loading a model adds its code
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def store(empty_store: Path, workplace: Path) -> Path:
    """The folder to work in, with an empty store."""
    shutil.copy(empty_store, workplace / "mlflow.db")
    return workplace


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests", "train.lr": 0.0123})


@pytest.fixture
def weights(workplace: Path) -> Path:
    file = workplace / "weights.safetensors"
    file.write_bytes(b"some weights")
    return file


def runs(experiment: str = "tests") -> list[Run]:
    """All runs, the oldest first, read through a client of its own."""
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"]) if found else []


def history(run: Run, metric: str) -> list[tuple[int, float]]:
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def git(*arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *author, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def train_once(params: Params, weights: Path) -> str:
    """What the stage `train` logs; returns the run's id."""
    with tracking.new_run(params) as log:
        for row in CURVES.to_dict("records"):
            log.epoch(row)
        log.images_per_second(12.5)
        log.trained(weights)
    return log.run_id


def test_runs_are_kept_in_a_file_of_the_folder(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stores.repository_root() == workplace.resolve()
    assert stores.tracking_uri() == f"sqlite:///{workplace.resolve()}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", str(workplace / "origin"))
    assert stores.tracking_uri() == f"sqlite:///{workplace.resolve()}/origin/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert stores.tracking_uri() == "http://localhost:5000"


def test_a_new_run_holds_the_params_of_training_and_all_epochs(store: Path, params: Params, weights: Path) -> None:
    run_id = train_once(params, weights)
    (run,) = runs()
    assert run.info.run_id == run_id and run.info.status == "FINISHED"
    training = {n: v for n, v in flatten(params).items() if not n.startswith(("evaluate.", "register.", "jobs"))}
    assert run.data.params == {name: str(value) for name, value in training.items()}
    assert run.data.params["train.lr"] == "0.0123" and "track.experiment" in training
    for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
        expected = list(zip([1, 2, 3], CURVES[name], strict=True))
        assert history(run, name) == expected
    assert run.data.metrics["train/images_per_second"] == 12.5
    assert run.data.tags["chromascape.state"] == "trained"
    assert run.data.tags["chromascape.weights_sha256"] == hashlib.sha256(b"some weights").hexdigest()
    assert run.data.tags["chromascape.version"] == "0.1.0"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("broke"), "FAILED"), (SystemExit(1), "FAILED"), (KeyboardInterrupt(), "KILLED")],
    ids=["error", "exit", "stopped"],
)
def test_a_run_whose_block_raises_is_marked_as_failed_or_killed(
    store: Path, params: Params, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), tracking.new_run(params):
        raise error
    (run,) = runs()
    assert run.info.status == status
    assert run.data.tags["chromascape.ended"] == status.lower()
    assert run.data.tags["mlflow.note.content"].startswith(f"**{status.capitalize()}.** ")
    assert "chromascape.state" not in run.data.tags and not tracking.RUN_FILE.exists()
    assert mlflow.active_run() is None


def test_a_run_of_an_experiment_is_named_after_it(store: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "abc123")
    with tracking.new_run(params):
        pass
    (run,) = runs()
    assert run.info.run_name == "lr=0.0123 [happy-owl] efficientnet_lite2 sample"
    assert run.data.tags["dvc.experiment"] == "happy-owl" and run.data.tags["dvc.baseline"] == "abc123"


def test_the_store_may_be_named_by_the_environment(
    empty_store: Path, workplace: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = workplace / "elsewhere" / "runs.db"
    other.parent.mkdir()
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    run_id = train_once(params, weights)
    assert not (workplace / "mlflow.db").exists()
    run = mlflow.MlflowClient(tracking_uri=f"sqlite:///{other}").get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.params["train.lr"] == "0.0123"


def test_a_store_elsewhere_is_locked_where_all_who_share_it_look(
    empty_store: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two working copies that set up one fresh store at once crash where each takes a lock of its own."""
    other = workplace / "elsewhere" / "runs.db"
    other.parent.mkdir()
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    stores.connect("tests")
    assert list(workplace.glob("*.lock")) == []
    assert len(list(other.parent.glob("*.lock"))) == 1


def test_a_temporary_copy_logs_into_the_repository_that_it_comes_from(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = store / "tmp" / "copy"
    copy.mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.chdir(copy)
    with tracking.new_run(params) as log:
        log.files([weights])
    shutil.rmtree(copy, ignore_errors=True)
    monkeypatch.chdir(store)
    (run,) = runs()
    assert run.info.run_id == log.run_id and run.info.status == "FINISHED"
    kept = [path.relative_to(store).parts[0] for path in store.rglob("weights.safetensors")]
    assert "mlartifacts" in kept
    assert mlflow.artifacts.download_artifacts(run_id=log.run_id).startswith(str(store.resolve() / "mlartifacts"))


def test_metrics_of_the_machine_are_logged_where_mlflow_is_asked_for_them(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "1")
    with tracking.new_run(params):
        end = time.monotonic() + 30
        while not runs()[0].data.metrics and time.monotonic() < end:
            time.sleep(0.2)
    assert "system/cpu_utilization_percentage" in runs()[0].data.metrics and runs()[0].info.status == "FINISHED"


def test_what_waits_outlives_the_temporary_copy(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = store / "tmp" / "copy"
    copy.mkdir(parents=True)
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.chdir(copy)
    refusing = Refusing(monkeypatch)
    shutil.copy(weights, "report.txt")
    with tracking.new_run(params) as log:
        log.files([Path("report.txt")])
    refusing.heal()
    monkeypatch.chdir(store)
    shutil.rmtree(copy)
    assert [(done.run_id, done.problem) for done in delivery.deliver_waiting()] == [(log.run_id, "")]
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(log.run_id)] == ["report.txt"]


@pytest.mark.parametrize("name", ["my photos", "größe", "a#b", "50% off"])
def test_the_folder_may_have_any_name(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    root = store / name
    root.mkdir()
    shutil.move(store / "mlflow.db", root)
    monkeypatch.chdir(root)
    with tracking.new_run(params) as log:
        log.files([weights])
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("SELECT run_uuid FROM runs").fetchall() == [(log.run_id,)]
    assert sorted(path.name for path in root.iterdir()) == [".outbox", "mlartifacts", "mlflow.db", "mlflow.db.lock"]
    assert list((root / ".outbox").iterdir()) == []
    artifacts = mlflow.MlflowClient().list_artifacts(log.run_id)
    assert [artifact.path for artifact in artifacts] == ["weights.safetensors"]
    assert len(list((root / "mlartifacts").rglob("weights.safetensors"))) == 1


@pytest.mark.parametrize("name", ["feature%2Fx", "what?"])
def test_a_folder_that_mlflow_would_misread_is_refused_at_once(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Jenkins, for one, puts a branch feature/x into a folder feature%2Fx; MLflow would try for minutes."""
    root = store / name
    root.mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(ChromascapeError, match="rename it, or name another store in MLFLOW_TRACKING_URI"):
        stores.connect("tests")
    assert list(root.iterdir()) == []


def test_the_experiment_is_made_once(store: Path) -> None:
    assert stores.connect("tests") == stores.connect("tests")
    assert stores.connect("others") != stores.connect("tests")


def test_a_deleted_experiment_is_one_line_that_names_the_key(store: Path, params: Params) -> None:
    mlflow.set_tracking_uri(stores.tracking_uri())
    mlflow.MlflowClient().delete_experiment(stores.connect("tests"))
    with pytest.raises(ChromascapeError) as caught, tracking.new_run(params):
        pass
    said = "track.experiment: 'tests' was deleted in MLflow: restore it or choose another name"
    assert str(caught.value) == said


def test_a_server_decides_itself_where_artifacts_go(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str | None]] = []

    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifact_location: str | None, tags: dict[str, str]) -> str:
            made.append((name, artifact_location))
            return "7"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    assert stores.connect("tests") == "7"
    assert made == [("tests", None)]
    assert list(workplace.iterdir()) == []  # no lock where there is no file


def test_evaluation_continues_the_run_that_trained_the_weights(store: Path, params: Params, weights: Path) -> None:
    trained = train_once(params, weights)
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
    assert log.run_id == trained
    (run,) = runs()
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
    assert run.data.metrics["gain_over_gray_db"] == 1.5
    assert len(history(run, "val_loss")) == 3  # not logged twice


def test_evaluating_again_makes_a_new_complete_run(store: Path, params: Params, weights: Path) -> None:
    trained = train_once(params, weights)
    for _ in range(2):
        with tracking.continue_run(params, weights, CURVES) as log:
            log.figures(FIGURES)
    first, second = runs()
    assert first.info.run_id == trained and second.info.run_id == log.run_id != trained
    assert second.data.params == first.data.params
    for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
        assert history(second, name) == history(first, name) != []
    same = ["chromascape.weights_sha256", "chromascape.state"]
    assert [second.data.tags[name] for name in same] == [first.data.tags[name] for name in same]


def test_figures_on_val_stand_apart_and_a_new_run_has_them_too(store: Path, params: Params, weights: Path) -> None:
    with tracking.new_run(params) as log:
        log.figures(FIGURES, split="val")
        log.trained(weights)
    for _ in range(2):
        with tracking.continue_run(params, weights, CURVES, FIGURES) as log:
            log.figures(FIGURES | {"gain_over_gray_db": 1.25})
    for run in runs():
        assert run.data.metrics["val/gain_over_gray_db"] == 1.5
        assert run.data.metrics["gain_over_gray_db"] == 1.25
        assert run.data.metrics["val/gray_psnr_db"] == run.data.metrics["gray/psnr_db"] == 22.5


def test_without_a_run_a_new_complete_one_is_made(store: Path, params: Params, weights: Path) -> None:
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
    (run,) = runs()
    assert run.info.run_id == log.run_id and run.info.status == "FINISHED"
    assert history(run, "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)]
    assert run.data.params == {name: str(value) for name, value in flatten(params).items()}
    assert run.data.tags["chromascape.state"] == "evaluated"
    assert run.data.tags["chromascape.weights_sha256"] == hashlib.sha256(b"some weights").hexdigest()
    assert run.data.metrics["psnr_db"] == 24.0


def test_a_run_of_other_weights_or_another_working_copy_is_not_continued(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train_once(params, weights)
    other = store / "other.safetensors"
    other.write_bytes(b"other weights")
    with tracking.continue_run(params, other, CURVES) as log:
        assert log.run_id != trained
    copy = store / "copy"
    copy.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.chdir(copy)  # has no run.json
    with tracking.continue_run(params, weights, CURVES) as log:
        assert log.run_id != trained
    assert len(runs()) == 3


def test_of_two_trainings_with_equal_weights_the_last_one_is_continued(
    store: Path, params: Params, weights: Path
) -> None:
    """Searched by the weights' hash, either could be found."""
    first, second = train_once(params, weights), train_once(params, weights)
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
    assert log.run_id == second != first
    assert [run.data.tags["chromascape.state"] for run in runs()] == ["trained", "evaluated"]


def test_equal_weights_of_other_params_are_not_taken_for_this_run(
    store: Path, params: Params, weights: Path, make_params: Callable[..., Params]
) -> None:
    """DVC's run cache can bring the weights of another execution back, to the byte."""
    trained = train_once(params, weights)
    with tracking.continue_run(make_params({"track.experiment": "tests", "train.lr": 0.5}), weights, CURVES) as log:
        pass
    first, second = runs()
    assert (first.info.run_id, second.info.run_id) == (trained, log.run_id)
    assert (first.data.params["train.lr"], second.data.params["train.lr"]) == ("0.0123", "0.5")


def test_an_evaluation_that_failed_leaves_nothing_that_the_next_one_contradicts(
    store: Path, make_params: Callable[..., Params], params: Params, weights: Path
) -> None:
    """Train, a failed evaluation, evaluate.rows changed: the run said 4 for ever, as MLflow changes no param."""
    trained = train_once(params, weights)
    assert not any(name.startswith("evaluate.") for name in runs()[0].data.params)
    # The evaluation itself fails before it logs anything: nothing of it is in the run.
    changed = make_params({"track.experiment": "tests", "train.lr": 0.0123, "evaluate.rows": 2})
    with tracking.continue_run(changed, weights, CURVES) as log:
        log.figures(FIGURES)
    (run,) = runs()
    assert run.info.run_id == trained == log.run_id and run.data.params["evaluate.rows"] == "2"
    assert run.data.params == {name: str(value) for name, value in flatten(changed).items()}


def test_an_evaluation_that_broke_while_it_logged_is_never_mixed_with_the_next(
    store: Path, params: Params, weights: Path
) -> None:
    trained = train_once(params, weights)
    with pytest.raises(ValueError, match="broke"), tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
        raise ValueError("broke")
    (run,) = runs()
    assert run.info.status == "FAILED" and not any(name.startswith("evaluate.") for name in run.data.params)
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
    first, second = runs()
    assert (first.info.run_id, first.info.status) == (trained, "FAILED")
    assert second.info.run_id == log.run_id and second.info.status == "FINISHED"
    assert second.data.params == {name: str(value) for name, value in flatten(params).items()}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"run_id": "x"}', "null"])
def test_a_deleted_run_or_a_damaged_file_gives_a_new_complete_run(
    store: Path, params: Params, weights: Path, content: str
) -> None:
    trained = train_once(params, weights)
    if content:
        tracking.RUN_FILE.write_text(content)
    else:
        mlflow.MlflowClient().delete_run(trained)
    with tracking.continue_run(params, weights, CURVES) as log:
        pass
    assert log.run_id != trained and history(runs()[-1], "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)]


def test_a_run_in_another_store_is_not_continued(
    empty_store: Path, store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = train_once(params, weights)
    shutil.copy(empty_store, store / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'other.db'}")
    with tracking.continue_run(params, weights, CURVES) as log:
        assert log.run_id != trained


def test_the_file_beside_the_weights_names_the_run_and_git_ignores_it(
    store: Path, params: Params, weights: Path
) -> None:
    run_id = train_once(params, weights)
    assert json.loads(tracking.RUN_FILE.read_text()) == {
        "run_id": run_id,
        "experiment_id": runs()[0].info.experiment_id,
        "tracking_uri": stores.tracking_uri(),
        "weights_sha256": hashlib.sha256(b"some weights").hexdigest(),
        "state": "trained",
        "params": runs()[0].data.params,
    }
    assert f"/{tracking.RUN_FILE.name}" in (REPOSITORY / "models/.gitignore").read_text().split()


class Refusing:
    """MLflow as it takes no entry of some kinds, as a server that has gone; `calls` counts the attempts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kinds: str):
        self.calls, self.before = 0, dict(delivery.APPLY)
        for kind in kinds or delivery.APPLY:
            monkeypatch.setitem(delivery.APPLY, kind, self.refuse)

    def refuse(self, *_: Any) -> None:
        self.calls += 1
        raise mlflow.MlflowException("http://me:secret@host/api: connection\nrefused")

    def heal(self) -> None:
        delivery.APPLY.update(self.before)


def test_figures_that_mlflow_refuses_end_no_training_and_come_later(
    store: Path, params: Params, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing(monkeypatch, "metrics")
    with tracking.new_run(params) as log:
        for row in CURVES.to_dict("records")[:2]:
            log.epoch(row)
        while not refusing.calls:
            time.sleep(0.01)
        refusing.heal()
        log.epoch(CURVES.to_dict("records")[2])
        log.trained(weights)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: MLflow failed (") and "training goes on" in first and "secret" not in first
    assert last == "MLflow answers again and has everything"
    (run,) = runs()
    assert run.info.status == "FINISHED" and history(run, "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)]
    assert tracking.RUN_FILE.exists() and outbox.boxes(store) == []


def test_a_training_that_mlflow_took_nothing_of_ends_well_and_evaluation_delivers_it(
    store: Path, params: Params, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = Refusing(monkeypatch)
    before = time.time() * 1000
    with tracking.new_run(params) as log:
        for row in CURVES.to_dict("records"):
            log.epoch(row)
        log.trained(weights)
    after = time.time() * 1000
    first, last = capsys.readouterr().err.splitlines()
    assert "training goes on" in first and "secret" not in first + last
    assert "has not taken 3 sets of metrics, 1 set of tags, 1 state of this run" in last
    assert "`chromascape deliver`" in last
    assert runs()[0].info.status == "RUNNING" and runs()[0].data.metrics == {}
    assert "secret" not in (outbox.boxes(store)[0].folder / "journal.jsonl").read_text()
    refusing.heal()
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
    (run,) = runs()
    assert run.info.run_id == log.run_id and run.info.status == "FINISHED"
    assert run.data.tags["chromascape.state"] == "evaluated" and outbox.boxes(store) == []
    assert history(run, "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)]
    times = [point.timestamp for point in mlflow.MlflowClient().get_metric_history(log.run_id, "val_loss")]
    assert all(before - 1 <= moment <= after for moment in times)  # of the training, not of the delivery


def test_calls_of_a_server_that_hangs_take_seconds() -> None:
    """By MLflow's own defaults, 120 seconds and 7 retries, one call would take a quarter of an hour."""
    one = int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) * (1 + int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]))
    assert one < 60


def test_an_evaluation_that_mlflow_refuses_goes_on_and_is_delivered_later(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = train_once(params, weights)
    refusing = Refusing(monkeypatch, "file")
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
        log.files([weights, weights])
        Image.new("RGB", (8, 8)).save("a.jpg")
        log.pictures(Path.cwd())
    first, last = capsys.readouterr().err.splitlines()
    assert "report and metrics are written, and what MLflow does not take now is kept" in first
    assert "3 files, 1 picture, 2 sets of tags, 1 set of params, 1 state" in last
    assert runs()[0].info.status == "RUNNING" and runs()[0].data.metrics["psnr_db"] == 24.0
    weights.write_bytes(b"of another training")  # what was logged is what counts
    Path("a.jpg").unlink()
    refusing.heal()
    (done,) = delivery.deliver_waiting()
    assert (done.run_id, done.problem) == (trained, "") and len(done.entries) == 8
    assert delivery.deliver_waiting() == []
    (run,) = runs()
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
    folder = Path(mlflow.artifacts.download_artifacts(run_id=trained))
    assert (folder / "weights.safetensors").read_bytes() == b"some weights"
    assert len(list((folder / "images").glob("*.png"))) == 1


def test_a_run_that_can_not_start_is_told_before_a_training_and_made_after_an_evaluation(
    store: Path, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise mlflow.MlflowException("no room")

    told = r"can't start a run in sqlite:.*no room.*MLFLOW_TRACKING_URI"
    with monkeypatch.context() as patched:
        patched.setattr(mlflow.MlflowClient, "create_run", refuse)
        with pytest.raises(ChromascapeError, match=told), tracking.new_run(params):
            raise AssertionError("training began")
        assert capsys.readouterr().err == ""
        with tracking.continue_run(params, weights, CURVES) as log:
            log.figures(FIGURES)
        first, *_, last = capsys.readouterr().err.splitlines()
        assert "no room" in first and "report and metrics are written" in first and "`chromascape deliver`" in last
    assert runs() == []
    (done,) = delivery.deliver_waiting()
    (run,) = runs()
    assert run.info.run_id == done.run_id and run.info.status == "FINISHED" and not done.problem
    assert run.info.run_name == "lr=0.0123 efficientnet_lite2 sample"
    assert history(run, "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)]
    assert run.data.params == {name: str(value) for name, value in flatten(params).items()}
    assert run.data.metrics["gain_over_gray_db"] == 1.5


def test_a_disk_that_takes_no_outbox_is_told_once_and_mlflow_gets_what_it_takes(
    store: Path, params: Params, weights: Path, capsys: pytest.CaptureFixture[str], colorizer_folder: Path
) -> None:
    (store / ".outbox").write_text("in the way")
    with tracking.new_run(params) as log:
        log.epoch(CURVES.to_dict("records")[0])
        log.figures(FIGURES)
        log.files([weights])
        log.model(colorizer_folder)
        log.trained(weights)
    (line,) = capsys.readouterr().err.splitlines()
    assert ".outbox" in line and line.endswith("what MLflow does not take in this run will be missing")
    (run,) = runs()
    assert run.info.status == "FINISHED" and history(run, "val_loss") == [(1, 0.35)]
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(log.run_id)] == ["weights.safetensors"]


def test_a_stage_waits_for_a_store_that_hangs_no_longer_than_it_may(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    released = threading.Event()
    monkeypatch.setitem(delivery.APPLY, "metrics", lambda *_: released.wait(60) and None)
    monkeypatch.setattr(tracking, "PATIENCE", 0.5)
    start = time.monotonic()
    with tracking.new_run(params) as log:
        start = time.monotonic()
        log.epoch(CURVES.to_dict("records")[0])
    assert time.monotonic() - start < 10
    released.set()
    assert "has not taken 1 set of metrics, 1 state of this run" in capsys.readouterr().err


def test_continuing_a_run_brings_its_tags_up_to_date(store: Path, params: Params, weights: Path) -> None:
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    train_once(params, weights)
    git("commit", "--quiet", "--allow-empty", "-m", "second")
    with tracking.continue_run(params, weights, CURVES):
        pass
    assert runs()[0].data.tags["git.commit"] == git("rev-parse", "HEAD")


@pytest.mark.parametrize("has_git", [True, False], ids=["no repository", "no git"])
def test_without_a_repository_there_are_no_tags_of_git(monkeypatch: pytest.MonkeyPatch, has_git: bool) -> None:
    if not has_git:
        monkeypatch.setenv("PATH", "")
    assert [name for name in lineage.lineage() if name.startswith("git.")] == []


def test_lineage_reads_the_hashes_of_photos_and_shards() -> None:
    deps = [
        {"path": "src/chromascape/validation.py", "md5": "1"},
        {"path": "stages/validate.py", "md5": "2"},
        {"path": "data/sample", "md5": "photos.dir"},
    ]
    stages: dict[str, Any] = {"validate": {"deps": deps}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    tags = lineage.lineage()
    assert tags["dvc.photos_md5"] == "photos.dir" and "dvc.lab_md5" not in tags
    stages["preprocess"] = {"outs": [{"path": "data/lab", "md5": "lab.dir"}]}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    tags = lineage.lineage()
    assert (tags["dvc.photos_md5"], tags["dvc.lab_md5"]) == ("photos.dir", "lab.dir")


@pytest.mark.parametrize("content", [None, "", "stages:\n", "schema: '2.0'\n", "{", "- a\n", "stages: {}\n"])
def test_without_a_whole_dvc_lock_there_are_no_hashes(content: str | None) -> None:
    if content is not None:
        Path("dvc.lock").write_text(content)
    assert [name for name in lineage.lineage() if name.startswith("dvc.")] == []


def test_no_tag_names_a_folder_of_this_machine(workplace: Path) -> None:
    tags = lineage.lineage()
    assert not any(str(workplace) in value for value in tags.values())


FIGURES = {
    "n_photos": 7,
    "held_out": True,
    "model": {"psnr_db": 24.0, "ssim": 0.93},
    "gray": {"psnr_db": 22.5, "ssim": 0.91},
    "mean_ab": {"psnr_db": 22.7, "ssim": 0.9},
    "truth": {"colorfulness": 40.0},
    "gain_over_gray_db": 1.5,
    "gain_over_gray_ci95_db": [0.5, 2.5],
    "win_rate_over_gray": 0.75,
}


def test_headline_figures_stand_on_top_the_others_in_sections(store: Path, params: Params) -> None:
    with tracking.new_run(params) as log:
        log.figures(FIGURES | {"n_seen": {"model": 0, "shipped": 2}})
    (run,) = runs()
    assert run.data.metrics == {
        "gain_over_gray_db": 1.5,
        "gain_over_gray_ci95_low_db": 0.5,
        "gain_over_gray_ci95_high_db": 2.5,
        "win_rate_over_gray": 0.75,
        "psnr_db": 24.0,
        "ssim": 0.93,
        "test/psnr_db": 24.0,
        "test/ssim": 0.93,
        "gray/psnr_db": 22.5,
        "gray/ssim": 0.91,
    }
    assert (run.data.tags["test.n_photos"], run.data.tags["test.held_out"]) == ("7", "true")
    assert run.data.tags["test.n_seen.shipped"] == "2"
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/figures/test.json").items() >= FIGURES.items()


def test_no_zero_of_a_description_has_a_minus() -> None:
    said = result_in_words(FIGURES | {"gain_over_gray_db": -0.001, "gain_over_gray_ci95_db": [-0.002, 0.4]}, "test")
    assert "**+0.00 dB** (95 % interval +0.00 to +0.40)" in said


def test_a_run_and_its_description_say_what_it_is_and_how_good(store: Path, params: Params, weights: Path) -> None:
    with tracking.new_run(params) as log:
        assert "lr=0.0123" in runs()[0].info.run_name and runs()[0].data.tags["mlflow.note.content"]
        log.figures(FIGURES, "val")
        log.trained(weights)
    assert "On 7 validation photos: gain over gray **+1.50 dB**" in runs()[0].data.tags["mlflow.note.content"]
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES | {"held_out": False})
    (run,) = runs()
    assert run.info.run_name.startswith("lr=0.0123 ") and run.info.run_name.endswith(" efficientnet_lite2 sample")
    said = run.data.tags["mlflow.note.content"]
    assert "7 test photos" in said and "PSNR dB 24.00 (gray 22.50)" in said and "better than gray on 75 %" in said
    assert "has trained on these" in said and "chromascape.ended" not in run.data.tags


def test_a_run_whose_process_was_killed_shows_as_killed_when_the_next_one_starts(store: Path, params: Params) -> None:
    script = (
        "import os, sys; from pathlib import Path; from chromascape.params import load_params\n"
        "from chromascape.tracking import runs\n"
        "with runs.new_run(load_params(Path('params.yaml'))): os.kill(os.getpid(), 9)"
    )
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})), encoding="utf-8")
    subprocess.run([sys.executable, "-c", script], check=False, timeout=120)
    mlflow.set_tracking_uri(stores.tracking_uri())
    assert [run.info.status for run in runs()] == ["RUNNING"]
    with tracking.new_run(params):
        assert [run.info.status for run in runs()] == ["KILLED", "RUNNING"]  # not the one that lives
    assert runs()[0].data.tags["chromascape.ended"] == "killed"


def test_a_run_says_where_dvc_ran_it(store: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage.lineage()["chromascape.place"] == "workspace"
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    for folder, expected in {"standalone/tmpa": "temporary", "tmpb": "queue"}.items():
        copy = store / ".dvc/tmp/exps" / folder
        copy.mkdir(parents=True)
        monkeypatch.chdir(copy)
        assert lineage.lineage()["chromascape.place"] == expected
        with tracking.new_run(params):
            pass
        assert runs()[-1].info.run_name == f"lr=0.0123 [happy-owl, {expected}] efficientnet_lite2 sample"


def test_figures_of_one_photo_have_no_interval(store: Path, params: Params) -> None:
    with tracking.new_run(params) as log:
        log.figures(FIGURES | {"gain_over_gray_ci95_db": None})
    metrics = runs()[0].data.metrics
    assert metrics["gain_over_gray_db"] == 1.5
    assert [name for name in metrics if "ci95" in name] == []


def test_accepted_photos_are_logged_split_by_split(store: Path, params: Params) -> None:
    odd = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    paths = ["a.png", "b.png", odd, "d.png", "gray.png"]
    manifest = pd.DataFrame({"path": pd.Series(paths, dtype=object), "verdict": ["accepted"] * 4 + ["rejected"]})
    manifest["split"] = pd.Series(["train", "train", "val", "test", None], dtype=object)
    manifest["sha256"] = [character * 64 for character in "abcde"]
    manifest["width"] = manifest["height"] = pd.Series([100] * 5, dtype="Int64")
    manifest["colorfulness"] = 30.0
    with tracking.new_run(params) as log:
        log.photos(manifest, "data/sample")
    logged = {
        entry.dataset.name: ({tag.key: tag.value for tag in entry.tags}["mlflow.data.context"], entry.dataset.profile)
        for entry in mlflow.MlflowClient().get_run(log.run_id).inputs.dataset_inputs
    }
    assert {name: context for name, (context, _) in logged.items()} == {
        "photos-train": "training",
        "photos-val": "validation",
        "photos-test": "test",
    }
    rows = {name: yaml.safe_load(profile)["num_rows"] for name, (_, profile) in logged.items()}
    assert rows == {"photos-train": 2, "photos-val": 1, "photos-test": 1}


def test_files_and_pictures_are_kept(store: Path, params: Params, photo: np.ndarray) -> None:
    report = store / "index.html"
    report.write_text("a report")
    with tracking.new_run(params) as log:
        log.files([report])
        Path("strips").mkdir()
        Image.fromarray(photo).save("strips/abc.jpg")
        log.pictures(Path("strips"))
    folder = Path(mlflow.artifacts.download_artifacts(run_id=log.run_id))
    assert (folder / "index.html").read_text() == "a report"
    (picture,) = (folder / "images").glob("photos*photo-1+step+0+*.png")  # as the page looks for it
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), np.asarray(Image.open("strips/abc.jpg")))
    assert runs()[0].data.tags["chromascape.photo-1"] == "abc"
    assert folder.is_relative_to(store.resolve() / "mlartifacts")


def test_a_strip_of_four_is_logged_as_two_above_two_in_their_order() -> None:
    """The page shows pictures in squares: a strip would be a line in a gray area."""
    values = [10, 60, 120, 240]
    strip = Image.fromarray(np.concatenate([np.full((6, 6, 3), value, np.uint8) for value in values], axis=1))
    square = np.asarray(quilt(strip))
    assert square.shape == (12, 12, 3)
    assert [int(square[y, x, 0]) for y, x in ((0, 0), (5, 11), (6, 5), (11, 6))] == values
    wide = Image.new("RGB", (17, 6))
    assert quilt(wide) is wide


@pytest.fixture
def colorizer_folder(workplace: Path) -> Path:
    torch.manual_seed(0)
    network = build_network("unet")
    nn.init.normal_(network.head.weight, std=0.3)
    folder = workplace / "colorizer"
    folder.mkdir()
    save(folder, network.state_dict(), "unet", 64, {"faithful": 1.0, "vivid": 1.5})
    return folder


def test_the_logged_model_colorizes_photos_of_any_size(store: Path, params: Params, colorizer_folder: Path) -> None:
    with tracking.new_run(params) as log:
        log.model(colorizer_folder)
    (model,) = mlflow.search_logged_models(
        [runs()[0].info.experiment_id], output_format="list", order_by=[{"field_name": "creation_timestamp"}]
    )
    assert model.name == "efficientnet_lite2-sample" and model.source_run_id == log.run_id
    expected = Colorizer.load(colorizer_folder, "cpu")
    shutil.rmtree(colorizer_folder)  # the model brings its own weights
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    photos, answers = [], []
    for seed, (width, height) in enumerate([(67, 90), (160, 41)]):
        picture = Image.fromarray(make_photo(seed, width=width, height=height)).convert("L")
        stream = io.BytesIO()
        picture.save(stream, "PNG" if seed else "JPEG")
        photos.append(stream.getvalue())
        answers.append(expected.colorize(Image.open(stream)))
    colored = [Image.open(io.BytesIO(data)) for data in loaded.predict(photos)]
    for picture, answer in zip(colored, answers, strict=True):
        assert picture.format == "PNG" and picture.size == answer.size
        difference = np.asarray(picture).astype(int) - np.asarray(answer)
        assert np.abs(difference).max() <= 1
    assert [picture.size for picture in colored] == [(67, 90), (160, 41)]


def test_a_run_keeps_the_weights_once(store: Path, params: Params, colorizer_folder: Path) -> None:
    """Of 21 MB a run, 18.7 were copies: the package brought the weights that it ships."""
    with (colorizer_folder / "weights.safetensors").open("r+b") as file:
        file.truncate(4_000_000)
    with tracking.new_run(params) as log:
        log.model(colorizer_folder)
    kept = [path for path in (store / "mlartifacts").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 1.2 * 4_000_000 + 300_000
    assert [path.name for path in kept].count("weights.safetensors") == 1
    assert not any("__pycache__" in path.parts for path in kept)
    assert "colorizer.py" in {path.name for path in kept}


def test_the_logged_model_holds_no_pickle_and_names_exact_versions(
    store: Path, params: Params, colorizer_folder: Path
) -> None:
    with tracking.new_run(params) as log:
        log.model(colorizer_folder)
    (folder,) = [path.parent for path in (store / "mlartifacts").rglob("MLmodel")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not {".pkl", ".pickle", ".pt", ".pth"} & {path.suffix for path in files}
    assert {"weights.safetensors", "config.json", "mlflow_model.py", "requirements.txt"} <= {
        path.name for path in files
    }
    requirements = (folder / "requirements.txt").read_text().split()
    names = [line.partition("==")[0] for line in requirements]
    assert sorted(names) == ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    assert all("==" in line and "+" not in line for line in requirements)


SCRIPT = """
import sys
from pathlib import Path

from chromascape.tracking import runs as tracking
from chromascape.params import load_params

with tracking.new_run(load_params(Path("params.yaml"))) as log:
    log.epoch({"epoch": 1, "train_loss": 1, "val_loss": int(sys.argv[1]), "gray_val_loss": 3, "lr": 0.1})
"""


@pytest.mark.scale
def test_processes_that_start_at_once_on_a_fresh_store_all_record_their_run(workplace: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})), encoding="utf-8")
    Path("starts.py").write_text(SCRIPT, encoding="utf-8")
    environment = unmeasured() | {"OMP_NUM_THREADS": "1", "PATH": warm_path()}
    processes = [
        subprocess.Popen(
            ["python", "starts.py", str(number)], cwd=workplace, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number in range(4)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], "\n".join(said)
    mlflow.set_tracking_uri(stores.tracking_uri())
    found = runs()
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert sorted(run.data.metrics["val_loss"] for run in found) == [0, 1, 2, 3]


def stop_in_training(params: Params, rows: int, run_id: str = "") -> str:
    """A training that is stopped after some epochs; returns the run's id."""
    with contextlib.suppress(KeyboardInterrupt), tracking.new_run(params, run_id) as log:
        for row in CURVES.to_dict("records")[:rows]:
            log.epoch(row)
        raise KeyboardInterrupt
    return log.run_id


def test_a_training_that_was_stopped_goes_on_in_its_run_and_nothing_is_logged_twice(
    store: Path, params: Params, weights: Path
) -> None:
    first = stop_in_training(params, 2)
    assert runs()[0].info.status == "KILLED"
    with tracking.new_run(params, first) as log:
        assert log.run_id == first and runs()[0].info.status == "RUNNING"
        for row in CURVES.to_dict("records"):  # a training that goes on gives the rows that it has again
            log.epoch(row)
        log.images_per_second(12.5)
        log.figures(FIGURES, "val")
    with tracking.new_run(params, first) as log:  # killed before its outputs were written
        log.epoch(CURVES.to_dict("records")[-1])
        log.images_per_second(12.5)
        log.figures(FIGURES, "val")
        log.trained(weights)
    (run,) = runs()
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "trained"
    for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
        assert history(run, name) == list(zip([1, 2, 3], CURVES[name], strict=True))
    assert history(run, "train/images_per_second") == [(0, 12.5)] and history(run, "val/psnr_db") == [(0, 24.0)]
    training = {n: str(v) for n, v in flatten(params).items() if not n.startswith(("evaluate.", "register.", "jobs"))}
    assert run.data.params == training


def test_a_run_that_was_killed_before_its_params_were_logged_gets_them(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tracking, "_params", lambda values: [])
        first = stop_in_training(params, 1)
    assert runs()[0].data.params == {}
    assert stop_in_training(params, 2, first) == first
    assert runs()[0].data.params["train.lr"] == "0.0123"


@pytest.mark.parametrize("why", ["unknown", "deleted", "evaluated", "other params"])
def test_a_run_that_cannot_be_gone_on_with_is_followed_by_a_new_complete_one(
    store: Path, params: Params, make_params: Callable[..., Params], why: str
) -> None:
    first = stop_in_training(params, 1)
    if why == "deleted":
        mlflow.MlflowClient().delete_run(first)
    if why == "evaluated":
        mlflow.MlflowClient().set_tag(first, "chromascape.state", "evaluated")
    changes = {"track.experiment": "tests", "train.lr": 0.0123, "validate.min_side": 200}
    now = make_params(changes) if why == "other params" else params
    second = stop_in_training(now, 3, "0" * 32 if why == "unknown" else first)
    assert second != first
    run = mlflow.MlflowClient().get_run(second)
    assert history(run, "val_loss") == list(zip([1, 2, 3], CURVES["val_loss"], strict=True))
    assert run.data.params["validate.min_side"] == str(now.validate_.min_side)
