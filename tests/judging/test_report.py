"""The HTML report: one file, the right figures, nothing from outside."""

import base64
import io
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import narrow_page, overflow
from PIL import Image

from chromascape.color import lab
from chromascape.errors import ChromascapeError
from chromascape.files import read_metrics
from chromascape.judging.evaluation import gain_histogram
from chromascape.judging.report import LARGEST, PhotoRow, photo_rows, read_curves, render
from chromascape.params import Params, deciding

SIDE = 32
FIGURES = {
    "n_photos": 4,
    "n_seen": {"model": 0, "vivid": 0, "shipped": 0},
    "held_out": True,
    "model": {"psnr_db": 24.12, "ssim": 0.9321, "ciede2000": 8.76, "colorfulness": 30.1, "loss_mse_l1": 0.0411},
    "vivid": {"psnr_db": 23.12, "ssim": 0.9301, "ciede2000": 9.06, "colorfulness": 38.5, "loss_mse_l1": 0.0455},
    "shipped": {"psnr_db": 25.12, "ssim": 0.9421, "ciede2000": 8.06, "colorfulness": 31.1, "loss_mse_l1": 0.0401},
    "gray": {"psnr_db": 22.34, "ssim": 0.9123, "ciede2000": 10.98, "colorfulness": 0.2, "loss_mse_l1": 0.0567},
    "mean_ab": {"psnr_db": 22.65, "ssim": 0.9098, "ciede2000": 10.32, "colorfulness": 7.3, "loss_mse_l1": 0.0543},
    "truth": {"colorfulness": 41.5},
    "gain_over_gray_db": 1.78,
    "gain_over_gray_ci95_db": [0.91, 2.65],
    "win_rate_over_gray": 0.75,
    "win_rate_over_gray_ciede2000": 0.5,
}
VALIDATION = {
    "n_files": 50,
    "n_accepted": 43,
    "n_rejected": 7,
    "rejected_by_reason": {"gray": 4, "too_small": 3},
    "by_split": {"train": 35, "val": 4, "test": 4},
}
CURVES = pd.DataFrame(
    {"epoch": [1, 2], "train_loss": [0.09, 0.05], "val_loss": [0.08, 0.06], "gray_val_loss": [0.07, 0.07]}
)
PARAMS = {"preprocess.side": 256, "train.lr": 0.002, "train.epochs": 10}
SHA256 = {"data/manifest.csv": "12" * 32}
TILES = ["gray", "faithful", "vivid", "truth"]
NAMES = ["a.png", "b.png", "c.png", "d.png"]


class Photos:
    """Four photos of one color each, as `cache.Shards` gives them."""

    def __init__(self, names: list[str] = NAMES):
        self.paths = names
        self.true = lab.quantise(np.array([[50.0, 40, 20], [60, -40, 20], [70, 10, -40], [40, 0, 30]]))

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.true[rows][:, :, None, None], (len(rows), 3, SIDE, SIDE))


class Reddish:
    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return lab.join(photo[..., 0], np.broadcast_to(np.array([30, 10], np.float32), (*photo.shape[:2], 2)))

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return picture * np.float32([1, 1, 1] if rendering == "faithful" else [1, 1.5, 1.5])


def table(names: list[str] = NAMES) -> pd.DataFrame:
    """Gains over gray of 3, 1, -2 and 0.5 dB."""
    gray = np.array([20.0, 21.0, 22.0, 23.0])
    return pd.DataFrame(
        {
            "path": pd.Series(names, dtype=object),
            "group": ["one", "two", "three", "three"],
            "model.psnr_db": gray + [3, 1, -2, 0.5],
            "gray.psnr_db": gray,
            "model.ciede2000": [4.4, 5.5, 6.6, 7.7],
            "gray.ciede2000": [8.8, 8.9, 9.1, 9.2],
        }
    )


@cache
def plain() -> str:
    """The report without changes, which many tests look at: its charts take a while."""
    return rendered(NAMES)


def page(names: list[str] = NAMES, **changes: Any) -> str:
    return rendered(names, **changes) if changes or names is not NAMES else plain()


def rendered(names: list[str], **changes: Any) -> str:
    pictures = photo_rows(Reddish(), Photos(names), table(names), 2, seed=0)
    values: dict[str, Any] = {
        "figures": FIGURES,
        "validation": VALIDATION,
        "curves": CURVES,
        "histogram": gain_histogram(table(names)),
        "pictures": pictures,
        "params": PARAMS,
        "sha256": SHA256,
    }
    return render(**(values | changes))


