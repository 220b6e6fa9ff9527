"""MLflow's store in every state that a project can have it in."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
import yaml
from conftest import changed_params
from warm import run_python

from chromascape.errors import ChromascapeError
from chromascape.health.mlflow_store import store
from chromascape.params import Params
from chromascape.tracking.run import TRAINING, training_lock, training_tag
from chromascape.tracking.store import connect

RUN = """
import os
from pathlib import Path
from chromascape.params import load_params
from chromascape.tracking.stream import stream_training
with stream_training(load_params(Path("params.yaml")), "0123456789abcdef"):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Callable[..., Params]) -> Params:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})), encoding="utf-8")
    return make_params({"track.experiment": "tests"})


def test_there_is_no_store_yet_and_none_is_made(params: Params) -> None:
    (finding,) = store(params)
    assert finding.level == "ok" and "no store yet" in finding.text and not Path("mlflow.db").exists()


@pytest.fixture
def set_up(params: Params, empty_store: Path) -> None:
    """A store in the current folder."""
    shutil.copy(empty_store, "mlflow.db")
    connect("tests")


@pytest.mark.usefixtures("set_up")
def test_a_store_in_order_and_a_run_whose_process_was_killed(params: Params) -> None:
    assert [finding.text.rpartition("/")[2] for finding in store(params)] == [
        "mlflow.db, set up for the installed version, free", "all have ended",
    ]  # fmt: skip
    Path("killed.py").write_text(RUN, encoding="utf-8")
    run_python(["killed.py"], Path.cwd())
    _, runs = store(params)
    assert runs.level == "note" and runs.text.startswith("1 whose process was killed: ")
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("UPDATE tags SET value = 'elsewhere/0123' WHERE key = 'chromascape.training'")
        database.commit()
    assert store(params)[1].text.endswith(" is running on another machine, or in another folder")


AT_WORK = """
import sys, time
from filelock import FileLock

with FileLock(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(100)
"""


@pytest.mark.usefixtures("set_up")
def test_a_run_names_its_process_and_an_orphan_of_dvc_what_to_do(params: Params) -> None:
    """After a `kill -9` of dvc its stage goes on, and another `dvc repro` would train the same beside it."""
    training_lock("a" * 16).parent.mkdir()
    Path("work.py").write_text(AT_WORK, encoding="utf-8")
    mlflow.MlflowClient().create_run(connect("tests"), tags={TRAINING: training_tag("a" * 16)})
    for stage, orphan in ((None, False), ("train", True)):
        environment = {**os.environ, **({"DVC_STAGE": stage} if stage else {})}
        with subprocess.Popen(
            [sys.executable, "work.py", str(training_lock("a" * 16))], env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout and process.stdout.readline()
            _, found = store(params)
            process.kill()
        assert found.level == "note" and f" is running in process {process.pid}" in found.text
        assert (f"`kill {process.pid}`, which keeps a checkpoint; then `dvc repro`" in found.text) is orphan


@pytest.mark.usefixtures("set_up")
def test_a_locked_store_names_who_has_it(params: Params) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("BEGIN IMMEDIATE")
        (finding,) = store(params)
    assert finding.level == "note" and "is locked by process " in finding.text


@pytest.mark.usefixtures("set_up")
@pytest.mark.parametrize(
    ("revision", "said"), [("451aebb31d03", "mlflow db upgrade sqlite:///"), ("0123456789ab", "made by a newer MLflow")]
)
def test_a_store_of_another_mlflow_is_a_problem(params: Params, revision: str, said: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()
    (finding,) = store(params)
    assert finding.level == "problem" and said in finding.text


def test_a_store_that_is_damaged_or_half_made(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mlflow.db").write_bytes(b"no database at all" * 100)
    (finding,) = store(params)
    assert finding.level == "problem" and "is damaged (file is not a database)" in finding.text
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # relative to the current folder
    assert store(params)[0] == finding
    Path("mlflow.db").write_bytes(b"")
    assert store(params)[0].level == "note"


def test_a_server_that_does_not_answer_stops(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ChromascapeError, match="no MLflow server at"):
        store(params)
