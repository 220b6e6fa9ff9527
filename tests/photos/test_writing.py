"""Every format holds what the table says of it."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import make_photo, png
from PIL import ExifTags, Image
from test_metadata import MAKERS_NOTE, camera_exif, opened

from chromascape.photos import reading
from chromascape.photos.encoders import srgb_profile
from chromascape.photos.exif import Pixels
from chromascape.photos.metadata import Metadata, metadata
from chromascape.photos.source import PhotoError
from chromascape.photos.writing import (
    FORMATS,
    SUFFIXES,
    check_size,
    encoded,
    prepare,
    web_format,
    write,
    write_picture,
)

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'
ABOUT = Metadata(
    metadata(opened("JPEG", exif=camera_exif()), Pixels(40, 30)).exif,
    XMP,
    (300.0, 150.0),
    {"Author": "Ængström"},
    b"attic",
    True,
)
DEEP = [name for name, entry in FORMATS.items() if entry.deep]


def written(tmp_path: Path, name: str, picture: Image.Image | np.ndarray, about: Metadata = ABOUT) -> Image.Image:
    path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
    with path.open("wb") as file:
        write_picture(picture, file, name, about)
    image = Image.open(path)
    image.load()
    return image


def check_metadata(name: str, image: Image.Image) -> None:
    kept = FORMATS[name].kept
    if "exif" in kept:
        assert image.getexif()[ExifTags.Base.Make] == "Lens & Sons"
        assert image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == MAKERS_NOTE
    if "xmp" in kept or "pnginfo" in kept:
        xmp = image.info["xmp"]
        assert (xmp if isinstance(xmp, bytes) else xmp.encode()) == XMP
        assert image.info["icc_profile"] == srgb_profile()
    if "dpi" in kept:
        assert tuple(image.info["dpi"]) == pytest.approx((300, 150), abs=0.1)
    if "comment" in kept:
        assert image.info["comment"] == b"attic"
    if "pnginfo" in kept:
        assert image.text["Author"] == "Ængström"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FORMATS)
def test_colors_transparency_and_metadata(tmp_path: Path, name: str) -> None:
    picture = Image.fromarray(make_photo(0, 96, 80))
    image = written(tmp_path, name, picture)
    assert (image.format, image.size, image.mode) == (name, picture.size, "RGB")
    assert np.abs(np.asarray(image).astype(int) - np.asarray(picture)).mean() < 6
    check_metadata(name, image)
    picture.putalpha(0)
    image = written(tmp_path, name, picture)
    assert image.mode == ("RGBA" if FORMATS[name].alpha else "RGB")
    if not FORMATS[name].alpha:
        assert np.asarray(image).min() > 250


def rows_of_png(data: bytes, width: int, channels: int) -> np.ndarray:
    """All bits of a color PNG of 16 bits, whose rows are differences from the rows above; Pillow reads 8 of them."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        packed += data[at + 8 : at + 8 + length] * (kind == b"IDAT")
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(-1, 1 + 2 * channels * width)
    assert set(rows[:, 0]) == {2}
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).view(">u2").reshape(-1, width, channels)


def rows_of_tiff(image: Image.Image, data: bytes) -> np.ndarray:
    (start,), (count,) = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    return np.frombuffer(data[start : start + count], "<u2").reshape(image.height, image.width, -1)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize(("height", "channels"), [(1, 3), (64, 3), (150, 3), (70, 4)])
def test_16_bits_are_all_there(tmp_path: Path, name: str, height: int, channels: int) -> None:
    generator = np.random.default_rng(height)
    deep = generator.integers(0, 65536, (height, 70, channels), np.uint16)
    image = written(tmp_path, name, deep)
    assert image.size == (70, height) and len(image.getbands()) == channels
    check_metadata(name, image)
    data = (tmp_path / f"a{FORMATS[name].suffixes[0]}").read_bytes()
    np.testing.assert_array_equal(rows_of_png(data, 70, channels) if name == "PNG" else rows_of_tiff(image, data), deep)


@pytest.mark.parametrize("name", DEEP)
def test_16_bits_without_metadata(tmp_path: Path, name: str) -> None:
    image = written(tmp_path, name, np.full((5, 6, 3), 40_000, np.uint16), Metadata())
    assert image.getpixel((3, 3)) == (156, 156, 156)
    assert metadata(image, Pixels(6, 5)).dpi is None and "icc_profile" not in image.info and "xmp" not in image.info


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in FORMATS:
        picture = Image.fromarray(make_photo(0, 96, 80))
        path = tmp_path / f"a{FORMATS[name].suffixes[0]}"
        written(tmp_path, name, picture)
        before = path.read_bytes()
        srgb_profile.cache_clear()
        written(tmp_path, name, picture)
        assert path.read_bytes() == before


