"""The promotion gate: a model becomes champion if it beats gray by the stated margin, and the champion before it.

Models are compared on `val`, where they may be compared often. On `test` only the one that won there is compared.
"""

from collections.abc import Callable
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.judging.conclusions import SPLIT_NAMES, shown_interval, signed
from chromascape.params import Register
from chromascape.tracking.registry import BY_HAND, REASON, Decision, is_explained


def decide(
    version: int,
    champion: Any,
    figures: dict[str, Any],
    section: Register,
    looks: int,
    measure: Callable[[Any, str], dict[str, Any] | None],
) -> Decision:
    """Whether a version becomes champion.

    Args:
        champion: the version that is champion now; None where there is none.
        figures: as in `metrics/evaluate.json`, of the test photos.
        looks: how many trainings have been measured on these test photos, this one included.
        measure: compares with the champion on a split, as `comparison.against_champion`; called only where it decides.
    """
    if champion and int(champion.version) == version:
        return Decision(True, champion.tags[REASON] if is_explained(champion) else BY_HAND)
    gain = _gain(figures["gain_over_gray_db"], figures["gain_over_gray_ci95_db"])
    over_gray = f"gain over gray {gain} on {figures['n_photos']:,} test photos"
    if problem := _short_of_gray(figures, section, over_gray):
        return Decision(False, problem)
    seen_by = f", on which {looks:,} trainings have been measured" if looks > 1 else ""
    shipped = beside_shipped(figures)
    if shown_worse(figures, section.min_scenes):
        return Decision(False, f"{over_gray}{seen_by}; {shipped}")
    if champion is None:
        return Decision(True, f"{over_gray}{seen_by}; there was no champion; {shipped}")
    try:
        won, words, against = _beats(champion, section.min_scenes, measure)
    except ChromascapeError as error:
        remedy = "fix that, or delete its alias in MLflow's page, then `dvc repro --force --single-item register`"
        return Decision(False, f"the champion, version {champion.version}, can't be measured: {error}: {remedy}")
    return Decision(won, f"{over_gray}{seen_by}; {words}; {shipped}" if won else f"{words}; {shipped}", against)


def _beats(
    champion: Any, min_scenes: int, measure: Callable[[Any, str], dict[str, Any] | None]
) -> tuple[bool, str, dict[str, Any]]:
    """Whether a model beats the champion on val and then on test; that in words; and the figures by split."""
    name = f"the champion, version {champion.version}"
    against: dict[str, Any] = {"version": int(champion.version)}
    won: list[str] = []
    for split in ("val", "test"):
        found = measure(champion, split)
        against[split] = found
        if found is None or found["n_scenes"] < min_scenes:
            words = f"can't be compared with {name}: {_too_few(found, split, min_scenes)}"
            return False, " ".join([*won, words]), against
        beside = f"{_gain(found['gain_db'], found['ci95_db'])} beside it on the same {_photos(found, split)}"
        if found["ci95_db"][0] <= 0:
            words = f"not shown to be better than {name}: {beside}"
            return False, f"{won[0]}, but {words}" if won else words, against
        won.append(f"better than {name}, by {beside}" if not won else f"and by {beside}")
    return True, " ".join(won), against


def _short_of_gray(figures: dict[str, Any], section: Register, over_gray: str) -> str:
    """Why the figures do not show that a model beats gray; empty where they do. `over_gray` is the gain in words."""
    interval, count, scenes = figures["gain_over_gray_ci95_db"], figures["n_photos"], figures["n_scenes"]
    if figures["n_seen"]["model"]:
        return f"the model was trained on all {count:,} test photos, so its figures are optimistic"
    if interval is None or scenes < section.min_scenes:
        return f"the test photos show {_scenes(scenes)}, fewer than register.min_scenes = {section.min_scenes}"
    if figures["gain_over_gray_db"] < section.min_gain_db:
        return f"{over_gray}, less than register.min_gain_db = {section.min_gain_db:g}"
    if interval[0] <= 0:
        return f"{over_gray}: the interval reaches down to gray"
    return ""


def shown_worse(figures: dict[str, Any], min_scenes: int) -> bool:
    """Whether the validation photos show that the model is worse than the shipped one."""
    over = figures["val"].get("over_shipped")
    return bool(over and over["ci95_db"] and over["n_scenes"] >= min_scenes and over["ci95_db"][1] < 0)


def beside_shipped(figures: dict[str, Any]) -> str:
    """How the model stands to the shipped one, on the validation photos that the shipped one has not seen."""
    over = figures["val"].get("over_shipped")
    if over is None:
        return "not comparable with the shipped model, which has seen all validation photos"
    low, high = over["ci95_db"] or (0, 0)
    word = "better" if low > 0 else "worse" if high < 0 else "not shown to be better"
    remedy = " (which `--model shipped` uses)" if over["gain_db"] < 0 else ""
    gain = _gain(over["gain_db"], over["ci95_db"])
    return f"{word} than the shipped model{remedy}: {gain} beside it on the same {_photos(over, 'val')}"


def _gain(mean_db: float, interval: Any) -> str:
    return f"{signed(mean_db, 2)} dB{shown_interval(interval)}"


def _photos(found: dict[str, Any], split: str) -> str:
    return f"{found['n_photos']:,} {SPLIT_NAMES[split]} photo{'s' if found['n_photos'] != 1 else ''}"


def _scenes(count: int) -> str:
    return f"{count:,} scene{'s' if count != 1 else ''}"


def _too_few(found: dict[str, Any] | None, split: str, min_scenes: int) -> str:
    scenes = _scenes(found["n_scenes"] if found else 0)
    return (
        f"the {SPLIT_NAMES[split]} photos on which neither was trained show {scenes}, fewer than register.min_scenes = "
        f"{min_scenes}"
    )
