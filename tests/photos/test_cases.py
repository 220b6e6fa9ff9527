"""Files that people have and that once came out wrong, each of one small photo: right, or refused by name."""

import io
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load_rgb, make_photo, png
from PIL import Image
from test_pixels import linear_profile
from test_profiles import encoded, renamed
from test_tiff import directory

from chromascape.colorizing.fullsize import Light
from chromascape.photos import inspection, reading
from chromascape.photos.pixels import Photo, assemble
from chromascape.photos.source import Limits, PhotoError, read_bytes

HEIGHT, WIDTH = 48, 64
COLOR = make_photo(3, WIDTH, HEIGHT)
GRAY = np.asarray(Image.fromarray(COLOR).convert("L"))
LIGHT = np.rint(255 * np.where(COLOR > 10, ((COLOR / 255 + 0.055) / 1.055) ** 2.4, COLOR / 255 / 12.92)).astype(
    np.uint8
)


def tiff(values: np.ndarray, photometric: int, form: int = 1, planes: bool = False) -> bytes:
    """A TIFF as scanners and scientific programs write it, not compressed."""
    samples = values.shape[2] if values.ndim == 3 else 1
    strips = [values[..., n].tobytes() for n in range(samples)] if planes else [values.tobytes()]
    tags: dict[int, tuple[str, tuple[int, ...]]] = {
        256: ("I", (WIDTH,)), 257: ("I", (HEIGHT,)), 258: ("H", (8 * values.itemsize,) * samples), 259: ("H", (1,)),
        262: ("H", (photometric,)), 277: ("H", (samples,)), 278: ("I", (HEIGHT,)), 284: ("H", (1 + planes,)),
        339: ("H", (form,) * samples), 279: ("I", tuple(map(len, strips))),
        273: ("I", tuple(1000 + sum(map(len, strips[:n])) for n in range(len(strips)))),
    }  # fmt: skip
    return (b"II*\0\x08\0\0\0" + directory(8, "<", tags)).ljust(1000, b"\0") + b"".join(strips)


def bmp565() -> bytes:
    """A BMP of 16 bits a pixel: 5 of red, 6 of green, 5 of blue."""
    red, green, blue = np.moveaxis(COLOR.astype(np.uint16), -1, 0)
    pixels = ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3)[::-1].astype("<u2").tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 16, 3, len(pixels), 2835, 2835, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    return b"BM" + struct.pack("<IHHI", 66 + len(pixels), 0, 0, 66) + head + masks + pixels


def stored(image: Image.Image, name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def gray_png(values: np.ndarray, bits: int, transparent: int | None) -> bytes:
    """A gray PNG of 1 to 16 bits with a transparent level."""
    if bits < 8:
        packed = np.packbits(np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., -bits:], axis=None)
        rows = packed.reshape(len(values), -1)
    else:
        rows = np.ascontiguousarray(values.astype(">u2" if bits == 16 else np.uint8)).view(np.uint8)
    whole = png(values.shape[1], values.shape[0], bits, 0, np.pad(rows, ((0, 0), (1, 0))).tobytes())
    own = b"" if transparent is None else b"tRNS" + struct.pack(">H", transparent)
    chunk = struct.pack(">I", 2) + own + struct.pack(">I", zlib.crc32(own)) if own else b""
    return whole[:33] + chunk + whole[33:]


