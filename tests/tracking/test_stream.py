"""The curves of a training in MLflow while it runs: in a store that works, fails, hangs or is slow."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from conftest import changed_params
from registered import CURVES, TRAINING, evaluated_run
from test_run import assert_whole, curve, history, runs, stream
from test_run import store as store
from test_run import workplace as workplace
from warm import unmeasured, warm_path

from chromascape.errors import ChromascapeError
from chromascape.params import Params, flatten
from chromascape.tracking import stream as streams
from chromascape.tracking.stream import MAY_CHANGE, stream_training

ROWS: list[Any] = CURVES.to_dict("records")


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests", "train.lr": 0.0123})


def test_the_run_of_a_training_has_its_params_and_curves_while_it_runs(store: Path, params: Params) -> None:
    with stream_training(params, TRAINING) as live:
        for row in ROWS:
            live.epoch(row)
        live.metrics({"train/images_per_second": 12.5})
        end = time.monotonic() + 30
        while "train/images_per_second" not in runs()[0].data.metrics and time.monotonic() < end:
            time.sleep(0.05)
        (run,) = runs()
        assert run.info.status == "RUNNING" and run.info.run_id == live.run_id
        assert history(run, "val_loss") == curve("val_loss") and run.data.metrics["train/images_per_second"] == 12.5
        training = {n: str(v) for n, v in flatten(params).items() if n.startswith("train.")}
        for name in MAY_CHANGE:
            training.pop(name)
        assert run.data.params == training and run.info.run_name == "lr=0.0123 efficientnet_lite2 sample"
    assert runs()[0].info.status == "FINISHED" and "chromascape.state" not in runs()[0].data.tags


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("broke"), "FAILED"), (SystemExit(1), "FAILED"), (KeyboardInterrupt(), "KILLED")],
    ids=["error", "exit", "stopped"],
)
def test_a_run_whose_training_ends_badly_is_marked_as_failed_or_killed(
    store: Path, params: Params, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), stream_training(params, TRAINING):
        raise error
    (run,) = runs()
    assert run.info.status == status and run.data.tags["chromascape.ended"] == status.lower()


def test_a_training_that_was_stopped_resumes_in_its_run_and_nothing_is_logged_twice(
    store: Path, params: Params, make_params: Callable[..., Params]
) -> None:
    with pytest.raises(KeyboardInterrupt), stream_training(params, TRAINING) as live:
        live.epoch(ROWS[0])
        raise KeyboardInterrupt
    sooner = make_params({"track.experiment": "tests", "train.lr": 0.0123, "train.checkpoint_seconds": 1.0})
    with stream_training(sooner, TRAINING) as resumed:  # which gives the rows that it has again
        assert resumed.run_id == live.run_id and runs()[0].info.status == "RUNNING"
        for row in ROWS:
            resumed.epoch(row)
    (run,) = runs()
    assert run.info.status == "FINISHED" and "chromascape.ended" not in run.data.tags
    assert history(run, "val_loss") == curve("val_loss")
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    assert len(points) == 3


def test_a_training_of_its_own_has_a_run_and_one_that_is_whole_gets_no_second_one(
    store: Path, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a training ended in the same bytes, DVC evaluated nothing, and its second run stayed without figures."""
    first = stream(params)
    assert stream(params, training="another") != first
    assert evaluated_run(params) == first
    with stream_training(params, TRAINING) as live:
        assert live is None
    (note,) = capsys.readouterr().err.splitlines()
    assert note == "note: MLflow has the run of this same training: no live curves"
    assert len(runs()) == 2


def refuse(*_: Any, **__: Any) -> None:
    raise mlflow.MlflowException("http://me:secret@host/api: connection\nrefused")


