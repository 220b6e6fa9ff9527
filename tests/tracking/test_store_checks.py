"""Stores that can't take a run: a line before any work, from the stages, `check` and `doctor` alike."""

import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chromascape.errors import ChromascapeError
from chromascape.tracking import database_checks, store_checks
from chromascape.tracking.store_checks import check_store, store_state


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.setenv(name, "")  # MLflow sets it
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("./mlruns", ["/mlruns: a folder, in which MLflow 3 keeps no runs: write sqlite:///FILE"]),
        ("/tmp/mlruns", ["a folder, in which MLflow 3 keeps no runs"]),
        ("file:///tmp/mlruns", ["a folder, in which MLflow 3 keeps no runs"]),
        ("foo://x", ["MLflow knows no store of this kind: write sqlite:///FILE"]),
        ("postgres://me:secret@host/x", ["postgres://host/x: MLflow knows no store", "did you mean postgresql?"]),
        ("localhost:5000", ["did you mean http://localhost:5000?"]),
        ("127.0.0.1:5000/mlflow", ["did you mean http://127.0.0.1:5000/mlflow?"]),
        ("sqlite://mlflow.db", ["names no file: write sqlite:///FILE"]),
        ("sqlite:///:memory:", ["names no file"]),
        ("sqlite:////proc/nowhere/mlflow.db", ["/proc/nowhere/mlflow.db: can't be written: check the path and"]),
        (
            "mysql+pymysql://me:secret@host/x",
            ["mysql+pymysql://host/x: needs the package pymysql: pip install pymysql"],
        ),
        ("postgresql+psycopg2://host/x", ["needs the package psycopg2: pip install psycopg2-binary"]),
        ("postgresql+nodriver://host/x", ["can't be used (Can't load plugin"]),
        ("http://127.0.0.1:9", ["no MLflow server at http://127.0.0.1:9 (Connection refused)"]),
    ],
)
def test_a_store_of_no_use_is_one_line_that_names_it_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, uri: str, parts: list[str]
) -> None:
    for package in ("pymysql", "psycopg2"):
        monkeypatch.setitem(__import__("sys").modules, package, None)  # not installed
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ChromascapeError) as caught:
        check_store("tests")
    said = str(caught.value)
    assert "\n" not in said and "secret" not in said
    for part in parts:
        assert part in said
    assert list(Path.cwd().iterdir()) == []


def test_a_database_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(store_checks, "SECONDS", 0.01)
    monkeypatch.setattr(store_checks, "database_state", lambda *_: str(waiting.wait(60)))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/x")
    assert store_state("tests")[1].startswith("MLFLOW_TRACKING_URI: postgresql://host/x: no answer within ")
    waiting.set()


@pytest.fixture
def store(empty_store: Path) -> Path:
    Path("mlflow.db").write_bytes(empty_store.read_bytes())
    return Path("mlflow.db").absolute()


def test_a_store_that_can_be_written_is_left_as_it_is(store: Path, empty_store: Path) -> None:
    before = store.read_bytes()
    assert store_state("Default") == store_state("new") == ("ok", f"{store}, set up for the installed version, free")
    assert store.read_bytes() == before and [file.name for file in Path.cwd().iterdir()] == ["mlflow.db"]


def test_a_deleted_experiment_is_found_before_any_work(store: Path) -> None:
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE experiments SET lifecycle_stage = 'deleted'")
    with pytest.raises(ChromascapeError, match=r"^track.experiment: 'Default' was deleted .* --experiment-id 0`$"):
        check_store("Default")
    check_store("another")


connect = sqlite3.connect


def test_files_of_runs_that_did_not_come_along_are_missed(store: Path) -> None:
    """The database alone was copied; or an older version wrote the path of a folder that has moved."""

    def change(statement: str) -> None:
        with closing(sqlite3.connect(store)) as database, database:
            database.execute(statement)

    change("UPDATE experiments SET artifact_location = 'file:mlartifacts'")
    assert store_state("Default")[0] == "ok"  # no runs yet
    change("INSERT INTO runs (run_uuid, experiment_id, status) VALUES ('0123', 0, 'RUNNING')")
    assert store_state("Default")[0] == "ok"  # no files yet
    change("UPDATE runs SET status = 'FINISHED'")
    level, text = store_state("Default")
    assert level == "note" and text.startswith(f"{store.parent}/mlartifacts is missing, which has the files")
    change("UPDATE experiments SET artifact_location = 'file:///left%20here/mlartifacts'")
    level, text = store_state("Default")
    assert level == "note" and text.startswith("/left here/mlartifacts is missing") and "`make ui` finds it" in text
    Path("mlartifacts").mkdir()
    change("UPDATE experiments SET artifact_location = 'file:mlartifacts'")
    assert store_state("Default")[0] == "ok"


