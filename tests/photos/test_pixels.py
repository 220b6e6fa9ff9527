"""Photos of every kind read strip by strip are what they are in one piece."""

import io
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image, ImageCms

from chromascape.color import lab
from chromascape.errors import ChromascapeError
from chromascape.photos import pixels, reading
from chromascape.photos.pixels import Photo, assemble
from chromascape.photos.source import PhotoError

WHOLE = slice(0, 48)


def picture(mode: str) -> Image.Image:
    return Image.fromarray(make_photo(3, 64, 48)).convert(mode)


D50 = b"".join(round(value * 65536).to_bytes(4, "big") for value in (0.9642, 1.0, 0.8249))


def profile(colors: bytes, own: dict[bytes, bytes]) -> bytes:
    """A color profile by hand (ICC.1:2010), as Pillow makes none of gray or CMYK.

    Args:
        colors: class, color space and connection space.
        own: its tags, type first, besides description and white point.
    """
    blocks = {b"desc": b"desc\0\0\0\0" + (5).to_bytes(4, "big") + b"mine\0" + bytes(79), b"wtpt": b"XYZ \0\0\0\0" + D50}
    blocks = {name: data.ljust(-(-len(data) // 4) * 4, b"\0") for name, data in (blocks | own).items()}
    at, table, body = 132 + 12 * len(blocks), b"", b""
    for name, block in blocks.items():
        table += name + at.to_bytes(4, "big") + len(block).to_bytes(4, "big")
        body, at = body + block, at + len(block)
    head = at.to_bytes(4, "big") + bytes(4) + b"\x02\x10\0\0" + colors + bytes(12) + b"acsp" + bytes(28) + D50
    return head.ljust(128, b"\0") + len(blocks).to_bytes(4, "big") + table + body


def gray_profile(gamma: float) -> bytes:
    curve = (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")
    return profile(b"mntrGRAYXYZ ", {b"kTRC": b"curv\0\0\0\0" + curve})


def cmyk_profile() -> bytes:
    """A printer whose full cyan is pink, Lab (70, 40, 20), and all else is white."""
    ramp, corners = bytes(range(256)), bytearray(bytes((255, 128, 128)) * 16)
    corners[24:27] = bytes((179, 168, 148))  # cyan alone: in the cube of corners black changes fastest
    one = (65536).to_bytes(4, "big")
    matrix = one + bytes(12) + one + bytes(12) + one
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + 4 * ramp + bytes(corners) + 3 * ramp
    return profile(b"prtrCMYKLab ", {b"A2B0": lut})


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV"])
def test_strips_of_every_mode_are_the_whole(mode: str) -> None:
    photo = Photo(picture(mode) if mode not in ("La", "RGBa") else picture(mode.upper()).convert(mode))
    colors, alpha = photo.rows(WHOLE)
    assert (photo.height, photo.width, photo.dtype) == (48, 64, np.uint8)
    assert colors.shape[:2] == (48, 64) and (alpha is not None) == photo.alpha == (mode[-1] in "Aa")
    parts = [photo.rows(slice(top, top + 16)) for top in (0, 16, 32)]
    np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), colors)
    expected = np.asarray(reading.to_rgb(picture(mode.upper() if mode in ("La", "RGBa") else mode)))
    shown = colors if colors.ndim == 3 else np.stack([colors] * 3, axis=-1)
    assert np.abs(shown.astype(int) - expected).max() <= (2 if "a" in mode else 0)


def test_a_palette_with_a_transparent_color_has_alpha() -> None:
    stream = io.BytesIO()
    picture("RGB").quantize(8).save(stream, "PNG", transparency=2)
    image = reading.open_photo(stream.getvalue())
    colors, alpha = Photo(image).rows(WHOLE)
    assert colors.shape == (48, 64, 3) and alpha is not None and set(np.unique(alpha)) == {0, 255}


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_gray_of_16_bits_stays_so(mode: str) -> None:
    values = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    photo = Photo(Image.fromarray(values if mode == "I;16" else values.astype(np.int32)))
    assert photo.image is not None and photo.image.mode == mode
    np.testing.assert_array_equal(photo.rows(WHOLE)[0], values)
    assert photo.rows(WHOLE)[0].dtype == np.uint16


@pytest.mark.parametrize("values", [[0.0, 0.5, 1.0], [0, 257, 65535]])
def test_numbers_of_an_image_are_taken_as_those_of_an_array(values: list[float]) -> None:
    floats = isinstance(values[0], float)
    image = Image.fromarray(np.array([values], np.float32 if floats else np.int32))
    assert image.mode == ("F" if floats else "I")
    shown = Photo(image).rows(slice(0, 1))[0]
    np.testing.assert_array_equal(shown, Photo(np.array([values], shown.dtype)).rows(slice(0, 1))[0])


@pytest.mark.parametrize(
    "values",
    [
        np.float32([[0, 255]]),
        np.float32([[-0.1, 1]]),
        np.float32([[0, np.nan]]),
        np.int32([[-1, 5]]),
        np.int32([[0, 65536]]),
    ],
)
def test_numbers_out_of_range_are_refused_as_in_arrays(values: np.ndarray) -> None:
    with pytest.raises(ChromascapeError, match="expected"):
        Photo(values)
    with pytest.raises(ChromascapeError, match=r"expected (floats in 0..1|whole numbers in 0..65535); got"):
        Photo(Image.fromarray(values))


def with_profile(image: Image.Image, profile: bytes) -> Image.Image:
    image.info["icc_profile"] = profile
    return image


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_gray_profiles_are_honoured(mode: str) -> None:
    """Gray 128 at gamma 1 is linear light of a half, which sRGB writes as 188."""
    gray = (
        Image.fromarray(np.full((48, 64), 128 * 257, np.uint16)) if mode == "I;16" else Image.new(mode, (64, 48), 128)
    )
    if mode == "LA":
        gray.putalpha(255)
    values = Photo(with_profile(gray, gray_profile(1.0))).rows(WHOLE)[0]
    assert values[0, 0] / (257 if mode == "I;16" else 1) == pytest.approx(188, abs=1)
    assert values.ndim == 2


def test_the_curve_of_16_bits_keeps_black_and_white() -> None:
    values = np.tile(np.uint16([0, 65535, 128 * 257]), (48, 1))
    shown = Photo(with_profile(Image.fromarray(values), gray_profile(1.0))).rows(WHOLE)[0]
    assert shown[0, :2].tolist() == [0, 65535] and shown[0, 2] == pytest.approx(188 * 257, abs=257)


def test_cmyk_profiles_are_honoured() -> None:
    image = with_profile(Image.new("CMYK", (64, 48), (255, 0, 0, 0)), cmyk_profile())
    pink = lab.lab_to_rgb(np.float32([70, 40, 20])).astype(int)
    for shown in (Photo(image).rows(WHOLE)[0][0, 0], np.asarray(reading.to_rgb(image))[0, 0]):
        assert np.abs(shown - pink).max() <= 3


@pytest.mark.parametrize("mode", ["L", "P", "LAB"])
def test_a_photo_is_read_alike_for_colorizing_and_for_training(mode: str) -> None:
    """Gray and palettes have profiles too."""
    image = picture("RGB")
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        image = ImageCms.applyTransform(image, to_lab)
    elif mode == "L":
        image = with_profile(image.convert("L"), gray_profile(1.0))
    else:
        image = with_profile(image.quantize(32), linear_profile())
    colors = Photo(image).rows(WHOLE)[0]
    shown = colors if colors.ndim == 3 else np.stack([colors] * 3, axis=-1)
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(image)), shown)
    assert mode == "LAB" or np.abs(shown.astype(int) - np.asarray(image.convert("RGB"))).max() > 20


