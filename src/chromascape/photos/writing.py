"""Writing color pictures in the formats that can hold them, with their photo's metadata.

All who write a colorized photo take the same three steps: `prepare` an opened photo for a format, compute its strips,
and `write` or `encoded` them:

    image = reading.open_photo(data)
    photo = prepare(image, web_format(image))
    data = encoded(photo, colorizer.strips(photo.pixels, "vivid", saturation))
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, TiffTags

from chromascape.photos import reading
from chromascape.photos.metadata import ORIENTATION, Metadata, exif_tags, metadata
from chromascape.photos.pixels import WITH_ALPHA, Photo, Strip, assemble, on_white
from chromascape.photos.source import PhotoError


@dataclass(frozen=True)
class Format:
    """What a format can hold, and how it is written."""

    suffixes: tuple[str, ...]  # in lower case
    options: dict[str, Any]  # of Pillow's `save`
    side: int  # the largest, in pixels
    alpha: bool  # whether it can hold transparency
    deep: bool  # whether 16 bits are written
    kept: tuple[str, ...]  # the fields of `Metadata` that are written, besides the color profile


# JPEG's usual color at half size would make colors run over edges again: full size.
FORMATS = {
    "PNG": Format((".png",), {}, 2**31 - 1, True, True, ("exif", "dpi", "pnginfo")),
    "JPEG": Format(
        (".jpg", ".jpeg", ".jpe", ".jfif"), {"quality": 95, "subsampling": 0}, 65_500, False, False,
        ("exif", "xmp", "dpi", "comment"),
    ),
    "WEBP": Format((".webp",), {"quality": 95}, 16_383, True, False, ("exif", "xmp")),
    "TIFF": Format((".tif", ".tiff"), {}, 2**31 - 1, True, True, ("exif", "xmp", "dpi")),
    "AVIF": Format((".avif",), {"quality": 90}, 65_535, True, False, ("exif", "xmp")),
    "JPEG2000": Format((".jp2",), {}, 2**31 - 1, True, False, ()),
    "BMP": Format((".bmp", ".dib"), {}, 2**31 - 1, False, False, ("dpi",)),
    "PPM": Format((".ppm",), {}, 2**31 - 1, False, False, ()),
}  # fmt: skip
SUFFIXES = {suffix: name for name, entry in FORMATS.items() for suffix in entry.suffixes}
MARKER = 65_533  # largest part of a JPEG's header in bytes
XMP_KEY = "XML:com.adobe.xmp"  # keyword of XMP among a PNG's texts


@dataclass(frozen=True)
class Prepared:
    """A photo that was read to be colorized and written.

    Attributes:
        pixels: of the upright photo, to be given to `Colorizer.strips`.
        about: its metadata.
        name: of FORMATS, the format of its picture.
        wide: how many times as wide as the photo the picture is.
        notes: lines for people on what the picture will lack of the photo.
    """

    pixels: Photo
    about: Metadata
    name: str
    wide: int
    notes: tuple[str, ...]

    @property
    def media_type(self) -> str:
        """The picture's type for HTTP, such as image/jpeg."""
        return Image.MIME[self.name]


def web_format(image: Image.Image) -> str:
    """The format in which a page gets the picture of an opened photo: JPEG for a JPEG, else PNG."""
    return "JPEG" if image.format in ("JPEG", "MPO") else "PNG"


def prepare(image: Image.Image, name: str, wide: int = 1) -> Prepared:
    """Decode a photo that `reading.open_photo` opened, for a picture in the format `name` of FORMATS.

    Args:
        wide: 2 for a picture with gray beside color.
    Raises:
        PhotoError: the photo can't be read, or the format can't hold it.
    """
    check_size(name, *image.size)
    notes = _notes(image, name)
    # Decoding turns a TIFF and deletes its orientation; of other formats, the orientation is known only then.
    orientation = getattr(image, "tag_v2", {}).get(ORIENTATION, 1)
    upright = reading.upright(image)
    turned = max(orientation, reading.orientation(image)) > 4
    pixels = Photo(upright)
    check_size(name, wide * pixels.width, pixels.height)
    about = metadata(image, turned)
    if upright is not image:
        image.close()  # frees its pixels
    return Prepared(pixels, about, name, wide, tuple(notes))


def encoded(photo: Prepared, strips: Iterable[Strip]) -> bytes:
    """The picture of a photo as a file's bytes; `write` puts the same into an open file.

    Args:
        strips: colors from top to bottom, `photo.wide` times as wide as the photo.
    """
    stream = io.BytesIO()
    write(photo, strips, stream)
    return stream.getvalue()


def write(photo: Prepared, strips: Iterable[Strip], file: IO[bytes]) -> None:
    """Write the picture of a photo with its metadata into a file, see `encoded`.

    Raises:
        OSError: the file can't be written.
    """
    deep = FORMATS[photo.name].deep and photo.pixels.dtype != np.uint8
    put_together = _sixteen_bits if deep else assemble
    write_picture(put_together(photo.pixels, strips, photo.wide), file, photo.name, photo.about)


def check_size(name: str, width: int, height: int) -> None:
    """Raises PhotoError if a side is too long for the format."""
    side = FORMATS[name].side
    if max(width, height) > side:
        raise PhotoError("too_large", f"{width} × {height}, but {name} has at most {side:,} pixels per side: write PNG")