@pytest.mark.parametrize("what", ["file", "folder without a store"])
def test_what_can_not_be_written_is_a_problem(store: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Permissions don't hold for root, under which tests may run: the system's refusals are played."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(store_checks.sqlite3, "connect", lambda *a, **b: connect(f"{store.as_uri()}?mode=ro", uri=True))
    monkeypatch.setattr(store_checks.tempfile, "TemporaryFile", refuse)
    if what == "folder without a store":
        store.unlink()
    level, text = store_state("tests")
    assert level == "problem" and "check" in text and "permissions" in text and str(store) in text


class Guarded(http.server.BaseHTTPRequestHandler):
    """A server with a password, such as `mlflow server --app-name basic-auth`."""

    answer: tuple[int, str] = (200, "")
    answers: dict[str, tuple[int, str]] = {}  # of paths that end so

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        status, body = next((self.answers[end] for end in self.answers if path.endswith(end)), self.answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Guarded]]:
    handler = type("Handler", (Guarded,), {})
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{started.server_port}")
        yield handler
        started.shutdown()


EXPERIMENT = {"experiment": {"experiment_id": "7", "name": "tests", "lifecycle_stage": "deleted"}}
UNKNOWN = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, "You are not authenticated."), "refuses access"),
        ((403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "Permission denied"})), "refuses access"),
        ((404, "<html>nginx</html>"), "MLflow can't use it"),
        ((200, "<html>a page</html>"), "MLflow can't use it"),
        ((500, "oh"), "MLflow can't use it"),
        ((200, json.dumps(EXPERIMENT)), "track.experiment: 'tests' was deleted in MLflow"),
        ((404, json.dumps(UNKNOWN)), ""),
    ],
    ids=["password", "permission", "another server", "a page", "broken", "deleted", "in order"],
)
def test_what_a_server_says_is_known_before_any_work(server: type[Guarded], answer: tuple[int, str], said: str) -> None:
    server.answer = answer
    level, text = store_state("tests")
    assert level == ("problem" if said else "ok") and said in text and "secret" not in text and "\n" not in text
    if "refuses" in said:
        assert "check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in text


KNOWN = json.dumps({"experiment": {"experiment_id": "7", "name": "tests", "lifecycle_stage": "active"}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"/version": (200, "2.22.1")}, "is MLflow 2.22.1, and 3."),
        ({"/version": (200, "3.1.0.dev0")}, ""),
        ({"/version": (404, "no such page")}, ""),
        ({"/runs/create": (403, "Permission denied")}, "lets you read the experiment 'tests', but not write it (403)"),
        ({"/get-by-name": (404, json.dumps(UNKNOWN))}, ""),
        (
            {"/get-by-name": (404, json.dumps(UNKNOWN)), "/experiments/create": (403, "no")},
            "lets you make no experiment (403): ask its owner to make 'tests'",
        ),
        ({"/get-by-name": (200, KNOWN.replace("active", 'active", "artifact_location": "s3://b/7'))}, "boto3"),
        ({"/get-by-name": (403, "Invalid Host header - possible DNS rebinding attack detected")}, "--allowed-hosts"),
    ],
)
def test_what_may_be_done_on_a_server_is_known_before_any_work(
    server: type[Guarded], changes: dict[str, tuple[int, str]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = database_checks.find_spec
    monkeypatch.setattr(database_checks, "find_spec", lambda name: None if name == "boto3" else found(name))
    server.answers = {"/get-by-name": (200, KNOWN), "/version": (200, "3.17.2")} | changes
    server.answer = (400, "{}")  # a request that lacks something
    level, text = store_state("tests")
    assert level == ("problem" if said else "ok") and said in text and "secret" not in text and "\n" not in text
