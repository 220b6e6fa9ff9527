"""A store with runs, models, versions and aliases goes from SQLite to PostgreSQL, whole or not at all."""

import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import REPOSITORY, set_up_store
from registered import alone_in, evaluated_run
from services import BUCKET, Postgres
from sqlalchemy import create_engine, text

from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.tracking import move_store
from chromascape.tracking import run as tracking
from chromascape.tracking.address import LOCATION
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.move_store import move
from chromascape.tracking.registry import Decision, open_registry
from chromascape.tracking.resolve import resolve_model
from chromascape.tracking.store import LOCATIONS

pytestmark = pytest.mark.no_cover


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with alone_in(tmp_path, monkeypatch):
        yield tmp_path


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests"})


@pytest.fixture
def old(here: Path, empty_store: Path, params: Params) -> str:
    """A store with two runs, whose models are champion and challenger."""
    shutil.copy(empty_store, "mlflow.db")
    for number, promoted in ((1, True), (2, False)):
        run_id = evaluated_run(params, 0.1 * number, training=f"{number:016}")
        with open_registry("chromascape", "tests") as registry:
            version = registry.version_of(model_digest(Path("models/colorizer")), registry.client.get_run(run_id))
            registry.assign(version, lambda _, promoted=promoted: Decision(promoted, "a reason"))
    return f"sqlite:///{here}/mlflow.db"


def contents(uri: str) -> dict[str, Any]:
    """All that a client can read, but where files are."""
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    number = client.get_experiment_by_name("tests").experiment_id
    runs = {run.info.run_id: run for run in client.search_runs([number])}
    return {
        "experiments": {each.name: (each.experiment_id, each.tags) for each in client.search_experiments()},
        "runs": {name: run.data.to_dictionary() for name, run in runs.items()},
        "status": {name: (run.info.status, run.info.start_time, run.info.end_time) for name, run in runs.items()},
        "curves": {
            name: [(point.step, point.value) for point in client.get_metric_history(name, "val_loss")] for name in runs
        },
        "inputs": {name: len(run.inputs.dataset_inputs) for name, run in runs.items()},
        "models": {each.model_id: (str(each.status), each.tags) for each in client.search_logged_models([number])},
        "versions": {int(each.version): each.tags for each in client.search_model_versions("name = 'chromascape'")},
        "aliases": {k: int(v) for k, v in client.get_registered_model("chromascape").aliases.items()},
    }


@pytest.mark.scale
def test_a_store_moves_to_postgresql_whole(
    old: str, params: Params, postgres: Postgres, runs_bucket: dict[str, str], here: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in runs_bucket.items():
        monkeypatch.setenv(name, value)
    before, new = contents(old), postgres.new("moved")
    place, page = f"s3://{BUCKET}/moved", (REPOSITORY / "docs/move-runs.md").read_text(encoding="utf-8")
    (command,) = re.findall(
        r"^python -m chromascape\.tracking\.(move_store .*)$", page.replace("\\\n", ""), re.MULTILINE
    )
    command = command.replace("s3://BUCKET/moved", place)
    command = command.replace("postgresql+psycopg://mlflow:PASSWORD@HOST/mlflow", new)
    monkeypatch.setattr(sys, "argv", command.split())
    move_store.main()
    said = capsys.readouterr().out
    assert said.startswith("moved 2 runs, 2 models and 2 versions to postgresql+psycopg://127.0.0.1:")
    assert contents(new) == before == contents(old)
    shutil.rmtree("mlartifacts")
    Path("mlflow.db").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new)
    assert (resolve_model("models:/chromascape@champion") / "weights.safetensors").is_file()
    last = tracking.find_run(mlflow.MlflowClient(new), before["experiments"]["tests"][0], params)
    assert tracking.log_run(params) == last.info.run_id  # what follows goes on with it
    client = mlflow.MlflowClient(new)
    assert "index.html" in {file.path for file in client.list_artifacts(last.info.run_id)}
    assert int(client.create_experiment("another")) > int(before["experiments"]["tests"][0])
    with pytest.raises(ChromascapeError, match=r"the store to move to has .* already: name an empty database"):
        move(new, new, place)


@pytest.mark.scale
def test_a_move_that_fails_half_way_leaves_nothing(
    old: str, postgres: Postgres, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = postgres.new("half")
    monkeypatch.setattr(move_store, "_count_on", lambda *_: 1 / 0)  # when all rows are written
    with pytest.raises(ChromascapeError, match=r"nothing was moved to postgresql\+psycopg://127.* \(ZeroDivisionError"):
        move(old, new, (here / "files").as_uri())
    with create_engine(new).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM runs")).scalar() == 0
        assert connection.execute(text("SELECT name FROM experiments")).scalars().all() == ["Default"]


def test_between_two_files_it_is_the_same(old: str, here: Path) -> None:
    before = contents(old)
    counts = move(old, f"sqlite:///{here}/new.db", (here / "files").as_uri())
    assert counts["runs"] == 2 and contents(f"sqlite:///{here}/new.db") == before
    assert len(list((here / "files").rglob("index.html"))) == 2


@pytest.mark.parametrize("fails", [True, False])
def test_the_store_stays_as_it_is_byte_for_byte(
    old: str, here: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Also where its paths are absolute, as of an older version: those of the copy alone become relative."""
    with create_engine(old).begin() as connection:
        for table, column in LOCATIONS:
            place = f"'{(here / 'mlartifacts').as_uri()}' || substr({column}, {len(LOCATION) + 1})"
            connection.execute(text(f"UPDATE {table} SET {column} = {place} WHERE {column} LIKE '{LOCATION}%'"))
    before, new = Path("mlflow.db").read_bytes(), f"sqlite:///{here}/new.db"
    if fails:
        monkeypatch.setattr(move_store, "_count_on", lambda *_: 1 / 0)
        with pytest.raises(ChromascapeError, match="nothing was moved"):
            move(old, new, (here / "files").as_uri())
    else:
        move(old, new, (here / "files").as_uri())
        with create_engine(new).connect() as connection:
            places = connection.execute(text("SELECT artifact_uri FROM runs")).scalars().all()
        assert all(place.startswith((here / "files").as_uri()) for place in places)
    assert Path("mlflow.db").read_bytes() == before


def test_nobody_writes_to_the_store_while_it_is_moved(old: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        with closing(sqlite3.connect("mlflow.db", timeout=0.1)) as other, other:
            other.execute("DELETE FROM runs")

    monkeypatch.setattr(move_store, "_count_on", write)
    with pytest.raises(ChromascapeError, match=r"nothing was moved .*database is locked"):
        move(old, f"sqlite:///{here}/new.db", (here / "files").as_uri())


def test_what_can_not_be_moved_is_one_line(old: str, here: Path) -> None:
    set_up_store(here / "new.db")
    for source, said in [
        ("http://127.0.0.1:9", "http://127.0.0.1:9: no database"),
        ("sqlite:///none.db", "no MLflow store"),
    ]:
        with pytest.raises(ChromascapeError, match=said):
            move(source, old, "s3://none")
    with create_engine(old).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '451aebb31d03'"))
    with pytest.raises(ChromascapeError, match="the store to move was made by an older MLflow: `mlflow db upgrade"):
        move(old, f"sqlite:///{here}/new.db", "s3://none")