def linear_profile() -> bytes:
    """sRGB's primaries with light that is linear in the levels."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace("sRGB".encode("utf-16-be"), "line".encode("utf-16-be"))
    at = data.index(b"para", 128 + 4 + 12 * int.from_bytes(data[128:132], "big"))
    return data[: at + 8] + bytes(4) + (65536).to_bytes(4, "big") + data[at + 16 :]


def test_a_broken_profile_is_left_out() -> None:
    colors = Photo(with_profile(picture("RGB"), b"no profile")).rows(WHOLE)[0]
    np.testing.assert_array_equal(colors, np.asarray(picture("RGB")))


def test_lab_is_converted() -> None:
    own = ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), own, "RGB", "LAB")
    colors = Photo(ImageCms.applyTransform(picture("RGB"), transform)).rows(WHOLE)[0]
    assert np.abs(colors.astype(int) - np.asarray(picture("RGB"))).mean() < 3


def test_a_mode_without_conversion_is_a_photo_error(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Photo(picture("CMYK"))

    def fail(*_: Any) -> None:
        raise ValueError("no way\nfrom here")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(PhotoError, match=r"^no way from here$"):
        photo.rows(WHOLE)


def test_turned_by_exif_it_is_upright() -> None:
    image = picture("RGB")
    image.getexif()[0x0112] = 6
    photo = Photo(reading.upright(image))
    assert (photo.height, photo.width) == (64, 48)
    np.testing.assert_array_equal(photo.rows(slice(0, 64))[0], np.rot90(np.asarray(picture("RGB")), -1))


def test_assembled_strips_are_the_picture() -> None:
    photo = Photo(picture("RGBA"))
    parts = [(rows, *photo.rows(rows)) for rows in (slice(0, 20), slice(20, 48))]
    assert assemble(photo, parts).tobytes() == picture("RGBA").tobytes()
    deep = assemble(Photo(picture("L")), [(WHOLE, np.full((48, 64, 3), 0.5, np.float32), None)])
    assert deep.getpixel((0, 0)) == (128, 128, 128)
    assert pixels._eight_bit(np.array([0, 257 * 7, 65535], np.uint16)).tolist() == [0, 7, 255]