def test_what_a_format_cannot_hold_is_left_out_and_told(tmp_path: Path) -> None:
    long = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(70_000)
    about = Metadata(exif=long, xmp=b"x" * 70_000, comment=b"kept")
    image = written(tmp_path, "JPEG", Image.new("RGB", (9, 9)), about)
    assert image.info["comment"] == b"kept" and "exif" not in image.info and "xmp" not in image.info
    Image.new("L", (9, 9)).save(tmp_path / "a.png", exif=long)
    said = {name: prepare(reading.open_photo((tmp_path / "a.png").read_bytes()), name).notes for name in FORMATS}
    assert said.pop("JPEG") == ("EXIF of 70,020 bytes is left out, JPEG has at most 65,469: write PNG or TIFF",)
    for name in ("BMP", "PPM", "JPEG2000"):
        assert said.pop(name) == (f"{name} holds no EXIF: it is left out",)
    assert set(said.values()) == {()}


def test_a_transparent_level_of_16_bits_gray_stays_or_is_told(tmp_path: Path) -> None:
    values = np.full((9, 9), 500, np.uint16)
    values[0] = 501
    Image.fromarray(values).save(tmp_path / "a.png", transparency=500)
    for name in FORMATS:
        photo = prepare(reading.open_photo((tmp_path / "a.png").read_bytes()), name)
        strips = [(rows, np.repeat(gray[..., None], 3, -1), alpha) for rows, (gray, alpha) in [
            (slice(0, 9), photo.pixels.rows(slice(0, 9)))
        ]]  # fmt: skip
        image = Image.open(io.BytesIO(encoded(photo, strips)))
        if FORMATS[name].alpha:
            assert sorted(image.getchannel("A").getcolors() or []) == [(9, 255), (72, 0)], name
        else:
            assert f"{name} has no transparency: transparent parts become white" in photo.notes


@pytest.mark.parametrize(("color", "channels"), [(4, 2), (2, 3), (6, 4)])
def test_16_bits_of_which_8_are_read_are_told(color: int, channels: int) -> None:
    data = png(2, 1, 16, color, bytes(1 + 4 * channels))
    assert prepare(reading.open_photo(data), "PNG").notes == (
        "has 16 bits per channel: of color, and of gray with transparency, 8 are read",
    )
    assert prepare(reading.open_photo(data), "WEBP").notes == ("WEBP has 8 bits per channel, the photo 16",)


@pytest.mark.parametrize(("name", "side"), [("WEBP", 16_383), ("JPEG", 65_500), ("AVIF", 65_535)])
def test_sides_that_are_too_long_are_refused(name: str, side: int) -> None:
    check_size(name, side, 1)
    with pytest.raises(PhotoError, match=f"^1 × {side + 1}, but {name} has at most .* pixels per side: write PNG"):
        check_size(name, 1, side + 1)


def test_each_suffix_has_one_format() -> None:
    assert len(SUFFIXES) == sum(len(entry.suffixes) for entry in FORMATS.values())


def test_a_page_gets_the_same_bytes_as_the_command_line(tmp_path: Path) -> None:
    gray = Image.fromarray(make_photo(0, 96, 80)).convert("L")
    gray.save(tmp_path / "a.jpg", exif=camera_exif(), dpi=(300, 150), icc_profile=srgb_profile())
    image = reading.open_photo((tmp_path / "a.jpg").read_bytes())
    photo = prepare(image, web_format(image))
    colors = make_photo(1, 80, 96)
    strips = [(slice(0, 50), colors[:50], None), (slice(50, 96), colors[50:], None)]
    data = encoded(photo, strips)
    with (tmp_path / "b.jpg").open("wb") as file:
        write(photo, strips, file)
    assert data == (tmp_path / "b.jpg").read_bytes() and photo.media_type == "image/jpeg"
    written = Image.open(tmp_path / "b.jpg")
    assert tuple(written.info["dpi"]) == (150, 300) and written.info["icc_profile"] == srgb_profile()
    assert written.getexif()[ExifTags.Base.Make] == "Lens & Sons"
    assert [layer[1:3] for layer in written.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]  # no color at half size