# The file, the photo, the largest mean error in levels, and the bits a channel that the manifest tells.
RIGHT: dict[str, tuple[bytes, np.ndarray, float, int]] = {
    "plain.png": (stored(Image.fromarray(COLOR), "PNG"), COLOR, 0, 8),
    "bmp565.bmp": (bmp565(), COLOR, 4, 8),
    "bmp555.bmp": (bmp565()[:66] + bytes(2 * HEIGHT * WIDTH), np.zeros_like(COLOR), 0, 8),
    "gray16_trns.png": (gray_png(GRAY.astype(np.uint16) * 257, 16, 1), GRAY, 0.5, 16),
    "linear_named_srgb.png": (
        encoded(Image.fromarray(LIGHT), icc_profile=renamed(linear_profile(), "sRGB")), COLOR, 2, 8
    ),
    "linear_other_name.png": (encoded(Image.fromarray(LIGHT), icc_profile=linear_profile()), COLOR, 2, 8),
    "miniswhite16.tif": (tiff(65535 - GRAY.astype(np.uint16) * 257, 0), GRAY, 0, 16),
    "planar16.tif": (tiff(COLOR.astype(np.uint16) * 257, 2, planes=True), COLOR, 0.5, 16),
    "float1.tif": (tiff((GRAY / 255).astype(np.float32), 1, form=3), GRAY, 0.5, 32),
}  # fmt: skip
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "float255.tif": (tiff(GRAY.astype(np.float32), 1, form=3), "unsupported", "expected floats in 0..1; got"),
    "too_many_pixels.png": (
        png(20_000, 20_000, 8, 2, b""),
        "too_many_pixels",
        "400,000,000 pixels, more than the limit of 178,000,000: make a smaller copy",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_photo_is_what_its_file_says(name: str, tmp_path: Path) -> None:
    data, truth, error, bits = RIGHT[name]
    (tmp_path / name).write_bytes(data)
    shown = np.asarray(load_rgb(tmp_path / name)).astype(int)
    truth = truth if truth.ndim == 3 else np.stack([truth] * 3, axis=-1)
    assert np.abs(shown - truth).mean() <= error
    row = inspection.inspect(tmp_path, name, Limits())
    assert (row["bit_depth"], row.get("problem")) == (bits, None)


@pytest.mark.parametrize("name", REFUSED)
def test_or_it_is_refused_with_a_reason_from_the_closed_list(name: str, tmp_path: Path) -> None:
    data, reason, detail = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    row = inspection.inspect(tmp_path, name, Limits())
    assert row["problem"] == reason and detail in row["detail"]


def test_a_file_that_is_too_large_is_told_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "x.jpg").open("wb") as stream:
        stream.truncate(1_573_000_000)  # it takes no place on the disk
    with pytest.raises(PhotoError, match=r"^1,573 MB, more than the limit of 1,000 MB: save it smaller, as JPEG$"):
        read_bytes(tmp_path / "x.jpg")


# Transparency of gray


