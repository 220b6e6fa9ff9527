"""A decoded photo's pixels, upright and in sRGB, strip by strip: so that a large photo needs no second copy."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromascape.errors import ChromascapeError
from chromascape.photos.reading import UPRIGHT, decode, orientation
from chromascape.photos.source import PhotoError

# Rows of a picture from top to bottom: which, their sRGB (h, W, 3), and their alpha (h, W) where there is any.
Strip = tuple[slice, NDArray[Any], NDArray[np.uint8] | None]
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


class Pixels:
    """The pixels of a Pillow image or of an array.

    Attributes:
        height, width: in pixels, upright.
        dtype: what `rows` gives: uint8; uint16 for gray of 16 bits; float32 for floats.
        alpha: whether there is transparency.
        turn: how a Pillow image was turned upright by its EXIF orientation; None where it was not.
    """

    def __init__(self, image: Image.Image | NDArray[Any]):
        """Decode a Pillow image, or check an array: (H, W) or (H, W, 3) of uint8, uint16, or floats in 0..1.

        Raises:
            PhotoError: the image can't be decoded.
            ChromascapeError: an array of another shape, type or range.
        """
        self.turn: Image.Transpose | None = None
        self.image: Image.Image | None = None
        if isinstance(image, Image.Image):
            decode(image)
            self.turn = UPRIGHT.get(orientation(image))
            self.image = image if self.turn is None else image.transpose(self.turn)
            self.width, self.height = self.image.size
            self.alpha = self.image.mode in WITH_ALPHA or "transparency" in self.image.info
            deep = self.image.mode == "I" or self.image.mode.startswith("I;16")
            self.dtype = np.dtype(np.uint16 if deep else np.float32 if self.image.mode == "F" else np.uint8)
            self._transform = _to_srgb(self.image)
        else:
            self.array = check_array(image)
            self.height, self.width = image.shape[:2]
            self.alpha, self.dtype = False, np.dtype(np.float32 if image.dtype.kind == "f" else image.dtype)

    def rows(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """Gray (h, W) or sRGB (h, W, 3) of these rows, and their alpha (h, W) where there is transparency.

        Colors are as the file has them, also where nothing of them is seen.

        Raises:
            PhotoError: the image's mode has no conversion.
        """
        if self.image is None:
            return self.array[rows].astype(self.dtype, copy=False), None
        strip = self.image.crop((0, rows.start, self.width, rows.stop))
        try:
            return self._convert(strip)
        except Exception as error:  # e.g. Pillow has no way from this mode to RGB
            raise PhotoError("mode", " ".join(str(error).split())[:200]) from None

    def _convert(self, strip: Image.Image) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        alpha = None
        if self.dtype != np.uint8:
            return self._deep(strip), None
        if self.alpha:
            gray = strip.mode in ("LA", "La")
            strip = strip.convert("LA" if gray else "RGBA")
            alpha = np.asarray(strip.getchannel("A"))
            strip = strip.convert("L" if gray else "RGB")
        if self._transform is not None and strip.mode in ("L", "RGB", "CMYK", "LAB"):
            color = np.asarray(ImageCms.applyTransform(strip, self._transform))
            return (color[..., 0] if strip.mode == "L" else color), alpha
        return np.asarray(strip.convert("L" if strip.mode in ("1", "L") else "RGB")), alpha

    def _deep(self, strip: Image.Image) -> NDArray[Any]:
        """Gray of 16 bits, or of floats, by its own tone curve where it has one."""
        values = np.asarray(strip)
        if self.dtype == np.float32:
            return np.clip(np.nan_to_num(values), 0, 1)
        values = np.clip(values, 0, 65535).astype(np.uint16)
        if self._transform is None:
            return values
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        curve = np.asarray(ImageCms.applyTransform(ramp, self._transform))[0, :, 0]
        return np.rint(np.interp(values, np.arange(256) * 257, curve.astype(float) * 257)).astype(np.uint16)


def assemble(photo: Pixels, strips: Iterable[Strip], widen: int = 1) -> Image.Image:
    """An 8-bit image, RGB or RGBA as the photo has transparency or not, of strips of any depth.

    Args:
        widen: the strips are so many times as wide as the photo.
    """
    picture = Image.new("RGBA" if photo.alpha else "RGB", (widen * photo.width, photo.height))
    for rows, colors, alpha in strips:
        strip = Image.fromarray(colors if colors.dtype == np.uint8 else _eight_bit(colors))
        if alpha is not None:
            strip.putalpha(Image.fromarray(alpha))
        picture.paste(strip, (0, rows.start))
    return picture


def check_array(array: NDArray[Any]) -> NDArray[Any]:
    """The array, if it can be a photo.

    Raises:
        ChromascapeError: it has another shape, type or range than gray (H, W) or RGB (H, W, 3) of uint8, uint16, or
            floats in 0..1.
    """
    expected = "expected (H, W) or (H, W, 3) of uint8, uint16, or floats in 0..1"
    if not isinstance(array, np.ndarray):
        raise ChromascapeError(f"{expected}, or a Pillow image; got {type(array).__name__}")
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    typed = array.dtype in (np.uint8, np.uint16) or array.dtype.kind == "f"
    if not shaped or not typed or not array.size:
        raise ChromascapeError(f"{expected}; got {array.dtype} {array.shape}")
    if array.dtype.kind == "f" and not (array.min() >= 0 and array.max() <= 1):  # also where one is not a number
        raise ChromascapeError(f"{expected}; got {array.dtype} from {array.min():g} to {array.max():g}")
    return array


def _eight_bit(levels: NDArray[Any]) -> NDArray[np.uint8]:
    """Levels of 16 bits, or floats in 0..1, as 8-bit levels."""
    return np.rint(levels * (255.0 if levels.dtype.kind == "f" else 1 / 257)).astype(np.uint8)


def _to_srgb(image: Image.Image) -> Any:
    """How to get from the photo's own color profile to sRGB; None where there is none, or it can't be used."""
    mode = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB"}.get(image.mode, image.mode)
    mode = "L" if mode == "I" or mode.startswith("I;16") else "RGB" if mode in ("P", "PA") else mode
    profile = image.info.get("icc_profile")
    if mode not in ("L", "RGB", "CMYK", "LAB") or not (profile or mode == "LAB"):
        return None
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(own):
            return None
        return ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # a broken profile: the plain conversion is better than no photo
