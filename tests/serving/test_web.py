"""The server of the page, asked over real HTTP: pictures, files, and everything that it refuses."""

import dataclasses
import gc
import http.client
import io
import json
import queue
import socket
import threading
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote, urlsplit

import anyio
import fuzz
import numpy as np
import pytest
import torch
from conftest import make_photo
from numpy.typing import NDArray
from PIL import ExifTags, Image

from chromascape.colorizing.batch import colorize_file
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.hints import Hint
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.errors import ChromascapeError
from chromascape.photos.pixels import Photo
from chromascape.photos.source import PhotoError
from chromascape.serving import kept_colors, web

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
    assert difference.max() == 0 if answered == "PNG" else difference.mean() < 2


def test_a_jpeg_keeps_what_the_command_line_keeps(address: str, colorizer: Colorizer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ada"
    Image.fromarray(make_photo(3, 101, 67)).save(tmp_path / "in.jpg", exif=exif, dpi=(300, 300), comment=b"a meadow")
    colorize_file(colorizer, tmp_path / "in.jpg", tmp_path / "out.jpg")
    content = ask(address, "/colorize", (tmp_path / "in.jpg").read_bytes())[2]
    assert content == (tmp_path / "out.jpg").read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.getexif()[ExifTags.Base.Artist] == "Ada" and picture.info["dpi"] == (300, 300)
        assert {(h, v) for _, h, v, _ in picture.layer} == {(1, 1)}, "full color resolution"  # type: ignore[attr-defined]


def test_what_the_result_lacks_is_told(address: str) -> None:
    frames, stream = [Image.fromarray(make_photo(seed, 40, 30)) for seed in (1, 2)], io.BytesIO()
    frames[0].save(stream, "TIFF", save_all=True, append_images=frames[1:])
    told = ask(address, "/colorize", stream.getvalue())[1]["X-Notes"]
    assert json.loads(told) == ["has several pictures: only the first is colorized"]
    assert json.loads(ask(address, "/colorize", file())[1]["X-Notes"]) == []


def test_strength_is_a_factor_on_the_colors(address: str, colorizer: Colorizer) -> None:
    content = ask(address, "/colorize?style=vivid&saturation=0.5", file())[2]
    expected = colorizer.colorize(Image.open(io.BytesIO(file())), "vivid", 0.5)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(expected))
    for wrong in ("11", "-1", "nan", "much", ""):
        status, _, content = ask(address, f"/colorize?saturation={wrong}", file())
        assert status == 400 and "saturation: must be a number from 0 to 10" in json.loads(content)["error"]


def test_a_negative_is_inverted_and_its_span_is_told(address: str, colorizer: Colorizer) -> None:
    flat = np.asarray(Image.open(io.BytesIO(file())).convert("L")) // 4 + 100
    stream = io.BytesIO()
    Image.fromarray(flat).save(stream, "PNG")
    content = ask(address, "/colorize?negative=1", stream.getvalue())[2]
    expected = np.asarray(colorizer.colorize(flat, negative=True))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), expected)
    assert ask(address, "/colorize?negative=0", stream.getvalue())[2] == ask(address, "/colorize", stream.getvalue())[2]
    headers, content = ask(address, "/colors?negative=1", stream.getvalue())[1:]
    lightness, ab, span = colorizer.small(Photo(flat), negative=True)
    assert tuple(json.loads(headers["X-Colors"])["span"]) == span and 5 < span[1] - span[0] < 40
    assert content == np.stack([lightness, *ab.transpose(2, 0, 1)]).astype("<f4").tobytes()
    assert json.loads(ask(address, "/colors", stream.getvalue())[1]["X-Colors"])["span"] == [0, 100]


@pytest.mark.parametrize("path", ["colorize", "colors"])
def test_a_negative_is_0_or_1(address: str, path: str) -> None:
    status, _, content = ask(address, f"/{path}?negative=yes", file())
    assert status == 400 and json.loads(content)["error"] == "negative: must be 0 or 1 (it is 'yes')"


HINTS = [Hint(0.2, 0.3, "#c26a2e"), Hint(0.8, 0.7, "none", ((0.9, 0.9),), 0.1)]


def as_json(hints: list[Hint]) -> bytes:
    return json.dumps({"chromascape_hints": 1, "hints": [dataclasses.asdict(hint) for hint in hints]}).encode()


