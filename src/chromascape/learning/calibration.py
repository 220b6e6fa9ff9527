"""How strong a network's colors are rendered: fitted on validation photos, after training.

A network that was trained by regression on few photos is too sure of its colors, and their averages are paler than
any photo. One factor on a* and b* corrects each: `faithful` has the highest mean PSNR, `vivid` is as colorful as
photos are.
"""

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.measures import colorfulness, psnr_db
from chromascape.colorizing.colorizer import SHIPPED, Colorizer, scale_chroma
from chromascape.colorizing.model_files import read_config
from chromascape.parallel import with_progress
from chromascape.photos.shards import Shards

# Factors fitted on fewer photos fit those photos alone: five gave a vivid rendering a decibel below gray on others.
# The gain over gray has a standard deviation of about 3.6 dB per photo, so the mean of 30 has an error of 0.7 dB.
MIN_PHOTOS = 30
FACTORS = np.round(np.arange(0, 2.51, 0.05), 2)
STEP = 8  # every eighth pixel of every eighth row: 1,024 pixels of a photo of 256 give the same means


def fit_renderings(colorizer: Colorizer, photos: Shards, calibrate: bool, vivid: float) -> dict[str, float]:
    """The factors of both renderings; with fewer than MIN_PHOTOS photos, those of the model that ships.

    Args:
        photos: the validation photos.
        calibrate: fit `faithful`; else it is 1.
        vivid: share of the true photos' mean colorfulness that the vivid rendering reaches, 0 upwards. It stays
            below where its mean PSNR would fall under gray's, and is at least as strong as the faithful one.
    Returns:
        `faithful` and `vivid`, factors on a* and b*.
    """
    if len(photos) < MIN_PHOTOS:
        shipped = read_config(SHIPPED)["renderings"]  # fitted on hundreds of photos
        faithful = float(shipped["faithful"]) if calibrate else 1.0
        return {"faithful": faithful, "vivid": max(faithful, float(shipped["vivid"]))}
    psnr, color, true_color = _sums(colorizer, photos)
    fitted = int(np.argmax(psnr)) if calibrate else int(np.searchsorted(FACTORS, 1))
    reached = np.flatnonzero(color >= vivid * true_color)
    strong = int(reached[0]) if len(reached) else len(FACTORS) - 1
    allowed = np.flatnonzero(psnr >= psnr[0]).max()
    return {"faithful": float(FACTORS[fitted]), "vivid": float(FACTORS[max(fitted, min(strong, allowed))])}


def _sums(colorizer: Colorizer, photos: Shards) -> tuple[NDArray[np.floating], NDArray[np.floating], float]:
    """PSNR and colorfulness at each of FACTORS, and the true photos' colorfulness, summed over the photos."""
    figures, true_color = np.zeros((len(FACTORS), 2)), 0.0
    for row in with_progress(range(len(photos)), len(photos), "calibrate"):
        true_lab = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
        truth = lab.lab_to_rgb(true_lab[::STEP, ::STEP])
        picture = colorizer.network_lab(true_lab)[::STEP, ::STEP]
        scaled = [lab.lab_to_rgb(lab.fit_to_srgb(scale_chroma(picture, factor))) for factor in FACTORS]
        figures += [(psnr_db(truth, rgb), colorfulness(rgb)) for rgb in scaled]
        true_color += colorfulness(truth)
    return figures[:, 0], figures[:, 1], true_color
