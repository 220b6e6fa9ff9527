"""The pictures in docs/images, made anew from what is here: `make screenshots`, after `make run` and some experiments.

Pages are opened in Chromium, that of the system if there is one, else Playwright's own (`playwright install chromium`).
"""

import html
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image
from tqdm import tqdm

IMAGES = Path(__file__).parent / "images"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Name of the picture, link that `chromascape.tracking.page` gives, width and height in pixels, what must be there.
MLFLOW = (
    ("mlflow-runs", "runs", "", 1480, 560, ".ag-center-cols-container .ag-row"),
    ("mlflow-charts", "runs", "&compareRunsMode=CHART", 1480, 1480, "img[src*=get-artifact]"),
    ("mlflow-run", "this run", "", 1480, 900, "text=gain_over_gray_db"),
    ("mlflow-phone", "runs", "", 400, 800, ".ag-row"),
)
PAGES = (
    ("report", "reports/index.html", 1200, 1100),
    ("report-phone", "reports/index.html", 400, 900),
    ("validation", "reports/validation.html", 1200, 900),
)
TERMINAL = (
    ("console", "chromascape summary", ["chromascape", "summary"]),
    ("compare", "make compare", ["python", "experiments/compare.py"]),
)
# Of data/landscapes, for the README's opening: all under CC BY, so that one line of credits is enough.
LANDSCAPES = ("picos-de-europa", "aitzgorri", "sunset", "maldives")
# The four of them on which the model that ships gains least, for its card.
FAILURES = ("life", "evening-glow", "dune", "storm")
TERMINAL_STYLE = (
    "margin:0;padding:18px 22px;background:#1c2128;color:#e6edf3;font:14px/1.45 monospace;width:max-content"
)
LARGEST = 300_000  # bytes of a picture


def main() -> None:
    """Shoot every view that there is something for."""
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    for name, landscapes in (("landscapes", LANDSCAPES), ("failures", FAILURES)):
        strips(landscapes).save(IMAGES / f"{name}.jpg", quality=82)
    with sync_playwright() as playwright, serve_mlflow() as port:
        browser = launch(playwright)
        for name, link, more, *rest in tqdm(MLFLOW, desc="MLflow", disable=None):
            shoot(browser, name, _links(port)[link] + more, *rest)
        for name, file, width, height in tqdm(PAGES, desc="pages", disable=None):
            shoot(browser, name, Path(file).resolve().as_uri(), width, height)
        for name, typed, command in tqdm(TERMINAL, desc="terminal", disable=None):
            shoot_terminal(browser, name, typed, command)
        browser.close()


def chromium() -> str | None:
    """The system's Chromium; None where there is none, for Playwright's own."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def launch(playwright: Any) -> Any:
    """A browser without a window. As root, which CI's containers run as, Chromium has no sandbox."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"] if root else [])


def new_page(browser: Any, width: int, height: int) -> Any:
    """A page of that many pixels on which MLflow's assistant stays closed, as after its first visit."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    return page


@contextmanager
def serve_mlflow() -> Iterator[int]:
    """`mlflow ui` for the store of this folder, on a free port of this machine alone, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(
        [*command, "--backend-store-uri", store],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server)
        yield port
    finally:
        os.killpg(server.pid, 15)  # its workers too
        server.wait()


def _wait(address: str, server: "subprocess.Popen[bytes]", seconds: float = 180) -> None:
    """Until somebody answers there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise SystemExit("error: mlflow ui did not start: try `make ui`")


def _links(port: int) -> dict[str, str]:
    from chromascape.tracking.page import links

    with patch.dict(os.environ, PORT=str(port)):
        return links()


def shoot(browser: Any, name: str, address: str, width: int, height: int, awaited: str = "img") -> None:
    """Open a page, wait for what must be there and for its pictures, and save what one sees."""
    page = new_page(browser, width, height)
    page.goto(address)
    page.wait_for_selector(awaited, timeout=120_000, state="attached")
    page.wait_for_timeout(4000)  # MLflow's charts and pictures come one by one, and its page never rests
    page.wait_for_function("[...document.images].every(image => image.complete || image.loading == 'lazy')")
    page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=80)
    page.close()
    _check(name)


def shoot_terminal(browser: Any, name: str, typed: str, command: list[str]) -> None:
    """What a command prints where the terminal is wide enough, as a picture."""
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"}
    )
    said = "\n".join(line.rstrip() for line in done.stdout.replace(str(Path.cwd()), "...").splitlines()).strip("\n")
    page = new_page(browser, 800, 600)
    page.set_content(f'<body style="margin:0"><pre style="{TERMINAL_STYLE}">$ {typed}\n{html.escape(said)}</pre>')
    page.locator("pre").screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=85)
    page.close()
    _check(name)


def strips(landscapes: Sequence[str]) -> Image.Image:
    """gray | colorized | truth of landscapes, a row each, by the model that ships."""
    from chromascape.colorizing.colorizer import SHIPPED, Colorizer

    colorizer = Colorizer.load(SHIPPED, "cpu")
    width, height, gap = 400, 225, 6
    sheet = Image.new("RGB", (3 * width + 2 * gap, len(landscapes) * (height + gap) - gap), "white")
    for row, name in enumerate(landscapes):
        truth = Image.open(f"data/landscapes/{name}.jpg").convert("RGB")
        gray = truth.convert("L").convert("RGB")
        for column, picture in enumerate((gray, colorizer.colorize(truth), truth)):
            tile = picture.resize((width, round(width * truth.height / truth.width)))
            top = (tile.height - height) // 2
            sheet.paste(tile.crop((0, top, width, top + height)), (column * (width + gap), row * (height + gap)))
    return sheet


def _check(name: str) -> None:
    """Whether the picture is small enough to keep in the repository."""
    if (IMAGES / f"{name}.jpg").stat().st_size > LARGEST:
        raise SystemExit(f"error: docs/images/{name}.jpg is larger than {LARGEST} bytes: give its view fewer pixels")


if __name__ == "__main__":
    main()
