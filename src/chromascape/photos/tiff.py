"""Which TIFFs are read right: what their tags say, compared with what Pillow does with it; the others are refused."""

import io
import re
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

from chromascape.photos.source import PhotoError

MOST = 32  # directories that are looked at: a hostile file may chain them in a circle
SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR = 254, 256, 257, 258, 259, 262, 277, 284
SUBDIRECTORIES, FORMAT, SUBSAMPLING, DNG_VERSION = 330, 339, 530, 50706
WHITE_IS_ZERO, RGB, CMYK, YCBCR = 0, 2, 5, 6
REDUCED, MASK = 1, 4  # flags of NewSubfileType
# Behind the first four bytes of raw files of Canon (CR2) and Phase One (IIQ). Whole: pixels may stand there as well.
MARKED = re.compile(rb"\x10\0\0\0CR\x02|.{4}(?:IIII.waR|MMMMRaw)", re.DOTALL)
OF_A_SENSOR = (32803, 34892)  # photometric interpretations: a color filter array, linear raw
NAMES = {1: "unsigned integers", 2: "signed integers", 3: "floats"}
# Photometric interpretation: how messages call it, and which (sample format, bits) are read right, by Pillow or here.
# Each entry was compared with the true pixels, in both byte orders, raw and compressed.
READABLE = {
    0: ("gray whose zero is white", {(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (3, 32)}),
    1: ("gray", {(1, 1), (1, 2), (1, 4), (1, 8), (1, 12), (1, 16), (3, 32)}),
    2: ("RGB", {(1, 8), (1, 16)}),
    3: ("a palette", {(1, 1), (1, 2), (1, 4), (1, 8)}),
    5: ("CMYK", {(1, 8), (1, 16)}),
    6: ("YCbCr", {(1, 8)}),
    8: ("Lab", {(1, 8)}),
}
# None, three of fax, LZW, two of JPEG, deflate under two numbers, PackBits, LZMA and Zstandard.
COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000}
# Channels that are stored apart and not compressed: (mode, bits) that are read right.
PLANES = {("L", 8), ("P", 8), ("RGB", 8), ("RGBA", 8), ("CMYK", 8), ("RGB", 16), ("RGBA", 16)}
RAW = "a camera's raw file: export it as JPEG, PNG or TIFF, and take that"


def is_tiff(data: bytes) -> bool:
    """Whether the file begins as TIFFs do."""
    return data.startswith(tuple(PREFIXES))


def check(data: bytes) -> int:
    """The number of pictures in a TIFF, without reduced copies and masks.

    Raises:
        PhotoError: a raw file, whose first picture is a thumbnail; or pixels that would not be read right.
    """
    if data.startswith(b"MM\0+"):
        raise PhotoError("unsupported", "a BigTIFF in big-endian order: save it as PNG or as plain TIFF")
    chain, all_directories = _directories(data)
    if MARKED.match(data, 4) or any(_of_a_sensor(tags) for tags in all_directories):
        raise PhotoError("unsupported", RAW)
    first = chain[0]
    if WIDTH not in first or HEIGHT not in first:
        raise PhotoError("damaged", "a TIFF without a picture")
    if _subfile(first) & (REDUCED | MASK) and len(all_directories) > 1:
        kind = "reduced copy" if _subfile(first) & REDUCED else "mask"
        raise PhotoError("unsupported", f"the first picture of this TIFF is a {kind}: export the photo alone")
    _check_pixels(first)
    return max(1, sum(not _subfile(tags) & (REDUCED | MASK) for tags in chain))


def prepare(image: Image.Image) -> None:
    """Choose how the pixels of an opened TIFF that `check` let pass are decoded.

    Raises:
        PhotoError: planes that are not read right.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    tiles: list[Any] = image.tile  # type: ignore[attr-defined]
    libtiff, bits = tiles[0].codec_name == "libtiff", _first(tags, BITS, 1)
    if _first(tags, PLANAR, 1) == 2 and not libtiff:
        white = image.mode == "L" and _first(tags, PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO
        channels = {tile.args[0] for tile in tiles}  # as Pillow cuts them from the name of a raw mode, each a letter
        if (image.mode, bits) not in PLANES or white or not channels <= set(image.mode):
            raise _unsupported(tags)
        if bits == 16:  # Pillow would read each byte as a level
            kind = ";16B" if tags.prefix == b"MM" else ";16L"
            image.tile = [tile._replace(args=(tile.args[0] + kind, *tile.args[1:])) for tile in tiles]  # type: ignore[attr-defined]
    elif image.mode == "F" and libtiff:
        # libtiff gives floats in this machine's byte order, whatever the file's.
        image.tile = [tiles[0]._replace(args=("F;32NF", *tiles[0].args[1:]))]  # type: ignore[attr-defined]


def finish(image: Image.Image) -> None:
    """Correct the decoded pixels of a TIFF, in place: white that is zero, and 12 bits, as Pillow leaves them."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    values = np.asarray(image)
    deep = image.mode.startswith("I;16")
    if _first(tags, PHOTOMETRIC, WHITE_IS_ZERO) == WHITE_IS_ZERO and (deep or image.mode == "F"):
        fixed = 65535 - values if deep else 1 - values
    elif _first(tags, BITS, 1) == 12 and deep:
        fixed = values << 4 | values >> 8
    else:
        return
    image.paste(Image.fromarray(fixed.astype(values.dtype)))  # it copies an image that is mapped from its file


