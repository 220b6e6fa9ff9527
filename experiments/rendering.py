"""What the rendering of a trained network is worth: `python experiments/rendering.py --lab data/lab`.

The shipped network on validation photos: the size at which it sees them, averaging with the mirrored photo, and a
factor on ab that depends on how colorful its prediction is instead of one for all. Factors are fitted on every second
photo and measured on the others, each as its gain over gray.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab, metrics
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.torch_network import TorchNetwork, load_network
from chromascape.parallel import with_progress
from chromascape.photos.shards import Shards

STEP = 4  # every fourth pixel of every fourth row
FACTORS = np.round(np.arange(0.6, 1.21, 0.05), 2)
CHROMA = (5.0, 10.0, 20.0)  # bounds of the pixels' predicted chroma that have a factor each, in units of ab
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]  # what is true and what was predicted, Lab (H, W, 3)


def main() -> None:
    """Print a table, a row a setting."""
    parser = argparse.ArgumentParser(description="What the rendering of a trained network is worth.")
    parser.add_argument("--lab", type=Path, required=True, help="folder of Lab shards, of the stage `preprocess`")
    parser.add_argument("--sizes", type=int, nargs="+", default=[160, 192, 224, 256])
    options = parser.parse_args()
    photos = Shards(options.lab, ["val"])
    plain = predictions(photos, 192, False)
    print("| seen at, pixels | mirrored | factor | gain over gray, dB | beats gray |\n|---|---|---|---|---|")
    for size in options.sizes:
        for mirrored in (False, True):
            pairs = plain if (size, mirrored) == (192, False) else predictions(photos, size, mirrored)
            one = best_factor(pairs[::2])
            row(size, mirrored, f"{one}", gains(pairs[1::2], one_factor(one)))
    by_pixel = fitted_by_chroma(plain[::2])
    row(192, False, "by a pixel's chroma: " + ", ".join(f"{f:.2f}" for f in by_pixel), gains(plain[1::2], by_pixel))
    by_photo = fitted_by_photo(plain[::2])
    said = "by the photo's mean chroma: " + ", ".join(f"{factor}" for factor in by_photo)
    row(192, False, said, np.concatenate([gains([p], one_factor(by_photo[third(p)])) for p in plain[1::2]]))


def predictions(photos: Shards, size: int, mirrored: bool) -> list[Pair]:
    """The photos as they are and as the network sees them, at every fourth pixel."""
    config, module = load_network(SHIPPED)
    colorizer = Colorizer(TorchNetwork(module, mirror_average=mirrored), config["network"], size)
    pairs = []
    for number in with_progress(range(len(photos)), len(photos), f"{size} pixels"):
        true = lab.dequantise(photos.read(np.array([number]))[0].transpose(1, 2, 0))
        pairs.append((true[::STEP, ::STEP], colorizer.network_lab(true)[::STEP, ::STEP]))
    return pairs


def one_factor(factor: float) -> NDArray[np.float64]:
    """The same factor for all pixels."""
    return np.full(len(CHROMA) + 1, factor)


def gains(pairs: list[Pair], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """PSNR minus gray's of each photo, dB, with a factor for each range of predicted chroma."""
    found = []
    for true, predicted in pairs:
        truth = lab.lab_to_rgb(true)
        gray = lab.lab_to_rgb(lab.join(true[..., 0], np.zeros_like(true[..., 1:])))
        ab = predicted[..., 1:] * factors[chroma_range(predicted)][..., None]
        picture = lab.lab_to_rgb(lab.fit_to_srgb(lab.join(true[..., 0], ab)))
        found.append(metrics.psnr_db(truth, picture) - metrics.psnr_db(truth, gray))
    return np.array(found)


def chroma_range(predicted: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which of the ranges each pixel's predicted chroma lies in."""
    return np.digitize(np.hypot(predicted[..., 1], predicted[..., 2]), CHROMA)


def best_factor(pairs: list[Pair]) -> float:
    """The one factor with the highest mean gain."""
    means = [gains(pairs, one_factor(factor)).mean() for factor in FACTORS]
    return float(FACTORS[int(np.argmax(means))])


def fitted_by_chroma(pairs: list[Pair]) -> NDArray[np.float64]:
    """The factor of each range with the smallest squared error of ab, every photo weighted by its own error's inverse.

    PSNR is a logarithm: an error counts the less, the larger the photo's is.
    """
    above, below = np.zeros(len(CHROMA) + 1), np.full(len(CHROMA) + 1, 1e-9)
    for true, predicted in pairs:
        error = max(float(((true[..., 1:] - predicted[..., 1:]) ** 2).mean()), 1.0)
        ranges = chroma_range(predicted).ravel()
        above += np.bincount(ranges, (true * predicted)[..., 1:].sum(-1).ravel(), len(above)) / error
        below += np.bincount(ranges, (predicted**2)[..., 1:].sum(-1).ravel(), len(below)) / error
    return above / below


def third(pair: Pair) -> int:
    """0 for a pale prediction, 1 for a middling one, 2 for a colorful one, by its mean chroma."""
    return int(np.digitize(np.hypot(pair[1][..., 1], pair[1][..., 2]).mean(), (12.0, 20.0)))


def fitted_by_photo(pairs: list[Pair]) -> list[float]:
    """The best factor for each third of the photos."""
    return [best_factor([pair for pair in pairs if third(pair) == part]) for part in range(3)]


def row(size: int, mirrored: bool, factor: str, found: NDArray[np.float64]) -> None:
    """Print a row of the table."""
    wins = 100 * float((found > 0).mean())
    print(f"| {size} | {'yes' if mirrored else ''} | {factor} | {found.mean():+.2f} | {wins:.0f} % |", flush=True)


if __name__ == "__main__":
    main()
