"""Both pages in a real Chromium: drop or choose, compare, download, errors, keyboard, a phone's width."""

import functools
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.errors import ChromascapeError
from chromascape.serving import onnx_export, web, web_export

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
    """A plain file server that prints nothing."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def static(shipped_program: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    onnx, folder = pytest.importorskip("onnx"), tmp_path_factory.mktemp("web") / "page"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnx_export, "as_onnx", lambda _: onnx.ModelProto.FromString(shipped_program))
            web_export.export_page(Colorizer.load(SHIPPED, "cpu", by_torch=True), folder)
    except ChromascapeError as error:
        pytest.skip(str(error))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["served", "static"])
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """The page at a phone's width; whatever is asked of another host, or written to the console, fails the test."""
    address = request.getfixturevalue(request.param)
    page = browser.new_page(viewport={"width": 390, "height": 800})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: problems.append(asked.url) if not asked.url.startswith((address, "blob:", "data:")) else None,
    )
    page.goto(address)
    yield page
    page.close()
    assert not [problem for problem in problems if "422" not in problem]  # the console tells of each refused photo


def written(folder: Path, name: str, **options: Any) -> Path:
    file = folder / name
    Image.fromarray(make_photo(5, 301, 207)).convert("L").save(file, **options)
    return file


def finished(page: Any, count: int = 1) -> None:
    sync_api.expect(page.locator("figure:visible, .bad")).to_have_count(count, timeout=60_000)


def download(page: Any, folder: Path) -> Path:
    with page.expect_download() as started:
        page.click(".download")
    target = folder / started.value.suggested_filename
    started.value.save_as(target)
    return target


@pytest.mark.parametrize("style", ["faithful", "vivid"])
def test_the_download_is_the_command_lines_picture_to_rounding(
    page: Any, colorizer: Colorizer, style: str, tmp_path: Path
) -> None:
    photo = written(tmp_path, "photo.png")
    page.check(f"[value={style}]")
    page.set_input_files("#files", photo)
    finished(page)
    file = download(page, tmp_path)
    assert file.name == f"photo-{style}.png"
    expected = np.asarray(colorizer.colorize(Image.open(photo), style), np.int16)  # type: ignore[arg-type]
    assert np.ptp(expected, axis=2).max() > 5, "gray would agree with anything"
    assert np.abs(np.asarray(Image.open(file).convert("RGB"), np.int16) - expected).max() <= 2


def test_an_example_is_a_click_or_a_key_away(page: Any) -> None:
    page.focus("[data-example]")
    page.keyboard.press("Enter")
    finished(page)
    assert page.evaluate("document.querySelector('.after').naturalWidth") > 300


def test_several_photos_and_one_that_is_none(page: Any, tmp_path: Path) -> None:
    bad = tmp_path / "notes.jpg"
    bad.write_bytes(b"no photo")
    page.set_input_files("#files", [written(tmp_path, "a.jpg"), bad, written(tmp_path, "b.webp")])
    finished(page, 3)
    assert page.locator("figure:visible").count() == 2
    assert page.locator(".bad").inner_text().startswith("not colorized: ")
    assert page.locator(".bad").get_attribute("role") == "alert"
    sync_api.expect(page.locator("#status")).to_have_text("2 colorized, 1 failed")


def test_the_slider_moves_by_pointer_and_by_key(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    cut = "getComputedStyle(document.querySelector('.before')).clipPath"
    before = page.evaluate(cut)
    slider = page.locator(".compare input")
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] * 0.9, "y": box["height"] / 2})
    by_pointer = page.evaluate(cut)
    page.keyboard.press("Home")
    assert len({before, by_pointer, page.evaluate(cut)}) == 3
    left, right = gray_shares(page)
    assert left < 0.9 and right < 0.9, "at its left end all is color"
    page.keyboard.press("End")
    assert min(gray_shares(page)) > 0.99


def gray_shares(page: Any) -> tuple[float, float]:
    """Which share of the pixels is gray in the left and the right half of the picture as it is shown."""
    shot = Image.open(io.BytesIO(page.locator(".compare").screenshot())).convert("RGB")
    pixels = np.asarray(shot, np.int16)[40:-10, 10:-10]  # without the tags and the edges
    gray = np.ptp(pixels, axis=2) <= 2
    middle = gray.shape[1] // 2
    return float(gray[:, :middle].mean()), float(gray[:, middle:].mean())


def test_photos_may_be_dropped(page: Any, tmp_path: Path) -> None:
    photo = written(tmp_path, "dropped.png")
    data = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"})); return data; }""",
        list(photo.read_bytes()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    finished(page)
    assert page.locator("article h2").inner_text() == "dropped.png (faithful)"


def test_a_phone_scrolls_in_one_direction_alone(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, f"{'long name ' * 9}.png"))
    finished(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_all_that_can_be_used_has_a_name(page: Any, tmp_path: Path) -> None:
    page.set_input_files("#files", written(tmp_path, "photo.png"))
    finished(page)
    for control in page.locator("input, button, a").all():
        named = control.evaluate(
            "e => (e.labels?.[0]?.textContent ?? e.ariaLabel ?? (e.textContent || e.querySelector('img')?.alt)).trim()"
        )
        assert named
