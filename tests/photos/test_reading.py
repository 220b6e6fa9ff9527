"""Opening whatever somebody put into a folder: every mode, every kind of damage, nothing but PhotoError."""

import io
import os
import pickle
import random
import struct
import threading
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import load_rgb, make_photo, png, png_16_bit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from chromascape.photos import reading, source
from chromascape.photos.source import Limits, PhotoError

ORIENTATION = 0x0112
# How a camera would have stored an upright picture under each EXIF orientation.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


def encode(picture: Image.Image | np.ndarray, file_format: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def swapped_profile() -> bytes:
    """A color profile whose red and blue are sRGB's blue and red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    name, other = "sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be")
    assert name in profile and b"rXYZ" in profile
    return profile.replace(name, other).replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


ANY_SIZE = Limits()


def reason_of(path: Path, limits: Limits = ANY_SIZE) -> tuple[str, str]:
    """Why load_rgb refuses a file, found on a thread so that a hang fails the test and does not stop it."""
    caught: list[BaseException] = []

    def load() -> None:
        try:
            load_rgb(path, limits)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for ever"
    assert len(caught) == 1 and isinstance(caught[0], PhotoError), caught
    return caught[0].reason, caught[0].detail


# Errors


def test_a_photo_error_survives_the_way_back_from_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(PhotoError("damaged", "cut short")))  # noqa: S301
    assert isinstance(error, PhotoError)
    assert (error.reason, error.detail, str(error)) == ("damaged", "cut short", "cut short")


# Files


def test_list_files_is_sorted_and_relative_with_slashes(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a/b/c d.jpg", "a.png", ".hidden", "a/.x/y", "ä/é,\n.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "empty").mkdir()
    expected = [".hidden", "a.png", "a/.x/y", "a/b/c d.jpg", "a/z.png", "b.png", "ä/é,\n.png"]
    assert source.list_files(tmp_path) == expected


def test_list_files_keeps_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.png")
    try:
        (tmp_path / name).write_bytes(encode(make_photo(0, 32, 32), "PNG"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert source.list_files(tmp_path) == [name]
    assert load_rgb(tmp_path / source.list_files(tmp_path)[0]).size == (32, 32)


def test_links_to_folders_are_listed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").write_text("x")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to("in", target_is_directory=True)
    assert source.list_files(tmp_path) == ["in/loop", "in/x.png", "link"]
    assert reason_of(tmp_path / "link") == ("unreadable", "not a regular file")


def test_a_folder_that_cannot_be_listed_is_not_dropped_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "x.png").write_text("x")
    (tmp_path / "y.png").write_text("y")
    scandir = os.scandir

    def refuse(path: Any = ".") -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert any(name.startswith("locked") for name in source.list_files(tmp_path))


def test_a_link_to_a_photo_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(encode(make_photo(0, 32, 32), "PNG"))
    (tmp_path / "link.png").symlink_to("x.png")
    assert load_rgb(tmp_path / "link.png").size == (32, 32)


@pytest.mark.parametrize(
    ("make", "detail"),
    [
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: None, "No such file or directory"),
        (lambda path: path.symlink_to(os.devnull), "not a regular file"),
    ],
    ids=["pipe", "folder", "broken link", "link to itself", "missing", "device"],
)
def test_what_is_no_file_is_unreadable_and_does_not_hang(tmp_path: Path, make: Any, detail: str) -> None:
    path = tmp_path / "x.png"
    make(path)
    reason, told = reason_of(path)
    assert reason == "unreadable"
    assert detail in told


def test_a_path_with_a_zero_byte_is_unreadable(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "x\0.png")[0] == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_text("x")
    path.chmod(0)
    assert reason_of(path) == ("unreadable", "Permission denied")


def test_an_empty_file_is_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").touch()
    assert reason_of(tmp_path / "x.jpg") == ("not_an_image", "the file is empty")


@pytest.mark.parametrize("data", [b"not an image", b"\0", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", b"\xff\xd8"])
def test_other_files_are_not_an_image(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    reason, detail = reason_of(tmp_path / "x.jpg")
    assert reason == "not_an_image"
    assert "JPEG" in detail and "PNG" in detail


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "x.jpg").open("wb") as stream:
        stream.truncate(3_000_001)
    assert reason_of(tmp_path / "x.jpg", Limits(max_file_bytes=3_000_000)) == (
        "too_large",
        "4 MB, more than the limit of 3 MB: save it smaller, as JPEG",
    )


def test_a_file_of_just_the_allowed_size_is_read(tmp_path: Path) -> None:
    data = encode(make_photo(0, 32, 32), "PNG")
    (tmp_path / "x.png").write_bytes(data)
    assert source.read_bytes(tmp_path / "x.png", Limits(max_file_bytes=len(data))) == data


# Headers


@pytest.mark.parametrize("size", [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (14_000, 14_000), (1_000_000, 1000)])
def test_a_header_with_absurd_dimensions_is_refused_without_memory(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(image: Image.Image) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", never)
    data = png(*size, 8, 2, b"\0" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(PhotoError) as caught:
            reading.open_photo(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too_many_pixels"
    assert peak < 1_000_000


def test_more_pixels_than_allowed_are_refused_with_their_number() -> None:
    data = encode(make_photo(0, 40, 30), "PNG")
    assert reading.open_photo(data, Limits(max_pixels=1200)).size == (40, 30)
    with pytest.raises(PhotoError, match="40 × 30") as caught:
        reading.open_photo(data, Limits(max_pixels=1199))
    assert caught.value.reason == "too_many_pixels"


@pytest.mark.parametrize(
    ("file_format", "extension"),
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("WEBP", ".webp"),
        ("TIFF", ".tif"),
        ("GIF", ".gif"),
        ("BMP", ".bmp"),
        ("PPM", ".ppm"),
        ("AVIF", ".avif"),
        ("JPEG2000", ".jp2"),
    ],
)
def test_every_known_format_opens(file_format: str, extension: str) -> None:
    picture = make_photo(0, 64, 48)
    image = reading.open_photo(encode(picture, file_format))
    assert image.format == file_format
    assert extension in reading.EXTENSIONS[file_format]
    rgb = reading.to_rgb(image)
    assert (rgb.mode, rgb.size) == ("RGB", (64, 48))
    assert np.abs(np.asarray(rgb).astype(int) - picture).mean() < 25  # GIF keeps 256 colors


def test_every_format_that_is_opened_has_its_extensions() -> None:
    assert set(reading.EXTENSIONS) == {*reading.FORMATS, "MPO", "HEIF"}


@pytest.mark.parametrize("file_format", ["ICO", "TGA", "PCX", "SGI"])
def test_formats_of_other_decoders_are_not_an_image(file_format: str) -> None:
    with pytest.raises(PhotoError) as caught:
        reading.open_photo(encode(make_photo(0, 32, 32), file_format))
    assert caught.value.reason == "not_an_image"


def test_a_decoder_that_trips_over_a_header_means_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(*arguments: Any, **options: Any) -> None:
        raise RecursionError("too\n  deep")

    monkeypatch.setattr(Image, "open", trip)
    with pytest.raises(PhotoError, match=r"^too deep$") as caught:
        reading.open_photo(b"x")
    assert caught.value.reason == "damaged"


# Modes


def test_modes_become_rgb_with_the_colors_that_they_show(photo: np.ndarray) -> None:
    gray = np.asarray(Image.fromarray(photo).convert("L"))
    shown = np.repeat(gray[..., None], 3, axis=2)
    binary = Image.fromarray(photo).convert("1")
    palette = Image.fromarray(photo).quantize(64)
    cases: dict[str, tuple[bytes, np.ndarray]] = {
        "L": (encode(gray, "PNG"), shown),
        "1": (encode(binary, "PNG"), np.asarray(binary.convert("RGB"))),
        "P": (encode(palette, "PNG"), np.asarray(palette.convert("RGB"))),
        "RGB": (encode(photo, "PNG"), photo),
        "I;16": (encode(gray.astype(np.uint16) * 257, "PNG"), shown),
        "I": (b"P5 160 144 65535\n" + (gray.astype(np.uint16) * 257).astype(">u2").tobytes(), shown),
        "F": (encode((gray / 255).astype(np.float32), "TIFF"), shown),
        "I;16B": (encode(Image.fromarray((gray.astype(np.uint16) * 257).astype(">u2")), "TIFF"), shown),
        "YCbCr": (
            encode(Image.fromarray(photo).convert("YCbCr"), "TIFF"),
            np.asarray(Image.fromarray(photo).convert("YCbCr").convert("RGB")),
        ),
        "CMYK": (encode(Image.fromarray(255 - photo).convert("CMYK"), "TIFF"), 255 - photo),
    }
    for mode, (data, expected) in cases.items():
        image = reading.open_photo(data)
        assert image.mode == mode
        rgb = reading.to_rgb(image)
        assert rgb.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(rgb), expected, err_msg=mode)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    data = encode(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG", quality=100)
    image = reading.open_photo(data)
    assert image.mode == "CMYK"
    red, green, blue = reading.to_rgb(image).getpixel((5, 5))
    assert red > 250 and green < 5 and blue < 5


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_composed_on_white(mode: str) -> None:
    color = (200, 0, 0, 0) if mode == "RGBA" else (0, 0)
    picture = Image.new(mode, (30, 20), color)
    picture.paste(color[:-1] + (255,), (0, 0, 10, 20))
    picture.paste(color[:-1] + (128,), (10, 0, 20, 20))
    image = reading.open_photo(encode(picture, "PNG"))
    assert image.mode == mode
    rgb = np.asarray(reading.to_rgb(image)).astype(int)
    base = np.array(color[:-1] if mode == "RGBA" else color[:1] * 3)
    np.testing.assert_array_equal(rgb[5, 5], base)
    assert np.abs(rgb[5, 15] - (base + 255) / 2).max() <= 1
    np.testing.assert_array_equal(rgb[5, 25], [255, 255, 255])


def test_a_palette_with_transparency_is_composed_on_white() -> None:
    picture = Image.new("P", (20, 10), 0)
    picture.putpalette([200, 0, 0, 0, 0, 200])
    picture.paste(1, (10, 0, 20, 10))
    image = reading.open_photo(encode(picture, "PNG", transparency=1))
    assert image.mode == "P"
    rgb = reading.to_rgb(image)
    assert rgb.getpixel((5, 5)) == (200, 0, 0)
    assert rgb.getpixel((15, 5)) == (255, 255, 255)


def test_one_transparent_color_of_an_rgb_png_is_shown_white() -> None:
    picture = Image.new("RGB", (20, 10), (1, 2, 3))
    picture.paste((9, 9, 9), (10, 0, 20, 10))
    rgb = reading.to_rgb(reading.open_photo(encode(picture, "PNG", transparency=(1, 2, 3))))
    assert rgb.getpixel((5, 5)) == (255, 255, 255)
    assert rgb.getpixel((15, 5)) == (9, 9, 9)


def test_a_mode_that_can_not_be_converted_is_a_photo_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no conversion\nfrom here")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(PhotoError, match=r"^no conversion from here$") as caught:
        reading.to_rgb(Image.new("CMYK", (16, 16)))
    assert caught.value.reason == "mode"


# Bit depth


@pytest.mark.parametrize(
    ("make", "depth"),
    [
        (lambda rgb: encode(rgb, "PNG"), 8),
        (lambda rgb: encode(rgb, "JPEG"), 8),
        (lambda rgb: encode(rgb, "WEBP"), 8),
        (lambda rgb: encode(Image.fromarray(rgb).quantize(16), "PNG"), 8),
        (lambda rgb: encode(Image.fromarray(rgb).convert("1"), "PNG"), 1),
        (lambda rgb: encode(rgb[..., 0].astype(np.uint16) * 257, "PNG"), 16),
        (lambda rgb: encode(rgb[..., 0].astype(np.uint16) * 257, "TIFF"), 16),
        (lambda rgb: encode(rgb[..., 0].astype(np.float32), "TIFF"), 32),
        (lambda rgb: b"P5 32 32 65535\n" + (rgb[..., 0].astype(np.uint16) * 257).astype(">u2").tobytes(), 16),
        (lambda rgb: b"P6 32 32 65535\n" + (rgb.astype(np.uint16) * 257).astype(">u2").tobytes(), 16),
        (png_16_bit, 16),
        (lambda rgb: png_16_bit(np.dstack([rgb, rgb[..., :1]])), 16),
    ],
    ids=["png", "jpeg", "webp", "palette", "binary", "gray16 png", "gray16 tiff", "float tiff"]
    + ["gray16 pgm", "color16 ppm", "color16 png", "color16 alpha png"],
)
def test_bit_depth_is_what_the_file_stores(make: Callable[[np.ndarray], bytes], depth: int) -> None:
    assert reading.bit_depth(reading.open_photo(make(make_photo(0, 32, 32)))) == depth


def test_a_16_bit_png_is_read_to_its_8_bit_colors(photo: np.ndarray) -> None:
    rgb = reading.to_rgb(reading.open_photo(png_16_bit(photo)))
    np.testing.assert_array_equal(np.asarray(rgb), photo)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_photos_are_turned_upright(orientation: int, file_format: str) -> None:
    upright = make_photo(3, 64, 48)
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(file_format, {})
    data = encode(STORED[orientation](upright), file_format, exif=exif_with(orientation), **options)
    assert reading.orientation(reading.open_photo(data)) == orientation
    rgb = reading.to_rgb(reading.open_photo(data))
    assert rgb.size == (64, 48)
    assert np.abs(np.asarray(rgb).astype(int) - upright).mean() < (4 if file_format == "JPEG" else 0.01)


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_out_of_range_is_upright(value: int, photo: np.ndarray) -> None:
    image = reading.open_photo(encode(photo, "PNG", exif=exif_with(value)))
    assert reading.orientation(image) == 1
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(image)), photo)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_is_as_none(exif: bytes, photo: np.ndarray) -> None:
    data = encode(photo, "PNG", exif=exif)
    assert reading.orientation(reading.open_photo(data)) == 1
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(reading.open_photo(data))), photo)


def test_a_photo_is_turned_though_the_rest_of_its_exif_is_broken() -> None:
    # Orientation 6, and a resolution that is a text where a fraction belongs, which Pillow can't write again.
    entries = struct.pack("<HHII", ORIENTATION, 3, 1, 6) + struct.pack("<HHI4s", 0x011A, 2, 4, b"abc\0")
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)
    upright = make_photo(3, 64, 48)
    data = encode(STORED[6](upright), "JPEG", exif=exif, quality=95)
    assert reading.orientation(reading.open_photo(data)) == 6
    assert reading.to_rgb(reading.open_photo(data)).size == (64, 48)


def test_orientation_is_1_where_exif_cannot_be_read(monkeypatch: pytest.MonkeyPatch, photo: np.ndarray) -> None:
    image = reading.open_photo(encode(photo, "JPEG"))

    def trip() -> None:
        raise SyntaxError("hostile")

    monkeypatch.setattr(image, "getexif", trip)
    assert reading.orientation(image) == 1
    assert reading.to_rgb(image).size == (160, 144)


# Frames


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_have_more_than_one_frame(file_format: str) -> None:
    first, *others = (Image.fromarray(make_photo(seed, 32, 32)) for seed in range(3))
    moving = reading.open_photo(encode(first, file_format, save_all=True, append_images=others))
    assert reading.frames(moving) == 2
    assert reading.to_rgb(moving).size == (32, 32)
    assert reading.frames(reading.open_photo(encode(first, file_format))) == 1


@pytest.mark.parametrize("file_format", ["JPEG", "BMP", "PPM", "AVIF", "JPEG2000"])
def test_still_formats_have_one_frame(file_format: str) -> None:
    assert reading.frames(reading.open_photo(encode(make_photo(0, 32, 32), file_format))) == 1


def test_the_further_pictures_of_a_camera_s_mpo_are_no_frames() -> None:
    first, second = (Image.fromarray(make_photo(seed, 64, 48)) for seed in range(2))
    image = reading.open_photo(encode(first, "MPO", save_all=True, append_images=[second]))
    assert image.format == "MPO"
    assert reading.frames(image) == 1
    assert reading.to_rgb(image).size == (64, 48)


def test_frames_that_cannot_be_counted_are_one() -> None:
    class Broken(Image.Image):
        @property
        def is_animated(self) -> bool:
            raise EOFError("cut short")

    assert reading.frames(Broken()) == 1


# Decoding


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_file_cut_short_is_damaged(file_format: str, photo: np.ndarray, tmp_path: Path) -> None:
    data = encode(photo, file_format)
    (tmp_path / "x").write_bytes(data[: len(data) * 2 // 3])
    reason, detail = reason_of(tmp_path / "x")
    assert reason == "damaged"
    assert detail and "\n" not in detail


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_decode_itself_finds_damage(file_format: str, photo: np.ndarray) -> None:
    data = encode(photo, file_format)
    image = reading.open_photo(data[: len(data) // 2])
    with pytest.raises(PhotoError, match="truncated") as caught:
        reading.decode(image)
    assert caught.value.reason == "damaged"


def test_damage_in_the_middle_is_found(photo: np.ndarray) -> None:
    data = bytearray(encode(photo, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    with pytest.raises(PhotoError) as caught:
        reading.to_rgb(reading.open_photo(bytes(data)))
    assert caught.value.reason == "damaged"


def test_a_large_jpeg_is_decoded_at_a_fraction() -> None:
    data = encode(Image.new("RGB", (1600, 1200), (10, 120, 200)), "JPEG")
    sizes = {}
    for side in (None, 1200, 601, 600, 300, 150, 10):
        image = reading.open_photo(data)
        reading.decode(image, side)
        sizes[side] = image.size
    assert sizes[None] == sizes[1200] == sizes[601] == (1600, 1200)
    assert sizes[600] == (800, 600)
    assert sizes[300] == (400, 300)
    assert sizes[150] == sizes[10] == (200, 150)


def test_other_formats_are_decoded_whole() -> None:
    image = reading.open_photo(encode(Image.new("RGB", (400, 300)), "PNG"))
    reading.decode(image, 10)
    assert image.size == (400, 300)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700), side=st.integers(1, 400))
@example(width=398, height=500, side=200)
@example(width=49, height=49, side=1)
def test_a_draft_keeps_the_shorter_side(width: int, height: int, side: int) -> None:
    image = reading.open_photo(encode(Image.new("RGB", (width, height)), "JPEG"))
    reading.decode(image, side)
    assert min(image.size) >= min(side, width, height)


def test_a_draft_of_a_turned_photo_is_upright() -> None:
    upright = make_photo(3, 640, 480)
    data = encode(STORED[6](upright), "JPEG", exif=exif_with(6), quality=95)
    rgb = reading.to_rgb(reading.open_photo(data), shorter_side=240)
    assert rgb.size == (320, 240)
    small = np.asarray(Image.fromarray(upright).resize((320, 240), Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(rgb) - small).mean() < 4


# Color profiles


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_photo_is_converted_from_its_own_color_profile(mode: str) -> None:
    red = Image.new(mode, (16, 16), (255, 0, 0, 255)[: len(mode)])
    image = reading.open_photo(encode(red, "PNG", icc_profile=swapped_profile()))
    seen = reading.to_rgb(image).getpixel((3, 3))
    assert np.abs(np.subtract(seen, (0, 0, 255))).max() <= 2


def test_the_alpha_of_a_photo_with_a_profile_is_kept() -> None:
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image = reading.open_photo(encode(picture, "PNG", icc_profile=swapped_profile()))
    assert reading.to_rgb(image).getpixel((3, 3)) == (255, 255, 255)


def test_an_srgb_profile_changes_nothing(photo: np.ndarray) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = reading.open_photo(encode(photo, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(image)), photo)


def test_a_plain_photo_is_not_copied_and_keeps_nothing_that_would_be_written_with_it(photo: np.ndarray) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = reading.open_photo(encode(Image.fromarray(photo), "JPEG", icc_profile=srgb, comment=b"private"))
    rgb = reading.to_rgb(image)
    assert rgb is image
    assert b"private" not in encode(rgb, "JPEG") and b"ICC_PROFILE" not in encode(rgb, "JPEG")
    assert not rgb.info


def test_a_plain_photo_on_its_side_is_turned_without_what_its_file_says(photo: np.ndarray) -> None:
    image = reading.open_photo(encode(Image.fromarray(photo), "PNG", exif=exif_with(6), dpi=(72, 72)))
    rgb = reading.to_rgb(image)
    np.testing.assert_array_equal(np.asarray(rgb), np.rot90(photo, -1))
    assert not rgb.info


@pytest.mark.parametrize("profile", [b"garbage", b"\0" * 200])
def test_a_broken_profile_is_as_none(profile: bytes, photo: np.ndarray) -> None:
    image = reading.open_photo(encode(photo, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(image)), photo)


def test_a_profile_of_another_kind_than_the_photo_is_as_none(photo: np.ndarray) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    image = reading.open_photo(encode(photo, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(np.asarray(reading.to_rgb(image)), photo)


# Letterbox


def test_bars_above_and_below_are_found() -> None:
    picture = np.full((100, 120, 3), 200, np.uint8)
    picture[:10] = picture[85:] = 5
    # Less one line each side, where JPEG mixes black into the picture.
    assert reading.find_letterbox(picture) == (0, 11, 120, 84)


def test_bars_left_and_right_are_found() -> None:
    picture = np.full((100, 120, 3), 200, np.uint8)
    picture[:, :20] = picture[:, 90:] = 0
    assert reading.find_letterbox(picture) == (21, 0, 89, 100)


def test_bars_on_all_sides_are_found() -> None:
    picture = np.zeros((100, 120, 3), np.uint8)
    picture[10:90, 30:100] = 90
    assert reading.find_letterbox(picture) == (31, 11, 99, 89)


@pytest.mark.parametrize("dark", [np.s_[:40], np.s_[60:], np.s_[:, :50], np.s_[:, 70:]])
def test_one_dark_side_is_no_bar(dark: Any) -> None:
    picture = np.full((100, 120, 3), 200, np.uint8)
    picture[dark] = 0
    assert reading.find_letterbox(picture) == (0, 0, 120, 100)


def test_a_second_bar_below_the_least_thickness_is_none() -> None:
    picture = np.full((100, 120, 3), 200, np.uint8)
    picture[:30] = picture[99:] = 0
    assert reading.find_letterbox(picture) == (0, 0, 120, 100)
    picture[98:] = 0
    assert reading.find_letterbox(picture) == (0, 31, 120, 97)


@pytest.mark.parametrize("level", [0, 20])
def test_an_all_dark_photo_has_no_bars(level: int) -> None:
    assert reading.find_letterbox(np.full((50, 60, 3), level, np.uint8)) == (0, 0, 60, 50)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (2, 2, 3)])
def test_tiny_photos_have_no_bars(shape: tuple[int, ...]) -> None:
    assert reading.find_letterbox(np.full(shape, 200, np.uint8)) == (0, 0, shape[1], shape[0])


def test_a_single_lit_line_is_no_picture_between_bars() -> None:
    picture = np.zeros((100, 120, 3), np.uint8)
    picture[50] = 255
    assert reading.find_letterbox(picture) == (0, 0, 120, 100)


def test_a_few_bright_pixels_do_not_hide_a_bar() -> None:
    picture = np.full((100, 300, 3), 200, np.uint8)
    picture[:10] = picture[90:] = 0
    picture[4, :2] = 255
    assert reading.find_letterbox(picture) == (0, 11, 300, 89)


def test_a_photo_without_bars_is_measured_at_its_edges_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    original = reading._lit

    def counted(lines: np.ndarray, dark: int) -> np.ndarray:
        measured.append(len(lines))
        return original(lines, dark)

    monkeypatch.setattr(reading, "_lit", counted)
    assert reading.find_letterbox(np.full((500, 700, 3), 90, np.uint8)) == (0, 0, 700, 500)
    assert measured == [2, 2]


def test_bars_survive_jpeg() -> None:
    picture = np.zeros((144, 160, 3), np.uint8)
    picture[24:120] = make_photo(5, 160, 96)
    left, top, right, bottom = reading.find_letterbox(np.asarray(Image.open(io.BytesIO(encode(picture, "JPEG")))))
    assert (left, right) == (0, 160)
    assert 24 <= top <= 28 and 116 <= bottom <= 120


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_letterbox_always_lies_inside_the_photo(width: int, height: int, data: st.DataObject) -> None:
    seed, share = data.draw(st.integers(0, 2**16)), data.draw(st.sampled_from([0.0, 0.01, 0.2, 1.0]))
    lit = np.random.default_rng(seed).random((height, width)) < share
    picture = np.repeat(lit[..., None], 3, axis=2).astype(np.uint8) * 255
    left, top, right, bottom = reading.find_letterbox(picture)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_sha256_is_the_digest_of_the_bytes() -> None:
    assert source.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# Nothing but PhotoError


@cache
def valid_files() -> tuple[bytes, ...]:
    """One small file of each format and of the odder modes, with EXIF and profiles to be broken."""
    small = make_photo(1, 40, 32)
    image = Image.fromarray(small)
    exif = exif_with(6)
    exif[0x010F] = "maker"
    return (
        encode(image, "JPEG", exif=exif, icc_profile=swapped_profile()),
        encode(image.convert("CMYK"), "JPEG"),
        encode(image, "JPEG", progressive=True),
        encode(image, "PNG", exif=exif),
        encode(image.quantize(16), "PNG", transparency=3),
        encode(image.convert("RGBA"), "PNG", icc_profile=swapped_profile()),
        png_16_bit(small),
        encode(image, "WEBP", exif=exif),
        encode(image, "WEBP", lossless=True),
        encode(image, "TIFF", exif=exif),
        encode(image, "TIFF", compression="tiff_lzw"),
        encode((small[..., 0] / 255).astype(np.float32), "TIFF"),
        encode(image, "GIF"),
        encode(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
    )


def use(data: bytes) -> None:
    """Everything that the pipeline does to a file's bytes; any error but PhotoError fails the test."""
    limits = Limits(max_pixels=1_000_000)
    try:
        image = reading.open_photo(data, limits)
        assert reading.bit_depth(image) in (1, 8, 16, 32)
        assert 1 <= reading.orientation(image) <= 8
        assert reading.frames(image) in (1, 2)
    except PhotoError as error:
        assert error.reason in ("not_an_image", "damaged", "too_many_pixels", "unsupported")
    for side in (None, 16):
        try:
            rgb = reading.to_rgb(reading.open_photo(data, limits), side)
        except PhotoError as error:
            assert error.reason in ("not_an_image", "damaged", "too_many_pixels", "unsupported", "mode")
            assert "\n" not in error.detail
        else:
            assert rgb.mode == "RGB"
            np.asarray(rgb).sum()


MAGIC = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"GIF89a",
    b"RIFF\xff\0\0\0WEBP",
    b"BM",
    b"P6 ",
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_photo_errors(magic: bytes, data: bytes) -> None:
    use(magic + data)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(
    which=st.integers(0, 13),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    in_header=st.booleans(),
)
def test_broken_photos_raise_nothing_but_photo_errors(
    which: int, cut: float | None, changes: list[tuple[float, int]], in_header: bool
) -> None:
    data = bytearray(valid_files()[which])
    for place, value in changes:
        data[int(place * (min(len(data), 300) if in_header else len(data)))] = value
    use(bytes(data if cut is None else data[: int(cut * len(data))]))


def test_shuffled_pieces_of_photos_raise_nothing_but_photo_errors() -> None:
    generator = random.Random(4)
    for _ in range(100):
        pieces = [data[generator.randrange(len(data)) :][:200] for data in generator.sample(valid_files(), 3)]
        use(generator.choice(valid_files())[: generator.randrange(8, 400)] + b"".join(pieces))
