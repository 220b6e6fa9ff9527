"""What a model is worth on photos that are damaged as old ones are: `photos.damage.FIXED` at fixed strengths."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.measures import psnr_db
from chromascape.colorizing.colorizer import Colorizer, scale_chroma
from chromascape.parallel import with_progress
from chromascape.photos.damage import FIXED, measured
from chromascape.photos.shards import Shards

PREFIX = "damage."  # of a damage's column in a table of photos
STEP = 4  # every fourth pixel of every fourth row: 4,096 pixels of a photo of 256 give the same means


def gains_by_damage(colorizer: Colorizer, quantised: NDArray[np.uint8]) -> dict[str, float]:
    """Gain over gray in dB PSNR by damage, in the faithful rendering; `none` is the photo as it is.

    The network sees the damaged lightness. Its colors are joined to the photo's own, so that only color counts, and
    gray has a gain of 0 whatever the damage.

    Args:
        quantised: the true photo, quantised Lab (3, H, W).
    """
    true = _planes_last(quantised)[::STEP, ::STEP]
    truth = lab.lab_to_rgb(true)
    gray = psnr_db(truth, _shown(scale_chroma(true, 0)))
    found = {}
    for label in FIXED:
        ab = colorizer.predict_ab(_planes_last(measured(quantised, label))[..., 0])
        found[label] = psnr_db(truth, _shown(lab.join(true[..., 0], ab[::STEP, ::STEP]))) - gray
    return found


def gains_of_some(colorizer: Colorizer, photos: Shards, most: int) -> pd.DataFrame:
    """`gains_by_damage` of at most so many photos, evenly spaced: a row each, a column for each damage."""
    rows = np.unique(np.linspace(0, len(photos) - 1, most).astype(int))
    read = (photos.read(np.array([row]))[0] for row in rows)
    return pd.DataFrame([gains_by_damage(colorizer, photo) for photo in with_progress(read, len(rows), "damage")])


def worst_damages(gains: pd.DataFrame, count: int = 3) -> list[str]:
    """The damages under which least is gained, the worst one first; `gains` as `gains_of_some`."""
    return [str(label) for label in gains.mean().drop("none").nsmallest(count).index]


def pictures_by_damage(
    colorizer: Colorizer, quantised: NDArray[np.uint8], labels: Iterable[str] = tuple(FIXED)
) -> dict[str, NDArray[np.uint8]]:
    """A photo as each damage leaves it, in gray, above what the model makes of it: sRGB (2 H, W, 3) by damage."""
    found = {}
    for label in labels:
        damaged = _planes_last(measured(quantised, label))
        colored = lab.join(damaged[..., 0], colorizer.predict_ab(damaged[..., 0]))
        found[label] = np.concatenate([_shown(scale_chroma(damaged, 0)), _shown(colored)])
    return found


def _planes_last(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Quantised Lab (3, H, W) as Lab (H, W, 3)."""
    return lab.dequantise(quantised.transpose(1, 2, 0))


def _shown(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Lab (H, W, 3) as sRGB can show it."""
    return lab.lab_to_rgb(lab.fit_to_srgb(picture))
