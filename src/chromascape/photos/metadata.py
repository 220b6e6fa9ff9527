"""What a photo's file says beside its pixels, to be written along with another picture of it."""

import re
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

ORIENTATION = int(ExifTags.Base.Orientation)
# Of a TIFF, whose own directory is its EXIF, only these speak of the photo; the others, of how its pixels are stored.
OF_THE_PHOTO = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software,
    ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
FOLDERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photo that was turned upright and converted to sRGB.

    Attributes:
        exif: with orientation 1 and without the thumbnail, which shows the photo as it was; empty where there is none.
        xmp: with orientation 1; empty where there is none.
        dpi: resolution across and down.
        texts: a PNG's texts by their keywords.
        comment: a JPEG's.
        profile: whether the file had a color profile.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    texts: dict[str, str] = field(default_factory=dict)
    comment: bytes = b""
    profile: bool = False


def metadata(image: Image.Image, turned: bool = False) -> Metadata:
    """The metadata of an opened photo; what is damaged is left out.

    Args:
        turned: the photo lay on its side: its resolutions across and down change places.
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
    """What a TIFF's own directory says of EXIF; empty where it can't be read. Folders in it are dictionaries."""
    own = Image.Exif()
    try:
        own.load(exif)
        tags = {int(tag): own[tag] for tag in OF_THE_PHOTO if tag in own}
        return tags | {int(folder): dict(values) for folder in FOLDERS if (values := own.get_ifd(folder))}
    except Exception:  # EXIF is as hostile as the rest of the file
        return {}


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif", b"")
    if isinstance(raw, bytes) and raw:
        return _upright_exif(raw)
    if image.format != "TIFF":
        return b""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _exif_of_tiff(image.getexif())
        except Exception:  # EXIF is as hostile as the rest of the file
            return b""


def _exif_of_tiff(own: Image.Exif) -> bytes:
    exif = Image.Exif()
    for tag in OF_THE_PHOTO:
        if tag in own:
            exif[tag] = own[tag]
    for folder in FOLDERS:
        if values := own.get_ifd(folder):
            exif.get_ifd(folder).update(values)
    return exif.tobytes() if exif or any(exif.get_ifd(folder) for folder in FOLDERS) else b""


def _upright_exif(raw: bytes) -> bytes:
    """The same bytes but for the orientation, and without a link to the thumbnail.

    They are not written anew: a maker's note holds places in the file, and would be lost.
    """
    start = 6 if raw.startswith(b"Exif\0\0") else 0
    data = bytearray(raw[start:])
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(data[:2])]
        (folder,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, folder)
        for entry in range(folder + 2, folder + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", data, entry)
            if tag == ORIENTATION:
                struct.pack_into(order + ("I" if kind == 4 else "H"), data, entry + 8, 1)
        struct.pack_into(order + "I", data, folder + 2 + 12 * count, 0)
    except (KeyError, struct.error):
        return b""  # damaged, and it may say that the photo lies on its side
    return b"Exif\0\0" + bytes(data)


def _upright_xmp(xmp: Any) -> bytes:
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if not isinstance(xmp, bytes):
        return b""
    xmp = re.sub(rb'(tiff:Orientation\s*=\s*["\'])[0-9]+', rb"\g<1>1", xmp)
    return re.sub(rb"(<tiff:Orientation>)[0-9]+", rb"\g<1>1", xmp)


def _dpi(dpi: Any, turned: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.01 <= across <= 1e6 and 0.01 <= down <= 1e6) or across == down == 1:  # 1 is Pillow's for none in a TIFF
        return None
    return (down, across) if turned else (across, down)
