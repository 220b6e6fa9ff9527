"""TIFFs of every combination of tags: the pixels that their tags mean, or refused by name."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chromascape.colorizing.colorizer import Colorizer
from chromascape.photos import reading
from chromascape.photos.pixels import Photo
from chromascape.photos.source import PhotoError

HEIGHT, WIDTH = 12, 16
RAMP = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) / (HEIGHT * WIDTH - 1)).astype(np.float64)
COLOR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1] ** 2], axis=-1)
WHITE, BLACK, RGB, CMYK, YCBCR = 0, 1, 2, 5, 6


def directory(at: int, order: str, tags: dict[int, tuple[str, tuple[int, ...]]], following: bool = False) -> bytes:
    """A directory that lies at an offset, with the values that are too long behind it; another may follow."""
    long, entries = b"", b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > 4:
            long, packed = long + packed, struct.pack(order + "I", behind + len(long))
        entries += struct.pack(order + "HHI", tag, {"B": 1, "H": 3, "I": 4}[kind], len(values)) + packed.ljust(4, b"\0")
    end = struct.pack(order + "I", behind + len(long) if following else 0)
    return struct.pack(order + "H", len(tags)) + entries + end + long


def tiff(
    values: np.ndarray | bytes,
    photometric: int,
    bits: int,
    form: int = 1,
    *,
    order: str = "<",
    packed: bool = False,
    planes: bool = False,
    more: dict[int, tuple[str, tuple[int, ...]]] | None = None,
    samples: int = 0,
) -> bytes:
    """A TIFF by hand: values (H, W) or (H, W, C) of the type that is stored, or the stored bytes."""
    if isinstance(values, np.ndarray):
        samples = values.shape[2] if values.ndim == 3 else 1
        each = [values[..., n] for n in range(samples)] if planes and samples > 1 else [values]
        strips = [np.ascontiguousarray(part).astype(part.dtype.newbyteorder(order)).tobytes() for part in each]
    else:
        samples, strips = samples or 1, [values]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    tags: dict[int, tuple[str, tuple[int, ...]]] = {
        256: ("I", (WIDTH,)), 257: ("I", (HEIGHT,)), 258: ("H", (bits,) * samples), 259: ("H", (8 if packed else 1,)),
        262: ("H", (photometric,)), 277: ("H", (samples,)), 278: ("I", (HEIGHT,)), 284: ("H", (2 if planes else 1,)),
        339: ("H", (form,) * samples), 279: ("I", tuple(map(len, strips))), 273: ("I", (0,) * len(strips)),
    } | (more or {})  # fmt: skip
    start = 8 + len(directory(8, order, tags))
    offsets = tuple(start + sum(map(len, strips[:n])) for n in range(len(strips)))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + directory(8, order, tags | {273: ("I", offsets)}) + b"".join(strips)


def seen(data: bytes) -> np.ndarray:
    """The pixels of a photo as floats in 0..1, color or gray, without its alpha."""
    photo = Photo(reading.upright(reading.open_photo(data)))
    values = photo.rows(slice(0, photo.height))[0]
    return values / (1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max)


def whole(values: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(values * (2**bits - 1)).astype(f"u{bits // 8}")


# What Pillow misread as negatives, stripes or black without a word, beside what it reads right.
READ = {
    "white is zero, 8 bits": (whole(1 - RAMP, 8), WHITE, 8, 1, "<>", {}),
    "white is zero, 16 bits": (whole(1 - RAMP, 16), WHITE, 16, 1, "<", {}),
    "white is zero, floats": ((1 - RAMP).astype(np.float32), WHITE, 32, 3, "<>", {}),
    "black is zero, 16 bits": (whole(RAMP, 16), BLACK, 16, 1, "<>", {}),
    "floats": (RAMP.astype(np.float32), BLACK, 32, 3, "<>", {}),
    "RGB, 8 bits": (whole(COLOR, 8), RGB, 8, 1, "<>", {}),
    "RGB, 16 bits": (whole(COLOR, 16), RGB, 16, 1, "<>", {}),
    "RGB in planes, 8 bits": (whole(COLOR, 8), RGB, 8, 1, "<>", {"planes": True}),
    "RGB in planes, 16 bits": (whole(COLOR, 16), RGB, 16, 1, "<>", {"planes": True}),
}  # fmt: skip
CASES = [
    (name, order, packed) for name, (*_, orders, _options) in READ.items() for order in orders for packed in (0, 1)
]


@pytest.mark.parametrize(("name", "order", "packed"), CASES)
def test_pixels_are_what_the_tags_say(name: str, order: str, packed: int) -> None:
    values, photometric, bits, form, _, options = READ[name]
    data = tiff(values, photometric, bits, form, order=order, packed=bool(packed), **options)
    expected = COLOR if values.ndim == 3 else RAMP
    np.testing.assert_allclose(seen(data), expected, atol=1 / 255 if values.ndim == 3 or bits == 8 else 1e-4)
    np.testing.assert_allclose(np.asarray(reading.to_rgb(reading.open_photo(data)))[..., 0] / 255,
                               expected[..., 0] if expected.ndim == 3 else expected, atol=1.01 / 255)  # fmt: skip
    assert reading.bit_depth(reading.open_photo(data)) == bits


def test_planes_with_ink_or_alpha_are_read_too() -> None:
    ink = np.concatenate([1 - COLOR, np.zeros((HEIGHT, WIDTH, 1))], axis=-1)
    np.testing.assert_allclose(seen(tiff(whole(ink, 8), CMYK, 8, planes=True)), COLOR, atol=1 / 255)
    alpha = np.concatenate([COLOR, RAMP[..., None]], axis=-1)
    data = tiff(whole(alpha, 16), RGB, 16, planes=True, more={338: ("H", (2,))})
    photo = Photo(reading.upright(reading.open_photo(data)))
    levels, share = photo.rows(slice(0, HEIGHT))
    assert share is not None
    np.testing.assert_allclose(np.dstack([levels, share]) / 255, alpha, atol=1 / 255)
    one = tiff(whole(RAMP, 8), BLACK, 8, planes=True)
    np.testing.assert_allclose(seen(one), RAMP, atol=1 / 255)


def test_12_bits_are_read_in_their_range() -> None:
    levels = np.rint(RAMP * 4095).astype(int).reshape(-1, 2)
    stored = np.stack([levels[:, 0] >> 4, (levels[:, 0] & 15) << 4 | levels[:, 1] >> 8, levels[:, 1] & 255], axis=-1)
    np.testing.assert_allclose(seen(tiff(stored.astype(np.uint8).tobytes(), BLACK, 12)), RAMP, atol=2e-4)


SUBSAMPLED = {530: ("H", (2, 2))}
REFUSED: dict[str, tuple[bytes, str]] = {
    "signed, 8 bits": (tiff(np.zeros((HEIGHT, WIDTH), np.int8), BLACK, 8, 2), "gray, 1 × 8-bit signed integers"),
    "signed, 16 bits": (tiff(np.zeros((HEIGHT, WIDTH), np.int16), BLACK, 16, 2), "16-bit signed integers"),
    "signed, 32 bits": (tiff(np.zeros((HEIGHT, WIDTH), np.int32), BLACK, 32, 2), "32-bit signed integers"),
    "signed RGB": (tiff(np.zeros((HEIGHT, WIDTH, 3), np.int16), RGB, 16, 2), "RGB, 3 × 16-bit signed integers"),
    "unsigned, 32 bits": (tiff(np.zeros((HEIGHT, WIDTH), np.uint32), BLACK, 32), "32-bit unsigned integers"),
    "floats of RGB": (tiff(COLOR.astype(np.float32), RGB, 32, 3), "RGB, 3 × 32-bit floats"),
    "half floats": (tiff(RAMP.astype(np.float16), BLACK, 16, 3), "gray, 1 × 16-bit floats"),
    "double floats": (tiff(RAMP, BLACK, 64, 3), "64-bit floats"),
    "floats of 0..255": (tiff((RAMP * 255).astype(np.float32), BLACK, 32, 3), "expected floats in 0..1; got 0 to 255"),
    "white is zero, MM": (tiff(whole(RAMP, 16), WHITE, 16, order=">"), "gray whose zero is white, 1 × 16-bit"),
    "12 bits, MM": (tiff(bytes(HEIGHT * WIDTH * 3 // 2), BLACK, 12, order=">"), "gray, 1 × 12-bit"),
    "gray and alpha in planes": (
        tiff(np.zeros((HEIGHT, WIDTH, 2), np.uint8), BLACK, 8, planes=True, packed=True, more={338: ("H", (2,))}),
        "gray, 2 × 8-bit unsigned integers, planes",
    ),
    "ink in planes": (tiff(np.zeros((HEIGHT, WIDTH, 4), np.uint16), CMYK, 16, planes=True), "CMYK, 4 × 16-bit"),
    "white is zero in a plane": (tiff(whole(RAMP, 8), WHITE, 8, planes=True), "gray whose zero is white, 1 × 8-bit"),
    "16 bits in a plane": (tiff(whole(RAMP, 16), BLACK, 16, planes=True), "gray, 1 × 16-bit unsigned integers, planes"),
    "floats in a plane": (tiff(RAMP.astype(np.float32), BLACK, 32, 3, planes=True), "gray, 1 × 32-bit floats, planes"),
    "alpha that is multiplied, in planes": (
        tiff(np.zeros((HEIGHT, WIDTH, 4), np.uint8), RGB, 8, planes=True, more={338: ("H", (1,))}), "RGB, 4 × 8-bit"
    ),
    "coarse color": (tiff(bytes(HEIGHT * WIDTH * 3 // 2), YCBCR, 8, samples=3, more=SUBSAMPLED), "YCbCr, 3 × 8-bit"),
    "a compression of few": (tiff(whole(RAMP, 8), BLACK, 8, more={259: ("H", (34712,))}), "compression 34712"),
    "LogLuv": (tiff(whole(RAMP, 8), 32845, 8), "photometric interpretation 32845"),
    "BigTIFF, MM": (b"MM\0+\0\x08\0\0" + bytes(80), "BigTIFF"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_right_is_refused_by_name(name: str) -> None:
    data, what = REFUSED[name]
    with pytest.raises(PhotoError) as caught:
        reading.to_rgb(reading.open_photo(data))
    assert caught.value.reason == "unsupported"
    assert what in caught.value.detail and "save it as" in caught.value.detail and "\n" not in caught.value.detail


def test_no_other_program_opens_it_for_the_colorizer_instead(tmp_path: Any) -> None:
    """Images that Pillow itself opened follow the same rules."""
    (tmp_path / "x.tif").write_bytes(tiff(whole(1 - RAMP, 16), WHITE, 16))
    (tmp_path / "y.tif").write_bytes(tiff(np.zeros((HEIGHT, WIDTH), np.int16), BLACK, 16, 2))
    with Image.open(tmp_path / "x.tif") as image:
        gray = Photo(reading.upright(image)).rows(slice(0, HEIGHT))[0]
        np.testing.assert_allclose(gray / 65535, RAMP, atol=1e-4)
        assert np.asarray(reading.upright(image)).tolist() == gray.tolist()  # and is not turned round again
    with pytest.raises(PhotoError, match="signed integers"), Image.open(tmp_path / "y.tif") as image:
        Colorizer.load().colorize(image)


# Raw files


def chained(*directories: dict[int, int], inner: dict[int, int] | None = None) -> bytes:
    """A TIFF of small gray pictures without pixels, one for each directory of further tags."""
    data = b"II*\0\x08\0\0\0"
    plain = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 278: 8, 279: 64, 273: 8}
    for n, own in enumerate(directories):
        tags = {tag: ("I", (value,)) for tag, value in (plain | own).items()}
        if inner and n == 0:
            tags[330] = ("I", (1000,))
        data += directory(len(data), "<", tags, following=n + 1 < len(directories))
    if inner:
        data = data.ljust(1000, b"\0") + directory(1000, "<", {tag: ("I", (value,)) for tag, value in inner.items()})
    return data.ljust(2000, b"\0")


RAW = {
    "DNG": chained({254: 1, 262: 2, 50706: 0x0401}, inner={254: 0, 262: 32803}),
    "DNG of linear light": chained({262: 34892}),
    "NEF or ARW, a thumbnail first": chained({254: 1}, inner={254: 0, 262: 32803}),
    "PEF": chained({262: 32803, 258: 16}),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(4) + chained({})[8:],
    "IIQ": b"II*\0\x20\0\0\0IIIITwaR" + bytes(16) + directory(32, "<", {256: ("H", (8,)), 257: ("H", (8,))}),
    "ORF": b"IIRO\x08\0\0\0" + bytes(100),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(100),
    "RAF": b"FUJIFILMCCD-RAW 0201FF393101" + bytes(100),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100),
    "X3F": b"FOVb" + bytes(100),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_file_is_told_what_to_export(name: str) -> None:
    with pytest.raises(PhotoError, match=r"raw file: export it as JPEG, PNG or TIFF") as caught:
        reading.open_photo(RAW[name])
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("levels", [(67, 82, 2, 0), (73,) * 4, (77,) * 4])
def test_pixels_that_look_like_the_mark_of_a_raw_file_are_a_photo(levels: tuple[int, ...]) -> None:
    """libtiff puts the pixels there: a scan with an even edge of level 73 or 77 was refused as a raw file."""
    values = np.full((HEIGHT, WIDTH), 9, np.uint8)
    values[0, :4] = levels
    start, end = tiff(values, BLACK, 8), 8 + values.nbytes
    tags = {256: ("I", (WIDTH,)), 257: ("I", (HEIGHT,)), 258: ("H", (8,)), 262: ("H", (BLACK,)), 273: ("I", (8,)),
            278: ("I", (HEIGHT,)), 279: ("I", (values.nbytes,))}  # fmt: skip
    data = start[:4] + struct.pack("<I", end) + values.tobytes() + directory(end, "<", tags)
    np.testing.assert_array_equal(np.rint(seen(data) * 255), values)


# Several pictures


def test_a_reduced_copy_in_the_place_of_the_photo_is_refused() -> None:
    with pytest.raises(PhotoError, match="first picture of this TIFF is a reduced copy"):
        reading.open_photo(chained({254: 1}, {254: 0}))
    with pytest.raises(PhotoError, match="first picture of this TIFF is a mask"):
        reading.open_photo(chained({254: 4}, {254: 0}))
    assert reading.open_photo(chained({254: 1})).size == (8, 8)  # alone, it is the photo


def test_thumbnails_and_masks_are_no_further_pictures() -> None:
    assert reading.frames(reading.open_photo(chained({}, {254: 1}, {254: 4}))) == 1
    assert reading.frames(reading.open_photo(chained({}, {254: 2}))) == 2


@pytest.mark.parametrize("data", [b"II*\0", b"MM\0*\0\0\0\x08\0", b"II*\0\x08\0\0\0\1\0" + bytes(12) + b"\x08\0\0\0"])
def test_tags_that_are_damaged_are_told_so(data: bytes) -> None:
    with pytest.raises(PhotoError) as caught:
        reading.open_photo(data)
    assert caught.value.reason == "damaged"
