"""The damage of old photos, applied to the lightness that the network sees; the colors it should predict stay true.

`DAMAGES` lists them in the order in which they happen to a photo: the film records it, the print ages, the scan adds
its own. Training draws some of them at random strengths (`learning.augment`); `FIXED` holds the strengths at which the
evaluation measures.
"""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from chromascape.color import lab
from chromascape.photos.reading import open_photo

Planes = NDArray[np.float32]  # (3, H, W): L*, a* and b* in the quantised levels 0..255 of `color.lab`, not rounded
Plane = NDArray[np.float32]  # (H, W): L* in the same levels
Steps = Sequence[tuple[str, float]]  # names in DAMAGES and strengths

PANCHROMATIC = np.array([0.213, 0.715, 0.072])  # the eye's response to linear R, G and B: sRGB's luminance
BLUE_FILM = np.array([0.0, 0.1, 0.9])  # the first plates saw little but blue
RED_FILTER = np.array([0.8, 0.2, 0.0])  # darkens skies
FADED_LEVEL = 140  # both black and white of a fading print move towards it
TONE = np.array([1.0, 0.89, 0.69])  # R, G and B of a gray in a sepia print


@dataclass(frozen=True)
class Damage:
    """One entry of DAMAGES.

    Attributes:
        change: returns the damaged lightness, not yet clipped to 0..255.
        weakest, strongest: the range of strengths in old photos, in the unit of `change`.
    """

    change: Callable[[Planes, float, np.random.Generator], Plane]
    weakest: float
    strongest: float


def _film(photo: Planes, strength: float, random: np.random.Generator) -> Plane:
    """A film less like the eye: 0 sees as the eye does, 1 sees only blue, -1 is behind a red filter."""
    other = BLUE_FILM if strength > 0 else RED_FILTER
    response = (1 - abs(strength)) * PANCHROMATIC + abs(strength) * other
    seen = lab.dequantise(np.rint(photo).astype(np.uint8).transpose(1, 2, 0))
    return lab.film_lightness(seen, response) * np.float32(lab.LEVELS / 100)


def _blur(photo: Planes, sigma: float, random: np.random.Generator) -> Plane:
    """A soft lens or scan: a Gaussian, sigma in pixels."""
    return _plane(_image(photo[0]).filter(ImageFilter.GaussianBlur(sigma)))


def _gamma(photo: Planes, gamma: float, random: np.random.Generator) -> Plane:
    """Underexposed (above 1) or overexposed (below 1)."""
    return np.float32(255) * (photo[0] / np.float32(255)) ** np.float32(gamma)


def _fading(photo: Planes, lost: float, random: np.random.Generator) -> Plane:
    """A print that has lost this share of its contrast."""
    return photo[0] * np.float32(1 - lost) + np.float32(lost * FADED_LEVEL)


def _reproduction(photo: Planes, lost: float, random: np.random.Generator) -> Plane:
    """A copy that has lost this share of its contrast, and is lighter or darker than the print."""
    return photo[0] * np.float32(1 - lost) + np.float32(lost * random.uniform(30, 225))


def _vignette(photo: Planes, strength: float, random: np.random.Generator) -> Plane:
    """Corners darker by this share; the loss grows with the squared distance from a center near the middle."""
    down, right = (np.linspace(-1, 1, side, dtype=np.float32) - random.uniform(-0.2, 0.2) for side in photo.shape[1:])
    distance = (down[:, None] ** 2 + right**2) / 2
    return photo[0] * (1 - np.float32(strength) * distance).astype(np.float32)


def _sepia(photo: Planes, strength: float, random: np.random.Generator) -> Plane:
    """A toned print, 0 (gray) to 1 (sepia): toning darkens each gray by a curve."""
    gray = np.stack([np.arange(256), *[np.full(256, lab.NEUTRAL)] * 2], axis=-1).astype(np.uint8)
    toned = lab.lab_to_levels(lab.dequantise(gray)) * (1 + strength * (TONE - 1))
    return np.interp(photo[0], gray[:, 0], lab.lightness(toned[None])[0] * (lab.LEVELS / 100)).astype(np.float32)


def _grain(photo: Planes, sigma: float, random: np.random.Generator) -> Plane:
    """Fine grain or scanner noise: independent in every pixel, sigma in levels."""
    return photo[0] + np.float32(sigma) * random.standard_normal(photo.shape[1:], np.float32)


def _coarse_grain(photo: Planes, sigma: float, random: np.random.Generator) -> Plane:
    """Grain in clumps of 1.5 to 4 pixels, sigma in levels at their centers."""
    height, width = photo.shape[1:]
    size = random.uniform(1.5, 4)
    clumps = random.standard_normal((round(height / size), round(width / size)), np.float32)
    grown = Image.fromarray(clumps).resize((width, height), Image.Resampling.BILINEAR)
    return photo[0] + np.float32(sigma) * np.asarray(grown)


