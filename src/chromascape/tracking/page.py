"""Links to MLflow's page: the view of all runs, and the last run of this working copy."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from chromascape.params import Params, flatten
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import tracking_uri
from chromascape.tracking.view import VIEW

RUN_FILE = Path("models/run.json")  # which run the weights beside it come from; git and DVC ignore it
EVALUATE_SECTIONS = ("evaluate", "jobs")  # of params.yaml; the stage train logs the others
TRAINED, EVALUATED = "trained", "evaluated"  # states of the run in that file


def links(port: int = 5000) -> dict[str, str]:
    """Addresses of the page's view of all runs, and of the last run of this working copy.

    Args:
        port: of `make ui` on this machine, where MLFLOW_TRACKING_URI names no server.
    """
    named = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
    base = named if named.lower().startswith(("http://", "https://")) else f"http://127.0.0.1:{port}"
    last = read_run_file()
    if not last.get("experiment_id") or last.get("tracking_uri") != without_credentials(tracking_uri()):
        return {"runs": base}
    experiment, training = f"{base}/#/experiments/{last['experiment_id']}/runs", "workflowType=machine_learning"
    return {
        "runs": f"{experiment}?{training}&viewStateShareKey={VIEW}",
        "last run": f"{experiment}/{last['run_id']}?{training}",
    }


def read_run_file() -> dict[str, Any]:
    """What `models/run.json` holds; nothing where it is missing or damaged."""
    try:
        kept = json.loads(RUN_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and isinstance(kept.get("run_id"), str) else {}


def run_identity(run_id: str, experiment: str, digest: str, state: str, params: Params) -> dict[str, Any]:
    """What `models/run.json` holds: which weights the run trained by which params, and how far it is."""
    store = without_credentials(tracking_uri())
    return {
        "params": section_values(params, evaluation=False),
        "run_id": run_id,
        "experiment_id": experiment,
        "tracking_uri": store,
        "weights_sha256": digest,
        "state": state,
    }


def section_values(params: Params, evaluation: bool) -> dict[str, str]:
    """The flat params of evaluation, or all others, as MLflow keeps them."""
    values = flatten(params).items()
    return {name: str(value) for name, value in values if (name.partition(".")[0] in EVALUATE_SECTIONS) == evaluation}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the links to MLflow's page that `make ui` serves.")
    parser.add_argument("--port", type=int, default=5000)
    for name, address in links(parser.parse_args().port).items():
        print(f"{name:<8} {address}")
