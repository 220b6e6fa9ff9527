"""What is asked of a database before any work. SQLite stands for PostgreSQL where the questions are the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chromascape.tracking import database_checks
from chromascape.tracking.database_checks import database_state


@pytest.fixture
def uri(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", raising=False)
    (tmp_path / "copy.db").write_bytes(empty_store.read_bytes())
    return f"sqlite:///{tmp_path}/copy.db"


def change(uri: str, statement: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database, database:
        database.execute(statement)


def test_a_database_in_order(uri: str) -> None:
    assert database_state(uri, "Default") == database_state(uri, "none") == ("ok", f"runs are kept at {uri}")


def test_a_database_without_tables_is_left_so(tmp_path: Path) -> None:
    assert database_state(f"sqlite:///{tmp_path}/new.db", "tests") == (
        "note", f"sqlite:///{tmp_path}/new.db has no tables yet: the first run makes them",
    )  # fmt: skip
    assert (tmp_path / "new.db").read_bytes() == b""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE experiments SET lifecycle_stage = 'deleted'", "track.experiment: 'Default' was deleted in MLflow"),
        ("UPDATE alembic_version SET version_num = '0123456789ab'", "was made by a newer MLflow: install that"),
        ("UPDATE alembic_version SET version_num = '451aebb31d03'", "by an older MLflow: `mlflow db upgrade ADDRESS`"),
        ("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/0'", "behind a server of MLflow: name that"),
        ("UPDATE experiments SET artifact_location = 's3://b/0'", "in s3://b/0, which needs the package boto3 here"),
        (
            "UPDATE experiments SET artifact_location = 'file:///home/me/none/mlartifacts'",
            "keeps its files in /home/me/none/mlartifacts, on another machine: choose another name",
        ),
    ],
)
def test_what_a_database_says_is_known_before_any_work(
    uri: str, statement: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = database_checks.find_spec
    monkeypatch.setattr(database_checks, "find_spec", lambda name: None if name == "boto3" else found(name))
    change(uri, statement)
    level, text = database_state(uri, "Default")
    assert level == "problem" and said in text and "\n" not in text


def test_a_driver_without_its_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As psycopg says it where there is no libpq; it is installed, so that no module is missing."""

    def missing(*_: object, **__: object) -> None:
        raise ImportError("no pq wrapper available.\nAttempts made:\n- couldn't import psycopg 'c' implementation")

    monkeypatch.setattr("sqlalchemy.create_engine", missing)
    level, said = database_state("postgresql+psycopg://me:secret@host/runs", "tests")
    assert level == "problem" and "\n" not in said and "secret" not in said
    assert said.startswith("postgresql+psycopg://host/runs: psycopg can't be imported (no pq wrapper available.")
    assert said.endswith(": pip install 'psycopg[binary]'")


def test_a_new_experiment_is_asked_for_its_place_too(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = database_checks.find_spec
    monkeypatch.setattr(database_checks, "find_spec", lambda name: None if name == "boto3" else found(name))
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://bucket/runs")
    assert "track.experiment: 'new' keeps its files in s3://bucket/runs, which" in database_state(uri, "new")[1]
    change(uri, "DROP TABLE experiments")
    assert database_state(uri, "new")[0] == "problem"
