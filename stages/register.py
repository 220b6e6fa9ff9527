"""Stage `register`: the evaluated model becomes a version in MLflow's registry, and champion if it passes the gate."""

from pathlib import Path
from typing import Any

from _stage import Params, run

from chromascape.errors import ChromascapeError
from chromascape.files import read_metrics, write_json
from chromascape.judging.gate import decide
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.registry import open_registry
from chromascape.tracking.run import find_run

MODEL = Path("models/colorizer")
NO_RUN = (
    "register: this MLflow store has no complete run of this model: "
    "`dvc repro --force --single-item evaluate` logs it, then `dvc repro` registers it"
)


def register_stage(params: Params) -> None:
    """From the figures on the test photos to a version, its alias and the reason for it."""
    section, figures = params.register_, read_metrics(Path("metrics/evaluate.json"), "evaluate")
    with open_registry(section.model, params.track.experiment) as registry:
        whole = find_run(registry.client, registry.experiment, params)
        if whole is None:
            raise ChromascapeError(NO_RUN)
        version = registry.version_of(model_digest(MODEL), whole)

        def compare(champion: Any) -> dict[str, Any]:
            # It takes seconds to import, and a first run has no champion.
            from chromascape.judging.comparison import against_champion

            return against_champion(registry.weights(champion), params)

        decision = registry.assign(
            version,
            lambda champion: decide(int(version.version), champion, figures, section.min_gain_db, compare),
        )
    result = {
        "model": section.model,
        "version": int(version.version),
        "alias": decision.alias,
        "reason": decision.reason,
        "min_gain_db": section.min_gain_db,
        "gain_over_gray_db": figures["gain_over_gray_db"],
        "gain_over_gray_ci95_db": figures["gain_over_gray_ci95_db"],
        "against": decision.against,
    }
    write_json(result, Path("metrics/register.json"))
    print(f"{section.model}: version {version.version} is {decision.alias}: {decision.reason}")


if __name__ == "__main__":
    run(register_stage)
