"""A server that does not answer is found out in five seconds."""

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from chromascape.errors import ChromascapeError
from chromascape.tracking.server import check_server, without_credentials


class Answering(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a socket that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("uri", ["", "sqlite:///runs.db", "file:///tmp/runs", "databricks"])
def test_a_store_that_is_no_server_is_not_asked(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check_server()


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_any_answer_counts(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = type("Handler", (Answering,), {"status": status})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:pass@127.0.0.1:{server.server_port}")
        check_server()
        server.shutdown()


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_a_refused_port_is_one_line_with_the_way_out(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port, start = refused_port(), time.monotonic()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:secret@127.0.0.1:{port}/mlflow")
    with pytest.raises(ChromascapeError) as caught:
        check_server()
    assert time.monotonic() - start < 5
    said = str(caught.value)
    assert f"MLFLOW_TRACKING_URI: no MLflow server at {scheme}://127.0.0.1:{port}/mlflow (Connection refused)" in said
    assert "start it, or unset the variable to keep runs in mlflow.db" in said
    assert "secret" not in said and "me:" not in said and "\n" not in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_answers_is_given_up_in_five_seconds(
    scheme: str, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://127.0.0.1:{silent}")
    start = time.monotonic()
    with pytest.raises(ChromascapeError, match=f"no MLflow server at {scheme}://127.0.0.1:{silent}"):
        check_server()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("uri", ["http://", "http://host.invalid:5000", "http://127.0.0.1:no"])
def test_an_address_without_a_host_is_one_line(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ChromascapeError, match="no MLflow server at"):
        check_server()


def test_credentials_are_taken_out() -> None:
    assert without_credentials("API request to http://a:b@h:1/x failed") == "API request to http://h:1/x failed"
    assert without_credentials("http://h/a@b") == "http://h/a@b"
    assert without_credentials("http://h:5000/a@b") == "http://h:5000/a@b"
    assert without_credentials("at postgresql://ada:pa/s@s@h/db, at a@b") == "at postgresql://h/db, at a@b"


def test_asking_imports_no_mlflow() -> None:
    code = "import sys; import chromascape.tracking.server; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
