"""The verdict on every file: each reason by a file made for it, each policy both ways, and the gates."""

import errno
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import changed_params, make_photo, png, png_16_bit, write_photos
from great_expectations.data_context.store.tuple_store_backend import TupleFilesystemStoreBackend
from PIL import Image, PngImagePlugin

from chromascape.errors import ChromascapeError
from chromascape.params import Params, Split
from chromascape.photos import rules, source, validation
from chromascape.photos.manifest import summarize, write_manifest
from chromascape.photos.splits import split_of

SPLIT = {"train": 0.4, "val": 0.3, "test": 0.3, "seed": 1}
# Without a limit of seconds, one job inspects in this process.
LENIENT = {"validate.seconds": 0, "validate.min_accepted": 3, "validate.max_rejected_share": 1.0, "data.split": SPLIT}
PLAIN = 24  # photos without fault, seeds 0 to 23
# The other way of every policy.
OPPOSITE = {f"validate.policy.{name}": "convert" for name in ("cmyk", "palette", "alpha", "sixteen_bit")}
OPPOSITE |= {"validate.policy.rotated": "reject", "validate.policy.wrong_extension": "accept"}
OPPOSITE |= {"validate.policy.letterbox": "reject"}

# What each file of the zoo is rejected for: by the policies of params.yaml, and by the opposite ones.
EXPECTED = {
    "gone.png": ("unreadable", "unreadable"),
    "pipe.png": ("unreadable", "unreadable"),
    "linked": ("unreadable", "unreadable"),
    "large.jpg": ("too_large", "too_large"),
    "text.jpg": ("not_an_image", "not_an_image"),
    "empty.png": ("not_an_image", "not_an_image"),
    "signed.tif": ("unsupported", "unsupported"),
    "bomb.png": ("too_many_pixels", "too_many_pixels"),
    "cut.jpg": ("damaged", "damaged"),
    "cut.png": ("damaged", "damaged"),
    "broken.png": ("damaged", "damaged"),
    "l.png": ("channels;mode", "channels;mode"),
    "la.png": ("channels;mode", "channels;mode"),
    "one.png": ("channels;mode;bit_depth", "channels;mode;bit_depth"),
    "i16.png": ("channels;mode;bit_depth", "channels;mode"),
    "f.tif": ("channels;mode;bit_depth", "channels;mode;bit_depth"),
    "lab.tif": ("mode", "mode"),
    "ycbcr.tif": ("mode", "mode"),
    "cmyk.jpg": ("channels;mode", ""),
    "p.png": ("channels;mode", ""),
    "rgba.png": ("channels;mode", ""),
    "rgb16.png": ("bit_depth", ""),
    "rgba16.png": ("channels;mode;bit_depth", ""),
    "moving.gif": ("channels;mode;animated", "animated"),
    "moving.webp": ("animated", "animated"),
    "turned.jpg": ("", "rotated"),
    "turned.tif": ("", "rotated"),
    "png.jpg": ("wrong_extension", ""),
    "small.png": ("too_small", "too_small"),
    "boxed.png": ("", "letterbox"),
    "boxed-small.png": ("too_small", "letterbox"),
    "gray.png": ("gray", "gray"),
    "sepia.png": ("gray", "gray"),
    "a-copy-of-000.png": ("", ""),
    "photo-000.png": ("exact_duplicate", "exact_duplicate"),
    "z-copy-of-001.png": ("exact_duplicate", "exact_duplicate"),
    "near-kept.png": ("", ""),
    "near-left-out.png": ("same_scene", "same_scene"),
}


def params_with(changes: dict[str, Any] | None = None) -> Params:
    return Params.model_validate(changed_params(LENIENT | (changes or {})))


def validate(folder: Path, params: Params, docs: Path) -> pd.DataFrame:
    return validation.validate_folder(folder, params.data, params.validate_, docs, 1)[0]


