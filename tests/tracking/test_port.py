"""The port of MLflow's page, with sockets that are really bound."""

import errno
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chromascape.errors import ChromascapeError
from chromascape.tracking import page, port


@contextmanager
def listening(answer: bytes | None = b"") -> Iterator[int]:
    """The port of a server that answers any request so; None: that takes no call at all."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer or b"")

    if answer is None:
        with socket.socket() as taken:
            taken.bind((port.HOST, 0))
            taken.listen()
            yield taken.getsockname()[1]
        return
    with socketserver.TCPServer((port.HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.0 " + status + b"\r\nContent-Type: text/plain\r\n\r\n" + body


@pytest.mark.parametrize(
    ("answer", "holder"),
    [
        (None, "another program"),
        (b"", "another program"),
        (b"SSH-2.0-x\r\n", "another program"),
        (http(b"no", b"404 Not Found"), "another program"),
        (http(b"\xff\xfe"), "another program"),
        (http(b"<html>3.17.2</html>"), "another program"),
        (http(b"3.17.2"), "MLflow 3.17.2, whose page is open at http://127.0.0.1:{taken}"),
    ],
    ids=["silent", "hangs up", "no HTTP", "404", "bytes", "a page", "MLflow"],
)
def test_a_taken_port_is_one_line_with_who_has_it_and_a_port_that_is_free(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: bytes | None, holder: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not asked
    with listening(answer) as taken:
        assert page.main(["--port", str(taken)]) == 1
        said = capsys.readouterr()
        start, _, free = said.err.strip().rpartition("=")
        assert start == f"error: port {taken} is taken (by {holder.format(taken=taken)}): make ui PORT"
        assert said.out == "" and said.err.count("\n") == 1
        assert int(free) > taken
        port.check_free(int(free))


def test_a_free_port_is_given_back_and_the_links_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as number:
        pass
    for _ in range(2):
        assert page.main(["--port", str(number)]) == 0
    said = capsys.readouterr()
    assert said.err == "" and f"http://127.0.0.1:{number}" in said.out


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "80a", " 5000", "5_000", "٥", "5000.0"])
def test_what_is_no_port_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert page.main([f"--port={text}"]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"error: PORT: {text!r} is no port (1 to 65535): make ui PORT=5001\n"
    monkeypatch.setenv("PORT", text)
    with pytest.raises(ChromascapeError, match=r"^PORT: "):
        port.chosen_port()


def test_the_port_is_that_of_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    assert port.chosen_port() == 5000
    monkeypatch.setenv("PORT", "8123")
    assert port.chosen_port() == 8123 and port.chosen_port("5001") == 5001


@pytest.mark.parametrize(
    ("number", "last_refused", "way_out"),
    [(80, 1024, "make ui PORT=1025"), (65000, 65535, "choose a lower one")],
)
def test_a_port_that_may_not_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch, number: int, last_refused: int, way_out: str
) -> None:
    monkeypatch.setattr(port, "_problem", lambda asked: errno.EACCES if asked <= last_refused else None)
    with pytest.raises(ChromascapeError, match=rf"^port {number} can't be had \(Permission denied\): {way_out}$"):
        port.check_free(number)
