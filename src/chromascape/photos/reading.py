"""Opening photos from anybody. Nothing else in the project calls Pillow's `open`."""

import io
import re
import warnings
from contextlib import suppress
from importlib import import_module

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from chromascape.errors import how_to_install
from chromascape.photos import profiles, tiff
from chromascape.photos.pixels import Photo, assemble, on_white, one_line, tolerantly
from chromascape.photos.source import DEFAULT_LIMITS, Limits, PhotoError

# Pillow's other decoders are left out: some start programs (EPS), and photos rarely come in the rest.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
HEIF = "HEIF"  # read by pillow-heif, where it is installed
# `open` knows only plugins that are loaded; MPO is opened by JPEG's.
for plugin in ("Avif", "Bmp", "Gif", "Jpeg2K", "Jpeg", "Png", "Ppm", "Tiff", "WebP"):
    import_module(f"PIL.{plugin}ImagePlugin")
EXTENSIONS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},  # what some phones and stereo cameras write as .jpg
    "PNG": {".png"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"},
    "AVIF": {".avif"},
    "JPEG2000": {".jp2", ".j2k", ".jpx"},
    HEIF: {".heic", ".heif", ".hif"},
}
# How cameras' raw files begin that are no TIFFs; `tiff.check` finds those that are.
RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
EXAMINED = "pictures"  # in `info` of an examined image: how many pictures its file holds, None if Pillow counts them
# How to turn a photo upright by its EXIF orientation; Pillow turns TIFFs itself.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_photo(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Read a photo's header; pixels are decoded later, by `decode`.

    Raises:
        PhotoError: not an image in one of `FORMATS`, of a kind that is not read right, or more pixels than allowed.
    """
    with warnings.catch_warnings(action="ignore"):  # Pillow warns at half of our own limit
        try:
            image = Image.open(io.BytesIO(data), formats=_formats(data))
        except UnidentifiedImageError:
            raise _unknown(data) from None
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise _too_many(f"{int(pixels[0]) if pixels else limits.max_pixels:,} pixels", limits) from None
        except PhotoError:
            raise
        except Exception as error:  # a decoder may raise anything on a hostile header
            if tiff.is_tiff(data):
                tiff.check(data)
            raise PhotoError("damaged", one_line(error)) from None
        _examine(image, data)
    if image.width * image.height > limits.max_pixels:
        raise _too_many(f"{image.width} × {image.height} pixels", limits)
    return image


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats to try. The decoder of HEIF is loaded for such a file alone.

    Raises:
        PhotoError: it is not installed.
    """
    if not _is_heif(data):
        return FORMATS
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise PhotoError("unsupported", f"HEIC needs the package pillow-heif: {how_to_install('heic')}") from None
    register_heif_opener()
    return (HEIF,)


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS and b"avif" not in data[8:40]


def _unknown(data: bytes) -> PhotoError:
    """Why Pillow knows no format of a file."""
    if _is_heif(data):
        return PhotoError("damaged", "a HEIC that is cut short or damaged")
    if data.startswith(RAW) or data[4:12] == b"ftypcrx ":
        return PhotoError("unsupported", tiff.RAW)
    if tiff.is_tiff(data):
        return tiff.unreadable(data)
    return PhotoError("not_an_image", f"in none of the formats {', '.join(FORMATS)}")


def _too_many(what: str, limits: Limits) -> PhotoError:
    return PhotoError("too_many_pixels", f"{what}, more than the limit of {limits.max_pixels:,}: make a smaller copy")


def _examine(image: Image.Image, data: bytes) -> None:
    """Complete what Pillow takes from a file's header, before its pixels are decoded.

    Raises:
        PhotoError: of a kind that is not read right.
    """
    image.info[EXAMINED] = None
    if image.format == "TIFF":
        image.info[EXAMINED] = tiff.check(data)
        tiff.prepare(image)
    if image.format == "PNG":
        _scale_transparency(image)
    found = profiles.code_points(image, data)
    if found:
        image.info[profiles.CODE_POINTS] = found


def _scale_transparency(image: Image.Image) -> None:
    """The transparent color of a PNG in the image's levels, where Pillow leaves it in those of the file."""
    raw = str(image.tile[0].args) if image.tile else ""  # type: ignore[attr-defined]
    color = image.info.get("transparency")
    if raw in ("L;2", "L;4") and isinstance(color, int):
        image.info["transparency"] = color * (85 if raw == "L;2" else 17)
    elif raw == "RGB;16B" and isinstance(color, tuple):
        image.info["transparency"] = tuple(level >> 8 for level in color)


