"""How far another number of threads moves colors: `python experiments/threads.py [THREADS ...]`.

Each number is compared with one thread, by the shipped model on the first five of data/landscapes: as ONNX Runtime
computes it, which `chromascape colorize` uses, and as torch does, by which models are trained and measured.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from chromascape.color import lab
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.torch_network import load_colorizer
from chromascape.photos.reading import open_photo, to_rgb
from chromascape.photos.source import read_bytes

PHOTOS = Path(__file__).resolve().parents[1] / "data" / "landscapes"


def colors(engine: str, photos: list[NDArray[np.float32]], threads: int) -> list[NDArray[np.float32]]:
    """Predicted a* and b*, (H, W, 2), of the L* of each photo."""
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which ONNX Runtime's session is made with
    colorizer = load_colorizer(SHIPPED, "cpu") if engine == "torch" else Colorizer.load(SHIPPED, "cpu")
    return [colorizer.predict_ab(lightness) for lightness in photos]


def main() -> None:
    """Print a line for each number of threads: the largest difference of any a* or b*, and of any 8-bit level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("threads", type=int, nargs="*", default=[2])
    options = parser.parse_args()
    files = sorted(PHOTOS.glob("*.jpg"))[:5]
    photos = [lab.rgb_to_lab(np.asarray(to_rgb(open_photo(read_bytes(file)))))[..., 0] for file in files]
    for engine in ("ONNX Runtime", "torch"):
        one = colors(engine, photos, 1)
        for threads in options.threads:
            pairs = list(zip(photos, one, colors(engine, photos, threads), strict=True))
            apart = max(float(np.abs(a - b).max()) for _, a, b in pairs)
            levels = max(int(np.abs(_rgb(light, a) - _rgb(light, b)).max()) for light, a, b in pairs)
            told = f"ab at most {apart:.1e} apart, RGB {levels} levels, {len(photos)} photos"
            print(f"{engine}, {threads} threads against 1: {told}")


def _rgb(lightness: NDArray[np.float32], ab: NDArray[np.float32]) -> NDArray[np.int16]:
    return lab.lab_to_rgb(lab.fit_to_srgb(lab.join(lightness, ab))).astype(np.int16)


if __name__ == "__main__":
    main()
