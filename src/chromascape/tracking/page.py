"""Links to MLflow's page: the view of all runs, and the last run of this working copy."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.params import Params, flatten
from chromascape.tracking.port import HOST, check_free, chosen_port
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import tracking_uri
from chromascape.tracking.view import VIEW

RUN_FILE = Path("models/run.json")  # which run the weights beside it come from; git and DVC ignore it
EVALUATE_SECTIONS = ("evaluate", "register", "jobs")  # of params.yaml; the stage train logs the others
TRAINED, EVALUATED = "trained", "evaluated"  # states of the run in that file


def links(port: int) -> dict[str, str]:
    """Addresses of the page's view of all runs, and of the last run of this working copy.

    Args:
        port: of `make ui` on this machine, where MLFLOW_TRACKING_URI names no server.
    """
    base = named_server() or f"http://{HOST}:{port}"
    last = read_run_file()
    if not last.get("experiment_id") or last.get("tracking_uri") != without_credentials(tracking_uri()):
        return {"runs": base}
    experiment, training = f"{base}/#/experiments/{last['experiment_id']}/runs", "workflowType=machine_learning"
    return {
        "runs": f"{experiment}?{training}&viewStateShareKey={VIEW}",
        "last run": f"{experiment}/{last['run_id']}?{training}",
    }


def named_server() -> str:
    """The address of the server in MLFLOW_TRACKING_URI, which needs no `make ui`; empty where runs lie in a file."""
    named = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
    return named if named.lower().startswith(("http://", "https://")) else ""


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


def main(arguments: list[str] | None = None) -> int:
    """What `make ui` runs before MLflow: the links, or a line that says why no page can be had there, and 1."""
    parser = argparse.ArgumentParser(description="Check the port of `make ui`, and print the links to its page.")
    parser.add_argument("--port")
    try:
        port = chosen_port(parser.parse_args(arguments).port)
        check_free(port)
    except ChromascapeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, address in links(port).items():
        print(f"{name:<8} {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
