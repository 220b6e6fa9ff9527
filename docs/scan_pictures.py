"""Twelve scans of old photos, made of the fifteen landscapes, before and after: `python docs/scan_pictures.py`.

Writes docs/images/scans.jpg and prints the table of docs/old-photos.md. Each scan is made of all fifteen, and its true
colors are known, so that one can measure inside the pictures and on the paper around them.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from chromascape import Colorizer
from chromascape.color import lab
from chromascape.color.measures import psnr_db
from chromascape.colorizing import scans
from chromascape.photos.damage import Steps, changed
from chromascape.photos.pixels import Photo

LANDSCAPES = Path(__file__).parent.parent / "data/landscapes"
IMAGES = Path(__file__).parent / "images"
CAPTION = "View from the pass, looking towards the lake.\nSummer 1931. Photograph by the author."
COLORLESS = np.array([1, 0, 0], np.float32)  # times Lab: gray
WIDE_PHOTO = 600  # pixels of a photo on its print
SHOWN, GAP = 260, 8  # pixels of the sheet
HEAD = """\
| scan | pictures found | gain, dB: paper seen | left out | chroma of the paper: paper seen | left out |
|---|---:|---:|---:|---:|---:|"""
Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """How a scan is made.

    Attributes:
        label, photos: as in the table, and the photos in the picture, by name.
        margins: of paper around each photo, as shares of its width: left, top, right, bottom.
        paper: its gray level; line: that of a line around each photo, if any.
        tone: factors of R, G and B of all, as of toned, yellowed or orange material.
        angle: of the page on the scanner, in degrees; bed: the gray level beside it.
        damages: of the photo.
    """

    label: str
    photos: tuple[str, ...]
    margins: tuple[float, float, float, float] = (0.06, 0.06, 0.06, 0.06)
    paper: int = 236
    line: int | None = None
    caption: bool = False
    tone: tuple[float, float, float] = (1, 1, 1)
    angle: float = 0
    bed: int = 250
    damages: Steps = ()
    negative: bool = False


YELLOWED, SEPIA, MASK = (1, 0.93, 0.78), (1, 0.89, 0.69), (0.95, 0.62, 0.4)
WIDE = (0.07, 0.07, 0.07, 0.22)
KINDS = (
    Kind("white border", ("picos-de-europa",)),
    Kind("yellowed paper, caption", ("aitzgorri",), WIDE, 226, caption=True, tone=YELLOWED, damages=(("grain", 4),)),
    Kind("sepia print", ("maldives",), tone=SEPIA, damages=(("sepia", 1),)),
    Kind("tilted by a degree, black bed", ("bridge",), angle=1, bed=12),
    Kind("tilted, yellowed, caption", ("path",), WIDE, 228, caption=True, tone=YELLOWED, angle=-1),
    Kind("halftone of a book, caption", ("after-the-rain",), WIDE, 240, caption=True, damages=(("halftone", 0.2),)),
    Kind("negative", ("storm",), (0.04, 0.04, 0.04, 0.04), 10, negative=True),
    Kind("negative with an orange mask", ("life",), (0.04, 0.04, 0.04, 0.04), 10, tone=MASK, negative=True),
    Kind("two photos on a page", ("kite", "this-is-not-windows"), tone=YELLOWED),
    Kind("print with a white border on black card", ("evening-glow",), (0.05, 0.05, 0.05, 0.05), bed=28),
    Kind("faded, wide lower border", ("sunset",), (0.05, 0.05, 0.05, 0.25), 244,
         damages=(("fading", 0.45), ("vignette", 0.4))),
    Kind("postcard: line, scratches, JPEG", ("dune",), (0.05, 0.05, 0.05, 0.12), 225, line=60, tone=YELLOWED,
         damages=(("scratches", 6), ("jpeg", 30))),
)  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """A page: the scan as uint8 sRGB (H, W, 3), the gray page (H, W), its true a* and b*, and where photos are."""

    rgb: Rgb
    gray: Rgb
    ab: NDArray[np.float32]
    inside: NDArray[np.bool_]


def make_scan(kind: Kind, photos: list[Rgb], random: np.random.Generator) -> Scan:
    """A scan of photos (H, W, 3), one below the other."""
    prints = [_print(kind, photo, random) for photo in photos]
    sheets = [_stacked([one[n] for one in prints]) for n in range(3)]
    fills: tuple[Any, ...] = (kind.bed, (kind.bed,) * 3, 0)
    if kind.bed == 28:  # a card around the print
        wide = sheets[0].width // 12
        sheets = [_framed(sheet, wide, fill) for sheet, fill in zip(sheets, fills, strict=True)]
    sheets = [
        sheet.rotate(kind.angle, Image.Resampling.BICUBIC, fillcolor=fill)
        for sheet, fill in zip(sheets, fills, strict=True)
    ]
    gray, truth, inside = (np.asarray(sheet) for sheet in sheets)
    level = 255 - gray if kind.negative else gray
    if kind.tone == MASK:  # a film's densities never reach black nor white
        level = (30 + 0.65 * level).astype(np.uint8)
    toned = np.rint(level[..., None] * np.array(kind.tone)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(toned).save(file, "JPEG", quality=92)
    return Scan(np.asarray(Image.open(file)), gray, lab.rgb_to_lab(truth)[..., 1:], inside > 127)


def _print(kind: Kind, photo: Rgb, random: np.random.Generator) -> tuple[Image.Image, Image.Image, Image.Image]:
    """A print with its border: gray, in its true colors, and where its photo is."""
    high, wide = photo.shape[:2]
    left, top, right, bottom = (round(share * wide) for share in kind.margins)
    size = wide + left + right, high + top + bottom
    planes = changed(lab.quantise(lab.rgb_to_lab(photo)).transpose(2, 0, 1), kind.damages, random)
    lightness = lab.dequantise(planes.transpose(1, 2, 0)) * COLORLESS
    gray, truth, inside = Image.new("L", size, kind.paper), Image.new("RGB", size, (128,) * 3), Image.new("L", size, 0)
    pen = ImageDraw.Draw(gray)
    if kind.line is not None:
        pen.rectangle((left - 2, top - 2, left + wide + 1, top + high + 1), fill=kind.line)
    gray.paste(Image.fromarray(lab.lab_to_rgb(lightness)).convert("L"), (left, top))
    truth.paste(Image.fromarray(photo), (left, top))
    inside.paste(255, (left, top, left + wide, top + high))
    if kind.caption:
        pen.text((left + wide // 12, top + high + bottom // 4), CAPTION, 50, ImageFont.load_default(wide // 28))
    rough = random.normal(0, 1.5, (size[1], size[0]))
    gray = Image.fromarray(np.clip(np.asarray(gray) + rough, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(0.6)
    )
    return gray, truth, inside


def _framed(sheet: Image.Image, wide: int, fill: Any) -> Image.Image:
    framed = Image.new(sheet.mode, (sheet.width + 2 * wide, sheet.height + 2 * wide), fill)
    framed.paste(sheet, (wide, wide))
    return framed


def _stacked(sheets: list[Image.Image]) -> Image.Image:
    """Prints of one width, one below the other."""
    stack = Image.new(sheets[0].mode, (sheets[0].width, sum(sheet.height for sheet in sheets)))
    for number, sheet in enumerate(sheets):
        stack.paste(sheet, (0, sum(before.height for before in sheets[:number])))
    return stack


def measure(colorizer: Colorizer, kind: Kind, scan: Scan) -> list[float]:
    """Gain over gray inside the pictures in dB without and with the border left out, and chroma on paper likewise."""
    truth = lab.fit_to_srgb(lab.join(lab.lightness(scan.gray), scan.ab))
    inside = np.asarray(Image.fromarray(scan.inside).filter(ImageFilter.MinFilter(9)))
    paper = ~np.asarray(Image.fromarray(scan.inside).filter(ImageFilter.MaxFilter(9)))
    gains, chromas = [], []
    for picture in (blind(colorizer, kind, scan), colorizer.colorize(scan.rgb, negative=kind.negative)):
        ab = lab.rgb_to_lab(picture)[..., 1:]
        shown = lab.lab_to_rgb(lab.fit_to_srgb(lab.join(truth[..., 0], ab)))
        gray = lab.lab_to_rgb(truth * COLORLESS)
        true = lab.lab_to_rgb(truth)
        gains.append(psnr_db(true[inside], shown[inside]) - psnr_db(true[inside], gray[inside]))
        chromas.append(float(np.linalg.norm(ab[paper], axis=-1).mean()))
    return gains + chromas


def blind(colorizer: Colorizer, kind: Kind, scan: Scan) -> Rgb:
    """Colors of the scan as a whole."""
    with patch.object(scans, "find_pictures", return_value=[]):
        picture: Rgb = colorizer.colorize(scan.rgb, negative=kind.negative)
    return picture


def main() -> None:
    """Draw the sheet and print the table."""
    colorizer, names = Colorizer.load(), sorted(file.stem for file in LANDSCAPES.glob("*.jpg"))
    photos = {name: _read(name) for name in names}
    rows = []
    print(HEAD)
    for number, kind in enumerate(KINDS):
        rows.append(_row(colorizer, kind, make_scan(kind, [photos[name] for name in kind.photos], _random(number))))
        found, figures = 0, []
        for first in range(len(names)):
            own = [photos[names[(first + after) % len(names)]] for after in range(len(kind.photos))]
            scan = make_scan(kind, own, _random(number))
            figures.append(measure(colorizer, kind, scan))
            found += _is_found(colorizer, scan, len(own))
        before, after, leak, left = np.mean(figures, axis=0)
        print(f"| {kind.label} | {found} of {len(names)} | {before:+.2f} | {after:+.2f} | {leak:.1f} | {left:.2f} |")
    sheet = Image.new("RGB", (2 * rows[0].width + GAP, sum(row.height + GAP for row in rows[::2]) - GAP), "white")
    for number, row in enumerate(rows):
        above = sum(other.height + GAP for other in rows[number % 2 : number : 2])
        sheet.paste(row, (number % 2 * (rows[0].width + GAP), above))
    sheet.save(IMAGES / "scans.jpg", quality=70)


def _read(name: str) -> Rgb:
    with Image.open(LANDSCAPES / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB").resize((WIDE_PHOTO, round(WIDE_PHOTO * image.height / image.width))))


def _random(number: int) -> np.random.Generator:
    return np.random.default_rng([29, number])


def _is_found(colorizer: Colorizer, scan: Scan, count: int) -> bool:
    """Whether as many pictures are found as there are, each side within 2 % of where it is."""
    high, wide = scan.gray.shape
    light = scans.Scan(Photo(scan.rgb), colorizer.working_size, False, False)
    cover = (
        light.cover(high, wide, slice(0, high), slice(0, wide)) > 0.5 if light.pictures else np.ones((high, wide), bool)
    )
    wrong = (cover != scan.inside).sum() / (scan.inside.sum() * 0.04)
    return len(light.pictures) == count and wrong < 1


def _row(colorizer: Colorizer, kind: Kind, scan: Scan) -> Image.Image:
    """The scan, its colors as a whole, and its colors without the border."""
    pictures = [scan.rgb, blind(colorizer, kind, scan), colorizer.colorize(scan.rgb, negative=kind.negative)]
    row = Image.new("RGB", (3 * (SHOWN + GAP), SHOWN), "white")
    for number, picture in enumerate(map(Image.fromarray, pictures)):
        picture.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
        row.paste(picture, (number * (SHOWN + GAP) + (SHOWN - picture.width) // 2, (SHOWN - picture.height) // 2))
    return row


if __name__ == "__main__":
    main()
