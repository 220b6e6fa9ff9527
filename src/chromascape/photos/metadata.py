"""The metadata of a photo's file, to be written with its colorized picture."""

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

from chromascape.photos.pixels import tolerantly

ORIENTATION = int(ExifTags.Base.Orientation)
# A TIFF's own directory is its EXIF. These tags describe the photo; the others, how its pixels are stored.
OF_THE_PHOTO = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software,
    ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
SUBDIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photo that was turned upright and converted to sRGB; what it lacks is empty."""

    exif: bytes = b""  # with orientation 1 and without the gray thumbnail
    xmp: bytes = b""  # with orientation 1
    dpi: tuple[float, float] | None = None  # across and down
    texts: dict[str, str] = field(default_factory=dict)  # of a PNG, by keyword
    comment: bytes = b""  # of a JPEG
    profile: bool = False  # whether the file had a color profile


def metadata(image: Image.Image, turned: bool = False) -> Metadata:
    """The metadata of an opened photo, without what is damaged.

    Args:
        turned: turning the photo upright swapped width and height, so its resolutions are swapped too.
    """
    info = image.info
    texts = {
        key: str(value)
        for key, value in getattr(image, "text", {}).items()
        if isinstance(value, str) and key != "XML:com.adobe.xmp"
    }
    comment = info.get("comment", b"")
    return Metadata(
        _exif(image),
        _upright_xmp(info.get("xmp", b"")),
        _dpi(info.get("dpi"), turned),
        texts,
        comment if isinstance(comment, bytes) and image.format in ("JPEG", "MPO") else b"",
        bool(info.get("icc_profile")),
    )


def exif_tags(exif: bytes) -> dict[int, Any]:
    """EXIF as tags of a TIFF's own directory, subdirectories as dictionaries; empty if it can't be read."""
    own = Image.Exif()
    try:
        own.load(exif)
        return _tags_of_photo(own)
    except Exception:  # EXIF is as hostile as the rest of the file
        return {}


def _tags_of_photo(exif: Image.Exif) -> dict[int, Any]:
    tags = {int(tag): exif[tag] for tag in OF_THE_PHOTO if tag in exif}
    return tags | {int(part): dict(values) for part in SUBDIRECTORIES if (values := exif.get_ifd(part))}


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif", b"")
    if isinstance(raw, bytes) and raw:
        return _upright_exif(raw)
    return tolerantly(lambda: _exif_of_tiff(image), b"") if image.format == "TIFF" else b""


def _exif_of_tiff(image: Image.Image) -> bytes:
    exif, tags = Image.Exif(), _tags_of_photo(image.getexif())
    for tag, value in tags.items():
        if isinstance(value, dict):
            exif.get_ifd(tag).update(value)
        else:
            exif[tag] = value
    return exif.tobytes() if tags else b""


def _upright_exif(raw: bytes) -> bytes:
    """The same bytes with orientation 1 and without a link to the thumbnail.

    They are changed in place: a maker's note contains offsets into the EXIF, which rewriting would break.
    """
    start = 6 if raw.startswith(b"Exif\0\0") else 0
    data = bytearray(raw[start:])
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        (directory,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", data, entry)
            if tag == ORIENTATION:
                struct.pack_into(order + ("I" if kind == 4 else "H"), data, entry + 8, 1)
        struct.pack_into(order + "I", data, directory + 2 + 12 * count, 0)
    except (KeyError, struct.error):
        return b""  # damaged, and its orientation can't be corrected
    return b"Exif\0\0" + bytes(data)


def _upright_xmp(xmp: Any) -> bytes:
    data = xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else b""
    return re.sub(rb'(tiff:Orientation\s*=\s*["\']|<tiff:Orientation>)[0-9]+', rb"\g<1>1", data)


def _dpi(dpi: Any, turned: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.01 <= across <= 1e6 and 0.01 <= down <= 1e6) or across == down == 1:  # 1 is Pillow's for none in a TIFF
        return None
    return (down, across) if turned else (across, down)
