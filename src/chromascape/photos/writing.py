"""Writing color pictures in the formats that can hold them, with their photo's metadata.

All who write a colorized photo take the same three steps: `prepare` an opened photo for a format, compute its strips,
and `write` or `encoded` them:

    image = reading.open_photo(data)
    photo = prepare(image, web_format(image))
    data = encoded(photo, colorizer.strips(photo.pixels, "vivid", saturation))
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromascape.photos import reading
from chromascape.photos.encoders import png_of_16_bits, png_texts, srgb_profile, tiff
from chromascape.photos.exif import ORIENTATION, Pixels
from chromascape.photos.metadata import Metadata, metadata
from chromascape.photos.pixels import Photo, Strip, assemble, on_white
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
HEADER = 65_533 - 64  # bytes of metadata in one part of a JPEG's header, which is longer by its name


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
    notes: list[str] = []
    depth, shape = reading.bit_depth(image), image.size
    if reading.frames(image) > 1:
        notes.append("has several pictures: only the first is colorized")
    # Decoding turns a TIFF and deletes its orientation; of other formats, the orientation is known only then.
    said = getattr(image, "tag_v2", {}).get(ORIENTATION)  # of any type: tags are as hostile as the rest of a file
    upright = reading.upright(image, notes=notes)
    orientation = said if said in reading.UPRIGHT else reading.orientation(image)
    if upright.size != shape and orientation <= 4:
        orientation = 6  # of a TIFF whose XMP alone says it
    pixels = Photo(upright)
    width, height = wide * pixels.width, pixels.height
    check_size(name, width, height)
    about = metadata(image, Pixels(width, height, orientation))
    if upright is not image:
        image.close()  # frees its pixels
    notes += _lacks(pixels, depth, about, name)
    return Prepared(pixels, about, name, wide, tuple(notes))


def _lacks(pixels: Photo, depth: int, about: Metadata, name: str) -> list[str]:
    """What a picture in the format `name` lacks of a photo whose file has `depth` bits per channel."""
    lines = []
    if pixels.alpha and not FORMATS[name].alpha:
        lines.append(f"{name} has no transparency: transparent parts become white")
    if depth > 8 and not FORMATS[name].deep:
        lines.append(f"{name} has 8 bits per channel, the photo {depth}")
    elif depth > 8 and pixels.dtype == np.uint8:
        lines.append(f"has {depth} bits per channel: of color, and of gray with transparency, 8 are read")
    kept = {*FORMATS[name].kept, *(("xmp",) if name == "PNG" else ())}
    for key, label in (("exif", "EXIF"), ("xmp", "XMP"), ("comment", "comment")):
        size = len(getattr(about, key))
        if size and key not in kept and key != "comment":
            lines.append(f"{name} holds no {label}: it is left out")
        elif size > HEADER and name == "JPEG":
            lines.append(f"{label} of {size:,} bytes is left out, JPEG has at most {HEADER:,}: write PNG or TIFF")
    return lines


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


def write_picture(picture: Image.Image | NDArray[np.uint16], file: IO[bytes], name: str, about: Metadata) -> None:
    """Write a picture into an open file, in the format `name` of FORMATS.

    Args:
        picture: 8-bit RGB or RGBA, composed on white if the format has no transparency; or uint16 (H, W, 3 or 4),
            for formats that are `deep`.
    Raises:
        OSError: the file can't be written.
    """
    if name == "TIFF" or isinstance(picture, np.ndarray):
        levels = np.asarray(picture)
        file.writelines(tiff(levels, about) if name == "TIFF" else png_of_16_bits(levels, about))
        return
    if not FORMATS[name].alpha:
        picture = on_white(picture)
    picture.save(file, name, **FORMATS[name].options, **_options(name, about))


def _sixteen_bits(photo: Photo, strips: Iterable[Strip], wide: int) -> NDArray[np.uint16]:
    picture = np.empty((photo.height, wide * photo.width, 4 if photo.alpha else 3), np.uint16)
    for rows, colors, alpha in strips:
        picture[rows, :, :3] = colors if colors.dtype == np.uint16 else np.rint(colors * 65535)
        if alpha is not None:
            picture[rows, :, 3] = alpha.astype(np.uint16) * 257
    return picture


def _options(name: str, about: Metadata) -> dict[str, Any]:
    """Options of Pillow's `save` for what the format keeps, without what is too long for a JPEG's header."""
    values: dict[str, Any] = {
        "exif": about.exif, "xmp": about.xmp, "dpi": about.dpi, "comment": about.comment, "pnginfo": png_texts(about),
    }  # fmt: skip
    options = {key: values[key] for key in FORMATS[name].kept if values[key]}
    if name == "JPEG":
        options = {key: value for key, value in options.items() if key == "dpi" or len(value) <= HEADER}
    if about.profile and name not in ("BMP", "PPM", "JPEG2000"):
        options["icc_profile"] = srgb_profile()
    return options
