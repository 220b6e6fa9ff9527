"""Inspection: the facts of each file."""

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
from conftest import load_rgb, make_photo, save, write_photos
from hostile import hostile_inspect
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from chromascape.params import Params
from chromascape.photos import inspection, reading, source
from chromascape.photos.manifest import COLUMNS, INTEGERS
from chromascape.photos.validation import validate_folder

pytestmark = pytest.mark.usefixtures("quick_workers")
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)
LIMITS = source.Limits(max_pixels=1_000_000, max_file_bytes=1_000_000)


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


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params({"validate.seconds": 0}).validate_  # so that one job reads in this process


def test_a_row_tells_what_a_photo_is(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", make_photo(0))
    row = inspection.inspect(tmp_path, "x.png", LIMITS)
    assert set(row) == {*COLUMNS, "likeness"} - {"verdict", "reasons", "group", "split", "problem", "detail"}
    assert row["sha256"] == source.sha256(path.read_bytes())
    assert row["bytes"] == path.stat().st_size
    assert len(row["phash"]) == 16 and int(row["phash"], 16) >= 0
    assert row["colorfulness"] > 50
    known = {"path": "x.png", "format": "PNG", "mode": "RGB", "channels": 3, "bit_depth": 8, "frames": 1}
    known |= {"width": 160, "height": 144, "orientation": 1, "extension_matches": True}
    known |= {"left": 0, "top": 0, "right": 160, "bottom": 144, "camera": None, "taken": None}
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
        ("I", "x.pgm", 1, 16),
        ("F", "x.tif", 1, 32),
    ],
)
def test_modes_have_their_channels_and_depth(tmp_path: Path, mode: str, name: str, channels: int, depth: int) -> None:
    picture = Image.fromarray(make_photo(0))
    if mode == "F":
        picture = Image.fromarray(np.asarray(picture.convert("L"), np.float32) / 255)
    else:
        picture = picture.convert("L").convert(mode) if mode in ("I;16", "I") else picture.convert(mode)
    save(tmp_path / name, picture)
    row = inspection.inspect(tmp_path, name, LIMITS)
    assert (row["mode"], row["channels"], row["bit_depth"]) == (mode, channels, depth)
    assert "problem" not in row
    assert (row["colorfulness"] is None) == (mode in ("L", "LA", "1", "I;16", "I", "F"))


