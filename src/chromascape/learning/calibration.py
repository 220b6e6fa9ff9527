"""How strongly a network's colors are laid on: fitted on validation photos, after training.

Trained by regression, a network that has seen few photos is too sure of its colors, and its averages are paler than
any photo. One factor on a* and b* puts each right: `faithful` has the highest mean PSNR, `vivid` is as colorful as
photos are.
"""

import numpy as np
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.measures import colorfulness, psnr_db
from chromascape.colorizing.colorizer import SHIPPED, Colorizer, scale_chroma
from chromascape.colorizing.received import CONFIG, read_config
from chromascape.parallel import with_progress
from chromascape.photos.shards import Shards

# Fitted on fewer, factors follow the few photos: on five, the vivid rendering came out a decibel below gray on others.
# Gains over gray of single photos spread by some 3.6 dB, so that even the mean of 30 is known to 0.7 dB alone.
MIN_PHOTOS = 30
FACTORS = np.round(np.arange(0, 2.51, 0.05), 2)
STEP = 8  # every eighth pixel of every eighth row: 1,024 pixels of a photo of 256 give the same means


def fit_renderings(colorizer: Colorizer, photos: Shards, calibrate: bool, vivid: float) -> dict[str, float]:
    """The factors of both renderings; those of the model that comes with the package for fewer than MIN_PHOTOS photos.

    Args:
        colorizer: the network.
        photos: the validation photos.
        calibrate: fit `faithful`; else it is 1.
        vivid: share of the true photos' mean colorfulness that the vivid rendering reaches, 0 upwards. It stays
            below where its mean PSNR would fall under gray's, and is at least as strong as the faithful one.
    Returns:
        `faithful` and `vivid`, factors on a* and b*.
    """
    if len(photos) < MIN_PHOTOS:
        kept = shipped_renderings()
        faithful = kept["faithful"] if calibrate else 1.0
        return {"faithful": faithful, "vivid": max(faithful, kept["vivid"])}
    psnr, color = np.zeros(len(FACTORS)), np.zeros(len(FACTORS))
    true_color = 0.0
    for row in with_progress(range(len(photos)), len(photos), "calibrate"):
        true_lab = lab.dequantise(photos.read(np.array([row]))[0].transpose(1, 2, 0))
        truth = lab.lab_to_rgb(true_lab[::STEP, ::STEP])
        picture = colorizer.network_lab(true_lab)[::STEP, ::STEP]
        true_color += colorfulness(truth)
        figures = np.array([_figures(truth, scale_chroma(picture, factor)) for factor in FACTORS])
        psnr += figures[:, 0]
        color += figures[:, 1]
    fitted = int(np.argmax(psnr)) if calibrate else int(np.searchsorted(FACTORS, 1))
    strong = _first_that_reaches(color, vivid * true_color)
    allowed = np.flatnonzero(psnr >= psnr[0]).max()
    return {"faithful": float(FACTORS[fitted]), "vivid": float(FACTORS[max(fitted, min(strong, allowed))])}


def shipped_renderings() -> dict[str, float]:
    """The factors of the model that comes with the package, which hundreds of photos decided."""
    renderings = read_config(SHIPPED / CONFIG)["renderings"]
    return {name: float(renderings[name]) for name in ("faithful", "vivid")}


def _figures(truth: NDArray[np.uint8], picture: NDArray[np.floating]) -> tuple[float, float]:
    """PSNR and colorfulness of a predicted Lab picture."""
    rgb = lab.lab_to_rgb(lab.fit_to_srgb(picture))
    return psnr_db(truth, rgb), colorfulness(rgb)


def _first_that_reaches(values: NDArray[np.floating], goal: float) -> int:
    """Index of the first value of at least `goal`; of the last one where none is."""
    reached = np.flatnonzero(values >= goal)
    return int(reached[0]) if len(reached) else len(values) - 1