def alpha_of(data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    photo = Photo(reading.upright(reading.open_photo(data)))
    return photo.rows(slice(0, photo.height))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_level_of_a_gray_png_is_its_alpha(bits: int) -> None:
    values = np.arange(2 * 8).reshape(2, 8) * (2**bits - 1) // 15
    clear = 2**bits - 1 if bits > 1 else 0
    levels, alpha = alpha_of(gray_png(values, bits, clear))
    top = 65535 if bits == 16 else 255
    np.testing.assert_allclose(levels, values * (top / (2**bits - 1)), atol=0.5)
    assert levels.dtype == (np.uint16 if bits == 16 else np.uint8) and levels.ndim == 2
    assert alpha is not None
    np.testing.assert_array_equal(alpha, np.where(values == clear, 0, 255))


def test_the_transparent_color_of_a_16_bit_png_is_its_alpha() -> None:
    values = np.zeros((2, 4, 3), ">u2")
    values[:, 2:] = (0x1234, 0x5678, 0x9ABC)
    data = png(4, 2, 16, 2, np.pad(values.view(np.uint8).reshape(2, -1), ((0, 0), (1, 0))).tobytes())
    own = b"tRNS" + struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
    levels, alpha = alpha_of(data[:33] + struct.pack(">I", 6) + own + struct.pack(">I", zlib.crc32(own)) + data[33:])
    assert alpha is not None and alpha[0].tolist() == [255, 255, 0, 0]
    assert levels[0, 3].tolist() == [0x12, 0x56, 0x9A]


def test_transparent_gray_of_16_bits_is_composed_on_white() -> None:
    values = np.full((8, 8), 20_000, np.uint16)
    values[:, 4:] = 5
    photo = Photo(reading.upright(reading.open_photo(gray_png(values, 16, 5))))
    small = Light(photo).small(8, 8)
    assert small[:, 4:].min() > 99 and small[:, :4].max() < 50
    picture = assemble(photo, [(slice(0, 8), *photo.rows(slice(0, 8)))])
    assert picture.mode == "RGBA" and picture.getpixel((6, 6))[3] == 0
    assert reading.to_rgb(reading.open_photo(gray_png(values, 16, 5))).getpixel((6, 6)) == (255, 255, 255)


# JPEGs that are cut short


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.4, 0.7, 0.99])
def test_a_jpeg_that_is_cut_short_is_read_as_far_as_it_goes(progressive: bool, part: float) -> None:
    photo = make_photo(3, 320, 240)
    data = stored(Image.fromarray(photo), "JPEG", progressive=progressive, quality=90)
    cut = data[: int(part * len(data))]
    with pytest.raises(PhotoError) as caught:
        reading.upright(reading.open_photo(cut))
    assert caught.value.reason == "damaged"
    notes: list[str] = []
    image = reading.upright(reading.open_photo(cut), notes=notes)
    assert len(notes) == 1 and notes[0].startswith("the file is cut short: it")
    assert progressive or part > 0.9 or re.search(r"its lower \d+ % are gray$", notes[0])
    assert image.size == (320, 240) and np.abs(np.asarray(image)[:40].astype(int) - photo[:40]).mean() < 20


def test_a_progressive_jpeg_may_be_cut_anywhere() -> None:
    data = stored(Image.fromarray(make_photo(3, 320, 240)), "JPEG", progressive=True)
    for cut in range(2, len(data) // 2, 61):
        notes: list[str] = []
        reading.upright(reading.open_photo(data[:-cut]), notes=notes)
        assert len(notes) == 1


def test_a_jpeg_of_which_nothing_is_left_and_other_formats_are_damaged() -> None:
    photo = Image.fromarray(make_photo(3, 320, 240))
    jpeg = stored(photo, "JPEG")
    for data in (jpeg[: jpeg.index(b"\xff\xda") + 14], stored(photo, "PNG")[:-2000]):
        notes: list[str] = []
        with pytest.raises(PhotoError) as caught:
            reading.upright(reading.open_photo(data), notes=notes)
        assert caught.value.reason == "damaged" and not notes


# HEIC


def heic(image: Image.Image, **options: Any) -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return stored(image, "HEIF", quality=95, **options)


def test_a_phone_s_heic_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = heic(Image.fromarray(COLOR), exif=exif)  # HEIF's own boxes turn a picture; its EXIF only repeats them
    image = reading.open_photo(data)
    assert (image.format, reading.bit_depth(image), reading.frames(image)) == ("HEIF", 8, 1)
    assert ".heic" in reading.EXTENSIONS[image.format]
    shown = np.asarray(reading.to_rgb(image)).astype(int)
    assert shown.shape == COLOR.shape and np.abs(shown - COLOR).mean() < 6
    (tmp_path / "x.heic").write_bytes(data)
    row = inspection.inspect(tmp_path, "x.heic", Limits())
    assert (row["format"], row["mode"], row["extension_matches"], row.get("problem")) == ("HEIF", "RGB", True, None)
    with pytest.raises(PhotoError) as caught:
        reading.to_rgb(reading.open_photo(data[:-100]))
    assert caught.value.reason == "damaged"


def test_without_its_package_a_heic_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"needs the package pillow-heif: pip install .*\[heic\]") as caught:
        reading.open_photo(b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100))
    assert caught.value.reason == "unsupported"
