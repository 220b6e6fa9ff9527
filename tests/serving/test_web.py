"""The server of the page, asked over real HTTP: pictures, files, and everything that it refuses."""

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import fuzz
import numpy as np
import pytest
import torch
from conftest import make_photo
from PIL import Image

from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.errors import ChromascapeError
from chromascape.serving import web

KIND = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    torch.manual_seed(0)
    network = build_network("unet")
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return Colorizer(TorchNetwork(network), "unet", 64, renderings={"faithful": 0.5, "vivid": 1.5})


@pytest.fixture(scope="module")
def address(colorizer: Colorizer) -> Iterator[str]:
    addresses: list[str] = []
    started = threading.Event()

    def ready(address: str) -> None:
        addresses.append(address)
        started.set()

    threading.Thread(target=web.serve, args=(colorizer, "127.0.0.1", 0, ready), daemon=True).start()
    assert started.wait(30)
    yield addresses[0]


def ask(
    address: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Status, headers and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET" if body is None else "POST", path, body, headers or ({} if body is None else KIND))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def file(width: int = 101, height: int = 67, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(make_photo(3, width, height)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(("kind", "answered"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("TIFF", "PNG"), ("WEBP", "PNG")])
@pytest.mark.parametrize("style", ["faithful", "vivid"])
def test_a_photo_comes_back_as_the_colorizer_makes_it(
    address: str, colorizer: Colorizer, kind: str, answered: str, style: str
) -> None:
    photo = file(kind=kind)
    status, headers, content = ask(address, f"/colorize?style={style}", photo)
    picture = Image.open(io.BytesIO(content))
    assert (status, picture.format, headers["Content-Type"]) == (200, answered, f"image/{answered.lower()}")
    assert picture.size == (101, 67)
    expected = np.asarray(colorizer.colorize(Image.open(io.BytesIO(photo)), style), np.int16)  # type: ignore[arg-type]
    difference = np.abs(np.asarray(picture, np.int16) - expected)
    assert difference.max() == 0 if answered == "PNG" else difference.mean() < 4


@pytest.mark.parametrize(
    ("body", "said"), [(b"", "none of the formats"), (b"hello", "none of the formats"), (file()[:-400], "truncated")]
)
def test_what_is_no_photo_is_answered_in_a_line(address: str, body: bytes, said: str) -> None:
    status, headers, content = ask(address, "/colorize", body)
    reason = json.loads(content)["error"]
    assert (status, headers["Content-Type"]) == (422, "application/json")
    assert said in reason and "\n" not in reason


def test_hostile_files_are_colored_or_refused_in_a_line_and_the_server_goes_on(address: str, tmp_path: Path) -> None:
    names = [name for name in fuzz.write_files(tmp_path / "photos", 40, seed=3) if "bomb" not in name]
    answers = [ask(address, "/colorize", (tmp_path / "photos" / name).read_bytes()) for name in names]
    refused = [json.loads(content)["error"] for status, _, content in answers if status == 422]
    colored = [content for status, _, content in answers if status == 200]
    assert len(colored) + len(refused) == len(names) and len(colored) > 3 and len(refused) > 10
    for content in colored:
        Image.open(io.BytesIO(content)).load()
    assert not [reason for reason in refused if "\n" in reason or not reason]


def test_an_unknown_style_is_refused(address: str) -> None:
    status, _, content = ask(address, "/colorize?style=bold", file())
    assert (status, json.loads(content)["error"]) == (400, "style: 'bold' is none of faithful, vivid")


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_that_is_too_large_is_refused_before_it_is_kept(
    address: str, declared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_BYTES", 1000)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    body = bytes(5000) if declared else iter([bytes(600)] * 8)  # an iterator is sent in chunks, of no declared size
    connection.request("POST", "/colorize", body, KIND, encode_chunked=not declared)
    assert connection.getresponse().status == 413


def test_a_photo_that_does_not_arrive_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SECONDS", 0.3)
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=30) as stream:
        head = f"POST /colorize HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: {KIND['Content-Type']}\r\n"
        stream.sendall(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
        assert b" 408 " in stream.recv(1000)


@pytest.mark.parametrize("kind", ["multipart/form-data", "text/plain", ""])
def test_another_pages_form_can_not_send_photos(address: str, kind: str) -> None:
    assert ask(address, "/colorize", file(), {"Content-Type": kind})[0] == 415


def assert_guarded(headers: http.client.HTTPMessage) -> None:
    """No other site frames the page, nothing is loaded from elsewhere, and no content is guessed to be a script."""
    policy = {part.split()[0]: part.split()[1:] for part in headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == ["'self'"] and policy["frame-ancestors"] == ["'none'"]
    assert policy["img-src"] == ["'self'", "blob:", "data:"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers.get_all("Cache-Control") == ["no-store"]


def test_another_host_name_is_refused(address: str) -> None:
    status, headers, _ = ask(address, "/", headers={"Host": "evil.example"})
    assert status == 400
    assert_guarded(headers)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [("/colorize", file(), 200), ("/colorize", b"", 422), ("/colorize?style=bold", file(), 400), ("/none", None, 404),
     ("/colorize", None, 405)],
)  # fmt: skip
def test_every_answer_has_the_headers(address: str, path: str, body: bytes | None, expected: int) -> None:
    status, headers, _ = ask(address, path, body)
    assert status == expected
    assert_guarded(headers)


@pytest.mark.parametrize("path", list(web.FILES))
def test_the_pages_files_are_sent(address: str, path: str) -> None:
    status, headers, content = ask(address, path)
    assert (status, content) == (200, web.FILES[path].read_bytes())
    assert_guarded(headers)


@pytest.mark.parametrize(
    "path", ["/web.py", "/../web.py", "/%2e%2e/web.py", "/examples/../../web.py", "/examples/", "//etc/passwd"]
)
def test_no_other_file_is_sent(address: str, path: str) -> None:
    assert ask(address, path)[0] == 404


def test_where_too_many_wait_one_is_told_to_come_back(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "WAITING", 0)
    status, _, content = ask(address, "/colorize", file())
    assert status == 503 and "try again" in json.loads(content)["error"]


def test_a_taken_port_is_one_line(colorizer: Colorizer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ChromascapeError, match=f"--port {port}: .*choose another --port"):
            web.serve(colorizer, "127.0.0.1", port, lambda _: None)
