"""From figures to a decision: gray first, then the champion of that moment, if there is one."""

from collections.abc import Callable
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.judging import gate
from chromascape.tracking.registry import Decision


def decide(
    version: int, champion: Any, figures: dict[str, Any], min_gain: float, compare: Callable[[Any], dict[str, Any]]
) -> Decision:
    """Whether a version becomes champion.

    Args:
        version: its number.
        champion: the version that is champion now; None where there is none.
        figures: as in `metrics/evaluate.json`.
        min_gain: dB PSNR that the mean gain over gray must reach.
        compare: measures the champion, as `comparison.against_champion`; asked only where it decides.
    """
    if champion and int(champion.version) == version:
        return Decision(True, champion.tags.get("chromascape.reason", "it is champion already"))
    if problem := gate.short_of_gray(figures, min_gain):
        return Decision(False, problem)
    if champion is None:
        return Decision(True, f"{gate.over_gray(figures)}; there was no champion")
    try:
        against = compare(champion)
    except ChromascapeError as error:
        remedy = "fix that, or delete its alias in MLflow's page, then `dvc repro --force --single-item register`"
        reason = f"the champion, version {champion.version}, can't be measured: {error}: {remedy}"
        return Decision(False, reason)
    return gate.decide(figures, against | {"version": int(champion.version)})