def _notes(image: Image.Image, name: str) -> list[str]:
    """What a picture in the format `name` lacks of an opened photo."""
    notes = []
    if reading.frames(image) > 1:
        notes.append("has several pictures: only the first is colorized")
    if (image.mode in WITH_ALPHA or "transparency" in image.info) and not FORMATS[name].alpha:
        notes.append(f"{name} has no transparency: transparent parts become white")
    if reading.bit_depth(image) > 8 and not FORMATS[name].deep:
        notes.append(f"{name} has 8 bits per channel, the photo {reading.bit_depth(image)}")
    return notes


def write_picture(picture: Image.Image | NDArray[np.uint16], file: IO[bytes], name: str, about: Metadata) -> None:
    """Write a picture into an open file, in the format `name` of FORMATS.

    Args:
        picture: 8-bit RGB or RGBA, composed on white if the format has no transparency; or uint16 (H, W, 3),
            for formats that are `deep`.
    Raises:
        OSError: the file can't be written.
    """
    if name == "TIFF" or isinstance(picture, np.ndarray):
        levels = np.asarray(picture)
        file.writelines(_tiff(levels, about) if name == "TIFF" else _png_16_bit(levels, about))
        return
    if not FORMATS[name].alpha:
        picture = on_white(picture)
    picture.save(file, name, **FORMATS[name].options, **_options(name, about))


def _sixteen_bits(photo: Photo, strips: Iterable[Strip], wide: int) -> NDArray[np.uint16]:
    picture = np.empty((photo.height, wide * photo.width, 3), np.uint16)
    for rows, colors, _ in strips:
        picture[rows] = colors if colors.dtype == np.uint16 else np.rint(colors * 65535)
    return picture


def _options(name: str, about: Metadata) -> dict[str, Any]:
    """Options of Pillow's `save` for what the format keeps, without what is too long for a JPEG's header."""
    values: dict[str, Any] = {
        "exif": about.exif, "xmp": about.xmp, "dpi": about.dpi, "comment": about.comment, "pnginfo": _png_texts(about),
    }  # fmt: skip
    options = {key: values[key] for key in FORMATS[name].kept if values[key]}
    if name == "JPEG":
        options = {key: value for key, value in options.items() if key == "dpi" or len(value) < MARKER - 64}
    if about.profile and name not in ("BMP", "PPM", "JPEG2000"):
        options["icc_profile"] = srgb_profile()
    return options


def _png_texts(about: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in about.texts.items():
        info.add_itxt(key, value)
    if about.xmp:
        info.add_itxt(XMP_KEY, about.xmp.decode("utf-8", "replace"))
    return info


@cache
def srgb_profile() -> bytes:
    """sRGB's color profile, dated 2000-01-01, so that the same picture gives the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


# Written here because Pillow can't write 16-bit color, and fails on EXIF in a compressed TIFF.


def _png_16_bit(picture: NDArray[np.uint16], about: Metadata) -> Iterator[bytes]:
    """A PNG of 16 bits a channel (W3C PNG, third edition), piece by piece."""
    height, width = picture.shape[:2]
    yield b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    if about.profile:
        yield _chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(srgb_profile()))
    if about.dpi:
        yield _chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in about.dpi), 1))
    if about.exif:
        yield _chunk(b"eXIf", about.exif.removeprefix(b"Exif\0\0"))
    for kind, data, *_ in _png_texts(about).chunks:
        yield _chunk(kind, data)
    pack = zlib.compressobj(6)
    above = np.zeros((1, width * 6), np.uint8)
    for top in range(0, height, 64):
        rows = picture[top : top + 64].astype(">u2").view(np.uint8).reshape(-1, width * 6)
        # Filter 2, the difference from the row above, compresses photos well and is one subtraction.
        differences = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        kinds = np.full((len(rows), 1), 2, np.uint8)
        yield _chunk(b"IDAT", pack.compress(np.concatenate([kinds, differences], axis=1).tobytes()))
    yield _chunk(b"IDAT", pack.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _tiff(picture: NDArray[Any], about: Metadata) -> Iterator[bytes]:
    """A TIFF (revision 6.0) of uint8 or uint16 (H, W, 3 or 4), not compressed, in one strip, piece by piece."""
    height, width, channels = picture.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in exif_tags(about.exif).items():
        tags[tag] = value
    tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH] = width, height
    tags[TiffImagePlugin.BITSPERSAMPLE] = (8 * picture.itemsize,) * channels
    tags[TiffImagePlugin.COMPRESSION], tags[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 1, 2
    tags[TiffImagePlugin.SAMPLESPERPIXEL], tags[TiffImagePlugin.ROWSPERSTRIP] = channels, height
    if channels == 4:
        tags[TiffImagePlugin.EXTRASAMPLES] = 2  # alpha, not premultiplied
    tags[TiffImagePlugin.STRIPBYTECOUNTS] = picture.nbytes
    tags.tagtype[TiffImagePlugin.STRIPOFFSETS] = TiffTags.LONG
    tags[TiffImagePlugin.STRIPOFFSETS] = 0  # Pillow counts from the end of the directory
    if about.dpi:
        tags[TiffImagePlugin.RESOLUTION_UNIT] = 2
        tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = about.dpi
    if about.profile:
        tags.tagtype[TiffImagePlugin.ICCPROFILE] = TiffTags.UNDEFINED
        tags[TiffImagePlugin.ICCPROFILE] = srgb_profile()
    if about.xmp:
        tags.tagtype[TiffImagePlugin.XMP] = TiffTags.BYTE
        tags[TiffImagePlugin.XMP] = about.xmp
    head = io.BytesIO()
    tags.save(head)
    yield head.getvalue()
    for top in range(0, height, 64):
        rows = picture[top : top + 64]
        yield rows.astype(rows.dtype.newbyteorder("<")).tobytes()
