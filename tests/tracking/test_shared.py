"""One store for many: PostgreSQL and S3, directly and behind MLflow's server with passwords and four workers."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import requests
from registered import alone_in, write_outputs
from services import BUCKET, Postgres, free_port, mlflow_server, with_user
from sqlalchemy import create_engine, inspect, text

from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.tracking import run as tracking
from chromascape.tracking import store_checks
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.registry import Decision, open_registry
from chromascape.tracking.store import connect
from chromascape.tracking.store_checks import check_store

pytestmark = [pytest.mark.scale, pytest.mark.no_cover]


@pytest.fixture(scope="module")
def server(postgres: Postgres, runs_bucket: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server on PostgreSQL; it alone reads and writes S3. Gives its address with the administrator's name."""
    store = postgres.new("server")
    with mlflow_server(tmp_path_factory.mktemp("server"), store, f"s3://{BUCKET}/served", **runs_bucket) as uri:
        yield with_user(uri)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("no_proxy", "*")
    with alone_in(tmp_path, monkeypatch):
        yield tmp_path


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests"})


def pipeline(folder: Path, params: Params, gain: float, environment: dict[str, str], barrier: Any) -> None:
    """What the stages `evaluate` and `register` do with the store; models are compared by their gain over gray."""
    os.environ.update(environment)
    folder.mkdir()
    os.chdir(folder)
    write_outputs(0.1 * gain, training=f"{gain:016}", gain_over_gray_db=gain)
    barrier.wait()
    check_store(params.track.experiment)
    run_id = tracking.log_run(params)
    with open_registry("chromascape", params.track.experiment) as registry:
        version = registry.version_of(model_digest(Path("models/colorizer")), registry.client.get_run(run_id))

        def decide(champion: Any) -> Decision:
            best = registry.client.get_run(champion.run_id).data.metrics["gain_over_gray_db"] if champion else 0
            return Decision(gain > best, f"{gain} against {best}")

        registry.assign(version, decide)


def four_at_once(folder: Path, params: Params, forks: Any, environment: dict[str, str]) -> mlflow.MlflowClient:
    """Run four pipelines at once, in copies of their own; check what they have left."""
    barrier = forks.Barrier(4)
    gains = (1.0, 2.0, 3.0, 4.0)
    places = [(folder / f"clone-{gain}", params, gain, environment, barrier) for gain in gains]
    processes = [forks.Process(target=pipeline, args=place) for place in places]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    client = mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])
    assert {experiment.name for experiment in client.search_experiments()} == {"Default", "tests"}
    runs = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert sorted(run.data.metrics["gain_over_gray_db"] for run in runs) == list(gains)
    for run in runs:
        assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
        names = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"index.html", "per_photo.csv", "figures", "images", "params.yaml"} <= names
        assert len(run.inputs.dataset_inputs) == 3 and len(run.outputs.model_outputs) == 1
    versions = {int(version.version): version for version in client.search_model_versions("name = 'chromascape'")}
    assert set(versions) == {1, 2, 3, 4} and {version.run_id for version in versions.values()} == {
        run.info.run_id for run in runs
    }
    champion = client.get_model_version_by_alias("chromascape", "champion")
    assert client.get_run(champion.run_id).data.metrics["gain_over_gray_db"] == 4  # nobody overtook it unseen
    called = [v.version for v in versions.values() if v.tags["chromascape.alias"] == "champion"]
    left = [number for number in called if "chromascape.replaced" not in versions[int(number)].tags]
    assert [int(number) for number in left] == [int(champion.version)]
    return client


def test_four_pipelines_at_once_on_a_fresh_postgresql(
    postgres: Postgres, runs_bucket: dict[str, str], params: Params, here: Path, forks: Any
) -> None:
    """Of four that make its tables together three failed; their files go to S3 directly."""
    store = {"MLFLOW_TRACKING_URI": postgres.new("direct"), "MLFLOW_DEFAULT_ARTIFACT_ROOT": f"s3://{BUCKET}/direct"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in runs_bucket.items():
            patch.setenv(name, value)
        client = four_at_once(here, params, forks, store | runs_bucket)
        (run, *_) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.artifact_uri == f"s3://{BUCKET}/direct/{run.info.run_id}/artifacts"


def test_four_pipelines_at_once_behind_a_server(server: str, params: Params, here: Path, forks: Any) -> None:
    """It has four workers and offers no lock; MLFLOW_TRACKING_URI is all that a client needs."""
    client = four_at_once(here, params, forks, {"MLFLOW_TRACKING_URI": server})
    (run, *_) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")


def said(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The line with which every stage stops before any work; empty where it goes on."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    try:
        check_store("tests")
    except ChromascapeError as error:
        assert "\n" not in str(error) and "lovelace" not in str(error) and "pass%20word" not in str(error)
        return str(error)
    return ""


def test_what_the_server_refuses_is_a_line_before_any_work(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    connect("tests")
    account = {"username": "bob", "password": "builder-1999"}
    assert requests.post(f"{server}/api/2.0/mlflow/users/create", json=account, timeout=20).status_code == 200
    address = server.rpartition("@")[2]
    assert said(server, monkeypatch) == ""
    for others in ("", "ada:wrong-password@"):
        line = said(f"http://{others}{address}", monkeypatch)
        assert line.startswith(f"MLFLOW_TRACKING_URI: http://{address}: refuses access (") and "401" in line
        assert line.endswith("check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    line = said(f"http://bob:builder-1999@{address}", monkeypatch)
    assert "lets you read the experiment 'tests', but not write it (403)" in line
    line = said(server.replace("127.0.0.1", "localhost"), monkeypatch)
    assert f"refuses the name {address.replace('127.0.0.1', 'localhost')}: add it to the server's" in line
    # Asking has left nothing behind.
    client = mlflow.MlflowClient(server)
    found = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert all(run.info.status == "FINISHED" for run in found)


def test_what_postgresql_refuses_is_a_line_before_any_work(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = postgres.new("refusing")
    assert said(uri, monkeypatch) == said(uri.replace("+psycopg", ""), monkeypatch) == ""
    assert not inspect(create_engine(uri)).get_table_names()  # asking makes none
    assert "password authentication failed" in said(postgres.uri("refusing", "wrong"), monkeypatch)
    assert 'database "nowhere" does not exist' in said(postgres.uri("nowhere"), monkeypatch)
    with create_engine(uri).begin() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN PASSWORD 'guest'"))
    guest = f"postgresql://guest:guest@127.0.0.1:{postgres.port}/refusing"
    assert "user guest may not write it: as its owner, `GRANT CREATE ON SCHEMA public TO guest`" in said(
        guest, monkeypatch
    )
    begun = time.monotonic()
    down = said(uri.replace(f":{postgres.port}/", f":{free_port()}/"), monkeypatch)
    assert "can't be used (connection failed" in down and "Connection refused" in down and "that it runs" in down
    monkeypatch.setattr(store_checks, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = said(uri.replace(f":{postgres.port}/", f":{silent.getsockname()[1]}/"), monkeypatch)
    assert "no answer within 1 seconds: check address and network" in line and time.monotonic() - begun < 10
