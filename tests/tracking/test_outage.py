"""A real MLflow server that is gone, fails, hangs or is slow while the stages run: nothing measured is missing."""

import contextlib
import http.client
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from registered import OUTSIDE
from test_stages import run_stage, write_params
from test_store import SMALL, small_project
from warm import warm_path

from chromascape.files import sha256_of_file

pytestmark = [pytest.mark.scale, pytest.mark.no_cover]  # what runs here waits, and serves


class Server:
    """`mlflow server` on a port of this machine."""

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
                time.sleep(0.03)
        raise AssertionError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)  # its workers too
            self.process.wait()
        self.process = None


class Gate(http.server.ThreadingHTTPServer):
    """Stands before a server; `mode` says what it does: pass, gone, hang (until it is closed), 500, or slow."""

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
        if self.server.mode == "hang" and "/api/" in self.path:  # and answers who asks whether it is there
            self.server.open.wait(60)
            return
        if self.server.mode == "gone":  # as after a kill: no answer at all
            self.close_connection = True
            return
        if self.server.mode == "500" and self.command == "POST":  # it answers who asks for the experiment
            self.send_error(500)
            return
        if self.server.mode == "slow":
            time.sleep(0.03)
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
def server(started: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project whose photos are in shards."""
    project = small_project(tmp_path_factory, tmp_path_factory.mktemp("outage") / "project")
    write_params(project, SMALL | {"train.epochs": 3, "track.experiment": "outage"})
    return project


def test_whatever_happens_to_the_server_the_run_is_whole_in_the_end(gate: Gate, server: Server, trained: Path) -> None:
    """The real stages: the server goes while `train` runs, and fails, hangs or is slow when `evaluate` logs."""
    project, client = trained, mlflow.MlflowClient(server.uri)
    training = subprocess.Popen(
        ["python", "stages/train.py"], cwd=project, env=os.environ | {"PATH": warm_path()}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert training.stdout and training.stdout.readline().startswith("epoch 1/3")
    gate.mode = "gone"
    _, said = training.communicate(timeout=120)
    *_, precision, line = said.splitlines()  # where the CPU has bf16, a note before: there is no .dvc
    assert precision.startswith("training in ")
    assert training.returncode == 0 and line.startswith("warning: MLflow failed (") and "logs the run whole" in line
    dead = run_stage(project, "evaluate")  # found out before any work
    assert dead.returncode == 1 and "no MLflow server" in dead.stderr and not (project / "reports/index.html").exists()
    gate.mode = "500"
    failed = run_stage(project, "evaluate")
    (line,) = failed.stderr.splitlines()
    assert failed.returncode == 1 and line.startswith("error: MLflow failed in http://") and "`dvc repro` logs" in line
    digests = {path: sha256_of_file(path) for path in project.glob("metrics/*.json")}
    (kept,) = project.glob(".checkpoints/evaluate-*/test.jsonl")
    size = kept.stat().st_size
    gate.mode = "hang"
    hung = run_stage(project, "evaluate", env=os.environ | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1"})
    assert hung.returncode == 1 and len(hung.stderr.splitlines()) == 1 and "Traceback" not in hung.stderr
    assert kept.stat().st_size == size  # nothing is measured again
    gate.mode = "slow"
    done = run_stage(project, "evaluate", measured=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not kept.exists() and digests == {path: sha256_of_file(path) for path in project.glob("metrics/*.json")}

    (run,) = client.search_runs([client.get_experiment_by_name("outage").experiment_id])
    curves = pd.read_csv(project / "metrics/curves.csv")
    for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
        points = sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        assert points == list(zip(curves["epoch"], curves[name], strict=True))
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert str(model.status) == "READY" and len(run.inputs.dataset_inputs) == 3
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"index.html", "per_photo.csv", "figures", "images", "params.yaml"} <= artifacts
