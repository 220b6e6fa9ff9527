"""The pictures of colors that a user names, in docs/images: `python docs/hint_pictures.py`.

Each has the gray photo, the model's colors, and those with a few hints, which are marked.
"""

from pathlib import Path

from PIL import Image, ImageDraw

from chromascape import Colorizer, Hint

LANDSCAPES = Path(__file__).parent.parent / "data/landscapes"
IMAGES = Path(__file__).parent / "images"
WIDE = 420  # pixels of each photo
GAP = 6
LARCHES = Hint(0.08, 0.44, "#b8702e", ((0.3, 0.5), (0.55, 0.57)))
BUSH = Hint(0.88, 0.62, "#b0682c", ((0.97, 0.52),))
MEADOW = Hint(0.06, 0.67, "#7d8a4a", ((0.4, 0.69), (0.9, 0.78)))
ROCK = Hint(0.15, 0.26, "#83868c", ((0.4, 0.36), (0.62, 0.44), (0.93, 0.26)))
BOATS = [Hint(0.13, 0.66, "#a3442a"), Hint(0.36, 0.6, "#a3442a")]
# By name of the picture: the photo, and its hints.
HINTS = {
    "hints-autumn": ("aitzgorri", [LARCHES, BUSH, MEADOW, ROCK]),
    "hints-boats": ("evening-glow", [*BOATS, Hint(0.42, 0.32, "#f0a050")]),
    "hints-dusk": ("summer-1am", [Hint(0.5, 0.2, "#8f7fc4"), Hint(0.5, 0.8, "#9a80b8"), Hint(0.4, 0.58, "#e0a0b0")]),
}


def main() -> None:
    """Draw all."""
    colorizer = Colorizer.load()
    for name, (photo, hints) in HINTS.items():
        with Image.open(LANDSCAPES / f"{photo}.jpg") as image:
            gray = image.convert("L")
        colored = colorizer.colorize(gray, hints=hints)
        beside([gray, colorizer.colorize(gray), marked(colored, hints)]).save(IMAGES / f"{name}.jpg", quality=85)


def marked(picture: Image.Image, hints: list[Hint]) -> Image.Image:
    """The picture with a dot of its color, in a white ring, at each hint, and a line along each stroke."""
    draw, radius = ImageDraw.Draw(picture), picture.width / 64
    for hint in hints:
        points = [(x * picture.width, y * picture.height) for x, y in hint.points]
        if len(points) > 1:
            draw.line(points, "white", 6)
            draw.line(points, hint.color, 3)
        draw.circle(points[0], radius, hint.color, "white", 2)
    return picture


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size in a row, on white."""
    high = round(WIDE * pictures[0].height / pictures[0].width)
    row = Image.new("RGB", (len(pictures) * (WIDE + GAP) - GAP, high), "white")
    for number, picture in enumerate(pictures):
        row.paste(picture.resize((WIDE, high), Image.Resampling.LANCZOS), (number * (WIDE + GAP), 0))
    return row


if __name__ == "__main__":
    main()