def test_a_16_bit_color_png_has_16_bits_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png_16_bit(make_photo(0)))
    row = inspection.inspect(tmp_path, "x.png", LIMITS)
    assert (row["mode"], row["bit_depth"], row["channels"]) == ("RGB", 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif"])
def test_width_and_height_are_those_of_the_upright_photo(tmp_path: Path, name: str, orientation: int) -> None:
    save(tmp_path / name, make_photo(0, 64, 48), exif=exif_with(orientation))
    row = inspection.inspect(tmp_path, name, LIMITS)
    upright = load_rgb(tmp_path / name)
    assert row["orientation"] == orientation
    assert upright.size == ((48, 64) if orientation >= 5 else (64, 48))
    assert (row["width"], row["height"]) == upright.size
    assert (row["left"], row["top"], row["right"], row["bottom"]) == (0, 0, *upright.size)


def test_the_box_of_a_turned_photo_is_that_of_the_upright_one(tmp_path: Path) -> None:
    stored = np.zeros((100, 140, 3), np.uint8)
    stored[20:90] = make_photo(1, 140, 70)  # bars above and below; upright they lie right and left
    save(tmp_path / "x.png", stored, exif=exif_with(6))
    row = inspection.inspect(tmp_path, "x.png", LIMITS)
    assert (row["left"], row["top"], row["right"], row["bottom"]) == (11, 0, 79, 140)


@pytest.mark.parametrize(("width", "height"), [(1100, 1300), (2050, 1537)])
def test_the_box_of_a_large_photo_is_in_its_own_pixels_and_holds_no_bar(
    tmp_path: Path, width: int, height: int
) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[101 : height - 203] = make_photo(1, width, height - 304)
    for name in ("x.png", "x.jpg"):
        save(tmp_path / name, picture)
        row = inspection.inspect(tmp_path, name, source.Limits())
        assert (row["left"], row["right"]) == (0, width)
        assert 101 <= row["top"] <= 101 + 16
        assert height - 203 - 16 <= row["bottom"] <= height - 203


@pytest.mark.parametrize(
    ("name", "matches"), [("x.jpg", True), ("x.JPEG", True), ("x.png", False), ("x", False), ("x.jpg.txt", False)]
)
def test_extensions_are_compared_with_the_format(tmp_path: Path, name: str, matches: bool) -> None:
    save(tmp_path / name, make_photo(0), format="JPEG")
    assert inspection.inspect(tmp_path, name, LIMITS)["extension_matches"] is matches


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
        row = inspection.inspect(tmp_path, name, LIMITS)
        assert row["problem"] == problem and row["detail"]
        assert set(row) == {"path", "problem", "detail"} | columns
    row = inspection.inspect(tmp_path, "cut.jpg", LIMITS)
    assert row["problem"] == "damaged" and "truncated" in row["detail"]
    assert (row["width"], row["mode"]) == (160, "RGB")
    assert "phash" not in row


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.gif", "x.bmp"])
def test_a_cut_file_is_damaged_in_the_manifest(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, make_photo(0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert inspection.inspect(tmp_path, name, LIMITS)["problem"] == "damaged"


def test_a_png_with_damage_in_the_middle_is_damaged_in_the_manifest(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", make_photo(0))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    path.write_bytes(data)
    assert inspection.inspect(tmp_path, "x.png", LIMITS).get("problem") == "damaged"


def test_a_mode_without_conversion_is_no_problem_but_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(image: Image.Image) -> None:
        raise source.PhotoError("mode", "no way to RGB")

    save(tmp_path / "x.png", make_photo(0))
    monkeypatch.setattr(reading, "to_rgb", refuse)
    row = inspection.inspect(tmp_path, "x.png", LIMITS)
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
    row = inspection.inspect(folder, "x", LIMITS)
    if row.get("problem") is None and not row.get("detail"):
        assert load_rgb(folder / "x", LIMITS).size == (row["width"], row["height"])
        assert 0 <= row["left"] < row["right"] <= row["width"]
        assert 0 <= row["top"] < row["bottom"] <= row["height"]
    else:
        assert row["problem"] in ("not_an_image", "damaged", "too_many_pixels", "unsupported", None)


def test_every_file_has_one_row_in_order(tmp_path: Path, validate: Any) -> None:
    write_photos(tmp_path / "b", 3)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "z").symlink_to("b", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.jpg")
    table = inspection.inspect_folder(tmp_path, validate, 1)
    names = ["a.txt", "b/photo-000.png", "b/photo-001.png", "b/photo-002.png", "gone.png", "pipe.jpg", "z"]
    assert table["path"].tolist() == names == source.list_files(tmp_path)
    assert list(table.columns) == [*COLUMNS, "likeness"]
    assert {column: str(table[column].dtype) for column in INTEGERS} == dict.fromkeys(INTEGERS, "Int64")
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
    table = inspection.inspect_folder(tmp_path, validate, 1)
    assert table["path"].tolist() == [name]
    assert table["width"].tolist() == [160]


def exif_of_shot(outer: dict[int, Any], inner: dict[int, Any]) -> Image.Exif:
    exif = Image.Exif()
    exif.update(outer)
    exif.get_ifd(ExifTags.IFD.Exif).update(inner)
    return exif


MAKE, MODEL, SERIAL = ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.BodySerialNumber
TIME, FRACTION = ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.avif"])
def test_camera_and_time_are_read_from_every_format_that_has_them(tmp_path: Path, name: str) -> None:
    inner = {TIME: "2021:05:03 10:11:12", FRACTION: "05", SERIAL: "00123"}
    exif = exif_of_shot({MAKE: "Canon", MODEL: "EOS  R5 "}, inner)
    save(tmp_path / name, make_photo(0), exif=exif.tobytes())  # as bytes: of an Exif, TIFFs get the outer tags alone
    row = inspection.inspect(tmp_path, name, LIMITS)
    assert row["camera"] == "Canon EOS R5 00123"
    assert row["taken"] == 1_620_036_672.05
    assert "problem" not in row


@pytest.mark.parametrize(
    ("outer", "inner", "camera"),
    [
        ({MAKE: "Nikon", MODEL: "D90"}, {}, "Nikon D90"),
        ({MODEL: "D90"}, {}, "D90"),
        ({MAKE: "Nikon"}, {SERIAL: "7"}, "Nikon 7"),
        ({}, {SERIAL: "7"}, None),  # numbers are unique within a maker at best
        ({MAKE: " ", MODEL: ""}, {}, None),
        ({MAKE: "N" * 101, MODEL: "D90"}, {}, "D90"),
        ({MAKE: "a\x07b"}, {}, None),
    ],
)
def test_a_camera_is_make_model_and_serial_number(
    tmp_path: Path, outer: dict[int, Any], inner: dict[int, Any], camera: str | None
) -> None:
    save(tmp_path / "x.jpg", make_photo(0), exif=exif_of_shot(outer, inner))
    assert inspection.inspect(tmp_path, "x.jpg", LIMITS)["camera"] == camera


@pytest.mark.parametrize(
    ("time", "fraction", "taken"),
    [
        ("1970:01:01 00:01:00", None, 60.0),
        ("1970:01:01 00:01:00", "5", 60.5),
        ("1970:01:01 00:01:00", "250 ", 60.25),
        ("1970:01:01 00:01:00", "-5", 60.0),
        ("1970:01:01 00:01:00", "1e9", 60.0),
        ("1969:12:31 23:59:59", None, -1.0),
        ("0000:00:00 00:00:00", None, None),
        ("2021:02:30 00:00:00", None, None),
        ("2021:02:03 24:00:00", None, None),
        ("2021-02-03 10:00:00", None, None),
        ("    :  :     :  :  ", None, None),
        ("2021:02:03", None, None),
        ("", "5", None),
        (None, "5", None),
    ],
)
def test_odd_times_are_missing_and_odd_fractions_are_nothing(
    tmp_path: Path, time: str | None, fraction: str | None, taken: float | None
) -> None:
    inner = {tag: value for tag, value in ((TIME, time), (FRACTION, fraction)) if value is not None}
    save(tmp_path / "x.jpg", make_photo(0), exif=exif_of_shot({}, inner))
    assert inspection.inspect(tmp_path, "x.jpg", LIMITS)["taken"] == taken


ODD = st.none() | st.integers() | st.floats() | st.binary() | st.text() | st.tuples(st.integers(), st.text())
TIMES = st.sampled_from(["2021:05:03 10:11:12", "2021:13:03 10:11:12", "٢٠٢١:05:03 10:11:12", b"2021:05:03 10:11:12"])


@SETTINGS
@given(st.dictionaries(st.sampled_from([MAKE, MODEL, SERIAL, TIME, FRACTION]), ODD | TIMES))
def test_whatever_exif_holds_a_camera_is_a_name_and_a_time_a_finite_number(values: dict[int, Any]) -> None:
    class Hostile:
        def getexif(self) -> "Hostile":
            return self

        def get_ifd(self, tag: int) -> dict[int, Any]:
            return values

        def get(self, tag: int) -> Any:
            return values.get(tag)

    found: Any = inspection.shot(Hostile())  # type: ignore[arg-type]
    assert set(found) == {"camera", "taken"}
    camera, taken = found["camera"], found["taken"]
    assert camera is None or (camera.isprintable() and camera.strip() == camera != "" and len(camera) <= 302)
    assert taken is None or (isinstance(taken, float) and abs(taken) < 1e12)
    if values.get(TIME) == "2021:05:03 10:11:12":
        assert 1_620_036_672 <= taken < 1_620_036_673


@SETTINGS
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8))
@example([])
def test_broken_exif_never_stops_inspection(changes: list[tuple[float, int]]) -> None:
    exif = exif_of_shot({MAKE: "Canon", MODEL: "R5"}, {TIME: "2021:05:03 10:11:12", FRACTION: "05", SERIAL: "1"})
    data = bytearray(exif.tobytes())
    for place, value in changes:
        data[6 + int(place * (len(data) - 6))] = value  # behind `Exif\0\0`, by which it is known
    found = inspection.shot(reading.open_photo(encoded(Image.new("RGB", (16, 16)), "JPEG", exif=bytes(data))))
    if not changes:
        assert found == {"camera": "Canon R5 1", "taken": 1_620_036_672.05}
    assert found["camera"] is None or found["camera"].isprintable()
    assert found["taken"] is None or isinstance(found["taken"], float)


# Going on after a kill


class Killed(Exception):
    """Ends an inspection where a process would have been killed."""


@pytest.fixture
def inspected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that `inspect` measured, in order; known ones are not among them."""
    names: list[str] = []
    inspect = inspection.inspect

    def noted(folder: Path, name: str, limits: source.Limits, known: Any, entry: source.Entry) -> dict[str, Any]:
        row = inspect(folder, name, limits, known, entry)
        if row is not known:
            names.append(name)
        return row

    monkeypatch.setattr(inspection, "inspect", noted)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve files: ten photos, one of them damaged, one that is no photo, and a link to nowhere."""
    folder = tmp_path / "photos"
    write_photos(folder, 10)
    cut = folder / "photo-003.png"
    cut.write_bytes(cut.read_bytes()[:-500])
    (folder / "a.txt").write_text("no photo")
    (folder / "gone.png").symlink_to("nowhere")
    return folder


@pytest.fixture
def kept(folder: Path, tmp_path: Path, validate: Any, monkeypatch: pytest.MonkeyPatch, inspected: list[str]) -> Path:
    """What an inspection keeps that was killed after nine of the twelve files."""
    kept, inspect = tmp_path / "kept", inspection.inspect

    def killed(*arguments: Any) -> dict[str, Any]:
        if len(inspected) == 9:
            raise Killed
        return inspect(*arguments)

    kept.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(inspection, "inspect", killed)
        with pytest.raises(Killed):
            inspection.inspect_folder(folder, validate, 1, kept)
    inspected.clear()
    return kept


# a.txt and photo-000 to 006 are kept; the link has no content to know it by again.
LEFT = ["gone.png", "photo-007.png", "photo-008.png", "photo-009.png"]


def test_an_inspection_goes_on_from_the_files_already_inspected(
    kept: Path, folder: Path, validate: Any, inspected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = inspection.inspect_folder(folder, validate, 1, kept)
    assert inspected == LEFT
    assert capsys.readouterr().err == "validation resumes at file 8 of 12\n"
    pd.testing.assert_frame_equal(table, inspection.inspect_folder(folder, validate, 1))


def test_workers_go_on_too(kept: Path, folder: Path, validate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They get the known rows by way of a pickle."""
    monkeypatch.undo()  # a worker can't import `noted`
    data = (kept / "inspected.jsonl").read_bytes()
    table = inspection.inspect_folder(folder, validate, 2, kept)
    pd.testing.assert_frame_equal(table, inspection.inspect_folder(folder, validate, 1))
    after = (kept / "inspected.jsonl").read_bytes()
    assert after.startswith(data) and after.count(b"\n") == 11  # no row twice


def rewritten(path: Path) -> None:
    """Another content of the same size, with the same time."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path) -> None:
    """Another size, with the same time."""
    status = path.stat()
    os.truncate(path, status.st_size - 1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, cut], ids=lambda change: change.__name__)
def test_a_file_that_changed_meanwhile_is_inspected_again(
    kept: Path, folder: Path, validate: Any, inspected: list[str], change: Callable[[Path], None]
) -> None:
    change(folder / "photo-002.png")
    table = inspection.inspect_folder(folder, validate, 1, kept)
    assert inspected == ["gone.png", "photo-002.png", *LEFT[1:]]
    pd.testing.assert_frame_equal(table, inspection.inspect_folder(folder, validate, 1))


def test_a_file_of_which_only_the_time_changed_is_not_inspected_again(
    kept: Path, folder: Path, validate: Any, inspected: list[str]
) -> None:
    os.utime(folder / "photo-002.png", (0, 0))
    inspection.inspect_folder(folder, validate, 1, kept)
    assert inspected == LEFT


def test_files_that_came_or_went_meanwhile_are_seen(
    kept: Path, folder: Path, validate: Any, inspected: list[str]
) -> None:
    (folder / "photo-001.png").unlink()
    (folder / "photo-002.png").rename(folder / "photo-002b.png")
    table = inspection.inspect_folder(folder, validate, 1, kept)
    assert inspected == ["gone.png", "photo-002b.png", *LEFT[1:]]
    assert table["path"].tolist() == source.list_files(folder)


def test_a_row_with_flipped_bits_is_found_out_again(
    kept: Path, folder: Path, validate: Any, inspected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    journal = kept / "inspected.jsonl"
    data = bytearray(journal.read_bytes())
    data[data.index(b'"width": 160') + 9] ^= 1  # another width, as far as JSON knows
    journal.write_bytes(data)
    table = inspection.inspect_folder(folder, validate, 1, kept)
    assert len(inspected) == len(LEFT) + 1
    assert "1 of 8 lines damaged: their work is done again" in capsys.readouterr().err
    pd.testing.assert_frame_equal(table, inspection.inspect_folder(folder, validate, 1))


def test_what_rows_follow_from_is_in_the_fingerprint_and_nothing_else(validate: Any) -> None:
    here = inspection.fingerprint(Path("photos"), validate)
    for changes, same in [({"max_pixels": 9}, False), ({"max_file_mb": 9}, False), ({"min_accepted": 9}, True)]:
        other = validate.model_copy(update=changes)
        assert (inspection.fingerprint(Path("photos"), other) == here) is same
    assert inspection.fingerprint(Path("elsewhere"), validate) != here


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_photo_that_hangs_or_crashes_the_reader_is_rejected_and_the_rest_go_on(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 3)
    for name in ("a.png", "crash.png", "hang.png", "z.png"):
        save(photos / name, make_photo(7))
    monkeypatch.setattr(inspection, "inspect", hostile_inspect)
    params = make_params({"validate.seconds": 3, "validate.min_accepted": 3})
    manifest, _ = validate_folder(photos, params.data, params.validate_, tmp_path / "docs", jobs)
    rejected = manifest[manifest["problem"].notna()].set_index("path")
    assert rejected["reasons"].to_dict() == {"crash.png": "crashed", "hang.png": "too_slow"}
    assert rejected["verdict"].tolist() == ["rejected", "rejected"]
    assert rejected["detail"].tolist() == ["crashed the reader", "takes longer than 3 seconds to read"]
    others = manifest[manifest["problem"].isna()]
    assert others["path"].tolist() == ["a.png", "photo-000.png", "photo-001.png", "photo-002.png", "z.png"]
    assert others["phash"].notna().all()