def test_hints_come_before_the_photo(address: str, colorizer: Colorizer) -> None:
    text = as_json(HINTS)
    content = ask(address, f"/colorize?style=vivid&hints={len(text)}", text + file())[2]
    expected = colorizer.colorize(Image.open(io.BytesIO(file())), "vivid", hints=HINTS)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(expected))
    assert ask(address, "/colorize?style=vivid", file())[2] != content


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"[", "hints: no JSON"), (b'{"chromascape_hints": 2}', "hints: hints of version 2, but this version"),
     (as_json(HINTS).replace(b"0.2", b"1.2"), "hints: hint 1: (1.2, 0.3) is outside the photo"),
     (as_json(HINTS * 501), "hints: 'hints' must be a list of at most 1,000 hints"),
     (as_json(HINTS)[:-9], "hints: no JSON"),
     (b'{"chromascape_hints": "\\ud800"}', "hints: hints of version '\\ud800'"),
     (as_json(HINTS).replace(b"0.2", b"9" * 400), "hints: hint 1: x, y and radius must be numbers"),
     (as_json(HINTS).replace(b"#c26a2e", b"rgb(256,0,0)"), "hints: hint 1: 'rgb(256,0,0)' is no color")],
)  # fmt: skip
def test_bad_hints_are_answered_as_the_command_line_does(address: str, text: bytes, said: str) -> None:
    status, _, content = ask(address, f"/colorize?hints={len(text)}", text + file())
    assert status == 422 and json.loads(content)["error"].startswith(said)


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [("-1", 400, "a number of bytes"), ("much", 400, "a number of bytes"), ("٣", 400, "a number of bytes"),
     ("9" * 30, 400, "a number of bytes"), ("10000000", 413, "hints: larger than 5 MB")],
)  # fmt: skip
def test_a_length_of_hints_that_is_none_or_too_large_is_refused(address: str, said: str, status: int, why: str) -> None:
    answered, _, content = ask(address, f"/colorize?hints={quote(said)}", file())
    assert answered == status and why in json.loads(content)["error"]


def test_hints_longer_than_all_that_came_are_no_hints(address: str) -> None:
    for length in (len(file()), 4_000_000):
        status, _, content = ask(address, f"/colorize?hints={length}", file())
        assert status == 422 and json.loads(content)["error"].startswith("hints: no JSON")