def stopped(folder: Path, params: Params, docs: Path) -> str:
    """Why the pipeline has to stop; manifest and Data Docs are there all the same."""
    manifest, line = validation.validate_folder(folder, params.data, params.validate_, docs, 1)
    assert manifest["path"].tolist() == source.list_files(folder)
    assert manifest["verdict"].isin(["accepted", "rejected"]).all()
    assert (docs / "files.html").is_file() and (docs / "set.html").is_file()
    assert line is not None and "\n" not in line
    return line


def reasons_of(manifest: pd.DataFrame) -> dict[str, str]:
    return dict(zip(manifest["path"], manifest["reasons"], strict=True))


def save_into_split(image: Image.Image, path: Path, split: str, above: str = "") -> None:
    """Save a PNG whose SHA-256 lies above another and puts it into a split, by trying comments."""
    for number in range(1000):
        note = PngImagePlugin.PngInfo()
        note.add_text("Comment", str(number))
        image.save(path, pnginfo=note)
        sha256 = source.sha256(path.read_bytes())
        if sha256 > above and split_of(sha256, Split(**SPLIT)) == split:
            return
    raise AssertionError(f"no comment puts {path.name} into {split}")


def write_zoo(folder: Path) -> None:
    write_photos(folder, PLAIN)
    seeds = iter(range(100, 200))

    def image(width: int = 160, height: int = 144) -> Image.Image:
        return Image.fromarray(make_photo(next(seeds), width, height))

    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "gone.png").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.png")
    (folder / "linked").symlink_to(".", target_is_directory=True)
    (folder / "large.jpg").write_bytes(bytes(500_001))
    (folder / "text.jpg").write_text("not an image")
    (folder / "empty.png").touch()
    Image.fromarray(np.zeros((144, 160), np.int32)).save(folder / "signed.tif")
    (folder / "bomb.png").write_bytes(png(100_000, 100_000, 8, 2, bytes(100)))
    image().save(folder / "cut.jpg")
    image().save(folder / "cut.png")
    for name in ("cut.jpg", "cut.png"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])
    image().save(folder / "broken.png")
    data = (folder / "broken.png").read_bytes()
    (folder / "broken.png").write_bytes(data[: len(data) // 2] + bytes(50) + data[len(data) // 2 + 50 :])
    image().convert("L").save(folder / "l.png")
    image().convert("LA").save(folder / "la.png")
    image().convert("1").save(folder / "one.png")
    Image.fromarray(make_photo(next(seeds))[..., 0].astype(np.uint16) * 257).save(folder / "i16.png")
    Image.fromarray(make_photo(next(seeds))[..., 0].astype(np.float32) / 255).save(folder / "f.tif")
    image().convert("LAB").save(folder / "lab.tif")
    image().convert("YCbCr").save(folder / "ycbcr.tif")
    image().convert("CMYK").save(folder / "cmyk.jpg")
    image().quantize(128).save(folder / "p.png")
    image().convert("RGBA").save(folder / "rgba.png")
    (folder / "rgb16.png").write_bytes(png_16_bit(make_photo(next(seeds))))
    with_alpha = np.dstack([make_photo(next(seeds)), np.full((144, 160), 255, np.uint8)])
    (folder / "rgba16.png").write_bytes(png_16_bit(with_alpha))
    image().save(folder / "moving.gif", save_all=True, append_images=[image()])
    image().save(folder / "moving.webp", save_all=True, append_images=[image()])
    image(160, 200).save(folder / "turned.jpg", exif=exif)
    image(160, 200).save(folder / "turned.tif", exif=exif)
    image().save(folder / "png.jpg", format="PNG")
    image(160, 127).save(folder / "small.png")
    for name, height in (("boxed.png", 140), ("boxed-small.png", 100)):
        boxed = Image.new("RGB", (160, height + 60))
        boxed.paste(image(160, height), (0, 30))
        boxed.save(folder / name)
    image().convert("L").convert("RGB").save(folder / "gray.png")
    gray = make_photo(next(seeds))[..., :1].astype(float)
    tinted = np.clip(gray * 0.2 + (100, 98, 96), 0, 255).astype(np.uint8)
    Image.fromarray(tinted).save(folder / "sepia.png")
    # Of equal files the first in the alphabet is kept.
    (folder / "a-copy-of-000.png").write_bytes((folder / "photo-000.png").read_bytes())
    (folder / "z-copy-of-001.png").write_bytes((folder / "photo-001.png").read_bytes())
    near = image()
    save_into_split(near, folder / "near-kept.png", "test")
    kept = source.sha256((folder / "near-kept.png").read_bytes())
    save_into_split(near.resize((170, 150)), folder / "near-left-out.png", "train", above=kept)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo") / "photos"
    write_zoo(folder)
    return folder


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def manifest(zoo: Path, docs: Path) -> pd.DataFrame:
    """The zoo by the policies of params.yaml."""
    return validate(zoo, params_with({"validate.max_file_mb": 0.5}), docs)


@pytest.fixture(scope="module")
def opposite(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The zoo by the opposite of every policy."""
    changes = OPPOSITE | {"validate.max_file_mb": 0.5}
    return validate(zoo, params_with(changes), tmp_path_factory.mktemp("docs-opposite"))


def expected_reasons(way: int) -> dict[str, str]:
    expected = {name: reasons[way] for name, reasons in EXPECTED.items()}
    return {f"photo-{seed:03}.png": "" for seed in range(PLAIN)} | expected


def test_every_file_gets_just_the_reasons_made_for_it(zoo: Path, manifest: pd.DataFrame) -> None:
    found = reasons_of(manifest)
    assert list(found) == source.list_files(zoo)
    assert found == expected_reasons(0)


def test_the_opposite_policies_turn_the_verdicts_around(opposite: pd.DataFrame) -> None:
    assert reasons_of(opposite) == expected_reasons(1)


def test_the_zoo_shows_every_reason_of_the_closed_list(manifest: pd.DataFrame, opposite: pd.DataFrame) -> None:
    named = ";".join([*manifest["reasons"], *opposite["reasons"]]).split(";")
    # No file is known that hangs or crashes a reader: test_inspection has readers that do.
    assert set(named) - {""} == {rule.reason for rule in rules.RULES} - {"too_slow", "crashed"}


@pytest.mark.parametrize("name", ["manifest", "opposite"])
def test_verdicts_follow_from_reasons_and_accepted_photos_have_all_they_need(
    name: str, request: pytest.FixtureRequest
) -> None:
    table = request.getfixturevalue(name)
    accepted = table["verdict"] == "accepted"
    assert ((table["reasons"] == "") == accepted).all()
    assert set(table["verdict"]) == {"accepted", "rejected"}
    assert table["group"].notna().all()
    needed = ["width", "height", "left", "top", "right", "bottom", "sha256", "phash", "split", "colorfulness"]
    assert table.loc[accepted, needed].notna().all(axis=None)
    assert table.loc[accepted, "problem"].isna().all()
    assert (table.loc[accepted].groupby("group")["split"].nunique() == 1).all()


def test_problems_keep_their_detail(manifest: pd.DataFrame) -> None:
    detail = manifest.set_index("path")["detail"]
    assert detail["empty.png"] == "the file is empty"
    assert detail["pipe.png"] == detail["linked"] == "not a regular file"
    assert detail["gone.png"] == "No such file or directory"
    assert "truncated" in detail["cut.jpg"]


def test_trimmed_bars_are_left_out_of_the_box(manifest: pd.DataFrame) -> None:
    boxed = manifest.set_index("path").loc["boxed.png"]
    assert (boxed["left"], boxed["top"], boxed["right"], boxed["bottom"]) == (0, 31, 160, 169)
    assert summarize(manifest)["n_letterboxed"] == 2


def test_without_trimming_the_box_is_the_whole_photo(opposite: pd.DataFrame) -> None:
    known = opposite[opposite["left"].notna()]
    assert (known["left"] == 0).all() and (known["top"] == 0).all()
    assert (known["right"] == known["width"]).all() and (known["bottom"] == known["height"]).all()
    assert summarize(opposite)["n_letterboxed"] == 0


def test_a_near_copy_shares_a_group_and_a_held_out_group_keeps_its_smallest_member(manifest: pd.DataFrame) -> None:
    table = manifest.set_index("path")
    assert table.loc["near-kept.png", "group"] == table.loc["near-left-out.png", "group"]
    assert table.loc["near-kept.png", "split"] == "test"
    assert pd.isna(table.loc["near-left-out.png", "split"])


def test_summary_and_line_count_the_same(manifest: pd.DataFrame) -> None:
    summary = summarize(manifest)
    assert summary["n_files"] == len(manifest)
    assert summary["n_accepted"] + summary["n_rejected"] == summary["n_files"]
    assert sum(summary["by_split"].values()) == summary["n_accepted"]
    assert summary["rejected_by_reason"]["damaged"] == 3
    assert summary["rejected_by_reason"]["exact_duplicate"] == 2
    line = validation.counts_line(manifest)
    start = f"{summary['n_accepted']} of {summary['n_files']} files accepted; rejected {summary['n_rejected']}: "
    assert line.startswith(start)
    assert "damaged 3" in line and "\n" not in line
    # More reasons than files look like a mistake where nothing says that a file may have several.
    assert sum(summary["rejected_by_reason"].values()) > summary["n_rejected"]
    assert line.endswith(" (a file may have several reasons)")
    once = manifest[manifest["reasons"].isin(["", "exact_duplicate"])]
    assert validation.counts_line(once).endswith("; rejected 2: exact_duplicate 2")


def test_counts_line_without_rejections_is_short(manifest: pd.DataFrame) -> None:
    accepted = manifest[manifest["verdict"] == "accepted"]
    assert validation.counts_line(accepted) == f"{len(accepted)} of {len(accepted)} files accepted"


def test_data_docs_name_the_expectations_and_the_files(manifest: pd.DataFrame, docs: Path) -> None:
    assert (docs / "index.html").is_file()
    pages = "".join(page.read_text(encoding="utf-8") for page in docs.rglob("*.html"))
    for text in (
        *(rule.description for rule in rules.RULES if not rule.of_set),
        "No photo occurs twice",
        "sepia.png",
        "near-left-out.png",
    ):
        assert text in pages, text


def test_a_second_run_gives_the_same_manifest(zoo: Path, manifest: pd.DataFrame, tmp_path: Path) -> None:
    again = validate(zoo, params_with({"validate.max_file_mb": 0.5}), tmp_path / "docs")
    write_manifest(manifest, tmp_path / "1.csv")
    write_manifest(again, tmp_path / "2.csv")
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


# Gates


def test_too_few_photos_stop_with_counts_and_the_way_out(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5)
    (tmp_path / "photos" / "notes.txt").write_text("x")
    line = stopped(tmp_path / "photos", params_with({"validate.min_accepted": 6}), tmp_path / "docs")
    expected = f"data.dir: {tmp_path / 'photos'}: 5 of 6 files accepted; rejected 1: not_an_image 1. At least "
    expected += "validate.min_accepted = 6 are needed: add color photos, or accept more of these by validate.policy"
    assert line == expected
    page = (tmp_path / "docs" / "set.html").read_text(encoding="utf-8")
    assert "Status: Failed" in " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_too_many_rejected_files_stop_with_counts_and_the_way_out(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 5)
    for number in range(15):
        (tmp_path / "photos" / f"{number}.txt").write_text(str(number))
    line = stopped(tmp_path / "photos", params_with({"validate.max_rejected_share": 0.7}), tmp_path / "docs")
    assert line.startswith(f"data.dir: {tmp_path / 'photos'}: 5 of 20 files accepted; rejected 15: not_an_image 15.")
    assert "More than validate.max_rejected_share = 0.7 of the files are rejected" in line


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo], ids=["not images", "not files"])
def test_a_folder_without_any_photo_stops_with_a_clear_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "photos").mkdir()
    make(tmp_path / "photos" / "a.jpg")
    line = stopped(tmp_path / "photos", params_with(), tmp_path / "docs")
    assert re.search(r": 0 of 1 files accepted; rejected 1: \w+ 1\. At least validate\.min", line)


def test_a_share_of_rejected_files_at_just_the_limit_passes_and_an_empty_split_stops(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(4):
        save_into_split(Image.fromarray(make_photo(seed)), folder / f"{seed}.png", "train")
    for number in range(4):
        (folder / f"{number}.txt").write_text(str(number))
    line = stopped(folder, params_with({"validate.max_rejected_share": 0.5}), tmp_path / "docs")
    expected = "data.split: no photo fell into val and test (4 accepted): add photos, raise data.split.val (now 0.3) "
    assert line == expected + "or try another data.split.seed"


def test_names_that_are_not_utf8_and_names_that_look_like_them_get_their_own_verdicts(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write_photos(folder, 20)
    try:
        (folder / "photo-000.png").rename(folder / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (folder / "\\udcff.png").write_text("a text whose name is what Data Docs show for the photo's")
    (folder / "new\nline, comma.png").write_text("x")
    found = reasons_of(validate(folder, params_with(), tmp_path / "docs"))
    assert found[os.fsdecode(b"\xff.png")] == ""
    assert found["\\udcff.png"] == "not_an_image"
    assert found["new\nline, comma.png"] == "not_an_image"
    assert len(found) == 22


def test_an_expectation_that_fails_to_run_accepts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suites = validation.Suites(tmp_path / "docs")
    monkeypatch.setattr(rules, "examined_columns", lambda *_: {})  # the table lacks the column
    channels = next(rule for rule in rules.RULES if rule.reason == "channels")
    with pytest.raises(RuntimeError, match=r"expectation channels: .*channels"):
        suites.run("files", [channels], pd.DataFrame({"path": ["x.png"]}), params_with().validate_)


# The pages


TAG = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Data Docs of a folder with names that mean something to HTML; text by the path of the page."""
    folder, docs = tmp_path_factory.mktemp("names"), tmp_path_factory.mktemp("names-docs")
    write_photos(folder, 12)
    (folder / TAG).write_text("x")
    (folder / "a&b.png").write_text("x")
    (folder / "b${name}$.png").write_text("x")
    # On the page of the set too: the second of two equal files.
    (folder / TAG.replace(".jpg", ".png")).write_bytes((folder / "photo-000.png").read_bytes())
    validate(folder, params_with(), docs)
    return {page.relative_to(docs).as_posix(): page.read_text(encoding="utf-8") for page in docs.rglob("*.html")}


def test_data_docs_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Great Expectations logs a full disk and goes on with the next page."""
    write_photos(tmp_path / "photos", 25)
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "files.html").write_text("of the last validation")
    writes: list[object] = []
    write = TupleFilesystemStoreBackend._set

    def fill(self: Any, key: Any, value: Any, **options: Any) -> Any:
        writes.append(key)
        if len(writes) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, key, value, **options)

    with monkeypatch.context() as patched:
        patched.setattr(TupleFilesystemStoreBackend, "_set", fill)
        with pytest.raises(OSError, match="No space left on device") as caught:
            validate(tmp_path / "photos", params_with(), docs)
    assert caught.value.filename == str(docs) and len(writes) == 4
    assert [path.name for path in docs.iterdir()] == ["files.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs", "photos"]
    validate(tmp_path / "photos", params_with(), docs)
    assert "of the last validation" not in (docs / "files.html").read_text() and (docs / "set.html").exists()


def test_file_names_are_text_in_data_docs(pages: dict[str, str]) -> None:
    assert not [name for name, text in pages.items() if "<img src=x" in text]
    shown = [name for name, text in pages.items() if "&lt;img src=x onerror=alert(1)&gt;.jpg" in text]
    assert "files.html" in shown and any(name.startswith("validations/files/") for name in shown)
    assert "a&amp;b.png" in pages["files.html"] and "b${name}$.png" in pages["files.html"]


class Loads(HTMLParser):
    """What a browser would fetch to show a page, and where its links lead."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.loads += [found[name] for name in ("src", "srcset") if name in found]
        self.loads += [found["href"]] if tag == "link" else []
        self.links += [found["href"]] if tag == "a" else []
        assert tag != "script"


@pytest.mark.parametrize("name", ["files.html", "set.html"])
def test_the_pages_of_results_load_nothing_and_lie_where_they_can_be_found(pages: dict[str, str], name: str) -> None:
    text = pages[name]
    page = Loads(text)
    assert page.loads == []
    assert not re.search(r"url\(|@import", text)
    assert {link for link in page.links if not link.startswith("#")} <= set(pages)
    assert "No photo occurs twice" in pages["set.html"] and "Files can be read" in pages["files.html"]


def test_the_index_is_not_empty_without_a_network(pages: dict[str, str]) -> None:
    """Scripts from a CDN fill its table: what is left without them led nowhere."""
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", pages["index.html"], flags=re.DOTALL)
    assert re.findall(r'<a href="(\w+\.html)">(\w+)</a>', plain) == [("files.html", "files"), ("set.html", "set")]


def test_the_page_of_the_set_has_a_named_run_and_is_no_failure_where_only_copies_are_left_out(
    pages: dict[str, str],
) -> None:
    """The copy is named all the same."""
    text = " ".join(re.sub(r"<[^>]+>", " ", pages["set.html"]).split())
    assert "Status: Succeeded" in text and "Status: Failed" not in text
    assert "photo-000.png" in text
    assert "Run Name validate" in text and "__none__" not in text
    assert any(name.startswith("validations/set/validate/") for name in pages)


def test_a_made_up_rule_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path / "photos", 12)
    write_photos(tmp_path / "photos", 2, first_seed=50, width=300)
    write_photos(tmp_path / "photos", 1, first_seed=60, width=330)
    narrower = rules.Policy("wide", ("reject", "halve"), lambda read, facts, choice: read // (1 + (choice == "halve")))
    rule = rules.Rule(
        "too_wide", "Photos are not wide", "width", rules.BETWEEN, lambda limits: {"max_value": limits.min_side + 32},
        (narrower,),
    )  # fmt: skip
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, rule))
    policy = params_with().validate_.policy
    with pytest.raises(ChromascapeError, match=r"^params.yaml: validate.policy.wide: this key is missing$"):
        rules.check_policy(policy)
    with pytest.raises(ChromascapeError, match=r"validate.policy.wide: must be 'reject' or 'halve' \(it is 'cut'\)$"):
        rules.check_policy(policy | {"wide": "cut"})
    rules.check_policy(policy | {"wide": "halve"})
    assert rules.RULES[-1].reason == "too_wide"
    for choice, count in (("reject", 3), ("halve", 1)):
        params = params_with({"validate.policy.wide": choice})
        found = reasons_of(validate(tmp_path / "photos", params, tmp_path / "docs"))
        assert sum(reason == "too_wide" for reason in found.values()) == count
    assert "Photos are not wide" in (tmp_path / "docs" / "files.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", ["train_only", "test_only"])
def test_a_slip_in_a_folder_s_name_stops_before_any_file_is_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    folder = tmp_path / "photos"
    write_photos(folder / "extra", 1)
    monkeypatch.setattr(validation.inspection, "inspect_folder", lambda *_: pytest.fail("inspected"))
    with pytest.raises(ChromascapeError, match=rf"^data\.{key}: 'extras' does not exist: "):
        validate(folder, params_with({f"data.{key}": ["extra", "extras"]}), tmp_path / "docs")
