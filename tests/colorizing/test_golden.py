"""The product: what the shipped model makes of photos that come with the project.

`python tests/colorizing/test_golden.py` stores its colors anew; do so when other colors are meant: new weights, or
another way of laying them on.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chromascape.color import lab, measures
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.photos import reading
from chromascape.photos.sample import PACKAGES

GOLDEN = Path(__file__).with_name("golden.npz")
# At the working size of 192 pixels the first has sides of whole multiples (192 × 288), the second is padded (× 289).
PHOTOS = ("campus/P1070503.png", "church.png")
# dB of PSNR over gray that the model had when this was written: 3.12, 4.10, 1.79 and 3.39.
LEAST_GAINS = {"campus/P1070503.png": 2.9, "campus/holdout/P1070508.png": 3.8, "58060.png": 1.5, "church.png": 3.1}
TOLERANCE = 0.5  # units of a* and b*: above rounding, below what the eye or a changed network would show


def open_sample(name: str) -> Image.Image:
    """A photo of the sample, from the package that carries it."""
    module, inside, names, *_ = PACKAGES["mvtb-data"]
    assert name in names
    return reading.to_rgb(reading.open_photo((Path(str(files(module))) / inside / name).read_bytes()))


def colors(colorizer: Colorizer, name: str) -> dict[str, np.ndarray]:
    """ab of a photo on coarse grids: of the network at its working size, and of the faithful rendering."""
    lightness = lab.rgb_to_lab(np.asarray(open_sample(name)))[..., 0]
    network = lab.unscale_ab(colorizer._output(colorizer._input(lightness)))
    return {f"{name} network": network[::8, ::8], f"{name} faithful": colorizer.predict_ab(lightness)[::32, ::32]}


@pytest.fixture(scope="module")
def shipped() -> Colorizer:
    return Colorizer.load(SHIPPED, "cpu")


@pytest.mark.parametrize("name", PHOTOS)
def test_the_shipped_model_gives_the_stored_colors(shipped: Colorizer, name: str) -> None:
    stored = np.load(GOLDEN)
    for key, ab in colors(shipped, name).items():
        assert ab.shape == stored[key].shape
        assert np.abs(ab - stored[key]).max() < TOLERANCE, key
        assert np.abs(stored[key]).mean() > 2, f"{key}: nearly gray, which would show little"


@pytest.mark.parametrize("name", LEAST_GAINS)
def test_the_shipped_model_gains_over_gray(shipped: Colorizer, name: str) -> None:
    photo = open_sample(name)
    truth = np.asarray(photo)
    gray = lab.lab_to_rgb(lab.rgb_to_lab(truth) * np.float32([1, 0, 0]))
    gain = measures.psnr_db(truth, np.asarray(shipped.colorize(photo))) - measures.psnr_db(truth, gray)
    assert gain > LEAST_GAINS[name]


if __name__ == "__main__":
    model = Colorizer.load(SHIPPED, "cpu")
    np.savez_compressed(
        GOLDEN, **{key: ab.astype(np.float16) for name in PHOTOS for key, ab in colors(model, name).items()}
    )
