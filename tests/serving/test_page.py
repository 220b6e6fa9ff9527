"""Both pages in a real Chromium: photos in, compare, change, save, errors, keyboard, a phone's width, no network."""

import base64
import dataclasses
import functools
import http.server
import io
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import make_photo
from PIL import ExifTags, Image

from chromascape.colorizing import fullsize, hint_files
from chromascape.colorizing.batch import Options, colorize_file
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.hints import Hint, change
from chromascape.errors import ChromascapeError
from chromascape.serving import web, web_export
from chromascape.serving.page_files import COMMON

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install -e '.[browser]'")


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    return Colorizer.load(SHIPPED, "cpu")


@pytest.fixture(scope="module")
def served(colorizer: Colorizer) -> str:
    addresses: list[str] = []
    started = threading.Event()

    def ready(address: str) -> None:
        addresses.append(address)
        started.set()

    threading.Thread(target=web.serve, args=(colorizer, "127.0.0.1", 0, ready), daemon=True).start()
    assert started.wait(60)
    return addresses[0]


class Files(http.server.SimpleHTTPRequestHandler):
    """A file server that knows the types of few files, as nginx of Debian 12, and prints nothing."""

    extensions_map = {
        "": "application/octet-stream", ".html": "text/html", ".css": "text/css", ".js": "application/javascript",
        ".jpg": "image/jpeg",
    }  # fmt: skip

    def log_message(self, *_: object) -> None: ...


