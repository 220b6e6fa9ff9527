"""Which store an address names, from every folder in which DVC runs a stage."""

from pathlib import Path

import pytest

from chromascape.tracking.address import sqlite_file, tracking_uri


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///mlflow.db", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///runs/all.db?timeout=60", "sqlite:///{root}/runs/all.db?timeout=60"),
        ("sqlite+pysqlite:///./my%20runs.db", "sqlite+pysqlite:///{root}/my runs.db"),
        ("sqlite:////elsewhere/mlflow.db?timeout=60", "sqlite:////elsewhere/mlflow.db?timeout=60"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://me@host/runs", "postgresql://me@host/runs"),
    ],
)
def test_a_relative_store_is_taken_from_the_repository_s_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, expected: str
) -> None:
    """In the copy of `dvc exp run --temp` it would be thrown away with the copy."""
    copy = tmp_path / ".dvc/tmp/exps/standalone/copy"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    assert tracking_uri() == expected.format(root=tmp_path.resolve())


@pytest.mark.parametrize(
    "uri", ["sqlite:///:memory:", "sqlite://", "sqlite:///file:a.db?uri=true", "http:///a.db", "a"]
)
def test_other_stores_have_no_file(uri: str) -> None:
    assert sqlite_file(uri) == ""
