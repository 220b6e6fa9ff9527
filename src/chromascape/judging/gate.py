"""The promotion gate: a model becomes champion if it beats gray by the stated margin, and the champion before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromascape.color.measures import bootstrap_ci95
from chromascape.judging.conclusions import signed
from chromascape.tracking.registry import Decision


def short_of_gray(figures: dict[str, Any], min_gain: float) -> str:
    """Why the figures on the test photos do not show that a model beats gray; empty where they do.

    Args:
        figures: as `evaluation.summarize` returns them.
        min_gain: dB PSNR that the mean gain over gray must reach.
    """
    gain, interval, count = figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"], figures["n_photos"]
    if figures.get("split", "test") != "test":
        return "evaluate.split: the figures are not of the test photos"
    if seen := figures["n_seen"]["model"]:
        return f"the model has seen {seen} of the {count} test photos, so its figures are not held-out ones"
    if interval is None:
        return f"the {count} test photos show fewer than 2 scenes, which gives no interval"
    if gain < min_gain:
        return f"{over_gray(figures)}, less than register.min_gain_db = {min_gain:g}"
    if interval[0] <= 0:
        return f"{over_gray(figures)}: the interval reaches down to gray"
    return ""


def over_gray(figures: dict[str, Any]) -> str:
    """The gain over gray in words."""
    between = _between(figures["gain_over_gray_ci95_db"])
    return f"gain over gray {_db(figures['gain_over_gray_db'])}{between} on {figures['n_photos']} test photos"


def compare(
    model: NDArray[np.floating],
    champion: NDArray[np.floating],
    groups: NDArray[np.generic],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """How much closer to the truth a model is than the champion, photo by photo.

    Args:
        model, champion: PSNR in dB of the same photos in the same order, (N,).
        groups: (N,), which photos show the same scene.
        resamples, seed: of the bootstrap over groups.
    Returns:
        gain_db, the mean difference; ci95_db, its interval, None for fewer than two groups; and win_rate, the share of
        photos on which the model is closer.
    """
    differences = model - champion
    interval = bootstrap_ci95(differences, groups, resamples, seed)
    return {
        "gain_db": float(differences.mean()),
        "ci95_db": list(interval) if interval else None,
        "win_rate": float((differences > 0).mean()),
    }


def decide(figures: dict[str, Any], against: dict[str, Any]) -> Decision:
    """The decision on a model that beats gray, by its comparison with the champion.

    Args:
        against: what `compare` returns, with `version` and `n_seen` of the champion: how many of the test photos it
            was trained on, which is in its favor alone.
    """
    interval, seen = against["ci95_db"], against["n_seen"]
    favor = f", of which the champion has seen {seen}" if seen else ""
    gain = f"{_db(against['gain_db'])}{_between(interval)}"
    if interval and interval[0] > 0:
        reason = f"{over_gray(figures)}{favor}; better than the champion, version {against['version']}, by {gain}"
        return Decision(True, reason, against)
    beside = f"{gain} beside it on the same {figures['n_photos']} test photos{favor}"
    return Decision(False, f"not shown to be better than the champion, version {against['version']}: {beside}", against)


def _db(value: float) -> str:
    return f"{signed(value, 2)} dB"


def _between(interval: Any) -> str:
    return f" (95 % interval {signed(interval[0], 2)} to {signed(interval[1], 2)})" if interval else ""
