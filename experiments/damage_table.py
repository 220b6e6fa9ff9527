"""What a model is worth on photos that are damaged as old ones are: `python experiments/damage_table.py [MODEL...]`.

Each of a fixed, seeded list of damages is done to the lightness of the validation photos; the colors that the model
gives it are joined to the photo's own lightness, so that only color counts, and compared with the true photo. Run it
where the pipeline's stages `validate` and `preprocess` have run. It never reads the test photos.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.judging.damaged import gains_by_damage
from chromascape.parallel import ProgressBar
from chromascape.photos.damage import FIXED
from chromascape.photos.shards import Shards

SEED = 0  # of the photos that are drawn


def main() -> None:
    """Print a Markdown table, a row a damage, a column a model: gain over gray, wins, share of the clean gain."""
    parser = argparse.ArgumentParser(description="Gain over gray by damage, on the validation photos.")
    parser.add_argument(
        "models", type=Path, nargs="*", default=[SHIPPED], help="folders of models; without, the shipped"
    )
    parser.add_argument("--lab", type=Path, default=Path("data/lab"), help="folder of Lab shards")
    parser.add_argument("--photos", type=int, default=150, help="so many of the validation photos; 0: all")
    options = parser.parse_args()
    shards = Shards(options.lab, ("val",))
    rows = np.random.default_rng(SEED).permutation(len(shards))[: options.photos or None]
    gains = {
        "shipped" if model == SHIPPED else model.name: by_damage(Colorizer.load(model, "cpu"), shards, np.sort(rows))
        for model in options.models
    }
    print(f"{len(rows)} validation photos; gray has a gain of 0.\n")
    print("| damage | " + " | ".join(f"{name}: gain, dB / wins / of clean" for name in gains) + " |")
    print("|---" * (len(gains) + 1) + "|")
    for at, label in enumerate(FIXED):
        print(f"| {label} | " + " | ".join(cell(table[at], table[0]) for table in gains.values()) + " |")


def by_damage(colorizer: Colorizer, shards: Shards, rows: NDArray[np.integer]) -> NDArray[np.float64]:
    """Gain over gray in dB, (damages, photos), in the faithful rendering."""
    gains = np.zeros((len(FIXED), len(rows)))
    with ProgressBar(len(rows), "photos") as bar:
        for column, row in enumerate(rows):
            gains[:, column] = list(gains_by_damage(colorizer, shards.read(np.array([row]))[0]).values())
            bar.add(1)
    return gains


def cell(gains: NDArray[np.float64], clean: NDArray[np.float64]) -> str:
    """Mean gain, share of photos that it beats gray on, and the share of the gain on clean photos that is left."""
    left = 100 * gains.mean() / clean.mean()
    return f"{gains.mean():+.2f} / {100 * np.mean(gains > 0):.0f} % / {left:.0f} %"


if __name__ == "__main__":
    main()
