"""A decoded photo in sRGB, read in strips of rows, so that a large photo needs no second copy in memory."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromascape.errors import ChromascapeError
from chromascape.photos.profiles import gray_curve, to_srgb
from chromascape.photos.source import PhotoError

# Rows of a picture: which, their sRGB (h, W, 3), and their alpha (h, W), None where the picture has no transparency.
Strip = tuple[slice, NDArray[Any], NDArray[np.uint8] | None]
Result = TypeVar("Result")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


class Photo:
    """An upright Pillow image of any mode, or an array, as sRGB.

    Attributes:
        height, width: in pixels.
        dtype: of `rows`: uint8; uint16 for 16-bit gray; float32 for floats.
        alpha: whether there is transparency.
        image: the Pillow image; None for an array.
        read_once: whether nobody else needs the image, so that its pixels may be freed once they are read.
    """

    read_once = False

    def __init__(self, picture: Image.Image | NDArray[Any]):
        """Take a decoded, upright Pillow image (see `reading.upright`), or check an array.

        Raises:
            ChromascapeError: an array of another shape, type or range than `check_array` wants.
            PhotoError: an image of floats outside 0..1 or of whole numbers outside 0..65535, by the same rule.
        """
        self.image: Image.Image | None = None
        if isinstance(picture, Image.Image):
            self.image = picture
            self.width, self.height = picture.size
            self.alpha = picture.mode in WITH_ALPHA or "transparency" in picture.info
            deep = picture.mode == "I" or picture.mode.startswith("I;16")
            self.dtype = np.dtype(np.uint16 if deep else np.float32 if picture.mode == "F" else np.uint8)
            self._transform, self._curve = to_srgb(picture), gray_curve(picture)
            if self.dtype == np.float32 or picture.mode == "I":
                _check_range(picture, 1 if self.dtype == np.float32 else 65535)
        else:
            self.array = check_array(picture)
            self.height, self.width = picture.shape[:2]
            self.alpha, self.dtype = False, np.dtype(np.float32 if picture.dtype.kind == "f" else picture.dtype)

    @property
    def plain(self) -> bool:
        """Whether the Pillow image is 8-bit RGB in sRGB as it is."""
        return self.image is not None and self.image.mode == "RGB" and not self.alpha and self._transform is None

    def rows(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """Gray (h, W) or sRGB (h, W, 3) of these rows, and their alpha (h, W) where there is transparency.

        Transparent pixels keep the colors that the file gives them.

        Raises:
            PhotoError: the image's mode can't be converted.
        """
        if self.image is None:
            return self.array[rows].astype(self.dtype, copy=False), None
        strip = self.image.crop((0, rows.start, self.width, rows.stop))
        try:
            return self._convert(strip)
        except Exception as error:  # Pillow can't convert every mode to RGB
            raise PhotoError("mode", one_line(error)) from None

    def _convert(self, strip: Image.Image) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        alpha = None
        if self.dtype != np.uint8:
            return self._deep(strip)
        if self.alpha:
            gray = strip.mode in ("1", "L", "LA", "La")
            strip = strip.convert("LA" if gray else "RGBA")
            alpha = np.asarray(strip.getchannel("A"))
            strip = strip.convert("L" if gray else "RGB")
        elif strip.mode in ("P", "YCbCr") and self._transform is not None:
            strip = strip.convert("RGB")
        if self._transform is not None:
            return np.asarray(ImageCms.applyTransform(strip, self._transform)), alpha
        if strip.mode not in ("1", "L"):
            return _levels(strip if strip.mode == "RGB" else strip.convert("RGB")), alpha
        levels = np.asarray(strip.convert("L"))
        return (levels if self._curve is None else self._curve.astype(np.uint8)[levels]), alpha

    def _deep(self, strip: Image.Image) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """Gray of 16 bits or of floats, by the tone curve of its profile if it has one, and its alpha."""
        values = np.asarray(strip)
        alpha = None
        if self.alpha:  # one level is transparent
            alpha = np.where(values == strip.info["transparency"], 0, 255).astype(np.uint8)
        values = values.astype(self.dtype)
        if self._curve is None:
            return values, alpha
        # The curve of 256 levels is interpolated.
        top = 1 if self.dtype == np.float32 else 65535
        curved = np.interp(values, np.linspace(0, top, 256), self._curve * (top / 255))
        return (curved if top == 1 else np.rint(curved)).astype(self.dtype), alpha


def assemble(photo: Photo, strips: Iterable[Strip], widen: int = 1) -> Image.Image:
    """An 8-bit image from strips that are `widen` times as wide as the photo: RGBA if it has transparency, else RGB."""
    picture = Image.new("RGBA" if photo.alpha else "RGB", (widen * photo.width, photo.height), None)
    for rows, colors, alpha in strips:
        picture.paste(_image(_eight_bit(colors), alpha), (0, rows.start))
    return picture


def _image(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> Image.Image:
    """Rows (h, W, 3) with their alpha as an image; of rows that lie four bytes apart, their memory itself."""
    four, size = rgb.base, rgb.shape[1::-1]
    if isinstance(four, np.ndarray) and four.shape == (*size[::-1], 4) and four.ctypes.data == rgb.ctypes.data:
        if alpha is not None:
            four[..., 3] = alpha
        return Image.frombuffer("RGBA", size, four, "raw", "RGBA", 0, 1)  # also pasted into RGB as it is
    picture = Image.fromarray(rgb)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture


def _levels(picture: Image.Image) -> NDArray[np.uint8]:
    """RGB (H, W, 3), whose pixels lie four bytes apart, as in Pillow: that is half the work of three."""
    pixels = np.frombuffer(picture.tobytes("raw", "RGBX"), np.uint8)
    return pixels.reshape(picture.height, picture.width, 4)[..., :3]


def on_white(picture: Image.Image) -> Image.Image:
    """RGB, or RGBA composed on white, as RGB."""
    if picture.mode == "RGB":
        return picture
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def one_line(error: Exception) -> str:
    """What a decoder says, in at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def tolerantly(read: Callable[[], Result], otherwise: Result) -> Result:
    """The result of `read`, without warnings, or `otherwise` if it fails: EXIF is as hostile as the rest of a file."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return read()
        except Exception:
            return otherwise


def check_array(array: NDArray[Any]) -> NDArray[Any]:
    """The array, if it can be a photo.

    Raises:
        ChromascapeError: it is not gray (H, W) or RGB (H, W, 3) of uint8, uint16, or floats in 0..1.
    """
    expected = "expected (H, W) or (H, W, 3) of uint8, uint16, or floats in 0..1"
    if not isinstance(array, np.ndarray):
        raise ChromascapeError(f"{expected}, or a Pillow image; got {type(array).__name__}")
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    typed = array.dtype in (np.uint8, np.uint16) or array.dtype.kind == "f"
    if not shaped or not typed or not array.size:
        raise ChromascapeError(f"{expected}; got {array.dtype} {array.shape}")
    if array.dtype.kind == "f" and not (array.min() >= 0 and array.max() <= 1):  # also refuses NaN
        raise ChromascapeError(f"{expected}; got {array.dtype} from {array.min():g} to {array.max():g}")
    return array


def _check_range(image: Image.Image, top: int) -> None:
    """Raise PhotoError for an image of numbers outside 0..`top`; not a number is outside, too."""
    low, high = (float(extreme) for extreme in (np.asarray(image).min(), np.asarray(image).max()))
    if not (low >= 0 and high <= top):
        kind = "floats in 0..1" if top == 1 else "whole numbers in 0..65535"
        raise PhotoError("unsupported", f"expected {kind}; got {low:g} to {high:g}: save it as 8 or 16 bits a channel")


def _eight_bit(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Levels of 8 or 16 bits, or floats in 0..1, as 8-bit levels."""
    if levels.dtype == np.uint8:
        return levels
    return np.rint(levels * np.float64(255 if levels.dtype.kind == "f" else 1 / 257)).astype(np.uint8)
