"""Colors are what a profile does with them, whatever it is called, or what a header says in place of one."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from conftest import make_photo
from PIL import Image, ImageCms
from test_pixels import gray_profile, linear_profile

from chromascape.photos import profiles, reading
from chromascape.photos.pixels import Photo
from chromascape.photos.source import PhotoError

P3 = profiles.PRIMARIES[12]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(image: Image.Image, *chunks: tuple[bytes, bytes], **options: Any) -> bytes:
    """A PNG with further chunks behind its header."""
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    data = stream.getvalue()
    added = b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return data[:33] + added + data[33:]


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def chrm(xy: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in xy))


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, 0, 1))


def shown(data: bytes) -> np.ndarray:
    """The photo's rows, gray or color, of its own depth."""
    photo = Photo(reading.upright(reading.open_photo(data)))
    return photo.rows(slice(0, photo.height))[0]


def linear_to_srgb(levels: np.ndarray) -> np.ndarray:
    light = levels / 255
    return 255 * np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)


def renamed(profile: bytes, name: str) -> bytes:
    return profile.replace("line".encode("utf-16-be"), name.encode("utf-16-be"))


@pytest.mark.parametrize("name", ["sRGB", "line"])
def test_a_profile_is_judged_by_what_it_does(name: str) -> None:
    """A profile of linear light that is called sRGB was taken for sRGB: its photos were dark."""
    photo = make_photo(3, 64, 48)
    profile = renamed(linear_profile(), name)
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert ("sRGB" in ImageCms.getProfileDescription(own)) == (name == "sRGB")
    levels = shown(encoded(Image.fromarray(photo), icc_profile=profile))
    assert np.abs(levels - linear_to_srgb(photo)).max() < 2.5


@pytest.mark.parametrize("name", ["sRGB", "Swop"])
def test_srgb_under_any_name_leaves_every_level(name: str) -> None:
    photo = make_photo(3, 64, 48)
    profile = SRGB.replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be"))
    np.testing.assert_array_equal(shown(encoded(Image.fromarray(photo), icc_profile=profile)), photo)


def test_palettes_and_floats_have_profiles_too() -> None:
    palette = Image.fromarray(make_photo(3, 64, 48)).quantize(32)
    levels = shown(encoded(palette, icc_profile=linear_profile()))
    assert np.abs(levels - linear_to_srgb(np.asarray(palette.convert("RGB")))).max() < 2.5
    values = np.linspace(0, 1, 64, dtype=np.float32)[None]
    floats = Image.fromarray(values)
    floats.info["icc_profile"] = gray_profile(1.0)
    rows = Photo(floats).rows(slice(0, 1))[0]
    assert rows.dtype == np.float32
    assert np.abs(rows * 255 - linear_to_srgb(values * 255)).max() < 3


@pytest.mark.parametrize("profile", [linear_profile(), gray_profile(1.0)], ids=["of RGB", "of gray"])
def test_gray_follows_profiles_of_gray_and_of_color(profile: bytes) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    levels = shown(encoded(Image.fromarray(ramp), icc_profile=profile))
    assert levels.ndim == 2 and np.abs(levels - linear_to_srgb(ramp)).max() < 2.5
    np.testing.assert_array_equal(shown(encoded(Image.fromarray(ramp), icc_profile=SRGB)), ramp)


def test_a_profile_that_is_nearly_srgb_is_honoured_too() -> None:
    """Gamma 2.2 differs in the dark alone: level 10 of it is level 2 or 3 of sRGB."""
    ramp = np.arange(256, dtype=np.uint8)[None]
    levels = shown(encoded(Image.fromarray(ramp), icc_profile=gray_profile(2.2)))
    assert 2 <= levels[0, 10] <= 3 and np.abs(levels.astype(int) - ramp).max() <= 9


