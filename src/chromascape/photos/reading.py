"""Opening photos from anybody. Nothing else in the project calls Pillow's `open`."""

import io
import warnings
from importlib import import_module

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from chromascape.photos.pixels import Photo, assemble, on_white, one_line, tolerantly
from chromascape.photos.source import DEFAULT_LIMITS, Limits, PhotoError

# Pillow's other decoders are left out: some start programs (EPS), and photos rarely come in the rest.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
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
}
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
        PhotoError: not an image in one of `FORMATS`, or more pixels than allowed.
    """
    with warnings.catch_warnings(action="ignore"):  # Pillow warns at half of our own limit
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise PhotoError("not_an_image", f"in none of the formats {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise PhotoError("too_many_pixels", f"more than {limits.max_pixels:,}") from None
        except Exception as error:  # a decoder may raise anything on a hostile header
            raise PhotoError("damaged", one_line(error)) from None
    if image.width * image.height > limits.max_pixels:
        raise PhotoError("too_many_pixels", f"{image.width} × {image.height}")
    return image


def decode(image: Image.Image, shorter_side: int | None = None) -> None:
    """Decode the pixels of an opened photo in place.

    A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is several times faster, if its shorter
    side stays at least `shorter_side` pixels.

    Raises:
        PhotoError: the file is cut short or damaged.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            if shorter_side and image.format in ("JPEG", "MPO"):
                shortest = min(image.size)
                image.draft(None, tuple(-(-side * shorter_side // shortest) for side in image.size))  # type: ignore[arg-type]
            image.load()
        except Exception as error:  # a decoder may raise anything on damaged data
            raise PhotoError("damaged", one_line(error)) from None


def bit_depth(image: Image.Image) -> int:
    """Bits per channel in the file. Call it before `decode`, which drops what it needs."""
    if image.mode == "1":
        return 1
    if image.mode.startswith("I;16"):
        return 16
    if image.mode in ("I", "F"):
        return 32 if image.format == "TIFF" else 16
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
    return 2 if tolerantly(lambda: getattr(image, "is_animated", False), False) else 1


def upright(image: Image.Image, shorter_side: int | None = None) -> Image.Image:
    """Decode an opened photo, and turn it upright by its EXIF orientation; see `decode` for `shorter_side`.

    `ImageOps.exif_transpose` is not used: it also rewrites the EXIF, and fails where the rest of it is odd.

    Raises:
        PhotoError: the file is cut short or damaged.
    """
    decode(image, shorter_side)
    turn = UPRIGHT.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image, shorter_side: int | None = None) -> Image.Image:
    """An opened photo of any mode as upright, 8-bit sRGB; transparent parts are composed on white.

    Args:
        shorter_side: pixels; if given, a JPEG may come out smaller, but not below this (see `decode`).
    Raises:
        PhotoError: the file is cut short or damaged, or its mode can't be converted.
    """
    photo = Photo(upright(image, shorter_side))
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
    brightest = rgb.max(axis=2)
    top, bottom = _span(np.percentile(brightest, 99, axis=1) > dark, least)
    left, right = _span(np.percentile(brightest, 99, axis=0) > dark, least)
    if bottom - top < 2 or right - left < 2:
        return 0, 0, width, height
    return left, top, right, bottom


def _span(lit: np.ndarray, least: float) -> tuple[int, int]:
    """First and one past the last True; the whole length unless both ends are at least `least` of it away."""
    where = np.flatnonzero(lit)
    if where.size == 0:
        return 0, 0
    first, last = int(where[0]), int(where[-1]) + 1
    if min(first, len(lit) - last) < least * len(lit):
        return 0, len(lit)
    return first + 1, last - 1  # without the line where JPEG mixed black into the picture
