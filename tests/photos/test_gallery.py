"""The page of validation: rejected files with their reasons, copies side by side, bounded and offline."""

import base64
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import changed_params, make_photo, narrow_page, overflow, write_photos
from PIL import Image

from chromascape.params import Params
from chromascape.photos import gallery, source, validation
from chromascape.photos.gallery import render_gallery, thumbnail
from chromascape.photos.manifest import COLUMNS, TYPES

pytestmark = pytest.mark.usefixtures("quick_workers")
HOSTILE = "<script>alert(1)<script>.png"
PARAMS = Params.model_validate(
    changed_params(
        {"validate.seconds": 0, "validate.min_accepted": 3, "validate.max_rejected_share": 1.0, "data.split.seed": 1}
    )
)


class Page(HTMLParser):
    """Tags, addresses that are loaded, and the text of each figure and of all."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.figures: list[str] = []
        self.texts: list[str] = []
        self.feed(html[html.index("<body>") :])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag == "figure":
            self.figures.append("")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.figures:
            self.figures[-1] += f" {data.strip()}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def figure(self, name: str) -> str:
        (found,) = [text for text in self.figures if name in text]
        return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery") / "photos"
    write_photos(folder, 14)
    Image.fromarray(make_photo(50)).convert("L").save(folder / "gray.png")
    Image.fromarray(make_photo(51, 300, 100)).save(folder / "low.png")
    (folder / "inner").mkdir()
    (folder / "inner" / HOSTILE).write_text("no image")
    (folder / "z-copy.png").write_bytes((folder / "photo-003.png").read_bytes())
    os.mkfifo(folder / "pipe.png")  # whoever opens it waits for ever
    Image.fromarray(make_photo(52)).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:2000])
    return folder


@pytest.fixture(scope="module")
def manifest(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    docs = tmp_path_factory.mktemp("docs")
    return validation.validate_folder(folder, PARAMS.data, PARAMS.validate_, docs, 1)[0]


def render(manifest: pd.DataFrame, folder: Path, stopped: str | None = None) -> str:
    return render_gallery(manifest, folder, PARAMS.validate_, stopped, 1)


@pytest.fixture(scope="module")
def html(manifest: pd.DataFrame, folder: Path) -> str:
    return render(manifest, folder)


def test_the_page_counts_and_tells_what_each_reason_asks_for(html: str) -> None:
    text = Page(html).text
    assert re.search(
        r"14 of 20 files accepted: train \d+, val \d+, test \d+\. 5 rejected, 1 left out as exact copy\.", text
    )
    assert "too_small The shorter side, without trimmed black bars, is at least validate.min_side 1" in text


def test_each_rejected_file_is_a_thumbnail_with_its_reasons(html: str) -> None:
    page = Page(html)
    assert "gray.png channels, mode PNG, L, 160 × 144" in page.figure("gray.png")
    assert "low.png too_small PNG, RGB, 300 × 100" in page.figure("low.png")
    assert page.tags.count("img") == 4  # gray, low, and the two copies
    pictures = [Image.open(io.BytesIO(base64.b64decode(load.partition(",")[2]))) for load in page.loads]
    assert (200, 67) in {picture.size for picture in pictures}
    assert all(max(picture.size) <= gallery.THUMBNAIL for picture in pictures)


def test_files_without_a_picture_are_placeholders_that_say_why_and_are_not_opened(html: str) -> None:
    page = Page(html)
    assert "no picture : not a regular file" in page.figure("pipe.png").replace("picture:", "picture :")
    assert "in none of the formats" in page.figure("script") and "not_an_image" in page.figure("script")
    assert "truncated" in page.figure("cut.jpg") and "damaged" in page.figure("cut.jpg")


def test_copies_stand_side_by_side(html: str) -> None:
    page = Page(html)
    kept, copy = (next(n for n, text in enumerate(page.figures) if name in text) for name in ("photo-003", "z-copy"))
    assert copy == kept + 1
    assert re.search(r"used: (train|val|test)", page.figures[kept]) and "exact_duplicate" in page.figures[copy]
    assert "1 scene has several photos" in page.text


def test_names_that_run_on_are_told_with_photos_of_other_splits_that_look_alike(
    html: str, manifest: pd.DataFrame, folder: Path
) -> None:
    assert re.search(
        r"No photo has an EXIF time, .* file names run on \(photo-000.png, photo-001.png\)", Page(html).text
    )
    assert "No two photos in different splits look alike." in Page(html).text
    alike = manifest.copy()
    rows = [alike.index[alike["split"] == split][0] for split in ("train", "val")]
    alike.loc[rows, "likeness"] = alike.at[rows[0], "likeness"]
    page = Page(render(alike, folder))
    names = sorted(alike.loc[rows, "path"])
    assert page.tags.count("img") == 6 and all(name in page.figures[-2 + at] for at, name in enumerate(names))
    assert f'such as - ["{names[0]}", "{names[1]}"] .' in page.text
    assert "Likeness 1.00" in page.text
    timed = manifest.assign(camera="x", taken=1e9)
    assert "EXIF" not in Page(render(timed, folder)).text


def test_further_photos_of_a_held_out_scene_are_not_called_copies(manifest: pd.DataFrame, folder: Path) -> None:
    further = manifest.copy()
    row = further.index[further["split"] == "train"][0]
    further.loc[row, ["verdict", "reasons", "split"]] = "rejected", "same_scene", None
    text = Page(render(further, folder)).text
    assert "5 rejected, 1 left out as exact copy, 1 left out as further photo of a scene in val or test." in text
    assert "duplicate" not in text.replace("exact_duplicate", "")


def test_hostile_names_are_text_and_the_page_is_one_file_that_loads_nothing(html: str) -> None:
    page = Page(html)
    assert "script" not in page.tags and HOSTILE in page.text
    assert all(load.startswith("data:image/jpeg;base64,") for load in page.loads)
    assert "url(" not in html and "@import" not in html and "http" not in re.sub(r"base64,[^\"]+", "", html)


def test_the_same_photos_give_the_same_bytes(html: str, manifest: pd.DataFrame, folder: Path) -> None:
    assert render(manifest, folder) == html
    assert render_gallery(manifest, folder, PARAMS.validate_, None, 2) == html


def test_a_gate_that_stops_is_told(manifest: pd.DataFrame, folder: Path) -> None:
    line = "data.dir: photos: 3 of <9> files accepted"
    assert f"The pipeline stopped here. {line}." in Page(render(manifest, folder, line)).text


def made_up(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A manifest of files that could not be read, so that none is opened."""
    plain = {"verdict": "rejected", "reasons": "unreadable", "problem": "unreadable", "detail": "gone"}
    full = [dict.fromkeys([*COLUMNS, "likeness"]) | plain | {"group": str(n)} | row for n, row in enumerate(rows)]
    # By column, because pandas guesses a type that holds no bytes that are not UTF-8.
    return pd.DataFrame({name: pd.Series([row[name] for row in full], dtype=TYPES.get(name)) for name in full[0]})


