"""MLflow as a real server that is killed, hangs or fails while a training runs: nothing that was logged is lost."""

import contextlib
import http.client
import http.server
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import yaml
from conftest import changed_params, write_photos
from test_runs import CURVES, FIGURES, colorizer_folder, history  # noqa: F401
from test_runs import workplace as workplace
from warm import warm_path

from chromascape import cli
from chromascape.params import Params
from chromascape.tracking import delivery, endings, outbox
from chromascape.tracking import runs as tracking

pytestmark = pytest.mark.scale


class Server:
    """`mlflow server` on a port of this machine, which can be killed and started again."""

    def __init__(self, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination", "artifacts",
        ]  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=environment, start_new_session=True, text=True,
            stdout=(self.folder / "server.log").open("a"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)  # its workers too
            self.process.wait()
        self.process = None


class Gate(http.server.ThreadingHTTPServer):
    """Stands before a server; `mode` says what it does: pass, hang (until it is closed), 500, or slow."""

    daemon_threads = True

    def __init__(self, port: int):
        super().__init__(("127.0.0.1", 0), Through)
        self.port, self.mode, self.open, self.asked = port, "pass", threading.Event(), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Through(http.server.BaseHTTPRequestHandler):
    server: Gate

    def answer(self) -> None:
        self.server.asked += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.mode == "hang":
            self.server.open.wait(60)
            return
        if self.server.mode == "500":
            self.send_error(500)
            return
        if self.server.mode == "slow":
            time.sleep(1)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    return folder