def _scratches(photo: Planes, count: float, random: np.random.Generator) -> Plane:
    """`count` scratches, mostly upright, and four times as many specks of dust, each light or dark."""
    image = _image(photo[0])
    pen, (width, height) = ImageDraw.Draw(image), image.size
    for x, y, lean, length, shade in random.random((round(count), 5)):
        start, rise = (x * width, y * height), (0.2 + length) * height
        end = (start[0] + (lean - 0.5) * rise / 2, start[1] + rise)
        pen.line((*start, *end), fill=_shade(shade))
    for x, y, wide, high, shade in random.random((round(4 * count), 5)):
        left, top = x * width, y * height
        pen.ellipse((left, top, left + 3 * wide, top + 3 * high), fill=_shade(shade))
    return _plane(image)


def _halftone(photo: Planes, strength: float, random: np.random.Generator) -> Plane:
    """A printer's screen of dots, 2.5 to 6 pixels apart, at any angle; the dots vanish in black and white."""
    angle, pitch = random.uniform(0, np.pi / 2), random.uniform(2.5, 6)
    down, right = (np.arange(side) * (2 * np.pi / pitch) for side in photo.shape[1:])
    along = np.cos(np.cos(angle) * right + np.sin(angle) * down[:, None], dtype=np.float32)
    across = np.cos(np.cos(angle) * down[:, None] - np.sin(angle) * right, dtype=np.float32)
    return photo[0] + np.float32(4 * strength / 255) * photo[0] * (255 - photo[0]) * along * across


def _jpeg(photo: Planes, quality: float, random: np.random.Generator) -> Plane:
    """JPEG at this quality, 1 to 95."""
    file = io.BytesIO()
    _image(photo[0]).save(file, "JPEG", quality=round(quality))
    return _plane(open_photo(file.getvalue()))


DAMAGES = {
    "film": Damage(_film, -0.6, 1.0),
    "blur": Damage(_blur, 0.4, 2.2),
    "gamma": Damage(_gamma, 0.6, 2.2),
    "fading": Damage(_fading, 0.1, 0.65),
    "reproduction": Damage(_reproduction, 0.1, 0.5),
    "vignette": Damage(_vignette, 0.2, 0.8),
    "sepia": Damage(_sepia, 0.2, 1.0),
    "grain": Damage(_grain, 2.0, 25.0),
    "coarse grain": Damage(_coarse_grain, 2.0, 20.0),
    "scratches": Damage(_scratches, 1.0, 12.0),
    "halftone": Damage(_halftone, 0.05, 0.4),
    "jpeg": Damage(_jpeg, 75.0, 10.0),
}

# For measuring models: label and damages. `none` is what the others are compared with.
FIXED: dict[str, Steps] = {
    "none": (),
    "grain 8": (("grain", 8),),
    "grain 20": (("grain", 20),),
    "faded": (("fading", 0.45),),
    "dark": (("gamma", 1.8),),
    "blue-sensitive film": (("film", 0.64),),
    "soft": (("blur", 1.6),),
    "JPEG 20": (("jpeg", 20),),
    "vignette": (("vignette", 0.4),),
    "scratches and dust": (("scratches", 6),),
    "sepia": (("sepia", 1),),
    "old scan": (("blur", 1.6), ("fading", 0.45), ("vignette", 0.4), ("grain", 10), ("jpeg", 60)),
}


def measured(photo: NDArray[np.uint8], label: str) -> NDArray[np.uint8]:
    """Apply an entry of FIXED to a photo, quantised Lab (3, H, W); the same photo always gets the same damage."""
    return changed(photo, FIXED[label], np.random.default_rng([zlib.crc32(photo.tobytes())]))


def changed(photo: NDArray[np.uint8], steps: Steps, random: np.random.Generator) -> NDArray[np.uint8]:
    """Apply damages at given strengths to a photo, quantised Lab (3, H, W); a* and b* stay the same."""
    planes = photo.astype(np.float32)
    for name, strength in steps:
        np.clip(DAMAGES[name].change(planes, strength, random), 0, lab.LEVELS, out=planes[0])
    return np.concatenate([np.rint(planes[:1]).astype(np.uint8), photo[1:]])


def _shade(number: float) -> int:
    """Level of a scratch or speck for a number in 0..1: dark (0..60) or, more often, light (195..255)."""
    return round(number * 200) if number < 0.3 else round(255 - (1 - number) * 85)


def _image(plane: Plane) -> Image.Image:
    return Image.fromarray(np.rint(plane).astype(np.uint8))


def _plane(image: Image.Image) -> Plane:
    return np.asarray(image).astype(np.float32)
