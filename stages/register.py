"""Stage `register`: the evaluated model becomes a version in MLflow's registry, and champion where the gate holds."""

from pathlib import Path

from _stage import Params, run

from chromascape.files import sha256_of_file, write_json
from chromascape.judging.conclusions import read_metrics
from chromascape.judging.promotion import settle
from chromascape.tracking.registry import CHALLENGER, CHAMPION, open_registry

NO_RUN = (
    "no evaluated run in this MLflow store has logged these weights: "
    "`dvc repro --force --downstream evaluate` records and registers them"
)


def register_stage(params: Params) -> None:
    """From the figures on the test photos to a version, its alias and the reason for it."""
    section, figures = params.register_, read_metrics(Path("metrics/evaluate.json"), "evaluate")
    with open_registry(section.model, params.track.experiment) as registry:
        version = registry.version_of(sha256_of_file(Path("models/colorizer/weights.safetensors")))
        verdict = settle(registry, version, figures, params) if version else None
    alias = verdict and (CHAMPION if verdict.promoted else CHALLENGER)
    reason = verdict.reason if verdict else NO_RUN
    result = {
        "model": section.model,
        "version": version and int(version.version),
        "verdict": alias,
        "reason": reason,
        "min_gain_db": section.min_gain_db,
        "gain_over_gray_db": figures["gain_over_gray_db"],
        "gain_over_gray_ci95_db": figures["gain_over_gray_ci95_db"],
        "against": verdict and verdict.against,
    }
    write_json(result, Path("metrics/register.json"))
    place = f"version {version.version} is {alias}" if version else "not registered"
    print(f"{section.model}: {place}: {reason}")


if __name__ == "__main__":
    run(register_stage)
