"""From figures to a place in the registry: the gate, asked of the champion that is there at that moment."""

from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.judging import gate
from chromascape.params import Params
from chromascape.tracking.registry import Registry


def settle(registry: Registry, version: Any, figures: dict[str, Any], params: Params) -> gate.Verdict:
    """Make a version champion or challenger, as the gate says.

    Args:
        version: of the model that was evaluated, as `Registry.version_of` gives it.
        figures: as `evaluation.summarize` returns them.
    """
    while True:  # until the champion is still the one that the model was compared with
        champion = registry.champion()
        verdict = judge(registry, version, champion, figures, params)
        if registry.settle(version, champion, verdict.promoted, verdict.reason):
            return verdict


def judge(registry: Registry, version: Any, champion: Any, figures: dict[str, Any], params: Params) -> gate.Verdict:
    """The gate: gray first, then the champion, if there is one."""
    if champion and int(champion.version) == int(version.version):
        return gate.Verdict(True, champion.tags.get("chromascape.reason", "it has that alias already"))
    if refusal := gate.refusal(figures, params.register_.min_gain_db):
        return gate.Verdict(False, refusal)
    if champion is None:
        return gate.Verdict(True, f"{gate.over_gray(figures)}; there was no champion")
    # It takes seconds to import, and a first run has no champion.
    from chromascape.judging.comparison import against_champion, read_champion

    try:
        colorizer, seen = read_champion(registry.weights(champion), params)
    except ChromascapeError as error:
        way_out = (
            "put that right, or delete its alias in MLflow's page, then `dvc repro --force --single-item register`"
        )
        reason = f"the champion, version {champion.version}, can't be measured: {error}: {way_out}"
        return gate.Verdict(False, reason)
    return gate.verdict(figures, against_champion(colorizer, seen, params) | {"version": int(champion.version)})
