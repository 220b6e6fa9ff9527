"""What colors of another photo are worth: PSNR with `--like` over none, for pairs of validation photos.

    python experiments/like_table.py                   # the shipped model on 40 photos of data/lab
    python experiments/like_table.py --split train     # on which ALIKE was chosen

Run it after the stages `validate` and `preprocess`. Pairs are two crops of one photo that share a part, its two halves,
each with the second one darker or lighter and larger or smaller; crops of two photos; and, of the split train, two
photos of one scene.
"""

import argparse
from pathlib import Path

import numpy as np
from hints_table import Float, psnr
from PIL import Image

from chromascape.color import lab
from chromascape.colorizing import like
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.hints import towards
from chromascape.errors import ChromascapeError
from chromascape.photos.manifest import read_manifest
from chromascape.photos.pixels import Photo
from chromascape.photos.shards import Shards

OTHERS = (1, 7, 17)  # crops of so many photos further on are those of another scene
Pair = tuple[Float, Float]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--lab", type=Path, default=Path("data/lab"))
    parser.add_argument("--manifest", type=Path, default=Path("data/manifest.csv"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--alike", type=float, nargs="+", default=[like.ALIKE])
    options = parser.parse_args()
    colorizer, photos = Colorizer.load(options.model), Shards(options.lab, (options.split,))
    found = {name: [measure(colorizer, *pair) for pair in some] for name, some in pairs(photos, options).items()}
    print(
        "| pairs | number | all taken, dB | " + " | ".join(f"{alike:g}: taken | dB" for alike in options.alike) + " |"
    )
    print("|---|---|---|" + "---|---|" * len(options.alike))
    for name, rows in found.items():
        distance, gain = np.array(rows).T
        cells = [
            f"{np.mean(distance <= alike):.0%} | {np.mean(gain * (distance <= alike)):+.2f}" for alike in options.alike
        ]
        print(f"| {name} | {len(rows)} | {gain.mean():+.2f} | {' | '.join(cells)} |")


def pairs(photos: Shards, options: argparse.Namespace) -> dict[str, list[Pair]]:
    """Gray photo and reference, Lab each, by kind of pair."""
    rows = np.sort(np.random.default_rng(3).permutation(len(photos))[: options.photos])
    pictures = [lab.dequantise(photos.photo(int(row))) for row in rows]
    shared = [crops(picture, 0.7, number) for number, picture in enumerate(pictures)]
    halves = [crops(picture, 0.5, number) for number, picture in enumerate(pictures)]
    other = [(shared[n][0], shared[(n + by) % len(shared)][1]) for by in OTHERS for n in range(len(shared))]
    found = {"crops that share a part": shared, "halves": halves, "another scene": other}
    if options.split == "train":
        manifest = read_manifest(options.manifest).set_index("path").loc[photos.paths]
        scenes = [list(same) for same in manifest.reset_index().groupby("group").indices.values() if len(same) > 1]
        found["two photos of a scene"] = [
            (lab.dequantise(photos.photo(int(one))), lab.dequantise(photos.photo(int(two)))) for one, two, *_ in scenes
        ]
    return found


def crops(picture: Float, share: float, number: int) -> Pair:
    """Two crops of a photo from its left and its right; the second is darker or lighter, and larger or smaller."""
    generator = np.random.default_rng(number)
    wide = int(share * picture.shape[1])
    one, other = (picture[:, :wide], picture[:, -wide:])[:: 1 if number % 2 else -1]
    other = other.copy()
    other[..., 0] = 100 * (other[..., 0] / 100) ** generator.uniform(0.8, 1.25)
    scale = generator.uniform(0.75, 1.3)
    rgb = Image.fromarray(lab.lab_to_rgb(lab.fit_to_srgb(other)))
    return one, lab.rgb_to_lab(np.asarray(rgb.resize((int(wide * scale), int(len(picture) * scale)))))


def measure(colorizer: Colorizer, photo: Float, other: Float) -> tuple[float, float]:
    """The mean distance of the photos' looks, and the gain in dB if the colors are taken whatever it is."""
    ab = colorizer.predict_ab(photo[..., 0])
    try:
        reference = like.Reference(Photo(lab.lab_to_rgb(lab.fit_to_srgb(other))))
    except ChromascapeError:  # a photo without colors
        return np.inf, 0
    distance, nearest = like.compare(reference, photo[..., 0])
    marks = like.surest(reference, photo.shape[:2], distance, nearest)
    changed = ab + towards(photo[..., 0], ab, marks)
    return float(distance.mean()), psnr(photo, changed) - psnr(photo, ab)


if __name__ == "__main__":
    main()
