"""The promotion gate: a model becomes champion if it beats gray by the stated margin, and the champion before it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromascape.color.measures import bootstrap_ci95
from chromascape.errors import ChromascapeError
from chromascape.judging.conclusions import shown_interval, signed
from chromascape.tracking.registry import Decision


def decide(
    version: int, champion: Any, figures: dict[str, Any], min_gain: float, measure: Callable[[Any], dict[str, Any]]
) -> Decision:
    """Whether a version becomes champion.

    Args:
        champion: the version that is champion now; None where there is none.
        figures: as in `metrics/evaluate.json`.
        min_gain: dB PSNR that the mean gain over gray must reach.
        measure: compares with the champion, as `comparison.against_champion`; called only where it decides.
    """
    if champion and int(champion.version) == version:
        return Decision(True, champion.tags.get("chromascape.reason", "it is champion already"))
    gain = _gain(figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"])
    over_gray = f"gain over gray {gain} on {figures['n_photos']} test photos"
    if problem := _short_of_gray(figures, min_gain, over_gray):
        return Decision(False, problem)
    if champion is None:
        return Decision(True, f"{over_gray}; there was no champion")
    name = f"the champion, version {champion.version}"
    try:
        against = measure(champion) | {"version": int(champion.version)}
    except ChromascapeError as error:
        remedy = "fix that, or delete its alias in MLflow's page, then `dvc repro --force --single-item register`"
        return Decision(False, f"{name}, can't be measured: {error}: {remedy}")
    # The photos that the champion was trained on are in its favor alone.
    favor = f", of which the champion has seen {against['n_seen']}" if against["n_seen"] else ""
    gain = _gain(against["gain_db"], against["ci95_db"])
    if against["ci95_db"] and against["ci95_db"][0] > 0:
        return Decision(True, f"{over_gray}{favor}; better than {name}, by {gain}", against)
    beside = f"{gain} beside it on the same {figures['n_photos']} test photos{favor}"
    return Decision(False, f"not shown to be better than {name}: {beside}", against)


def _short_of_gray(figures: dict[str, Any], min_gain: float, over_gray: str) -> str:
    """Why the figures do not show that a model beats gray; empty where they do. `over_gray` is the gain in words."""
    interval, count = figures["gain_over_gray_ci95_db"], figures["n_photos"]
    if figures.get("split", "test") != "test":
        return "evaluate.split: the figures are not of the test photos"
    if seen := figures["n_seen"]["model"]:
        return f"the model was trained on or chosen by {seen} of the {count} test photos, so its figures are optimistic"
    if interval is None:
        return f"the {count} test photos show fewer than 2 scenes, which gives no interval"
    if figures["gain_over_gray_db"] < min_gain:
        return f"{over_gray}, less than register.min_gain_db = {min_gain:g}"
    if interval[0] <= 0:
        return f"{over_gray}: the interval reaches down to gray"
    return ""


def compare(
    model: NDArray[np.floating], champion: NDArray[np.floating], groups: NDArray[np.generic], resamples: int, seed: int
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


def _gain(mean_db: float, interval: Any) -> str:
    return f"{signed(mean_db, 2)} dB{shown_interval(interval)}"