def test_what_mlflow_refuses_is_one_line_training_continues_and_evaluation_completes_the_run(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch, stream_training(params, TRAINING) as live:
        live.epoch(ROWS[0])
        while not history(runs()[0], "val_loss"):
            time.sleep(0.02)
        patch.setattr(mlflow.MlflowClient, "log_batch", refuse)
        for row in ROWS[1:]:
            live.epoch(row)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: MLflow failed (MlflowException: http://host/api: connection refused)")
    assert "`evaluate` logs the run whole" in line
    assert evaluated_run(params) == live.run_id
    (run,) = runs()
    assert_whole(run, params)


@pytest.mark.parametrize("seconds", [0.2, 60], ids=["slow", "hangs"])
def test_a_store_that_is_slow_or_hangs_never_delays_a_training(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    log_batch = mlflow.MlflowClient.log_batch
    monkeypatch.setattr(streams, "PATIENCE", 2.0)
    with stream_training(params, TRAINING) as live:
        monkeypatch.setattr(
            mlflow.MlflowClient, "log_batch", lambda *args, **named: (time.sleep(seconds), log_batch(*args, **named))
        )
        start = time.monotonic()
        for row in ROWS:
            live.epoch(row)
        assert time.monotonic() - start < 0.1
    assert time.monotonic() - start < 8
    said = capsys.readouterr().err
    assert said == "" if seconds < 1 else "no answer within 2 seconds" in said and len(said.splitlines()) == 1
    monkeypatch.undo()


def test_a_run_that_can_not_start_is_reported_before_a_training(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow.MlflowClient, "create_run", refuse)
    said = r"MLflow can't start a run in sqlite:.*connection refused\): .*MLFLOW_TRACKING_URI"
    with pytest.raises(ChromascapeError, match=said), stream_training(params, TRAINING):
        raise AssertionError("training began")


def test_metrics_of_the_machine_are_logged_where_mlflow_is_asked_for_them(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING", "1")
    with stream_training(params, TRAINING):
        end = time.monotonic() + 30
        while not runs()[0].data.metrics and time.monotonic() < end:
            time.sleep(0.2)
    assert "system/cpu_utilization_percentage" in runs()[0].data.metrics and runs()[0].info.status == "FINISHED"


def test_metrics_of_the_machine_that_never_end_hold_up_no_training(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's `finish` waits for its thread, however long a server takes."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    waiting = threading.Event()
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setattr(SystemMetricsMonitor, "start", lambda self: None)
    monkeypatch.setattr(SystemMetricsMonitor, "finish", lambda self: waiting.wait(60))
    monkeypatch.setattr(streams, "PATIENCE", 2.0)
    start = time.monotonic()
    with stream_training(params, TRAINING):
        pass
    assert time.monotonic() - start < 30 and runs()[0].info.status == "FINISHED"
    waiting.set()


SCRIPT = """
import os, sys
from pathlib import Path

from chromascape.params import load_params
from chromascape.resume import open_folder
from chromascape.tracking.stream import stream_training

params = load_params(Path("params.yaml"))
with open_folder(Path.cwd(), "train", sys.argv[1]), stream_training(params, sys.argv[1]) as live:
    live.epoch({"epoch": 1, "train_loss": 1, "val_loss": 2, "gray_val_loss": 3, "lr": 0.1})
    if sys.argv[2:]:
        os.kill(os.getpid(), 9)
"""


@pytest.fixture
def script(workplace: Path) -> dict[str, str]:
    """The environment of processes that run `stream.py`."""
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})), encoding="utf-8")
    Path("live.py").write_text(SCRIPT, encoding="utf-8")
    return unmeasured() | {"OMP_NUM_THREADS": "1", "PATH": warm_path()}


def test_the_run_of_a_killed_process_is_closed_by_the_next_training(
    script: dict[str, str], store: Path, params: Params
) -> None:
    subprocess.run(["python", "live.py", "a" * 16, "killed"], check=False, timeout=120, env=script)
    assert [run.info.status for run in runs()] == ["RUNNING"]
    stream(params)
    assert sorted(run.info.status for run in runs()) == ["FINISHED", "KILLED"]


@pytest.mark.scale
def test_processes_that_start_at_once_on_a_fresh_store_all_have_a_run(script: dict[str, str], workplace: Path) -> None:
    processes = [
        subprocess.Popen(
            ["python", "live.py", str(number) * 16], env=script, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number in range(4)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], "\n".join(said)
    assert [(run.info.status, run.data.metrics["val_loss"]) for run in runs()] == [("FINISHED", 2)] * 4
