"""Photos under the damages that cost most, and their colors: `python docs/damage_pictures.py [MODEL...]`.

Writes docs/images/damages.jpg: for each photo a row of its damaged lightness, and a row of colors for each model.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from chromascape import Colorizer
from chromascape.color import lab
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.judging.damaged import pictures_by_damage

LANDSCAPES = Path(__file__).parent.parent / "data/landscapes"
IMAGES = Path(__file__).parent / "images"
PHOTOS = ("maldives", "picos-de-europa")
WORST = ("none", "faded", "blue-sensitive film", "soft", "grain 20", "old scan")
SIDE, GAP, HEAD = 256, 4, 22  # pixels of a photo, at which damages are measured, between photos, and of the labels


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description="Damaged photos and their colors.")
    parser.add_argument("models", type=Path, nargs="*", default=[SHIPPED], help="folders of models")
    colorizers = [Colorizer.load(path) for path in parser.parse_args().models]
    tall = len(PHOTOS) * (1 + len(colorizers)) * (SIDE + GAP)
    sheet = Image.new("RGB", (len(WORST) * (SIDE + GAP), HEAD + tall), "white")
    pen = ImageDraw.Draw(sheet)
    for column, label in enumerate(WORST):
        pen.text((column * (SIDE + GAP) + 4, 2), label, "black", font_size=16)
    top = HEAD
    for name in PHOTOS:
        for row in rows(colorizers, name):
            for column, label in enumerate(WORST):
                sheet.paste(row[label], (column * (SIDE + GAP), top))
            top += SIDE + GAP
    sheet.save(IMAGES / "damages.jpg", quality=80)


def rows(colorizers: list[Colorizer], name: str) -> list[dict[str, Image.Image]]:
    """Pictures of a landscape by damage: gray, then the colors of each model."""
    with Image.open(LANDSCAPES / f"{name}.jpg") as image:
        short = min(image.size)
        left, upper = (image.width - short) // 2, (image.height - short) // 2
        square = image.convert("RGB").resize((SIDE, SIDE), box=(left, upper, left + short, upper + short))
    photo = lab.quantise(lab.rgb_to_lab(np.asarray(square))).transpose(2, 0, 1)
    found = [pictures_by_damage(colorizer, photo, WORST) for colorizer in colorizers]
    gray = {label: Image.fromarray(both[:SIDE]) for label, both in found[0].items()}
    return [gray, *({label: Image.fromarray(both[SIDE:]) for label, both in each.items()} for each in found)]


if __name__ == "__main__":
    main()