@pytest.mark.parametrize("gamma", [1.0, 0.6, 1 / 1.8])
@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_gamma_of_a_png_is_honoured_as_in_browsers(mode: str, gamma: float) -> None:
    """Light is the level to the power of 1/gamma, which Chromium shows in sRGB: 10 of 255 at gamma 1 as 56."""
    image = Image.fromarray(make_photo(3, 64, 48)).convert(mode)
    own = np.asarray(image if mode == "L" else image.convert("RGB"))
    levels = shown(encoded(image, gama(gamma)))
    assert np.abs(levels - linear_to_srgb(255 * (own / 255) ** (1 / gamma))).max() < 2
    assert np.abs(levels.astype(int) - own).max() > 15


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0.45)],
        [gama(0.45455), chrm(profiles.SRGB_XY)],
        [gama(1.0), (b"sRGB", b"\0")],
        [gama(0.0)],
        [chrm(P3)],
        [gama(0.45455), chrm((0.3, 0) * 4)],
        [gama(0.45455), chrm((0.3, 0.3) * 4)],
        [gama(1.0), cicp(1, 13)],
        [cicp(1, 1)],
        [cicp(2, 2)],
    ],
)
def test_what_means_srgb_or_nothing_leaves_every_level(chunks: list[tuple[bytes, bytes]]) -> None:
    photo = make_photo(3, 64, 48)
    np.testing.assert_array_equal(shown(encoded(Image.fromarray(photo), *chunks)), photo)


def test_a_profile_counts_more_than_gamma_and_code_points_more_than_both() -> None:
    photo = Image.fromarray(make_photo(3, 64, 48))
    np.testing.assert_array_equal(shown(encoded(photo, gama(1.0), icc_profile=SRGB)), photo)
    np.testing.assert_array_equal(shown(encoded(photo, cicp(1, 13), icc_profile=linear_profile())), photo)


@pytest.mark.parametrize("chunks", [[gama(0.45455), chrm(P3)], [cicp(12, 13)]], ids=["cHRM", "cICP"])
def test_primaries_are_converted(chunks: list[tuple[bytes, bytes]]) -> None:
    """Display P3's (200, 100, 50) is (215, 93, 31) in Chromium."""
    color = Image.new("RGB", (8, 8), (200, 100, 50))
    assert np.abs(shown(encoded(color, *chunks))[0, 0].astype(int) - (215, 93, 31)).max() <= 2
    white = shown(encoded(Image.new("RGB", (8, 8), "white"), *chunks))
    assert white.min() >= 254


@pytest.mark.parametrize(("points", "what"), [((9, 16), "HDR (PQ)"), ((9, 18), "HDR (HLG)"), ((22, 13), "22/13")])
def test_hdr_is_refused_by_name(points: tuple[int, int], what: str) -> None:
    with pytest.raises(PhotoError) as caught:
        reading.open_photo(encoded(Image.new("RGB", (8, 8)), cicp(*points)))
    assert caught.value.reason == "unsupported" and what in caught.value.detail and "export" in caught.value.detail


def test_code_points_of_avif_are_read() -> None:
    stream = io.BytesIO()
    Image.fromarray(make_photo(3, 64, 48)).save(stream, "AVIF", quality=100, subsampling="4:4:4")
    data = stream.getvalue()
    assert profiles.CODE_POINTS in reading.open_photo(data).info
    at = data.index(b"colrnclx") + 8
    for transfer, what in ((16, "PQ"), (18, "HLG")):
        with pytest.raises(PhotoError, match=what):
            reading.open_photo(data[: at + 2] + struct.pack(">H", transfer) + data[at + 4 :])
    linear = shown(data[: at + 2] + struct.pack(">H", 8) + data[at + 4 :])
    assert np.abs(linear - linear_to_srgb(shown(data))).max() < 3


def test_a_profile_of_an_avif_counts_more_than_its_code_points() -> None:
    """An AVIF with a profile names code points beside it."""
    photo, stream = make_photo(3, 64, 48), io.BytesIO()
    Image.fromarray(photo).save(stream, "AVIF", quality=100, subsampling="4:4:4", icc_profile=linear_profile())
    assert b"colrnclx" in stream.getvalue()
    assert np.abs(shown(stream.getvalue()) - linear_to_srgb(photo)).mean() < 6
