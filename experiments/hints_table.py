"""What hints are worth: PSNR of validation photos with 1, 2, 5 and 10 hints that have the photo's own colors.

    python experiments/hints_table.py                     # the shipped model on 60 photos of data/lab
    python experiments/hints_table.py models/colorizer --sigma 6 --side 64

Run it after the stages `validate` and `preprocess`. Hints are at random places, or where a user would click: in the
middle of the region of an eighth of the side whose colors are most wrong, given the hints before.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.measures import psnr_db
from chromascape.colorizing import hints
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.fullsize import resize
from chromascape.photos.shards import Shards

COUNTS = (1, 2, 5, 10)
Float = NDArray[np.floating]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--lab", type=Path, default=Path("data/lab"))
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--side", type=int, default=hints.SIDE)
    parser.add_argument("--sigma", type=float, default=hints.SIGMA)
    parser.add_argument("--epsilon", type=float, default=hints.EPSILON)
    options = parser.parse_args()
    hints.SIDE, hints.LONGEST = options.side, 4 * options.side
    hints.SIGMA, hints.EPSILON = options.sigma, options.epsilon
    colorizer, photos = Colorizer.load(options.model), Shards(options.lab, ("val",))
    rows = np.sort(np.random.default_rng(5).permutation(len(photos))[: options.photos])
    found = [
        (measure(colorizer, photo), reach(colorizer, photo)) for photo in map(lab.dequantise, map(photos.photo, rows))
    ]
    mean = np.mean([gains for gains, _ in found], axis=0)
    print(f"{len(rows)} photos; gray {mean[0, 0]:.2f} dB, without hints {mean[0, 1]:.2f} dB\n")
    print(f"| hints | {' | '.join(map(str, COUNTS))} |\n|---|{'---|' * len(COUNTS)}")
    for name, line in zip(("at random places, dB", "where colors are most wrong, dB"), mean[1:], strict=True):
        print(f"| {name} | {' | '.join(f'{gain:+.2f}' for gain in line)} |")
    above, below = np.mean([changes for _, changes in found], axis=0)
    print(
        f"\na red hint near the lower edge changes ab by {below:.1f} in the lower half, {above:.1f} in the upper fourth"
    )


def measure(colorizer: Colorizer, photo: Float) -> list[list[float]]:
    """PSNR of gray and of the model, padded to a line; then the gain by hints of both kinds for each of COUNTS."""
    lightness, ab = photo[..., 0], colorizer.predict_ab(photo[..., 0])
    before = psnr(photo, ab)
    generator = np.random.default_rng(int(photo.sum()))
    random = [tuple(place) for place in generator.uniform(0, 1, (max(COUNTS), 2))]
    found = [gain(photo, lightness, ab, random[:count]) - before for count in COUNTS]
    worst: list[tuple[float, float]] = []
    clicked = []
    for count in range(1, max(COUNTS) + 1):
        worst.append(most_wrong(photo, ab + hints.change(lightness, ab, at(photo, worst)), worst))
        if count in COUNTS:
            clicked.append(gain(photo, lightness, ab, worst) - before)
    return [[psnr(photo, np.zeros_like(ab)), before, 0, 0], found, clicked]


def reach(colorizer: Colorizer, photo: Float) -> tuple[float, float]:
    """How much a strong color near the lower edge changes the upper fourth and the lower half: mean |a*| + |b*|."""
    lightness = photo[..., 0]
    hint = hints.Hint(0.5, 0.8, "#d04020")
    change = np.abs(hints.change(lightness, colorizer.predict_ab(lightness), [hint])).sum(axis=-1)
    height = len(change)
    return float(change[: height // 4].mean()), float(change[height // 2 :].mean())


def at(photo: Float, places: list[tuple[float, float]]) -> list[hints.Hint]:
    """Hints with the photo's own colors, as means of the cells that they cover."""
    height, width = hints.grid(*photo.shape[:2])
    small = resize(photo, height, width)
    found = []
    for x, y in places:
        color = small[min(int(y * height), height - 1), min(int(x * width), width - 1)]
        hint = hints.Hint(x, y, "none")
        hint.__dict__["ab"] = color[1:]  # exactly, also where it is outside sRGB at this lightness
        found.append(hint)
    return found


def gain(photo: Float, lightness: Float, ab: Float, places: list[tuple[float, float]]) -> float:
    """PSNR in dB with hints at these places."""
    return psnr(photo, ab + hints.change(lightness, ab, at(photo, places)))


def most_wrong(photo: Float, ab: Float, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """The middle of the region with the largest mean error, none of whose hints are taken."""
    error, cells = photo[..., 1:] - ab, 48
    small = resize(error, cells, cells)
    padded = np.pad(small, ((3, 2), (3, 2), (0, 0)), mode="edge")
    region = np.mean([padded[y : y + cells, x : x + cells] for y in range(6) for x in range(6)], axis=0)
    size = (region**2).sum(axis=-1)
    for x, y in taken:
        size[int(y * cells), int(x * cells)] = -1
    row, column = np.unravel_index(size.argmax(), size.shape)
    return (float(column) + 0.5) / cells, (float(row) + 0.5) / cells


def psnr(photo: Float, ab: Float) -> float:
    """PSNR of the photo with these colors in dB."""
    return psnr_db(lab.lab_to_rgb(photo), lab.lab_to_rgb(lab.fit_to_srgb(lab.join(photo[..., 0], ab))))


if __name__ == "__main__":
    main()