@pytest.fixture(scope="module")
def started(home: Path) -> Iterator[Server]:
    """One server for all tests, because it takes seconds to start."""
    server = Server(home)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(started: Server, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", started.uri)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return started


@pytest.fixture
def gate(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(server.port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{gate.server_port}")
    yield gate
    gate.open.set()
    gate.shutdown()
    gate.server_close()


@pytest.fixture
def params(make_params: Callable[..., Params], request: pytest.FixtureRequest) -> Params:
    return make_params({"track.experiment": request.node.name})


@pytest.fixture
def weights(workplace: Path) -> Path:
    file = workplace / "weights.safetensors"
    file.write_bytes(b"some weights")
    return file


def runs(experiment: str) -> list[Any]:
    client = mlflow.MlflowClient()
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def train(params: Params, weights: Path, then: Callable[[], object] = lambda: None) -> str:
    """A training of three epochs, with something that happens after the first; returns the run's id."""
    with tracking.new_run(params) as log:
        for row in CURVES.to_dict("records"):
            log.epoch(row)
            if row["epoch"] == 1:
                then()
        log.figures(FIGURES, "val")
        log.trained(weights)
    return log.run_id


@pytest.mark.parametrize("mode", ["hang", "500"])
def test_a_server_that_fails_in_mid_training_costs_no_time_and_nothing_is_lost(
    gate: Gate, params: Params, weights: Path, mode: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: list[float] = []

    def fail() -> None:
        gate.mode = mode
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        moments.append(time.monotonic())

    with tracking.new_run(params) as log:
        log.epoch(CURVES.to_dict("records")[0])
        fail()
        for row in CURVES.to_dict("records")[1:]:
            log.epoch(row)
        log.figures(FIGURES, "val")
        log.trained(weights)
        assert time.monotonic() - moments[0] < 1.5  # less than one request: training waits for none
    assert time.monotonic() - moments[0] < 12
    said = capsys.readouterr().err
    assert "training goes on" in said and "`chromascape deliver`" in said and "Traceback" not in said
    assert "`chromascape deliver`" in outbox.waiting_note(Path.cwd())
    assert cli.main(["deliver"]) == 1
    gate.mode = "pass"
    gate.open.set()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    capsys.readouterr()
    assert cli.main(["deliver"]) == 0
    assert f"run {log.run_id}: delivered " in capsys.readouterr().out
    assert cli.main(["deliver"]) == 0
    assert capsys.readouterr().out == "nothing waits for MLflow\n"
    (run,) = runs(params.track.experiment)
    assert run.info.run_id == log.run_id and run.info.status == "FINISHED"
    assert history(run, "val_loss") == list(zip([1, 2, 3], CURVES["val_loss"], strict=True))
    assert run.data.metrics["val/psnr_db"] == 24.0 and run.data.tags["chromascape.state"] == "trained"


def test_a_slow_server_slows_no_training(gate: Gate, params: Params, weights: Path) -> None:
    with tracking.new_run(params) as log:
        gate.mode, start = "slow", time.monotonic()
        for row in CURVES.to_dict("records"):
            log.epoch(row)
        log.figures(FIGURES, "val")
        log.trained(weights)
        assert time.monotonic() - start < 1.5
    gate.mode = "pass"
    (run,) = runs(params.track.experiment)
    assert run.info.status == "FINISHED" and len(history(run, "val_loss")) == 3 and outbox.boxes(Path.cwd()) == []


def test_what_was_heard_but_not_answered_is_not_there_twice(
    gate: Gate,
    params: Params,
    weights: Path,
    colorizer_folder: Path,  # noqa: F811
) -> None:
    """Every entry delivered twice is there once."""
    write_photos(Path("strips"), 1)
    Path("strips/photo-000.png").rename("strips/a.jpg")
    with tracking.new_run(params) as log:
        gate.mode = "500"
        log.epoch(CURVES.to_dict("records")[0])
        log.figures(FIGURES)
        log.pictures(Path("strips"))
        log.model(colorizer_folder)
    gate.mode = "pass"
    (box,) = outbox.boxes(Path.cwd())
    for again in (outbox.read_box(box.folder), outbox.read_box(box.folder)):
        assert again
        again._append = lambda line: None  # type: ignore[method-assign]  # as if it had been killed each time
        assert delivery.deliver_box(again).problem == ""
    assert [done.problem for done in delivery.deliver_waiting()] == [""]
    client, (run,) = mlflow.MlflowClient(), runs(params.track.experiment)
    assert history(run, "val_loss") == [(1, 0.35)] and run.info.status == "FINISHED"
    assert len([file for file in client.list_artifacts(log.run_id, "images") if file.path.endswith(".png")]) == 1
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert str(model.status) == "READY" and len(run.outputs.model_outputs) == 1


def test_a_run_of_a_killed_process_is_told_as_lost_on_a_server_too(
    server: Server, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run whose end waits in an outbox is not taken for lost."""

    def refuse(*_: Any) -> None:
        raise ValueError("not now")

    gone = {"chromascape.process": f"{platform.node()} 4194304999"}
    with monkeypatch.context() as patched:
        patched.setitem(delivery.APPLY, "status", refuse)
        waits = train(params, weights)
        mlflow.MlflowClient().set_tag(waits, "chromascape.process", gone["chromascape.process"])
        experiment = runs(params.track.experiment)[0].info.experiment_id
        lost = mlflow.MlflowClient().create_run(experiment, tags=gone).info.run_id
        with tracking.new_run(params) as log:
            states = {run.info.run_id: run.info.status for run in runs(params.track.experiment)}
    assert states == {lost: "KILLED", waits: "RUNNING", log.run_id: "RUNNING"}
    assert {done.run_id for done in delivery.deliver_waiting()} == {waits, log.run_id}
    states = {run.info.run_id: run.info.status for run in runs(params.track.experiment)}
    assert states == {lost: "KILLED", waits: "FINISHED", log.run_id: "FINISHED"}


def test_the_end_of_a_run_that_somebody_took_for_lost_puts_it_right(
    server: Server, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another working copy does, which does not see the outbox."""

    def refuse(*_: Any) -> None:
        raise ValueError("not now")

    with monkeypatch.context() as patched:
        patched.setitem(delivery.APPLY, "status", refuse)
        run_id = train(params, weights)
    client = mlflow.MlflowClient()
    client.set_tag(run_id, "chromascape.process", f"{platform.node()} 4194304999")
    endings.end_lost(client, client.get_run(run_id).info.experiment_id, set())
    assert client.get_run(run_id).info.status == "KILLED"
    delivery.deliver_waiting()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED" and endings.ENDED not in run.data.tags
    assert run.data.tags[endings.NOTE].startswith("efficientnet_lite2 on sample")


def test_metrics_of_a_killed_training_are_delivered_before_it_goes_on(
    gate: Gate, params: Params, weights: Path
) -> None:
    script = """
import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])
from chromascape.params import load_params; from chromascape.tracking import runs
with runs.new_run(load_params(Path('params.yaml'))) as log:
    print(log.run_id, flush=True); input()
    log.epoch({'epoch': 1, 'train_loss': 0.3, 'val_loss': 0.35, 'gray_val_loss': 0.4, 'lr': 0.01})
    os.kill(os.getpid(), 9)
"""
    values = changed_params({"track.experiment": params.track.experiment})
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-c", script, str(Path(tracking.__file__).parents[2])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdin
    run_id = process.stdout.readline().strip()
    gate.mode = "500"
    process.communicate("\n", timeout=60)
    assert process.returncode == -signal.SIGKILL and len(outbox.boxes(Path.cwd())) == 1
    gate.mode = "pass"
    with tracking.new_run(params, run_id) as log:
        assert log.run_id == run_id
        for row in CURVES.to_dict("records"):
            log.epoch(row)
    (run,) = runs(params.track.experiment)
    assert history(run, "val_loss") == [(1, 0.35), (2, 0.25), (3, 0.3)] and run.info.status == "FINISHED"


def test_a_box_for_another_store_waits_for_it(
    gate: Gate, params: Params, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(params, weights, lambda: setattr(gate, "mode", "500"))
    gate.mode = "pass"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert cli.main(["deliver"]) == 1
    assert f"waiting for http://127.0.0.1:{gate.server_port}: " in capsys.readouterr().out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{gate.server_port}")
    assert cli.main(["deliver"]) == 0
    (run,) = runs(params.track.experiment)
    assert len(history(run, "lr")) == 3


def test_a_server_killed_in_mid_training_and_started_again_lacks_nothing(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The real stages as DVC starts them: train with the server killed, evaluate with it back."""
    from test_stages import run_stage, write_params
    from test_store import SMALL, small_project

    project = small_project(tmp_path_factory.mktemp("project"))
    write_params(project, SMALL | {"train.epochs": 3, "track.experiment": "killed"})
    for name in ("validate", "preprocess"):
        assert run_stage(project, name).returncode == 0
    training = subprocess.Popen(
        ["python", "stages/train.py"], cwd=project, env=os.environ | {"PATH": warm_path()}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert training.stdout and training.stdout.readline().startswith("epoch 1/3")
    server.kill()
    _, said = training.communicate(timeout=120)
    assert training.returncode == 0 and "`chromascape deliver`" in said and "Traceback" not in said, said
    assert (project / "models/colorizer/weights.safetensors").exists() and len(outbox.boxes(project)) == 1
    server.start()
    done = run_stage(project, "evaluate")
    assert done.returncode == 0 and "MLflow got what waited of run" in done.stderr, done.stderr
    assert outbox.boxes(project) == []
    mlflow.set_tracking_uri(server.uri)
    (run,) = runs("killed")
    curves = pd.read_csv(project / "metrics/curves.csv")
    for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
        assert history(run, name) == list(zip(curves["epoch"], curves[name], strict=True))
    client = mlflow.MlflowClient()
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
    assert str(client.search_logged_models([run.info.experiment_id])[0].status) == "READY"
    assert {"index.html", "per_photo.csv", "figures", "images"} <= {
        f.path for f in client.list_artifacts(run.info.run_id)
    }
    assert len(run.inputs.dataset_inputs) == 3
