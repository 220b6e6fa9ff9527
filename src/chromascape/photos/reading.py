"""Opening photos that somebody else made. Nothing else in the project calls Pillow's `open`."""

import io
import warnings

import numpy as np
from PIL import (  # noqa: F401, for the plugins
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from chromascape.photos.source import DEFAULT_LIMITS, Limits, PhotoError

# Pillow's other decoders are left out: some start programs (EPS), most are never met among photos.
# Their plugins are imported here because `open` knows only those that are loaded; MPO comes in through JPEG's.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
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
# How to turn a photo upright by its EXIF orientation; Pillow has done so with TIFFs by itself.
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns at half of the size that we check ourselves
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise PhotoError("not_an_image", f"in none of the formats {', '.join(FORMATS)}") from None
        except Image.DecompressionBombError:
            raise PhotoError("too_many_pixels", f"more than {limits.max_pixels:,}") from None
        except Exception as error:  # a decoder may raise anything on a hostile header
            raise PhotoError("damaged", _one_line(error)) from None
    if image.width * image.height > limits.max_pixels:
        raise PhotoError("too_many_pixels", f"{image.width} × {image.height}")
    return image


def decode(image: Image.Image, shorter_side: int | None = None) -> None:
    """Decode the pixels of an opened photo in place.

    A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is several times faster, as long as its shorter
    side stays at least `shorter_side` pixels.

    Raises:
        PhotoError: the file is cut short or damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if shorter_side and image.format in ("JPEG", "MPO"):
                shortest = min(image.size)
                image.draft(None, tuple(-(-side * shorter_side // shortest) for side in image.size))  # type: ignore[arg-type]
            image.load()
        except Exception as error:  # a decoder may raise anything on damaged data
            raise PhotoError("damaged", _one_line(error)) from None


def bit_depth(image: Image.Image) -> int:
    """Bits a channel, as the file stores them; ask before `decode`, which forgets."""
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
    """EXIF orientation, 1 (upright) to 8; 1 where there is none or it can't be read. Ask after `decode`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = image.getexif().get(ExifTags.Base.Orientation, 1)
        except Exception:  # EXIF is as hostile as the rest of the file
            return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def frames(image: Image.Image) -> int:
    """Pictures in the file: more than 1 for animations and many-paged TIFFs. Counted up to 2."""
    if image.format == "MPO":
        return 1  # the further pictures are previews or the other eye's view
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return 2 if getattr(image, "is_animated", False) else 1
        except Exception:
            return 1


def to_rgb(image: Image.Image, shorter_side: int | None = None) -> Image.Image:
    """An opened photo of any mode as upright, 8-bit sRGB; transparent parts are composed on white.

    Args:
        shorter_side: pixels; where given, a JPEG may come out smaller, but not below this (see `decode`).

    Raises:
        PhotoError: the file is cut short or damaged, or the mode has no conversion.
    """
    decode(image, shorter_side)
    try:
        # Not by ImageOps.exif_transpose, which writes the EXIF anew and gives up where the rest of it is odd.
        turn = UPRIGHT.get(orientation(image))
        image = image.copy() if turn is None else image.transpose(turn)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            image = _eight_bit_gray(image)
        if image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info:
            rgba = _to_srgb(image, "RGBA") if image.mode == "RGBA" else image.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            return Image.alpha_composite(white, rgba).convert("RGB")
        return _to_srgb(image, "RGB")
    except Exception as error:  # e.g. Pillow has no way from LAB to RGB
        raise PhotoError("mode", _one_line(error)) from None


def find_letterbox(rgb: np.ndarray, dark: int = 20, least: float = 0.02) -> tuple[int, int, int, int]:
    """Where the picture lies inside black bars at its edges.

    A row or column belongs to a bar when 99 % of its pixels are nearly black (JPEG leaves some brighter ones
    where bar and picture meet). Bars come in pairs, left and right or above and below, each at least `least` of
    the side thick: a dark foreground alone is none.

    Args:
        rgb: uint8 (H, W, 3).
    Returns:
        left, top, right, bottom in pixels; (0, 0, W, H) without bars or where everything is dark.
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


def _eight_bit_gray(image: Image.Image) -> Image.Image:
    """Gray of 16 or 32 bits to 8: the full 16-bit range for integers, 0..1 for floats."""
    values = np.asarray(image, dtype=np.float64)
    scaled = values * 255 if image.mode == "F" else values / 257
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, mode: str) -> Image.Image:
    """Convert by the photo's own color profile where it has one that can be used, else as if it were sRGB."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                srgb = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(image, source, srgb, outputMode=mode)
                return converted if converted is not None else image.convert(mode)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a broken profile: the plain conversion is better than no photo
    return image.convert(mode)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