def decode(image: Image.Image, shorter_side: int | None = None, notes: list[str] | None = None) -> None:
    """Decode the pixels of an opened photo in place.

    A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is several times faster, if its shorter
    side stays at least `shorter_side` pixels.

    Args:
        notes: if given, a JPEG that is cut short is decoded as far as it goes, and the list gets a line about it.
    Raises:
        PhotoError: the file is cut short or damaged, or of a kind that is not read right.
    """
    waiting, file = bool(getattr(image, "tile", None)), getattr(image, "fp", None)
    with warnings.catch_warnings(action="ignore"):
        try:
            if waiting and file and EXAMINED not in image.info:  # opened by somebody else
                file.seek(0)
                _examine(image, file.read())
            if shorter_side and image.format in ("JPEG", "MPO"):
                shortest = min(image.size)
                image.draft(None, tuple(-(-side * shorter_side // shortest) for side in image.size))  # type: ignore[arg-type]
            _load(image, notes)
            if waiting and image.format == "TIFF":
                tiff.finish(image)
        except PhotoError:
            raise
        except Exception as error:  # a decoder may raise anything on damaged data
            raise PhotoError("damaged", one_line(error)) from None


def _load(image: Image.Image, notes: list[str] | None) -> None:
    """Load the pixels; those of a JPEG that lacks its end as far as they go, if notes are wanted."""
    try:
        image.load()
        return
    except OSError as error:
        file, problem = getattr(image, "fp", None), error
    if notes is None or image.format not in ("JPEG", "MPO") or "truncated" not in str(problem) or file is None:
        raise problem
    data = file.getvalue()
    # The mark of its end is set where it stops, or before a table or the head of a scan that is cut itself.
    last = max(data.rfind(b"\xff\xc4"), data.rfind(b"\xff\xda"))
    whole = last + 4 <= len(data) and last + 2 + int.from_bytes(data[last + 2 : last + 4]) <= len(data)
    file.seek(len(data) if whole else last)
    file.write(b"\xff\xd9")
    file.truncate()
    with suppress(OSError):
        image.load()
        there = image.convert("L").point(lambda level: 255 * (level != 128)).getbbox()
        missing = image.height - there[3] if there else image.height  # decoders fill it with middle gray
        if missing < 0.9 * image.height:
            lacks = f"its lower {100 * missing / image.height:.0f} % are gray" if missing > 8 else "it lacks its end"
            notes.append(f"the file is cut short: {lacks}")
            return
    raise problem


def bit_depth(image: Image.Image) -> int:
    """Bits per channel in the file. Call it before `decode`, which drops what it needs."""
    if image.mode == "1":
        return 1
    if image.mode.startswith("I;16"):
        return 16
    if image.mode in ("I", "F"):
        return 32 if image.format == "TIFF" else 16
    if image.format == "BMP":
        return 8  # its raw modes count the bits of a pixel: "BGR;16" is 5, 6 and 5
    # Pillow reads 16-bit color as 8-bit "RGB"; only the decoder's arguments tell: the raw mode, and PPM's maximum.
    arguments = [tile.args for tile in getattr(image, "tile", [])]
    if image.format == "PPM" and any(isinstance(last[-1], int) and last[-1] > 255 for last in arguments if last):
        return 16
    return 16 if any(";16" in str(argument) for argument in arguments) else 8


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 if there is none or it can't be read. Call it after `decode`."""
    value = tolerantly(lambda: image.getexif().get(ExifTags.Base.Orientation), None)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def frames(image: Image.Image) -> int:
    """Pictures in the file, counted up to 2: an animation or a TIFF of several pages has more than 1."""
    if image.format == "MPO":
        return 1  # the further pictures are previews or the other eye's view
    if image.info.get(EXAMINED):
        return min(2, image.info[EXAMINED])
    return 2 if tolerantly(lambda: getattr(image, "is_animated", False), False) else 1


def upright(image: Image.Image, shorter_side: int | None = None, notes: list[str] | None = None) -> Image.Image:
    """Decode an opened photo, and turn it upright by its EXIF orientation; see `decode` for the other arguments.

    `ImageOps.exif_transpose` is not used: it also rewrites the EXIF, and fails where the rest of it is odd.

    Raises:
        PhotoError: the file is cut short or damaged.
    """
    decode(image, shorter_side, notes)
    turn = UPRIGHT.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image, shorter_side: int | None = None) -> Image.Image:
    """An opened photo of any mode as upright, 8-bit sRGB; transparent parts are composed on white.

    Args:
        image: it is used up: its own pixels are returned where they need no conversion, and then its `info` is empty.
        shorter_side: pixels; if given, a JPEG may come out smaller, but not below this (see `decode`).
    Raises:
        PhotoError: the file is cut short or damaged, or its mode can't be converted.
    """
    photo = Photo(upright(image, shorter_side))
    if photo.plain and photo.image:
        photo.image.info = {}  # a profile or comment that Pillow would write with the picture
        return photo.image
    rows = slice(0, photo.height)
    return on_white(assemble(photo, [(rows, *photo.rows(rows))]))


def find_letterbox(rgb: np.ndarray, dark: int = 20, least: float = 0.02) -> tuple[int, int, int, int]:
    """The box of the picture inside black bars at the edges of uint8 RGB (H, W, 3).

    A row or column belongs to a bar if 99 % of its pixels are nearly black (JPEG makes some brighter where bar and
    picture meet). Bars come in pairs, left and right or above and below, each at least `least` of the side thick: a
    dark foreground alone is not a bar.

    Returns:
        left, top, right, bottom in pixels; (0, 0, W, H) if there are no bars or everything is dark.
    """
    height, width = rgb.shape[:2]
    top, bottom = _span(rgb, dark, least)
    left, right = _span(rgb.transpose(1, 0, 2), dark, least)
    if bottom - top < 2 or right - left < 2:
        return 0, 0, width, height
    return left, top, right, bottom


def _span(lines: np.ndarray, dark: int, least: float) -> tuple[int, int]:
    """First and one past the last of the lines (N, length, 3) that is in no bar; the whole length without bars."""
    if _lit(lines[[0, -1]], dark).any():  # as in most photos
        return 0, len(lines)
    where = np.flatnonzero(_lit(lines, dark))
    if where.size == 0:
        return 0, 0
    first, last = int(where[0]), int(where[-1]) + 1
    if min(first, len(lines) - last) < least * len(lines):
        return 0, len(lines)
    return first + 1, last - 1  # without the line where JPEG mixed black into the picture


def _lit(lines: np.ndarray, dark: int) -> np.ndarray:
    return np.percentile(lines.max(axis=2), 99, axis=1) > dark
