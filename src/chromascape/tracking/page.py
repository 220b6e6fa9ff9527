"""Links to MLflow's page: the view of all runs, and the run of this workspace."""

import os
import sys

from chromascape.errors import ChromascapeError
from chromascape.params import Params, load_params
from chromascape.tracking.run import find_run
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import existing_client
from chromascape.tracking.view import VIEW

HOST, PORT = "127.0.0.1", "5000"  # of `make ui`


def links(params: Params) -> dict[str, str]:
    """Addresses of the page's view of all runs and of the run of this workspace, as far as the store has them."""
    base = named_server() or f"http://{HOST}:{os.environ.get('PORT', PORT)}"
    try:
        client = existing_client()
        experiment = client.get_experiment_by_name(params.track.experiment).experiment_id
        runs, training = f"{base}/#/experiments/{experiment}/runs", "workflowType=machine_learning"
        found = {"runs": f"{runs}?{training}&viewStateShareKey={VIEW}"}
        run = find_run(client, experiment, params)
        return found | ({"this run": f"{runs}/{run.info.run_id}?{training}"} if run else {})
    except Exception:  # no store, no experiment, nothing evaluated yet: a link is a convenience
        return {"runs": base}


def named_server() -> str:
    """The address of the server in MLFLOW_TRACKING_URI, which needs no `make ui`; empty where there is none."""
    named = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
    return named if named.lower().startswith(("http://", "https://")) else ""


def main() -> int:
    """Print the links, for `make ui`."""
    try:
        found = links(load_params())
    except ChromascapeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, address in found.items():
        print(f"{name:<8} {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