class FileServer(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A page that is closed while it loads breaks its connections."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "page"
    try:
        web_export.export_page(Colorizer.load(), folder)
    except ChromascapeError as error:
        pytest.skip(str(error))
    return folder


def file_server(folder: Path) -> FileServer:
    server = FileServer(("127.0.0.1", 0), functools.partial(Files, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def static(exported: Path) -> Iterator[str]:
    with file_server(exported) as server:
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module", params=["served", "static"])
def opened(request: pytest.FixtureRequest, browser: Any) -> Iterator[tuple[Any, list[str]]]:
    """The page at a phone's width, and all that is asked of another host or written to the console as an error."""
    address = request.getfixturevalue(request.param)
    page = browser.new_page(viewport={"width": 390, "height": 800}, reduced_motion="reduce")
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: problems.append(asked.url) if not asked.url.startswith((address, "blob:", "data:")) else None,
    )
    page.goto(address)
    yield page, problems
    page.close()


@pytest.fixture
def page(opened: tuple[Any, list[str]]) -> Iterator[Any]:
    """The page without photos."""
    page, problems = opened
    yield page
    while page.locator("article").count():
        page.locator(".remove").first.click()
    told = [problem for problem in problems if "422" not in problem]  # the console tells of each refused photo
    problems.clear()
    assert not told


def written(folder: Path, name: str, width: int = 301, height: int = 207, **options: Any) -> Path:
    file = folder / name
    Image.fromarray(make_photo(5, width, height)).convert("L").save(file, **options)
    return file


def finished(page: Any, count: int = 1) -> None:
    sync_api.expect(page.locator("figure:visible, .bad:visible")).to_have_count(count, timeout=60_000)
    sync_api.expect(page.locator("article[aria-busy=true]")).to_have_count(0, timeout=60_000)


def download(page: Any, folder: Path, button: str = ".download") -> Path:
    with page.expect_download() as started:
        page.locator(button).first.click()
    target = folder / started.value.suggested_filename
    started.value.save_as(target)
    return target


def assert_same(file: Path, expected: Image.Image) -> None:
    """Equal to the command line's picture, but for rounding."""
    wanted = np.asarray(expected, np.int16)
    assert np.ptp(wanted, axis=2).max() > 5, "gray would agree with anything"
    assert np.abs(np.asarray(Image.open(file).convert("RGB"), np.int16) - wanted).max() <= 2


def test_the_download_is_the_command_lines_picture_also_after_a_change(
    page: Any, colorizer: Colorizer, tmp_path: Path
) -> None:
    photo = written(tmp_path, "photo.png")
    page.set_input_files("#files", photo)
    finished(page)
    file = download(page, tmp_path)
    assert file.name == "photo-faithful.png"
    assert_same(file, colorizer.colorize(Image.open(photo)))
    page.locator(".style").select_option("vivid")
    finished(page)
    page.locator(".strength").fill("50")
    finished(page)
    assert page.locator("output").inner_text() == "50 %"
    file = download(page, tmp_path)
    assert file.name == "photo-vivid.png"
    assert_same(file, colorizer.colorize(Image.open(photo), "vivid", 0.5))


@pytest.mark.parametrize("flat", [False, True])
def test_a_negative_is_inverted_as_by_the_command_line_also_while_colors_change(
    page: Any, colorizer: Colorizer, tmp_path: Path, flat: bool
) -> None:
    photo = written(tmp_path, "film.png")
    if flat:  # which is stretched
        Image.fromarray(np.asarray(Image.open(photo)) // 4 + np.uint8(100)).save(photo)
    page.set_input_files("#files", photo)
    finished(page)
    assert_same(download(page, tmp_path), colorizer.colorize(Image.open(photo)))
    page.get_by_label("Negative", exact=True).check()
    finished(page)
    assert_same(download(page, tmp_path), colorizer.colorize(Image.open(photo), negative=True))
    edit(page)
    assert live(page, colorizer.colorize(Image.open(photo), negative=True)) <= 2
    page.get_by_label("Negative", exact=True).uncheck()
    finished(page)
    assert page.locator(".hinting:visible").count() == 0, "what is changed is drawn of the negative"
    page.locator("[name=negative]").check()
    page.set_input_files("#files", photo)
    finished(page, 2)
    assert page.get_by_label("Negative", exact=True).first.is_checked()
    assert_same(download(page, tmp_path), colorizer.colorize(Image.open(photo), negative=True))
    page.locator("[name=negative]").uncheck()


def test_an_example_is_a_click_or_a_key_away(page: Any) -> None:
    page.focus("[data-example]")
    page.keyboard.press("Enter")
    finished(page)
    assert page.evaluate("document.querySelector('.after').naturalWidth") > 300


def test_of_several_photos_the_newest_stands_first_and_all_are_saved_at_once(page: Any, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    bad = tmp_path / "notes.jpg"
    bad.write_bytes(b"no photo")
    photos = [written(tmp_path, "a.jpg"), bad, written(tmp_path, "b.webp"), written(tmp_path / "more", "a.jpg")]
    page.set_input_files("#files", photos)
    finished(page, 4)
    assert page.locator(".bad").inner_text().startswith("not colorized: ")
    assert page.locator(".bad").get_attribute("role") == "alert"
    sync_api.expect(page.locator("#status")).to_have_text("3 colorized, 1 failed")
    assert page.locator("article:has(figure:visible) h2").all_inner_texts() == ["a.jpg", "b.webp", "a.jpg"]
    sync_api.expect(page.locator("article").first).to_be_in_viewport()
    with zipfile.ZipFile(download(page, tmp_path, "#save")) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["a-faithful (2).jpg", "a-faithful.jpg", "b-faithful.png"]
        one = download(page, tmp_path)
        assert archive.read("a-faithful.jpg") == one.read_bytes()
    page.get_by_role("button", name="Remove b.webp").click()
    assert page.locator("article").count() == 3
    assert page.evaluate("document.activeElement.localName") == "article"


def shot(page: Any) -> np.ndarray:
    """What is shown of the first photo, int16 (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator(".compare").first.screenshot())).convert("RGB"), np.int16)


def test_the_slider_shows_the_original_as_it_was_sent(page: Any, tmp_path: Path) -> None:
    """Of a sepia photo too, whose brown is not the result's gray."""
    gray = np.asarray(Image.fromarray(make_photo(5, 301, 207)).convert("L"))
    Image.fromarray((gray[..., None] * [1, 0.85, 0.6]).astype(np.uint8)).save(tmp_path / "sepia.png")
    page.set_input_files("#files", tmp_path / "sepia.png")
    finished(page)
    box = page.locator(".compare").bounding_box()
    page.locator(".compare").click(position={"x": box["width"] * 0.9, "y": box["height"] / 2})
    shown = shot(page)
    height, width = shown.shape[:2]
    sent = np.asarray(Image.open(tmp_path / "sepia.png").resize((width, height)), np.int16)
    part = (slice(40, height - 10), slice(10, int(0.8 * width)))  # without the tags, the edges and the handle
    assert np.abs(shown[part] - sent[part]).mean() < 2
    page.keyboard.press("Home")
    assert np.abs(shot(page)[part] - sent[part]).mean() > 4, "at its left end all is color"
    page.keyboard.press("End")
    assert np.abs(shot(page)[part] - sent[part]).mean() < 2


def test_a_photo_is_zoomed_and_moved_by_buttons_keys_wheel_and_pointer(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)

    def view() -> list[float]:
        """Scale, and the left upper corner in pixels of the box."""
        matrix = page.evaluate(
            "[...new DOMMatrix(getComputedStyle(document.querySelector('.after')).transform).toFloat64Array()]"
        )
        return [matrix[0], matrix[12], matrix[13]]

    box = page.locator(".compare").bounding_box()
    page.get_by_role("button", name="Zoom in").click()
    assert view() == pytest.approx([1.5, -box["width"] / 4, -box["height"] / 4], abs=0.5)
    box = page.locator(".compare").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 90)
    page.mouse.up()
    assert view() == pytest.approx([1.5, 20 - box["width"] / 4, -10 - box["height"] / 4], abs=0.5)
    page.keyboard.press("Shift+ArrowLeft")
    assert view()[1] == pytest.approx(20 - box["width"] / 4 + box["width"] / 10, abs=0.5)
    page.keyboard.press("+")
    assert view()[0] == pytest.approx(2.25)
    page.keyboard.press("0")
    assert view() == [1, 0, 0]
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    sync_api.expect(page.locator(".compare.zoomed")).to_have_count(1)
    page.get_by_role("button", name="Fit").click()
    assert view() == [1, 0, 0]


def test_folders_are_dropped_and_pictures_pasted(page: Any, tmp_path: Path) -> None:
    photos = tmp_path / "album"
    (photos / "1950").mkdir(parents=True)
    written(photos, "b.png")
    written(photos / "1950", "a.png")
    for other in ("._b.png", "list.txt"):
        (photos / other).write_text("no photo")
    data = {"items": [], "files": [str(photos)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 150, "data": data})
    finished(page, 2)
    assert page.locator("article h2").all_inner_texts() == ["album/b.png", "album/1950/a.png"]
    page.evaluate(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "image.png", {type: "image/png"}));
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data })); }""",
        list((photos / "b.png").read_bytes()),
    )
    finished(page, 3)
    assert page.locator("article h2").first.inner_text() == "image.png"


def test_on_a_phone_all_stays_inside_and_has_a_name(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, f"{'long name ' * 9}.png", 200, 500))
    finished(page)
    sync_api.expect(page.locator("article")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    inside = page.locator(".after").bounding_box()
    assert inside["width"] / inside["height"] == pytest.approx(0.4, abs=0.01)
    for part in page.locator(".tag, .slider, .compare").all():
        box = part.bounding_box()
        assert box["x"] >= inside["x"] - 1 and box["x"] + box["width"] <= inside["x"] + inside["width"] + 1
    for control in page.locator("input, button, select, a").all():
        named = control.evaluate(
            "e => (e.ariaLabel ?? e.labels?.[0]?.textContent ?? (e.textContent || e.querySelector('img')?.alt)).trim()"
        )
        assert named


def test_a_large_photo_says_how_much_of_it_has_come(served: str, browser: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    page = browser.new_page()
    page.goto(served)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_500_000}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    page.evaluate(
        """window.said = []; new MutationObserver(() => window.said.push(document.querySelector('.state')?.textContent))
        .observe(document.getElementById('results'), { subtree: true, childList: true, characterData: true })"""
    )
    page.set_input_files("#files", tmp_path / "noise.png")
    finished(page)
    assert [text for text in page.evaluate("window.said") if text and text.startswith("sending, ")]
    page.close()


def edit(page: Any) -> None:
    """Begins to change the colors of the first photo."""
    page.locator(".change").first.click()
    sync_api.expect(page.locator(".live:visible")).to_have_count(1, timeout=30_000)


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """A place of the first photo, in shares of its sides, on the screen."""
    box = page.locator(".compare").first.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def color(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def named(page: Any) -> list[str]:
    """The hints as the list tells them."""
    return [button.get_attribute("aria-label") for button in page.locator(".hint:visible").all()]


def live(page: Any, expected: Image.Image) -> float:
    """The largest difference of the picture on screen, once nothing draws any more."""
    wanted = np.asarray(expected, np.int16)
    for _ in range(100):
        address = page.evaluate("document.querySelector('.live').toDataURL()")
        picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
        difference = np.abs(np.asarray(picture, np.int16) - wanted).max()
        if difference <= 2:
            break
        page.wait_for_timeout(50)
    return float(difference)


def test_hints_give_the_same_picture_on_screen_in_the_download_on_the_command_line_and_in_python(
    page: Any, colorizer: Colorizer, tmp_path: Path
) -> None:
    photo = written(tmp_path, "photo.png")
    page.set_input_files("#files", photo)
    finished(page)
    edit(page)
    page.mouse.click(*place(page, 0.3, 0.2))
    color(page, "autumn orange")
    page.mouse.move(*place(page, 0.5, 0.8))
    page.mouse.down()
    for x, y in ((0.6, 0.85), (0.9, 0.7)):
        page.mouse.move(*place(page, x, y))
    page.mouse.up()
    color(page, "no color")
    assert len(named(page)) == 2 and named(page)[0] == "Hint 1: autumn orange, at 30 %, 20 %"
    assert named(page)[1] == "Hint 2: no color, a stroke from 50 %, 80 %"
    saved = download(page, tmp_path, "[data-hint=save]")
    assert saved.name == "photo-hints.json"
    hints = hint_files.from_json(saved.read_bytes(), "saved")
    assert (hints[0].x, hints[0].y) == pytest.approx((0.3, 0.2), abs=0.005) and hints[0].color == "#c96f2b"
    assert len(hints[1].path) == 2
    expected = colorizer.colorize(Image.open(photo), hints=hints)
    assert live(page, expected) <= 2
    assert_same(download(page, tmp_path), expected)
    command = tmp_path / "command.png"
    colorize_file(colorizer, photo, command, Options(hints=saved))
    assert_same(command, expected)
    page.locator(".strength").fill("50")
    page.locator(".style").select_option("vivid")
    assert live(page, colorizer.colorize(Image.open(photo), "vivid", 0.5, hints)) <= 2
    page.locator(".change").click()
    finished(page)
    sync_api.expect(page.locator(".live:visible")).to_have_count(0)
    assert_same(download(page, tmp_path), colorizer.colorize(Image.open(photo), "vivid", 0.5, hints))


def test_a_dot_is_moved_changed_and_removed_and_each_step_undone(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    edit(page)
    page.mouse.click(*place(page, 0.5, 0.5))
    color(page, "sand")
    page.mouse.move(*place(page, 0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*place(page, 0.7, 0.4), steps=3)
    page.mouse.up()
    page.mouse.click(*place(page, 0.2, 0.2))  # of the last color
    assert named(page) == ["Hint 1: sand, at 70 %, 40 %", "Hint 2: sand, at 20 %, 20 %"]
    page.mouse.click(*place(page, 0.7, 0.4))
    sync_api.expect(page.locator(".what:visible")).to_have_text("Color of hint 1")
    color(page, "lake blue")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert named(page) == ["Hint 1: sand, at 70 %, 40 %"]
    color(page, "Undo")
    assert named(page) == ["Hint 1: sand, at 50 %, 50 %"]
    for _ in range(3):
        page.keyboard.press("Control+Shift+z")
    assert named(page) == ["Hint 1: lake blue, at 70 %, 40 %", "Hint 2: sand, at 20 %, 20 %"]
    color(page, "Undo")
    assert named(page) == ["Hint 1: sand, at 70 %, 40 %", "Hint 2: sand, at 20 %, 20 %"], (
        "what was redone is undone again"
    )
    color(page, "Clear all hints")
    assert named(page) == [] and page.get_by_role("button", name="Save hints").is_disabled()
    color(page, "Undo")
    assert len(named(page)) == 2
    page.mouse.click(*place(page, 0.8, 0.8))
    assert page.get_by_role("button", name="Redo").is_disabled(), "what was undone is gone after another step"


def test_by_keyboard_alone_a_hint_is_added_moved_colored_and_removed(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    page.locator(".change").focus()
    page.keyboard.press("Enter")
    page.locator("[data-hint=add]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel").endswith("at 50 %, 50 %"), "the new hint has the focus"
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowUp"):
        page.keyboard.press(key)
    color_button = page.get_by_role("button", name="forest green", exact=True)
    color_button.focus()
    page.keyboard.press("Enter")
    assert named(page) == ["Hint 1: forest green, at 48 %, 45 %"]
    assert color_button.get_attribute("aria-pressed") == "true"
    page.locator(".hint").focus()
    page.keyboard.press("Delete")
    assert named(page) == []
    assert (
        page.locator(".said").inner_text() == "Hint 1 removed"
        and page.locator(".said").get_attribute("role") == "status"
    )


def test_a_finger_scrolls_the_page_but_draws_while_colors_are_changed(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    allowed = "getComputedStyle(document.querySelector('.compare')).touchAction"
    assert page.evaluate(allowed) == "pan-y"
    edit(page)
    assert page.evaluate(allowed) == "none"
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    touch("Start", place(page, 0.3, 0.3))
    touch("End")
    touch("Start", place(page, 0.5, 0.8))
    for x in (0.6, 0.7):
        touch("Move", place(page, x, 0.8))
    touch("End")
    assert [name.partition(", ")[2] for name in named(page)] == ["at 30 %, 30 %", "a stroke from 50 %, 80 %"]
    touch("Start", place(page, 0.4, 0.6))
    touch("Start", place(page, 0.4, 0.6), place(page, 0.6, 0.6))
    touch("Move", place(page, 0.3, 0.6), place(page, 0.7, 0.6))
    touch("End")
    sync_api.expect(page.locator(".compare.zoomed")).to_have_count(1)
    assert len(named(page)) == 2, "two fingers zoom"
    page.get_by_role("button", name="Fit").click()


def test_a_color_is_taken_from_the_photo_or_is_any_other(page: Any, colorizer: Colorizer, tmp_path: Path) -> None:
    photo = written(tmp_path, "photo.png")
    page.set_input_files("#files", photo)
    finished(page)
    edit(page)
    page.mouse.click(*place(page, 0.5, 0.5))
    shown = np.asarray(colorizer.colorize(Image.open(photo)), int)
    for x, y in ((0.5, 0.5), (0.2, 0.8)):  # without a color, a hint has the one that is there
        if x != 0.5:
            color(page, "Pick from photo")
            page.mouse.click(*place(page, x, y))
        found = page.locator(".any input").input_value()
        levels = [int(found[at : at + 2], 16) for at in (1, 3, 5)]
        row, column = int(y * shown.shape[0]), int(x * shown.shape[1])
        around = shown[row - 2 : row + 3, column - 2 : column + 3].mean(axis=(0, 1))
        assert np.abs(levels - around).max() < 12
        assert len(named(page)) == 1
    page.locator(".any input").fill("#aa1122")
    assert named(page)[0].startswith("Hint 1: #aa1122, ")


BAD = {
    "no.json": b"[1", "list.json": b"[]", "other.json": b'{"hints": []}',
    "new.json": b'{"chromascape_hints": 2, "hints": []}', "none.json": b'{"chromascape_hints": 1}',
    "large.json": b" " * 10_000_000,
    **{
        f"{name}.json": b'{"chromascape_hints": 1, "hints": [%s]}' % entry
        for name, entry in {
            "outside": b'{"x": 1.25, "y": 0.5, "color": "none"}', "blurple": b'{"x": 1, "y": 0.5, "color": "blurple"}',
            "text": b'{"x": "1", "y": 0.5, "color": "red"}', "more": b'{"x": 1, "y": 0.5, "color": "red", "z": 1}',
            "wide": b'{"x": 1, "y": 0.5, "color": "red", "radius": 0.75}',
            "path": b'{"x": 1, "y": 0, "color": "red", "path": [1]}',
            "long": b'{"x": 1, "y": 0, "color": "red", "path": [%s]}' % b",".join([b"[0,1]"] * 100_000),
            "many": b",".join([b'{"x": 1, "y": 0.5, "color": "red"}'] * 1001),
        }.items()
    },
}  # fmt: skip


def test_files_of_hints_are_refused_in_the_command_lines_words(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    edit(page)
    for name, content in BAD.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ChromascapeError) as wrong:
            hint_files.read_hints(tmp_path / name, (1, 1))
        page.set_input_files(".load", tmp_path / name)
        line = str(wrong.value).removeprefix(f"{tmp_path}/")
        sync_api.expect(page.locator(".said.bad:visible")).to_have_text(line)
    (tmp_path / "odd.json").write_bytes(
        b'{"chromascape_hints": 1, "hints": [{"x": 1, "y": 0.5, "color": {"toString": 1}}]}'
    )
    page.set_input_files(".load", tmp_path / "odd.json")
    sync_api.expect(page.locator(".said.bad:visible")).to_contain_text("odd.json: hint 1: 'object' is no color")
    page.set_input_files("#files", tmp_path / "blurple.json")
    sync_api.expect(page.locator("#status.bad")).to_contain_text("'blurple' is no color")
    assert named(page) == []


@pytest.mark.parametrize(("width", "height"), [(96, 64), (64, 96), (400, 50), (7, 5)])
def test_hints_spread_as_the_library_computes_them(page: Any, width: int, height: int) -> None:
    rng = np.random.default_rng(width)
    lightness = fullsize.resize(rng.uniform(20, 90, (5, 6)), height, width)
    ab = rng.normal(0, 10, (height, width, 2)).astype(np.float32)
    hints = [Hint(0.2, 0.3, "#c26a2e", (), 0.12), Hint(0.25, 0.35, "#3050c0", ((0.6, 0.4), (0.6, 1))),
             Hint(1, 1, "none", ((0.8, 0.9),), 0.07)]  # fmt: skip
    planes = [plane.ravel().tolist() for plane in (lightness, ab[..., 0], ab[..., 1])]
    found = page.evaluate(
        """async ([[L, ...ab], w, h, hints]) => {
            const { hinted } = await import(new URL("hints.js", location.href));
            const planes = ab.map((plane) => Float32Array.from(plane));
            return hinted(Float32Array.from(L), planes, w, h, hints).map((plane) => [...plane]);
        }""",
        [planes, width, height, [dataclasses.asdict(hint) for hint in hints]],
    )  # fmt: skip
    expected = ab + change(lightness, ab, hints)
    np.testing.assert_allclose(np.reshape(found, (2, height, width)).transpose(1, 2, 0), expected, atol=0.02)


def test_hints_come_with_their_photo_by_name_and_stay_with_it(page: Any, colorizer: Colorizer, tmp_path: Path) -> None:
    """Also of a photo that its EXIF turns, whose places are those of the upright one."""
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    photos = [written(tmp_path, "a.jpg", exif=turned, quality=95), written(tmp_path, "b.png")]
    entries = '{"x": 0.2, "y": 0.9, "color": "tomato"}, {"x": 0.9, "y": 0.1, "color": "#0a0"}'
    (tmp_path / "a-hints.json").write_text(f'{{"chromascape_hints": 1, "hints": [{entries}]}}')
    page.set_input_files("#files", [*photos, tmp_path / "a-hints.json"])
    finished(page, 2)
    hints = [Hint(0.2, 0.9, "tomato"), Hint(0.9, 0.1, "#00aa00")]
    with zipfile.ZipFile(download(page, tmp_path, "#save")) as archive:
        archive.extractall(tmp_path / "all")
    assert_same(tmp_path / "all" / "b-faithful.png", colorizer.colorize(Image.open(photos[1])))
    expected = np.asarray(colorizer.colorize(Image.open(photos[0]), hints=hints), np.int16)
    result = np.asarray(Image.open(tmp_path / "all" / "a-faithful.jpg"), np.int16)
    assert result.shape == expected.shape and np.abs(result - expected).mean() < 4
    assert np.abs(result - np.asarray(colorizer.colorize(Image.open(photos[0])), np.int16)).mean() > 6
    page.locator("article", has_text="b.png").locator(".change").click()
    assert named(page) == []
    page.locator("article", has_text="a.jpg").locator(".change").click()
    assert [name.partition(", ")[0] for name in named(page)] == ["Hint 1: #ff6347", "Hint 2: #00aa00"]
    assert page.locator(".hinting:visible").count() == 1, "one photo at a time"
    page.locator("article", has_text="a.jpg").get_by_role("button", name="Clear all hints").click()
    with zipfile.ZipFile(download(page, tmp_path, "#save")) as archive:
        archive.extract("a-faithful.jpg", tmp_path / "again")
    plain = np.asarray(colorizer.colorize(Image.open(photos[0])), np.int16)
    again = np.asarray(Image.open(tmp_path / "again" / "a-faithful.jpg"), np.int16)
    assert np.abs(again - plain).mean() < 4
    with page.expect_download() as loading:  # a hint comes while the photos are made for saving
        page.evaluate(
            """const editor = document.querySelector(".hinting:not([hidden])");
            editor.querySelector("[aria-label='midday sky']").click();
            editor.querySelector("[data-hint=add]").click();
            document.getElementById("save").click();
            editor.querySelector("[aria-label='autumn red']").click();"""
        )
    with zipfile.ZipFile(loading.value.path()) as archive:
        archive.extract("a-faithful.jpg", tmp_path / "last")
    last = np.asarray(Image.open(tmp_path / "last" / "a-faithful.jpg"), np.int16)
    red = colorizer.colorize(Image.open(photos[0]), hints=[Hint(0.5, 0.5, "#a5382c")])
    assert np.abs(last - np.asarray(red, np.int16)).mean() < 4 < np.abs(last - plain).mean()


def tiff(path: Path, values: np.ndarray, order: Literal["<", ">"], tags: dict[int, tuple[int, int]]) -> Path:
    """An uncompressed TIFF of one strip. tags: type and value by number, besides those that any photo has."""
    height, width = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    entries = {
        256: (4, width), 257: (4, height), 258: (3, 8 * values.itemsize), 259: (3, 1), 262: (3, 1), 273: (4, 8),
        277: (3, channels), 278: (4, height), 279: (4, values.nbytes), **tags,
    }  # fmt: skip
    start = 8 + values.nbytes + values.nbytes % 2
    data = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, start)
    data += values.astype(values.dtype.newbyteorder(order)).tobytes() + bytes(values.nbytes % 2)
    data += struct.pack(f"{order}H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        data += struct.pack(f"{order}HHI{'I' if kind == 4 else 'Hxx'}", tag, kind, 1, value)
    path.write_bytes(data + bytes(4))
    return path


def test_plain_tiffs_are_read_by_their_tags_and_the_static_page_refuses_others_by_name(
    page: Any, colorizer: Colorizer, tmp_path: Path
) -> None:
    gray = np.asarray(Image.fromarray(make_photo(5, 301, 207)).convert("L"))
    deep = gray.astype(np.uint16) * 257
    read = {
        "turned.tif": tiff(tmp_path / "turned.tif", gray, "<", {274: (3, 6)}),
        "deep.tif": tiff(tmp_path / "deep.tif", deep, ">", {}),
        "white.tif": tiff(tmp_path / "white.tif", 65535 - deep, "<", {262: (3, 0)}),
        "lzw.tif": tmp_path / "lzw.tif",
    }
    Image.fromarray(gray).save(read["lzw.tif"], compression="tiff_lzw")
    floats = tiff(tmp_path / "floats.tif", (gray / np.float32(255)), "<", {339: (3, 3)})
    signed = tiff(tmp_path / "signed.tif", (gray // 2).astype(np.int8), "<", {339: (3, 2)})
    raw = tiff(tmp_path / "raw.tif", gray, "<", {254: (4, 1)})
    page.set_input_files("#files", [*read.values(), floats, signed, raw])
    finished(page, 7)
    if "never leave your device" in page.locator("#where").inner_text():
        reasons = page.locator(".bad:visible").all_inner_texts()
        assert sum("a TIFF with signed numbers or floats is not read here" in reason for reason in reasons) == 2
        assert sum("a TIFF with a small preview first" in reason for reason in reasons) == 1
    upright = Image.fromarray(gray)
    color, turned = (colorizer.colorize(photo) for photo in (upright, upright.transpose(Image.Transpose.ROTATE_270)))
    for name in read:
        with page.expect_download() as started:
            page.get_by_role("article", name=name).locator(".download").click()
        started.value.save_as(tmp_path / "result.png")
        assert_same(tmp_path / "result.png", turned if name == "turned.tif" else color)


def test_the_static_page_works_again_without_the_network(exported: Path, browser: Any, tmp_path: Path) -> None:
    server = file_server(exported)
    with server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}")
        page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        server.shutdown()
    page.reload()
    page.set_input_files("#files", written(tmp_path, "scan.tif"))  # which needs one more file
    finished(page)
    assert page.locator("figure:visible").count() == 1
    page.close()


@pytest.mark.parametrize("name", ["card.js", "worker.js", "fullsize.js", "ort.wasm", "model.onnx"])
def test_a_file_that_fails_before_the_first_photo_is_named(static: str, browser: Any, name: str) -> None:
    page = browser.new_page()
    page.route(f"**/{name}", lambda route: route.fulfill(status=404))
    page.goto(static)
    status = page.locator("#status.bad")
    sync_api.expect(status).to_contain_text(f"{name} could not be loaded", timeout=30_000)
    if name == "ort.wasm":
        page.click("[data-example]")
        finished(page)
        assert f"{name} could not be loaded" in page.locator(".bad:visible").last.inner_text()
    page.close()


def test_all_modules_of_the_page_are_among_those_that_may_be_named() -> None:
    text = (web_export.PAGE / "start.js").read_text(encoding="utf-8")
    assert {name for name in COMMON if name.endswith(".js") and name != "start.js"} <= set(text.split('"'))
