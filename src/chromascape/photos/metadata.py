"""The metadata of a photo's file, to be written with its colorized picture."""

from dataclasses import dataclass, field
from typing import Any

from PIL import ExifTags, Image

from chromascape.photos import exif as exif_bytes
from chromascape.photos import xmp
from chromascape.photos.exif import Pixels
from chromascape.photos.pixels import tolerantly

# A TIFF's own directory is its EXIF. These tags describe the photo; the others, how its pixels are stored.
OF_THE_PHOTO = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software,
    ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright,
)  # fmt: skip
SUBDIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
RAW = "Raw profile type "  # in a PNG, before the keywords of texts that hold metadata in hexadecimal digits
XMP_KEY = "XML:com.adobe.xmp"  # keyword of XMP among a PNG's texts
# What ImageMagick writes as texts, `exif:Orientation` and so on, of the file that it read.
OF_PIXELS = {
    "Orientation", "PixelXDimension", "PixelYDimension", "ExifImageWidth", "ExifImageLength", "ImageWidth",
    "ImageLength", "ColorSpace", "XResolution", "YResolution",
}  # fmt: skip


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photo that was turned upright and converted to sRGB; what it lacks is empty."""

    exif: bytes = b""  # corrected, see `exif`
    xmp: bytes = b""  # corrected, see `xmp`
    dpi: tuple[float, float] | None = None  # across and down
    texts: dict[str, str] = field(default_factory=dict)  # of a PNG, by keyword
    comment: bytes = b""  # of a JPEG
    profile: bool = False  # whether the file had a color profile


def metadata(image: Image.Image, pixels: Pixels) -> Metadata:
    """The metadata of an opened photo, without what is damaged.

    What it says of the file's own pixels is corrected for the picture's, `pixels`.
    """
    info = image.info
    comment = info.get("comment", b"")
    return Metadata(
        exif_bytes.corrected(_exif(image), pixels),
        xmp.corrected(_xmp(image), pixels),
        _dpi(info.get("dpi"), pixels.turned),
        {key: str(value) for key, value in _texts(image).items() if _is_kept(key)},
        comment if isinstance(comment, bytes) and image.format in ("JPEG", "MPO") else b"",
        bool(info.get("icc_profile")),
    )


def _texts(image: Image.Image) -> dict[str, Any]:
    """The texts of a PNG, by keyword."""
    texts = getattr(image, "text", {})
    return {key: value for key, value in texts.items() if isinstance(value, str)}


def _is_kept(key: str) -> bool:
    """Whether a PNG's text under this keyword is written as a text: none that repeats what stands elsewhere."""
    return not (key.startswith(RAW) or key == XMP_KEY or key.rpartition(":")[2] in OF_PIXELS)


def _raw_profile(image: Image.Image, *names: str) -> bytes:
    """Metadata that a PNG holds as a text: its kind, the number of bytes, and these in hexadecimal digits."""
    for text in filter(None, (_texts(image).get(RAW + name) for name in names)):
        found = tolerantly(lambda text=text: bytes.fromhex("".join(text.split()[2:])), b"")  # type: ignore[misc]
        if found:
            return found
    return b""


def _xmp(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or _texts(image).get(XMP_KEY) or _raw_profile(image, "xmp")
    return found.encode() if isinstance(found, str) else found if isinstance(found, bytes) else b""


def exif_tags(exif: bytes) -> dict[int, Any]:
    """EXIF as tags of a TIFF's own directory, subdirectories as dictionaries; empty if it can't be read."""
    own = Image.Exif()
    try:
        own.load(exif)
        return _tags_of_photo(own)
    except Exception:  # EXIF is as hostile as the rest of the file
        return {}


def _tags_of_photo(exif: Image.Exif) -> dict[int, Any]:
    tags: dict[int, Any] = {int(tag): exif[tag] for tag in OF_THE_PHOTO if tag in exif}
    tags |= {int(part): dict(values) for part in SUBDIRECTORIES if (values := exif.get_ifd(part))}
    inside = tags.get(ExifTags.IFD.Exif, {})
    if ExifTags.IFD.Interop in inside:  # its place in the old file
        inside[int(ExifTags.IFD.Interop)] = dict(exif.get_ifd(ExifTags.IFD.Interop))
    return tags


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif", b"")
    if isinstance(raw, bytes) and raw:
        return raw
    if image.format == "TIFF":
        return tolerantly(lambda: _exif_of_tiff(image), b"")
    return _raw_profile(image, "exif", "APP1")


def _exif_of_tiff(image: Image.Image) -> bytes:
    exif, tags = Image.Exif(), _tags_of_photo(image.getexif())
    for tag, value in tags.items():
        if isinstance(value, dict):
            exif.get_ifd(tag).update(value)
        else:
            exif[tag] = value
    return exif.tobytes() if tags else b""


def _dpi(dpi: Any, turned: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.01 <= across <= 1e6 and 0.01 <= down <= 1e6) or across == down == 1:  # 1 is Pillow's for none in a TIFF
        return None
    return (down, across) if turned else (across, down)
