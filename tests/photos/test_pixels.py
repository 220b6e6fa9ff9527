"""Photos of every kind read strip by strip are what they are in one piece."""

import io
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image, ImageCms

from chromascape.photos import pixels, reading
from chromascape.photos.pixels import Photo, assemble
from chromascape.photos.source import PhotoError

WHOLE = slice(0, 48)


def picture(mode: str) -> Image.Image:
    return Image.fromarray(make_photo(3, 64, 48)).convert(mode)


def gray_profile(gamma: float) -> bytes:
    """A gray profile of a tone curve, by hand (ICC.1:2010): Pillow makes none."""

    def tag(kind: bytes, data: bytes) -> bytes:
        return (kind + b"\0\0\0\0" + data).ljust(-(-(8 + len(data)) // 4) * 4, b"\0")

    s15 = lambda value: round(value * 65536).to_bytes(4, "big", signed=True)  # noqa: E731
    blocks = {
        b"desc": tag(b"desc", (5).to_bytes(4, "big") + b"gray\0" + bytes(79)),
        b"wtpt": tag(b"XYZ ", s15(0.9642) + s15(1.0) + s15(0.8249)),
        b"kTRC": tag(b"curv", (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")),
    }
    at, table, body = 132 + 12 * len(blocks), b"", b""
    for name, block in blocks.items():
        table += name + at.to_bytes(4, "big") + len(block).to_bytes(4, "big")
        body, at = body + block, at + len(block)
    head = at.to_bytes(4, "big") + bytes(4) + b"\x02\x10\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    return (
        (head + s15(0.9642) + s15(1.0) + s15(0.8249)).ljust(128, b"\0") + len(blocks).to_bytes(4, "big") + table + body
    )


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


def test_floats_are_taken_from_0_to_1() -> None:
    values = np.linspace(-0.5, 1.5, 48 * 64, dtype=np.float32).reshape(48, 64)
    values[0, 0] = np.nan
    shown = Photo(Image.fromarray(values)).rows(WHOLE)[0]
    assert shown.min() == 0 and shown.max() == 1 and shown[0, 0] == 0


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


def test_a_broken_profile_is_left_out() -> None:
    colors = Photo(with_profile(picture("RGB"), b"no profile")).rows(WHOLE)[0]
    np.testing.assert_array_equal(colors, np.asarray(picture("RGB")))


def test_lab_is_converted() -> None:
    lab = ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
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
