"""The manifest: a row for every file, groups of duplicates, and splits that never move."""

import csv
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import changed_params, load_rgb, make_photo, write_photos
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from chromascape import manifest as rows
from chromascape import photos
from chromascape.errors import ChromascapeError
from chromascape.params import Data, Params, Split

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)
LIMITS = photos.Limits(max_pixels=1_000_000, max_file_bytes=1_000_000)
SPLIT = Split(train=0.4, val=0.3, test=0.3, seed=1)
RANK = {"test": 0, "val": 1, "train": 2}


def save(path: Path, picture: np.ndarray | Image.Image, **options: Any) -> Path:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    image.save(path, **options)
    return path


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png_16_bit(rgb: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, by hand: Pillow writes none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", rgb.shape[1], rgb.shape[0], 16, 2, 0, 0, 0)
    pixels = b"".join(b"\0" + row.tobytes() for row in (rgb.astype(np.uint16) * 257).astype(">u2"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def table_of(contents: list[tuple[str, str | None, str | None]]) -> pd.DataFrame:
    """A manifest with what grouping needs, from (path, SHA-256, perceptual hash)."""
    return (
        pd.DataFrame(contents, columns=["path", "sha256", "phash"], dtype=object)
        .reindex(columns=rows.COLUMNS)
        .astype(rows.TYPES)
    )


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal tables, whatever the missing values are called."""
    assert list(left.columns) == list(right.columns)
    assert len(left) == len(right)
    for column in left:
        for here, there in zip(left[column], right[column], strict=True):
            missing = pd.isna(here) or here == ""
            assert (pd.isna(there) or there == "") if missing else here == there, column


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params().validate_


# One file


def test_a_row_tells_what_a_photo_is(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", make_photo(0))
    row = rows.inspect(tmp_path, "x.png", LIMITS)
    assert set(row) == set(rows.COLUMNS) - {"verdict", "reasons", "group", "split", "problem", "detail"}
    assert row["sha256"] == photos.sha256(path.read_bytes())
    assert row["bytes"] == path.stat().st_size
    assert len(row["phash"]) == 16 and int(row["phash"], 16) >= 0
    assert row["colorfulness"] > 50
    known = {"path": "x.png", "format": "PNG", "mode": "RGB", "channels": 3, "bit_depth": 8, "frames": 1}
    known |= {"width": 160, "height": 144, "orientation": 1, "extension_matches": True}
    known |= {"left": 0, "top": 0, "right": 160, "bottom": 144}
    assert {key: row[key] for key in known} == known


@pytest.mark.parametrize(
    ("mode", "name", "channels", "depth"),
    [
        ("L", "x.png", 1, 8),
        ("LA", "x.png", 2, 8),
        ("1", "x.png", 1, 1),
        ("P", "x.png", 1, 8),
        ("RGBA", "x.png", 4, 8),
        ("CMYK", "x.jpg", 4, 8),
        ("I;16", "x.png", 1, 16),
        ("I", "x.tif", 1, 32),
        ("F", "x.tif", 1, 32),
    ],
)
def test_modes_have_their_channels_and_depth(tmp_path: Path, mode: str, name: str, channels: int, depth: int) -> None:
    picture = Image.fromarray(make_photo(0))
    save(tmp_path / name, picture.convert("L").convert(mode) if mode in ("I;16", "I", "F") else picture.convert(mode))
    row = rows.inspect(tmp_path, name, LIMITS)
    assert (row["mode"], row["channels"], row["bit_depth"]) == (mode, channels, depth)
    assert "problem" not in row
    assert (row["colorfulness"] is None) == (mode in ("L", "LA", "1", "I;16", "I", "F"))


def test_a_16_bit_color_png_has_16_bits_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png_16_bit(make_photo(0)))
    row = rows.inspect(tmp_path, "x.png", LIMITS)
    assert (row["mode"], row["bit_depth"], row["channels"]) == ("RGB", 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif"])
def test_width_and_height_are_those_of_the_upright_photo(tmp_path: Path, name: str, orientation: int) -> None:
    save(tmp_path / name, make_photo(0, 64, 48), exif=exif_with(orientation))
    row = rows.inspect(tmp_path, name, LIMITS)
    upright = load_rgb(tmp_path / name)
    assert row["orientation"] == orientation
    assert upright.size == ((48, 64) if orientation >= 5 else (64, 48))
    assert (row["width"], row["height"]) == upright.size
    assert (row["left"], row["top"], row["right"], row["bottom"]) == (0, 0, *upright.size)


def test_the_box_of_a_turned_photo_is_that_of_the_upright_one(tmp_path: Path) -> None:
    stored = np.zeros((100, 140, 3), np.uint8)
    stored[20:90] = make_photo(1, 140, 70)  # bars above and below; upright they lie right and left
    save(tmp_path / "x.png", stored, exif=exif_with(6))
    row = rows.inspect(tmp_path, "x.png", LIMITS)
    assert (row["left"], row["top"], row["right"], row["bottom"]) == (11, 0, 79, 140)


@pytest.mark.parametrize(("width", "height"), [(1100, 1300), (2050, 1537)])
def test_the_box_of_a_large_photo_is_in_its_own_pixels_and_holds_no_bar(
    tmp_path: Path, width: int, height: int
) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[101 : height - 203] = make_photo(1, width, height - 304)
    for name in ("x.png", "x.jpg"):
        save(tmp_path / name, picture)
        row = rows.inspect(tmp_path, name, photos.Limits())
        assert (row["left"], row["right"]) == (0, width)
        assert 101 <= row["top"] <= 101 + 16
        assert height - 203 - 16 <= row["bottom"] <= height - 203


@pytest.mark.parametrize(
    ("name", "matches"), [("x.jpg", True), ("x.JPEG", True), ("x.png", False), ("x", False), ("x.jpg.txt", False)]
)
def test_extensions_are_compared_with_the_format(tmp_path: Path, name: str, matches: bool) -> None:
    save(tmp_path / name, make_photo(0), format="JPEG")
    assert rows.inspect(tmp_path, name, LIMITS)["extension_matches"] is matches


def test_what_is_no_photo_has_its_problem_and_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "large.jpg").write_bytes(bytes(1_000_001))
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    save(tmp_path / "wide.png", Image.new("RGB", (1001, 1000)))
    whole = save(tmp_path / "whole.jpg", make_photo(0)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[:2000])
    known: dict[str, tuple[str, set[str]]] = {
        "text.jpg": ("not_an_image", {"bytes", "sha256"}),
        "large.jpg": ("too_large", set()),
        "gone.jpg": ("unreadable", set()),
        "wide.png": ("too_many_pixels", {"bytes", "sha256"}),
    }
    for name, (problem, columns) in known.items():
        row = rows.inspect(tmp_path, name, LIMITS)
        assert row["problem"] == problem and row["detail"]
        assert set(row) == {"path", "problem", "detail"} | columns
    row = rows.inspect(tmp_path, "cut.jpg", LIMITS)
    assert row["problem"] == "damaged" and "truncated" in row["detail"]
    assert (row["width"], row["mode"]) == (160, "RGB")
    assert "phash" not in row


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.gif", "x.bmp"])
def test_a_cut_file_is_damaged_in_the_manifest(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, make_photo(0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert rows.inspect(tmp_path, name, LIMITS)["problem"] == "damaged"


def test_a_png_with_damage_in_the_middle_is_damaged_in_the_manifest(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", make_photo(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    path.write_bytes(data)
    assert rows.inspect(tmp_path, "x.png", LIMITS).get("problem") == "damaged"


def test_a_mode_without_conversion_is_no_problem_but_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(image: Image.Image) -> None:
        raise photos.PhotoError("mode", "no way to RGB")

    save(tmp_path / "x.png", make_photo(0))
    monkeypatch.setattr(photos, "to_rgb", refuse)
    row = rows.inspect(tmp_path, "x.png", LIMITS)
    assert (row["problem"], row["detail"], row["mode"]) == (None, "no way to RGB", "RGB")


def encoded(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, file_format, **options)
    return stream.getvalue()


@SETTINGS
@given(
    which=st.integers(0, 6),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
@example(which=6, changes=[])
def test_what_the_manifest_says_of_a_broken_file_is_true(
    tmp_path_factory: pytest.TempPathFactory, which: int, changes: list[tuple[float, int]]
) -> None:
    image = Image.fromarray(make_photo(1, 40, 32))
    data = bytearray(
        [
            encoded(image, "JPEG", exif=exif_with(6)),
            encoded(image, "PNG"),
            encoded(image, "PNG", exif=exif_with(8)),
            encoded(image.quantize(16), "PNG"),
            encoded(image, "WEBP"),
            encoded(image, "GIF"),
            encoded(image, "TIFF", exif=exif_with(5)),
        ][which]
    )
    for place, value in changes:
        data[int(place * len(data))] = value
    folder = tmp_path_factory.mktemp("broken")
    (folder / "x").write_bytes(data)
    row = rows.inspect(folder, "x", LIMITS)
    if row.get("problem") is None and not row.get("detail"):
        assert load_rgb(folder / "x", LIMITS).size == (row["width"], row["height"])
        assert 0 <= row["left"] < row["right"] <= row["width"]
        assert 0 <= row["top"] < row["bottom"] <= row["height"]
    else:
        assert row["problem"] in ("not_an_image", "damaged", "too_many_pixels", None)


# A folder


def test_every_file_has_one_row_in_order(tmp_path: Path, validate: Any) -> None:
    write_photos(tmp_path / "b", 3)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "z").symlink_to("b", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.jpg")
    table = rows.inspect_folder(tmp_path, validate, 1)
    names = ["a.txt", "b/photo-000.png", "b/photo-001.png", "b/photo-002.png", "gone.png", "pipe.jpg", "z"]
    assert table["path"].tolist() == names == photos.list_files(tmp_path)
    assert list(table.columns) == rows.COLUMNS
    assert {column: str(table[column].dtype) for column in rows.INTEGERS} == dict.fromkeys(rows.INTEGERS, "Int64")
    assert table["problem"].fillna("").tolist() == [
        "not_an_image",
        "",
        "",
        "",
        "unreadable",
        "unreadable",
        "unreadable",
    ]


def test_names_that_are_not_utf8_have_their_row(tmp_path: Path, validate: Any) -> None:
    name = os.fsdecode(b"\xff\xe9.png")
    try:
        save(tmp_path / name, make_photo(0))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    table = rows.inspect_folder(tmp_path, validate, 1)
    assert table["path"].tolist() == [name]
    assert table["width"].tolist() == [160]


def test_a_missing_folder_is_named(tmp_path: Path, validate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with pytest.raises(ChromascapeError) as caught:
        rows.inspect_folder(tmp_path / "no", validate, 1)
    assert str(caught.value) == f"data.dir: {tmp_path / 'no'} does not exist: write the path of your photos"


def test_a_tilde_is_explained() -> None:
    with pytest.raises(ChromascapeError) as caught:
        rows.check_folder(Path("~/no/such/photos"))
    expected = "data.dir: ~/no/such/photos does not exist ('~' is not expanded: write the whole path)"
    assert str(caught.value).startswith(expected)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("x")
    with pytest.raises(ChromascapeError) as caught:
        rows.check_folder(tmp_path / "x.zip")
    expected = f"data.dir: {tmp_path / 'x.zip'} is a file: write the folder that holds the photos"
    assert str(caught.value) == expected


def test_an_empty_folder_is_named(tmp_path: Path, validate: Any) -> None:
    (tmp_path / "inside").mkdir()
    with pytest.raises(ChromascapeError) as caught:
        rows.inspect_folder(tmp_path, validate, 1)
    expected = f"data.dir: {tmp_path} is empty: put your photos there or point data.dir elsewhere"
    assert str(caught.value) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_folder_without_permission_is_named(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(mode)
    try:
        with pytest.raises(ChromascapeError) as caught:
            rows.check_folder(folder)
    finally:
        folder.chmod(0o700)
    assert str(caught.value) == f"data.dir: {folder} can't be read: check its permissions"


def test_a_folder_that_the_system_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ChromascapeError) as caught:
        rows.check_folder(tmp_path)
    assert str(caught.value) == f"data.dir: {tmp_path} can't be read: check its permissions"


def test_an_experiment_in_a_temporary_copy_is_told_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / "photos").mkdir(parents=True)
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    with pytest.raises(ChromascapeError) as caught:
        rows.check_folder(Path("photos"))
    line = str(caught.value)
    assert line.startswith("data.dir: photos does not exist: this experiment runs in a temporary copy")
    assert line.endswith(f"write data.dir: {tmp_path / 'repository' / 'photos'}")
    with pytest.raises(ChromascapeError, match=r"no-such does not exist: write the path of your photos$"):
        rows.check_folder(Path("no-such"))


def test_only_a_relative_folder_outside_the_repository_gets_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / "data").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    assert rows.relative_note(Path("data")) == ""
    assert rows.relative_note(tmp_path / "photos") == ""
    note = rows.relative_note(Path("../photos"))
    assert note.startswith("note: data.dir: ../photos is relative and outside the repository.")
    assert note.endswith(f"for those write {tmp_path / 'photos'}\n")


# Groups


def brute_groups(hashes: list[str | None], bits: int) -> list[int]:
    """Groups by comparing every photo with every other, numbered by their first member."""
    groups = list(range(len(hashes)))
    for first, one in enumerate(hashes):
        for second, other in enumerate(hashes[:first]):
            if one and other and (int(one, 16) ^ int(other, 16)).bit_count() <= bits:
                old, new = sorted((groups[first], groups[second]), reverse=True)
                groups = [new if group == old else group for group in groups]
    return groups


def numbered_by_first(groups: np.ndarray) -> list[int]:
    listed = groups.tolist()
    return [listed.index(group) for group in listed]


@st.composite
def hash_lists(draw: st.DrawFn) -> list[str | None]:
    """Perceptual hashes in clusters a few bits apart, some missing."""
    bases = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    hashes: list[str | None] = []
    for _ in range(draw(st.integers(0, 25))):
        value = draw(st.sampled_from(bases))
        for bit in draw(st.lists(st.integers(0, 63), max_size=9)):
            value ^= 1 << bit
        hashes.append(None if draw(st.integers(0, 9)) == 0 else f"{value:016x}")
    return hashes


@SETTINGS
@given(hash_lists(), st.integers(0, 8))
@example([], 4)
@example([None, None], 4)
@example(["ffffffffffffffff", "ffffffffffffffff"], 0)
def test_near_groups_are_those_of_comparing_everything(hashes: list[str | None], bits: int) -> None:
    groups = rows.near_groups(pd.Series(hashes, dtype=object), bits)
    assert numbered_by_first(groups) == brute_groups(hashes, bits)


@pytest.mark.parametrize("bits", range(9))
def test_hashes_at_just_the_distance_are_near_wherever_the_bits_lie(bits: int) -> None:
    generator = np.random.default_rng(bits)
    for _ in range(20):
        value = int(generator.integers(0, 2**63))
        flipped = [int(bit) for bit in generator.permutation(64)[: bits + 1]]
        near = value ^ sum(1 << bit for bit in flipped[:bits])
        far = value ^ sum(1 << bit for bit in flipped)
        hashes = pd.Series([f"{value:016x}", f"{near:016x}"], dtype=object)
        assert len(set(rows.near_groups(hashes, bits).tolist())) == 1
        hashes[1] = f"{far:016x}"
        assert len(set(rows.near_groups(hashes, bits).tolist())) == 2


def test_groups_are_named_after_their_members_content_alone() -> None:
    one, two, three = "a" * 64, "b" * 64, "c" * 64
    near, far = "0000000000000000", "ffffffffffffffff"
    table = table_of([("p", two, near), ("q", one, near), ("r", three, far)])
    rows.add_groups(table, 4)
    assert table["group"][0] == table["group"][1] != table["group"][2]
    other = table_of([("elsewhere", one, near), ("p", two, "0000000000000001")])
    rows.add_groups(other, 4)
    assert other["group"].tolist() == [table["group"][0]] * 2
    assert table["group"].str.fullmatch("[0-9a-f]{12}").all()


def test_undecodable_files_share_a_group_only_with_their_copies() -> None:
    table = table_of([("a", "a" * 64, None), ("b", "a" * 64, None), ("c", "c" * 64, None), ("d", None, None)])
    table.loc[4] = table.loc[3]
    table.loc[4, "path"] = os.fsdecode(b"\xff")
    rows.add_groups(table, 4)
    groups = table["group"].tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda image, path: image.save(path.with_suffix(".jpg"), quality=70),
        lambda image, path: image.resize((300, 270)).save(path.with_stem("large")),
        lambda image, path: image.resize((120, 108)).save(path.with_stem("small")),
        lambda image, path: image.point(lambda level: level * 0.9).save(path.with_stem("darker")),
    ],
    ids=["jpeg", "enlarged", "reduced", "darkened"],
)
def test_a_changed_copy_shares_its_photo_s_group(tmp_path: Path, validate: Any, change: Any) -> None:
    paths = write_photos(tmp_path, 4)
    change(Image.open(paths[1]), paths[1])
    table = rows.inspect_folder(tmp_path, validate, 1)
    rows.add_groups(table, 4)
    groups = table.set_index("path")["group"]
    copy = next(name for name in groups.index if name not in [path.name for path in paths])
    assert groups[copy] == groups["photo-001.png"]
    assert groups.nunique() == 4


# Splits


@SETTINGS
@given(st.integers(0, 2**31), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_split_follows_from_content_and_seed(seed: int, sha256: str) -> None:
    split = Split(train=0.5, val=0.25, test=0.25, seed=seed)
    assert rows.split_of(sha256, split) == rows.split_of(sha256, split) in RANK
    # A larger test share takes from val, a smaller one gives to it: no photo goes from test to train.
    larger = Split(train=0.5, val=0.2, test=0.3, seed=seed)
    moved = (rows.split_of(sha256, split), rows.split_of(sha256, larger))
    assert moved[0] == moved[1] or moved == ("val", "test")


def test_splits_have_about_their_shares_and_another_seed_gives_others() -> None:
    split = Split(train=0.7, val=0.2, test=0.1, seed=0)
    contents = [photos.sha256(str(number).encode()) for number in range(4000)]
    found = [rows.split_of(content, split) for content in contents]
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert found.count(name) / len(found) == pytest.approx(share, abs=0.03)
    others = [rows.split_of(content, split.model_copy(update={"seed": 1})) for content in contents]
    assert 0.3 < np.mean([one != other for one, other in zip(found, others, strict=True)]) < 0.6


@st.composite
def folders(draw: st.DrawFn) -> list[tuple[str, str | None, str | None, bool]]:
    """Files as (path, SHA-256, perceptual hash, accepted): near and exact copies, and some that can't be decoded."""
    hashes = draw(hash_lists())
    contents = [(photos.sha256(str(number).encode()), phash) for number, phash in enumerate(hashes)]
    files: list[tuple[str, str | None, str | None, bool]] = []
    for number in range(draw(st.integers(0, 30)) if contents else 0):
        sha256, phash = draw(st.sampled_from(contents))
        accepted = phash is not None and draw(st.integers(0, 4)) > 0
        files.append((f"{number:03}", sha256, phash, accepted))
    if draw(st.booleans()):
        files.append(("999", None, None, False))
    return files


def split_up(files: list[tuple[str, str | None, str | None, bool]], bits: int) -> pd.DataFrame:
    table = table_of([file[:3] for file in files])
    accepted = pd.Series([file[3] for file in files], dtype=bool)
    rows.add_groups(table, bits)
    table["exact"], table["near"] = rows.add_splits(table, accepted, SPLIT, [])
    table["accepted"] = accepted
    return table.set_index("path")


@SETTINGS
@given(folders(), st.integers(0, 8))
def test_no_group_straddles_two_splits_and_nothing_is_left_out_without_need(
    files: list[tuple[str, str | None, str | None, bool]], bits: int
) -> None:
    table = split_up(files, bits)
    kept = table[table["split"].notna()]
    assert (kept.groupby("group")["split"].nunique() <= 1).all()
    assert (table["split"].notna() == (table["accepted"] & ~table["exact"] & ~table["near"])).all()
    assert not (table["exact"] & table["near"]).any()
    assert not ((table["exact"] | table["near"]) & ~table["accepted"]).any()
    for content, copies in table[table["accepted"]].groupby("sha256"):
        assert copies["exact"].tolist() == [False] + [True] * (len(copies) - 1)  # the first path is kept
        assert set(copies["split"].dropna()) <= {rows.split_of(str(content), SPLIT)}
    for _, photo in table[table["near"]].iterrows():
        winners = kept.loc[kept["group"] == photo["group"], "split"]
        assert RANK[winners.iloc[0]] < RANK[rows.split_of(photo["sha256"], SPLIT)]


@SETTINGS
@given(folders(), st.integers(0, 8), st.data())
def test_adding_photos_moves_no_photo_that_stays(
    files: list[tuple[str, str | None, str | None, bool]], bits: int, data: st.DataObject
) -> None:
    after = split_up(files, bits)
    there = [file for file in files if data.draw(st.booleans())]
    before = split_up(there, bits)
    split_before = before["split"].dropna()
    split_after = after.loc[split_before.index, "split"].dropna()
    assert (split_before[split_after.index] == split_after).all()


def test_adding_real_photos_moves_none_that_was_there(tmp_path: Path, validate: Any) -> None:
    def splits() -> pd.Series:
        table = rows.inspect_folder(tmp_path, validate, 1)
        rows.add_groups(table, 4)
        rows.add_splits(table, pd.Series(True, index=table.index), SPLIT, [])
        kept = table.dropna(subset="split")
        assert (kept.groupby("group")["split"].nunique() == 1).all()
        return kept.set_index("path")["split"].astype(str)

    write_photos(tmp_path, 20)
    before = splits()
    assert len(before) == 20 and before.nunique() == 3
    write_photos(tmp_path / "0-first", 15, first_seed=100)
    for seed in range(0, 20, 2):  # near copies of what is there
        save(tmp_path / f"copy-{seed}.jpg", make_photo(seed))
    after = splits()
    stayed = after.index.intersection(before.index)
    assert len(stayed) >= 10
    assert (after[stayed] == before[stayed]).all()


def test_an_empty_split_is_told_with_the_ways_out() -> None:
    data = Data(dir="photos", train_only=[], split=SPLIT)
    table = table_of([("a", "a" * 64, None), ("b", "b" * 64, None)])
    table["split"] = ["train", "train"]
    with pytest.raises(ChromascapeError) as caught:
        rows.check_splits(table, data)
    expected = "data.split: no photo fell into val and test (2 accepted): add photos, raise data.split.val (now 0.3) "
    assert str(caught.value) == expected + "or try another data.split.seed"
    table.loc[2] = table.loc[0]
    table["split"] = ["train", "val", "test"]
    rows.check_splits(table, data)


# The CSV


def full_table(names: list[str]) -> pd.DataFrame:
    table = table_of([(name, photos.sha256(name.encode("utf-8", "surrogateescape")), "0" * 16) for name in names])
    table["verdict"], table["reasons"], table["group"] = "accepted", "", "0123456789ab"
    for column in rows.INTEGERS:
        table[column] = pd.Series([1] * len(names), dtype="Int64")
    table.loc[0, rows.INTEGERS] = pd.NA
    table["colorfulness"] = 1 / 3
    table["split"] = "train"
    table.loc[0, ["split", "phash"]] = None
    table["extension_matches"] = pd.Series([None] + [True] * (len(names) - 1), dtype="boolean")
    return table


AWKWARD = ["a,b.png", "new\nline.png", 'quo"te.png', "emoji 🏔.png", "é ä 山.png", "NA", "nan", "123", "1e5", " lead"]
AWKWARD += [
    "trail ",
    "carriage\rreturn.png",
    "both\r\n.png",
    "tab\t.png",
    "\ufeffbom",
    os.fsdecode(b"\xff\xfe.png"),
    "'",
    "#",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_survives_the_csv(tmp_path: Path, name: str) -> None:
    table = full_table(["plain.png", name])
    rows.write_manifest(table, tmp_path / "data" / "manifest.csv")
    same(table[rows.COLUMNS], rows.read_manifest(tmp_path / "data" / "manifest.csv"))


def test_the_csv_comes_back_as_it_was_and_is_written_the_same_again(tmp_path: Path, validate: Any) -> None:
    write_photos(tmp_path / "photos", 3)
    (tmp_path / "photos" / "a,\n🏔.txt").write_text("x")
    save(tmp_path / "photos" / "gray.png", Image.fromarray(make_photo(9)).convert("L"))
    table = rows.inspect_folder(tmp_path / "photos", validate, 1)
    rows.add_groups(table, 4)
    table["verdict"], table["reasons"] = "accepted", ""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    rows.write_manifest(table, first)
    back = rows.read_manifest(first)
    same(table[rows.COLUMNS], back)
    assert str(back["width"].dtype) == "Int64"
    rows.write_manifest(back, second)
    assert first.read_bytes() == second.read_bytes()
    with first.open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == rows.COLUMNS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "2.csv", "photos"]


# Counts


def test_summarize_counts_files_by_verdict_reason_mode_and_split() -> None:
    table = full_table([f"{number}.png" for number in range(6)])
    table["verdict"] = ["accepted"] * 3 + ["rejected"] * 3
    table["reasons"] = ["", "", "", "channels;mode", "mode", "exact_duplicate"]
    table["mode"] = ["RGB", "RGB", "RGB", "L", "LAB", None]
    table["split"] = ["train", "train", "test", None, None, None]
    table["group"] = ["a", "a", "b", "c", "d", "b"]
    for column, value in {"left": 0, "top": 0, "right": 10, "bottom": 10, "width": 10, "height": 10}.items():
        table[column] = pd.Series([value] * 6, dtype="Int64")
    table.loc[1, "top"] = 2
    table.loc[5, ["left", "width"]] = pd.NA
    assert rows.summarize(table) == {
        "n_files": 6,
        "n_accepted": 3,
        "n_rejected": 3,
        "n_letterboxed": 1,
        "n_duplicate_groups": 2,
        "rejected_by_reason": {"channels": 1, "exact_duplicate": 1, "mode": 2},
        "by_mode": {"L": 1, "LAB": 1, "RGB": 3},
        "by_split": {"test": 1, "train": 2},
    }


def test_summarize_counts_the_same_after_the_csv(tmp_path: Path) -> None:
    table = full_table(["a.png", "b.png"])
    table["reasons"] = ["", "mode"]
    table["verdict"] = ["accepted", "rejected"]
    rows.write_manifest(table, tmp_path / "m.csv")
    assert rows.summarize(rows.read_manifest(tmp_path / "m.csv")) == rows.summarize(table)


def test_params_of_the_repository_name_a_usable_split() -> None:
    split = Params.model_validate(changed_params({})).data.split
    assert {rows.split_of(photos.sha256(str(number).encode()), split) for number in range(200)} == set(RANK)


# What DVC can't track


def untrackable(folder: Path) -> str:
    with pytest.raises(ChromascapeError) as caught:
        rows.check_trackable(folder)
    line = str(caught.value)
    assert line.startswith("data.dir: DVC can't track ") and f" of the files in {folder}: " in line
    assert line.endswith(": remove, rename or repair them") and "\n" not in line
    line.encode("utf-8")  # so that it can be printed
    return line


def test_photos_texts_and_links_are_trackable(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 1)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "link.png").symlink_to("in/photo-000.png")
    (tmp_path / "folder").symlink_to("in", target_is_directory=True)
    assert rows.check_trackable(tmp_path) is None


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "'x.png' (not a regular file)"),
        (lambda path: path.symlink_to("nowhere"), "'x.png' (broken link)"),
        (lambda path: path.symlink_to(path.name), "'x.png' (broken link)"),
    ],
    ids=["pipe", "broken link", "link to itself"],
)
def test_what_dvc_stops_at_is_named(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    write_photos(tmp_path, 1)
    make(tmp_path / "x.png")
    assert f"1 of the files in {tmp_path}: {problem}" in untrackable(tmp_path)


def test_a_name_that_is_not_utf8_is_untrackable(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff.png")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert r"'\udcff.png' (its name is not UTF-8)" in untrackable(tmp_path)


def test_of_many_untrackable_files_three_are_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").symlink_to("nowhere")
    line = untrackable(tmp_path)
    assert "can't track 5 of the files" in line
    assert line.count("(broken link)") == 3


def test_a_file_without_permission_is_untrackable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, 1)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "'photo-000.png' (no permission to read it)" in untrackable(tmp_path)


def test_photos_of_train_only_folders_are_never_held_out() -> None:
    paths = [f"{folder}/{number}.jpg" for folder in ("extra", "extras", "own") for number in range(60)]
    manifest = pd.DataFrame({"path": paths, "sha256": [f"{n:064x}" for n in range(180)], "group": range(180)})
    accepted = pd.Series(True, index=manifest.index)
    split = Split(train=0.4, val=0.3, test=0.3, seed=0)
    rows.add_splits(manifest, accepted, split, ["extra/"])
    by_folder = manifest.groupby(manifest["path"].str.split("/").str[0])["split"].agg(set)
    assert by_folder["extra"] == {"train"}
    assert by_folder["extras"] == by_folder["own"] == {"train", "val", "test"}