def test_the_photo_itself_has_no_more_place_beside_hints(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = as_json(HINTS)
    monkeypatch.setattr(web, "MAX_BYTES", len(file()))
    assert ask(address, f"/colorize?hints={len(text)}", text + file())[0] == 200
    assert ask(address, f"/colorize?hints={len(text)}", text + file() + b" ")[0] == 413
    assert ask(address, "/colorize", text + file())[0] == 413


def test_the_colors_of_a_photo_are_those_at_working_size(address: str, colorizer: Colorizer) -> None:
    _, headers, content = ask(address, "/colors", file())
    about = json.loads(headers["X-Colors"])
    values = np.frombuffer(content, "<f4").reshape(3, about["height"], about["width"])
    lightness, ab, _ = colorizer.small(Photo(Image.open(io.BytesIO(file()))))
    assert np.array_equal(values, np.stack([lightness, *ab.transpose(2, 0, 1)])) and np.ptp(ab) > 1
    assert about["renderings"] == colorizer.renderings and about["input"] == "lightness"
    assert ask(address, "/colors", b"hello")[0] == 422


def test_a_photo_that_browsers_do_not_show_comes_back_as_it_was_sent(address: str) -> None:
    status, headers, content = ask(address, "/preview", file(kind="TIFF"))
    picture = Image.open(io.BytesIO(content))
    assert (status, headers["Content-Type"], picture.size) == (200, "image/jpeg", (101, 67))
    assert np.abs(np.asarray(picture, np.int16) - make_photo(3, 101, 67)).mean() < 4
    assert ask(address, "/preview", b"hello")[0] == 422


def counting(colorizer: Colorizer, calls: list[int], wait: threading.Event | None = None) -> Colorizer:
    """A colorizer that notes how often its network is asked, and answers once it may."""

    class Counting:
        predicts, cell, multiple = "ab", colorizer.network.cell, colorizer.network.multiple

        def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
            calls.append(1)
            assert wait is None or wait.wait(60)
            return colorizer.network(lightness)

        def share(self, jobs: int) -> None: ...

    return Colorizer(Counting(), colorizer.name, 64, colorizer.renderings)


def run_loop(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a coroutine, in a thread of its own: a browser of other tests has a loop in this one."""
    results: queue.Queue[Any] = queue.Queue()
    thread = threading.Thread(target=lambda: results.put(anyio.run(work, *arguments)))
    thread.start()
    thread.join()
    return results.get(timeout=1)


class Upload:
    """A POST of `parts` to the application itself, which notes how many of them were asked for."""

    def __init__(self, path: str, parts: list[bytes]):
        self.path, self.parts, self.taken, self.status = path, parts, 0, 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        more = self.taken < len(self.parts)
        return {"type": "http.request", "body": self.parts[self.taken - 1], "more_body": more}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)

    async def __call__(self, application: Any) -> None:
        scope = {
            "type": "http", "method": "POST", "path": self.path.partition("?")[0], "raw_path": self.path.encode(),
            "query_string": self.path.partition("?")[2].encode(), "scheme": "http", "http_version": "1.1",
            "headers": [(b"host", b"here"), (b"content-type", b"application/octet-stream")],
        }  # fmt: skip
        await application(scope, self.receive, self.send)


def test_another_look_at_one_of_the_last_photos_needs_no_second_run(
    colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_colors, "PHOTOS", 2)
    calls: list[int] = []
    application = web.app(counting(colorizer, calls), ["*"])

    def runs(width: int, look: str, path: str = "/colorize") -> int:
        upload = Upload(f"{path}?{look}", [file(width)])
        run_loop(upload, application)
        assert upload.status == 200
        return len(calls)

    assert runs(90, "style=faithful") == 1
    assert runs(90, "style=vivid") == 1 and runs(90, "style=vivid&saturation=0.5") == 1
    assert runs(90, "", "/colors") == 1, "and so do hints"
    assert runs(91, "") == 2 and runs(92, "") == 3
    assert runs(91, "style=vivid") == 3
    assert runs(90, "style=vivid") == 4, "the last two are kept"


def test_of_many_uploads_at_once_few_are_held_and_the_rest_waits_on_the_way(colorizer: Colorizer) -> None:
    """Before, the bodies of all of them were taken into memory."""
    may = threading.Event()
    application = web.app(counting(colorizer, [], may), ["*"])
    photo = file()
    uploads = [Upload("/colorize", [photo[:100], photo[100:]]) for _ in range(web.HELD + web.WAITING + 20)]

    async def all_at_once() -> int:
        async with anyio.create_task_group() as tasks:
            for upload in uploads:
                tasks.start_soon(upload, application)
            await anyio.wait_all_tasks_blocked()
            begun = sum(upload.taken > 0 for upload in uploads if upload.status != 503)
            may.set()
        return begun

    assert run_loop(all_at_once) == web.HELD <= 4
    statuses = [upload.status for upload in uploads]
    assert (statuses.count(200), statuses.count(503)) == (web.HELD + web.WAITING, 20)
    assert all(upload.taken == 2 for upload in uploads), "browsers read no answer before they have sent all"


def test_one_photo_is_colorized_at_a_time(colorizer: Colorizer) -> None:
    """Two at once would take twice the memory."""
    inside: list[int] = []
    second = threading.Event()

    class Alone:
        predicts, cell, multiple = "ab", colorizer.network.cell, colorizer.network.multiple

        def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
            inside.append(1)
            if len(inside) > 1:
                second.set()
            second.wait(0.2)
            colors = colorizer.network(lightness)
            inside.pop()
            return colors

        def share(self, jobs: int) -> None: ...

    application = web.app(Colorizer(Alone(), colorizer.name, 64, colorizer.renderings), ["*"])
    uploads = [Upload("/colorize", [file(width)]) for width in (90, 91)]

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for upload in uploads:
                tasks.start_soon(upload, application)

    run_loop(both)
    assert [upload.status for upload in uploads] == [200, 200] and not second.is_set()


def test_photos_of_the_same_levels_and_another_shape_are_two() -> None:
    """Flat ones, say: the colors of one do not fit the other."""
    network = Mock(side_effect=lambda lightness: np.repeat(lightness, 2, axis=1))
    kept = kept_colors.KeptColors(network)
    for shape in ((1, 1, 4, 8), (1, 1, 8, 4), (1, 1, 4, 8)):
        assert kept(np.full(shape, 0.5, np.float32)).shape == (1, 2, *shape[2:])
    assert network.call_count == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "not enough memory"), (RuntimeError("std::bad_alloc"), "not enough memory"),
     (ValueError("no such\nmode"), "no such mode")],
)  # fmt: skip
def test_what_stops_a_decoder_or_a_writer_is_a_line(
    address: str, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "encoded", Mock(side_effect=error))
    status, _, content = ask(address, "/colorize", file())
    assert status == 422 and said in json.loads(content)["error"]


def test_a_refused_photo_is_not_held(colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even until Python looks for circles: dozens of them were 1 GB."""
    held: list[weakref.ref[threading.Event]] = []

    def refuse(_: bytes) -> None:
        decoded = threading.Event()  # anything
        held.append(weakref.ref(decoded))
        raise PhotoError("damaged", "cut short")

    monkeypatch.setattr(web.reading, "open_photo", refuse)
    application, uploads = web.app(colorizer, ["*"]), [Upload("/colorize", [b"photo"]) for _ in range(2)]
    gc.disable()
    try:
        for upload in uploads:
            run_loop(upload, application)
        assert [upload.status for upload in uploads] == [422, 422]
        assert [reference() for reference in held] == [None, None]
    finally:
        gc.enable()


def test_an_address_of_ipv6_stands_in_brackets_and_can_be_opened(colorizer: Colorizer) -> None:
    addresses: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve_or_tell, args=(colorizer, addresses), daemon=True).start()
    address = addresses.get(timeout=30)
    if "can't listen" in address:
        pytest.skip(address)
    assert address.startswith("http://[::1]:")
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200


def serve_or_tell(colorizer: Colorizer, addresses: "queue.Queue[str]") -> None:
    try:
        web.serve(colorizer, "::1", 0, addresses.put)
    except ChromascapeError as error:  # a machine without IPv6
        addresses.put(str(error))


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
