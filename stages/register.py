"""Stage `register`: the evaluated model becomes a version in MLflow's registry, and champion if it passes the gate."""

from pathlib import Path
from typing import Any

from _stage import Params, run

from chromascape.errors import ChromascapeError
from chromascape.files import read_metrics, write_json
from chromascape.judging.gate import decide
from chromascape.judging.summary import shipped_is_better, short_lines
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.lineage import experiment, place
from chromascape.tracking.registry import open_registry
from chromascape.tracking.run import find_run

MODEL = Path("models/colorizer")
NO_RUN = (
    "register: this MLflow store has no complete run of this model: "
    "`dvc repro --force --single-item evaluate` logs it, then `dvc repro` registers it"
)
NOT_MEASURED = "evaluate.split is val, so that the test photos stay unused"


def register_stage(params: Params) -> None:
    """From the figures on the test photos to a version, its alias and the reason for it."""
    figures = read_metrics(Path("metrics/evaluate.json"), "evaluate")
    if figures["split"] == "test":
        result = _registered(params, figures)
        print(f"{result['model']}: version {result['version']} is {result['alias']}: {result['reason']}")
    else:
        result = {"model": params.register_.model, "version": None, "alias": None, "reason": NOT_MEASURED}
        print("\n".join([f"nothing is registered: {NOT_MEASURED}", *shipped_is_better(figures)]))
    write_json(result, Path("metrics/register.json"))
    report = Path("reports/index.html")
    # Of a temporary copy, which DVC removes, the report comes with the experiment.
    where = report.resolve() if place() == "workspace" else f"{report}, after `dvc exp apply {experiment()}`"
    print("\n".join([*short_lines(figures), f"report: {where}"]))


def _registered(params: Params, figures: dict[str, Any]) -> dict[str, Any]:
    """What `metrics/register.json` says of the version of this model."""
    section = params.register_
    with open_registry(section.model, params.track.experiment) as registry:
        whole = find_run(registry.client, registry.experiment, params)
        if whole is None:
            raise ChromascapeError(NO_RUN)
        version = registry.version_of(model_digest(MODEL), whole)
        looks = registry.looks(figures["photos"])

        def compare(champion: Any, split: str) -> dict[str, Any] | None:
            # It takes seconds to import, and a first run has no champion.
            from chromascape.judging.comparison import against_champion

            return against_champion(registry.weights(champion), params, split)

        decision = registry.assign(
            version, lambda champion: decide(int(version.version), champion, figures, section, looks, compare)
        )
    return {
        "model": section.model,
        "version": int(version.version),
        "alias": decision.alias,
        "reason": decision.reason,
        "min_gain_db": section.min_gain_db,
        "min_scenes": section.min_scenes,
        "gain_over_gray_db": figures["gain_over_gray_db"],
        "gain_over_gray_ci95_db": figures["gain_over_gray_ci95_db"],
        "over_shipped": figures["val"]["over_shipped"],
        "against": decision.against,
        "trainings_on_test": looks,
    }


if __name__ == "__main__":
    run(register_stage)
