"""What MLflow's page shows of our runs, seen in Chromium: the figures, and pictures that are really there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from conftest import changed_params, load_screenshots, make_photo
from PIL import Image
from registered import write_outputs
from warm import unmeasured

from chromascape.params import load_params
from chromascape.tracking import page, run
from chromascape.tracking.view import PHOTOS

pytestmark = [pytest.mark.browser, pytest.mark.scale]
HEADLINES = [
    "val/gain_over_gray_db",
    "val/shipped_gain_over_gray_db",
    "chromascape.val_photos",
    "gain_over_gray_db",
    "train.network",
]
OUTSIDE = ["DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"]


@pytest.fixture(scope="module")
def port(browser: Any, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where `mlflow ui` serves a store of two runs, in the folder that the tests work in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [*OUTSIDE, *(os.environ.keys() - unmeasured().keys())]:
            patch.delenv(name, raising=False)
        patch.chdir(tmp_path_factory.mktemp("runs"))
        shutil.copy(empty_store, "mlflow.db")
        for gain in (1.25, 2.75):
            log_run(gain)
        with load_screenshots().serve_mlflow() as port:
            yield port
    mlflow.set_tracking_uri(None)


def log_run(gain: float) -> None:
    """A run as the stages log it, with four photos."""
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"train.lr": gain / 1000})), encoding="utf-8")
    write_outputs(gain / 10, gain_over_gray_db=gain)
    for number in range(PHOTOS):
        row = np.concatenate([make_photo(number, 128, 128)] * 4, axis=1)
        Image.fromarray(row).save(f"reports/photos/{number}.jpg")
    Path("reports/photos/abc.jpg").unlink()
    run.log_run(load_params())


def links(port: int) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORT", str(port))
        return page.links()


def open_page(browser: Any, address: str, awaited: str) -> Any:
    shown = load_screenshots().new_page(browser, 1600, 1500)
    shown.goto(address)
    shown.wait_for_selector(awaited, timeout=120_000)
    return shown


def test_the_printed_link_opens_a_table_with_the_headline_columns_best_run_first(browser: Any, port: int) -> None:
    shown = open_page(browser, links(port)["runs"], ".ag-center-cols-container .ag-row")
    headings = shown.locator(".ag-header-cell-text, .ag-header-cell [role=presentation]")
    shown.wait_for_function("document.body.innerText.includes('train.init')")
    said = shown.inner_text("body")
    assert [name for name in HEADLINES if name not in said] == []
    assert "2 matching runs" in said and headings.count() > 0
    places = shown.evaluate(
        "[...document.querySelectorAll('.ag-header-cell')].map(e => [e.getAttribute('col-id'),"
        " e.getBoundingClientRect().left, e.offsetWidth])"
    )
    order = [name.split("`")[1] for name, *_ in sorted(places, key=lambda place: place[1]) if "`" in name]
    assert order[:5] == ["Run Name", *HEADLINES[:4]]
    widths = {name: width for name, _, width in places}
    assert widths["attributes.`Run Name`"] >= 250 and widths["metrics.`val/gain_over_gray_db`"] >= 140
    gains = shown.locator(".ag-center-cols-container [col-id='metrics.`gain_over_gray_db`']").all_inner_texts()
    assert [float(gain) for gain in gains if "max" not in gain] == [2.75, 1.25]  # of the group: the largest
    shown.close()


def test_the_charts_compare_runs_by_figures_and_by_pictures_that_fill_their_place(browser: Any, port: int) -> None:
    address = links(port)["runs"] + "&compareRunsMode=CHART"
    shown = open_page(browser, address, "img[src*=get-artifact]")
    shown.wait_for_function(
        f"document.querySelectorAll('img[src*=get-artifact]').length >= {2 * PHOTOS}"
        " && [...document.images].every(image => image.complete)",
        timeout=60_000,
    )
    pictures = shown.evaluate(
        "[...document.querySelectorAll('img[src*=get-artifact]')].map(e => [e.naturalWidth, e.width, e.height])"
    )
    assert len(pictures) == 2 * PHOTOS  # each photo of each run once
    assert all(natural > 0 and width == height > 100 for natural, width, height in pictures), pictures
    said = shown.inner_text("body")
    assert said.index("Which is better") < said.index("photos/photo-1") < said.index("Model metrics")
    shown.close()


def test_the_page_of_the_last_run_says_what_it_is_and_how_good(browser: Any, port: int) -> None:
    shown = open_page(browser, links(port)["this run"], "h1, h2, h3")
    shown.wait_for_function("document.body.innerText.includes('+2.75 dB')", timeout=60_000)
    said = shown.inner_text("body")
    assert "lr=0.00275" in said or "efficientnet_lite2 sample" in said
    assert "Finished" in said and "gain_over_gray_db" in said
    shown.close()