def combinations() -> list[str]:
    """Thirty-one combinations of five reasons."""
    names = ["gray", "mode", "channels", "too_small", "damaged"]
    return [";".join(name for bit, name in enumerate(names) if number >> bit & 1) for number in range(1, 32)]


def test_the_page_is_bounded_and_says_how_much_more_there_is(tmp_path: Path) -> None:
    many = [{"path": f"{n}.jpg", "reasons": reasons} for reasons in combinations() for n in range(500)]
    scenes = [
        {"path": f"{n}-{m}", "group": f"g{n}", "verdict": ["accepted", "rejected"][m > 0], "split": "test",
         "reasons": "same_scene" if m else "", "sha256": f"{n} {m}"}
        for n in range(70) for m in range(30)
    ]  # fmt: skip
    page = Page(render(made_up([*many, *scenes]), tmp_path))
    assert 250 < len(page.figures) <= gallery.IN_TOTAL
    assert "… and 476 more" in page.text and "… and 22 more" in page.text
    assert re.search(r"… and \d+ more scenes", page.text) and "Not shown: " in page.text


def test_names_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    html = render(made_up([{"path": os.fsdecode(b"caf\xe9.png")}]), tmp_path)
    assert b"caf\\xe9.png" in html.encode("utf-8")


def test_a_folder_without_faults_says_so(manifest: pd.DataFrame, folder: Path) -> None:
    fine = manifest[(manifest["verdict"] == "accepted")]
    text = Page(render(fine, folder)).text
    assert "No file was rejected." in text and "Rejected files" not in text and "Copies" not in text


def test_a_file_that_went_away_since_is_a_placeholder(tmp_path: Path) -> None:
    photos = source.Source(str(tmp_path))
    assert thumbnail(photos, "gone.png", source.DEFAULT_LIMITS) == (
        None,
        "No such file or directory",
    )
    (tmp_path / "now.png").write_text("a text")
    made, problem = thumbnail(photos, "now.png", source.DEFAULT_LIMITS)
    assert made is None and "in none of the formats" in problem


@pytest.mark.browser
def test_on_a_phone_nothing_scrolls_sideways_and_all_thumbnails_show(browser: Any, html: str, tmp_path: Path) -> None:
    (tmp_path / "validation.html").write_text(html, encoding="utf-8")
    shown = narrow_page(browser, tmp_path / "validation.html")
    assert overflow(shown) == 0
    pictures = shown.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(pictures) == 4 and min(pictures) > 0
    shown.close()