class Collector(HTMLParser):
    """Tags, the addresses that they load or lead to, and the text between them."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.alts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.addresses.append(value or "")
            if name == "alt":
                self.alts.append(value or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_damaged_photos_are_a_row_of_pictures_with_a_gain_for_each() -> None:
    gains = {"none": 1.78, "grain 20": -0.07, "faded": 1.0}
    pictures = {label: np.full((64, 32, 3), 90, np.uint8) for label in gains}
    shown = Collector(page(figures=FIGURES | {"damage": gains}, damaged=pictures))
    assert "The same 4 photos with the damage of old ones" in shown.text
    assert "none +1.78 dB grain 20 −0.07 dB faded +1.00 dB" in shown.text
    assert shown.tags.count("img") == Collector(plain()).tags.count("img") + 3
    assert "Damaged photos" not in Collector(plain()).text


def test_report_is_one_file_without_anything_from_outside() -> None:
    html = page()
    found = Collector(html)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(found.tags)
    assert [address for address in found.addresses if not address.startswith(("data:image/jpeg;base64,", "#"))] == []
    assert len([address for address in found.addresses if address.startswith("data:")]) == 4 * len(TILES)
    assert found.tags.count("svg") == 2
    assert "@import" not in html and not re.search(r"url\(\s*['\"]?(?!#)", html)
    # Names of XML vocabularies are no addresses that a browser opens.
    bare = re.sub(r'(xmlns(:\w+)?|rdf:resource)="[^"]*"', "", html)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", bare).replace("https://matplotlib.org/", "")


def cells(html: str) -> dict[str, list[str]]:
    """Cells of the table of figures by the name of the row, the best ones with a star."""
    rows = re.findall(r'<tr class="(\w+)">(.*?)</tr>', html, re.DOTALL)
    found = {name: re.findall(r"<td( class=\"best\")?>(.*?)</td>", row) for name, row in rows}
    return {name: [text + ("*" if best else "") for best, text in row] for name, row in found.items()}


def test_report_states_the_model_beside_gray_and_marks_the_best_of_each_column() -> None:
    assert cells(page()) == {
        "model": ["model", "24.12", "0.9321", "8.76", "30.1", "0.0411"],
        "vivid": ["model, vivid", "23.12", "0.9301", "9.06", "38.5", "0.0455"],
        "shipped": ["shipped model", "25.12*", "0.9421*", "8.06*", "31.1", "0.0401*"],
        "gray": ["gray input", "22.34", "0.9123", "10.98", "0.2", "0.0567"],
        "mean_ab": ["mean training color", "22.65", "0.9098", "10.32", "7.3", "0.0543"],
    }
    assert "<td>truth</td><td></td><td></td><td></td><td>41.5</td>" in page()


def test_a_baseline_that_wins_is_bold_and_named_on_top() -> None:
    mean = FIGURES["mean_ab"] | {"psnr_db": 26.0, "loss_mse_l1": 0.03}
    html = page(figures=FIGURES | {"mean_ab": mean})
    rows = cells(html)
    assert rows["mean_ab"] == ["mean training color", "26.00*", "0.9098", "10.32", "7.3", "0.0300*"]
    assert not [cell for cell in rows["model"] if cell.endswith("*")]
    top = Collector(html[: html.index("<h2>")]).text
    assert "The mean training color is closer to the truth than the model by PSNR and MSE + L1." in top


def test_pictures_stand_before_the_table_the_charts_and_the_recipe() -> None:
    html = page()
    places = [html.index(text) for text in ('class="lead', 'class="photo-row"', 'class="figures"', "<svg", ">Recipe<")]
    assert places == sorted(places)


def test_the_table_does_not_scroll_sideways() -> None:
    assert "overflow-x" not in page() and "scroll" not in page()


def test_a_model_worse_than_gray_is_marked() -> None:
    html = page(figures=FIGURES | {"gain_over_gray_db": -0.3, "gain_over_gray_ci95_db": [-0.5, -0.1]})
    assert '<p class="lead bad">' in html and "further from the truth than gray: −0.30 dB PSNR" in html
    assert '<p class="lead">' in page()


def test_a_single_photo_has_no_interval() -> None:
    html = page(figures=FIGURES | {"gain_over_gray_ci95_db": None})
    assert "interval" not in html and "+1.78 dB PSNR" in html


def test_no_zero_has_a_minus() -> None:
    photos = table()
    photos["model.psnr_db"] = photos["gray.psnr_db"] - 0.04
    pictures = photo_rows(Reddish(), Photos(), photos, 2, seed=0)
    text = Collector(page(pictures=pictures, figures=FIGURES | {"gain_over_gray_db": -0.001})).text
    assert "a.png : 0.0 dB against gray" in text and not re.search(r"[-−]0\.0+\b", text)


def test_report_says_where_figures_are_not_held_out() -> None:
    assert "seen" not in Collector(page()).text and "held-out" not in Collector(page()).text
    html = page(figures=FIGURES | {"held_out": False, "n_seen": {"model": 3, "vivid": 3, "shipped": 0}})
    text = Collector(html).text
    assert "On 4 test photos, 3 of which it was trained on or chosen by, the model is closer to the truth" in text
    assert "The model was trained on or chosen by 3 of these 4 photos, so its figures are optimistic." in text
    for label in ("model (has seen 3 of 4)", "model, vivid (has seen 3 of 4)", "shipped model", "gray input"):
        assert f"<td>{label}</td>" in html
    assert "The shipped model was trained" not in text


def test_report_says_that_the_shipped_model_has_seen_photos() -> None:
    html = page(figures=FIGURES | {"n_seen": {"model": 0, "vivid": 0, "shipped": 4}})
    text = Collector(html).text
    assert "On 4 test photos the model is closer to the truth than gray: +1.78 dB" in text
    assert "The shipped model was trained on or chosen by 4 of these 4 photos" in text
    assert "<td>shipped model (has seen 4 of 4)</td>" in html and "<td>model</td>" in html


def test_jobs_and_where_photos_and_runs_are_change_no_byte_of_the_report(make_params: Callable[..., Params]) -> None:
    pages = [
        page(params=deciding(make_params(changes)))
        for changes in (
            {"jobs": 1},
            {"jobs": 3},
            {"data.dir": "elsewhere"},
            {"track.experiment": "other"},
            {"sample.max_side": 500},
        )
    ]
    assert len(set(pages)) == 1
    assert page(params=deciding(make_params({"train.lr": 0.125}))) != pages[0]


def test_damaged_inputs_of_the_report_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text("")
    (tmp_path / "validate.json").write_text("{")
    with pytest.raises(ChromascapeError, match=r"curves\.csv: not a table .*dvc repro -f train"):
        read_curves(tmp_path / "curves.csv")
    with pytest.raises(ChromascapeError, match=r"validate\.json: not JSON .*dvc repro -f validate"):
        read_metrics(tmp_path / "validate.json", "validate")


def test_rendered_twice_it_is_the_same_to_the_byte() -> None:
    assert rendered(NAMES) == rendered(NAMES)


def test_report_shows_each_photo_once_four_ways() -> None:
    """Seven photos filled sixteen slots."""
    html = page()
    found = Collector(html)
    names = ["a.png", "b.png", "d.png", "c.png"]  # by gain
    assert found.alts == [f"{tile} version of {name}" for name in names for tile in TILES]
    assert "a.png : +3.0 dB against gray, CIEDE2000 4.4 (gray 8.8)" in found.text
    assert "c.png : −2.0 dB against gray, CIEDE2000 6.6 (gray 9.1)" in found.text
    first = found.addresses[[address.startswith("data:") for address in found.addresses].index(True)]
    picture = Image.open(io.BytesIO(base64.b64decode(first.partition(",")[2])))
    assert picture.format == "JPEG" and picture.size == (SIDE, SIDE)


def test_each_row_of_pictures_is_enlarged_by_a_checkbox_of_its_own() -> None:
    html = page()
    boxes, labels = re.findall(r'<input type="checkbox" id="([^"]+)"', html), re.findall(r'<label for="([^"]+)"', html)
    assert boxes == labels and len(set(boxes)) == 4
    assert ".photo-row:has(input:checked)" in html


def test_pictures_of_large_caches_are_scaled_down() -> None:
    large = np.zeros((2 * LARGEST, 2 * LARGEST, 3), np.uint8)
    html = page(pictures={"Best": [PhotoRow("x.png", {"gray": large}, row_figures())]})
    (uri,) = [address for address in Collector(html).addresses if address.startswith("data:")]
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (LARGEST, LARGEST)


def row_figures() -> dict[str, float]:
    return {"model.psnr_db": 20.0, "gray.psnr_db": 21.5, "model.ciede2000": 3.0, "gray.ciede2000": 2.0}


def test_rows_show_gray_the_models_two_renderings_and_the_truth() -> None:
    groups = photo_rows(Reddish(), Photos(), table(), 1, seed=0)
    assert [row.path for row in groups["All"]] == ["a.png", "b.png", "d.png", "c.png"]
    best = groups["All"][0]
    assert best.figures["model.psnr_db"] == 23.0 and not {"path", "group"} & set(best.figures)
    assert list(best.pictures) == TILES
    for picture, expected in zip(
        best.pictures.values(), [(50, 0, 0), (50, 30, 10), (50, 45, 15), (50, 40, 20)], strict=True
    ):
        assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
        np.testing.assert_allclose(lab.rgb_to_lab(picture)[5, 5], expected, atol=0.8)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>.png", '"><img src=x onerror=alert(1)>.png', "a&b'c.png"])
def test_hostile_names_of_photos_are_escaped(name: str) -> None:
    html = page(names=[name, *NAMES[1:]])
    found = Collector(html)
    assert name not in html
    assert "script" not in found.tags and found.tags.count("img") == 4 * len(TILES)
    assert f"{name} : +3.0 dB" in found.text
    assert found.alts[0] == f"gray version of {name}"


def test_hostile_params_are_escaped() -> None:
    html = page(params=PARAMS | {"track.experiment": "<b>bold</b>"})
    assert "<td>&lt;b&gt;bold&lt;/b&gt;</td>" in html and "<b>bold" not in html


def test_a_photos_name_that_is_not_utf8_does_not_stop_the_report() -> None:
    """The manifest keeps such names with surrogates, which no file in UTF-8 can hold."""
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert b"caf" in page(names=[name, *NAMES[1:]]).encode("utf-8")


def test_report_states_validation_and_points_to_its_page() -> None:
    text = Collector(page()).text
    assert "43 of 50 files accepted (train 35, val 4, test 4); 7 rejected: gray 4, too_small 3" in text
    assert "reports/validation.html" in text
    assert "Means over photos at 256 pixels: PSNR on 8-bit RGB; SSIM on 8-bit RGB (7 × 7 uniform window);" in text
    clean = VALIDATION | {"n_rejected": 0, "rejected_by_reason": {}, "by_split": {"train": 50}}
    text = Collector(page(validation=clean)).text
    assert "several reasons" not in text and "(train 50, val 0, test 0); 0 rejected." in text


def test_what_differs_from_the_defaults_is_shown_and_the_rest_folded() -> None:
    shown, folded = page().split("<details>")
    assert "<tr><td>train.lr</td><td>0.002</td><td>0.0002</td></tr>" in shown
    assert "train.epochs" not in shown and "<tr><td>train.epochs</td><td>10</td></tr>" in folded
    assert "train.lr" not in folded and "The other 2 parameters" in folded
    assert "All parameters have their default values" in page(params={"preprocess.side": 256})


def test_report_names_data_and_weights_by_their_digests() -> None:
    text = Collector(page()).text
    assert f"SHA-256 of data/manifest.csv {'12' * 32}" in text and "chromascape.weights_sha256" in text


def test_an_empty_group_of_pictures_has_no_heading() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    html = page(pictures={"Best": [PhotoRow("x.png", {"truth": picture}, row_figures())], "Worst": []})
    assert Collector(html).tags.count("img") == 1
    assert "x.png : −1.5 dB against gray" in Collector(html).text and "Lowest gain" not in html


@pytest.mark.browser
def test_on_a_phone_nothing_scrolls_sideways_and_a_click_enlarges_pictures(browser: Any, tmp_path: Path) -> None:
    names = ["a.png", "b.png", f"{'a-long-name-without-any-space' * 4}.png", "d.png"]
    (tmp_path / "report.html").write_text(page(names), encoding="utf-8")
    shown = narrow_page(browser, tmp_path / "report.html")
    assert overflow(shown) == 0
    pictures = shown.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(pictures) == 4 * len(TILES) and min(pictures) > 0
    first = shown.locator(".photo-row img").first
    before = first.bounding_box()["width"]
    shown.locator(".photo-row label").first.click()
    assert first.bounding_box()["width"] > 1.5 * before and overflow(shown) == 0
    shown.locator(".photo-row label").first.click()
    assert first.bounding_box()["width"] == before
    shown.close()