def _directories(data: bytes) -> tuple[list[ImageFileDirectory_v2], list[ImageFileDirectory_v2]]:
    """The directories that follow each other, and these with their subdirectories.

    Raises:
        PhotoError: there is none that can be read.
    """
    header = data[: 16 if data[2] == 43 else 8]
    chain: list[ImageFileDirectory_v2] = []
    more: list[ImageFileDirectory_v2] = []
    try:
        at = ImageFileDirectory_v2(header).next
        while at and len(chain) < MOST:
            chain.append(_directory(header, data, at))
            at = getattr(chain[-1], "next", 0)
        for offset in [offset for tags in chain for offset in _all(tags, SUBDIRECTORIES)][:MOST]:
            more.append(_directory(header, data, int(offset)))
    except Exception as error:  # tags are as hostile as the rest of a file
        if not chain:
            raise PhotoError("damaged", f"a TIFF whose tags can't be read ({type(error).__name__})") from None
    if not chain:
        raise PhotoError("damaged", "a TIFF without a picture")
    return chain, chain + more


def _directory(header: bytes, data: bytes, at: int) -> ImageFileDirectory_v2:
    tags, file = ImageFileDirectory_v2(header), io.BytesIO(data)
    tags.next = 0
    file.seek(at)
    tags.load(file)
    return tags


def _all(tags: Any, tag: int) -> tuple[Any, ...]:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _first(tags: Any, tag: int, otherwise: int) -> int:
    value = (_all(tags, tag) or (otherwise,))[0]
    return value if isinstance(value, int) else otherwise


def _subfile(tags: Any) -> int:
    return _first(tags, SUBFILE, 0)


def _of_a_sensor(tags: Any) -> bool:
    return DNG_VERSION in tags or _first(tags, PHOTOMETRIC, 0) in OF_A_SENSOR


def _check_pixels(tags: Any) -> None:
    photometric = _first(tags, PHOTOMETRIC, WHITE_IS_ZERO)
    kinds = {(form, bits) for form in _all(tags, FORMAT) or (1,) for bits in _all(tags, BITS) or (1,)}
    compression, planes = _first(tags, COMPRESSION, 1), _first(tags, PLANAR, 1) == 2
    if (
        compression not in COMPRESSIONS
        or photometric not in READABLE
        or not kinds <= READABLE[photometric][1]
        or len(kinds) > 1
        or (planes and photometric not in (RGB, CMYK) and _first(tags, SAMPLES, 1) > 1)
        or (compression == 1 and photometric == YCBCR and (_all(tags, SUBSAMPLING) or (2, 2)) != (1, 1))
    ):
        raise _unsupported(tags)


def unreadable(data: bytes) -> PhotoError:
    """Why Pillow can't open a TIFF."""
    try:
        check(data)
        return _unsupported(_directories(data)[0][0])
    except PhotoError as error:
        return error


def _unsupported(tags: Any) -> PhotoError:
    """One line on what a TIFF contains, and what can be read instead."""
    photometric = _first(tags, PHOTOMETRIC, WHITE_IS_ZERO)
    name = READABLE[photometric][0] if photometric in READABLE else f"photometric interpretation {photometric}"
    numbers = f"{_first(tags, BITS, 1)}-bit {NAMES.get(_first(tags, FORMAT, 1), 'numbers of another kind')}"
    stored = f"{'planes, ' if _first(tags, PLANAR, 1) == 2 else ''}compression {_first(tags, COMPRESSION, 1)}"
    what = f"{name}, {_first(tags, SAMPLES, 1)} × {numbers}, {stored}"
    return PhotoError("unsupported", f"a kind of TIFF that is not read ({what}): save it as PNG or 8-bit RGB TIFF")
