"""Links to MLflow's page: the view of all runs, and the run of this workspace."""

import os
from contextlib import suppress

from chromascape.params import load_params
from chromascape.tracking.run import find_run
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import existing_client
from chromascape.tracking.view import VIEW

HOST, PORT = "127.0.0.1", "5000"  # of `make ui`


def links() -> dict[str, str]:
    """Addresses of the page's view of all runs and of the run of this workspace, as far as the store has them."""
    base = named_server() or f"http://{HOST}:{os.environ.get('PORT', PORT)}"
    found = {"runs": base}
    with suppress(Exception):  # no params, store, experiment or evaluation yet: links are a convenience
        params, client = load_params(), existing_client()
        experiment = client.get_experiment_by_name(params.track.experiment).experiment_id
        runs, training = f"{base}/#/experiments/{experiment}/runs", "workflowType=machine_learning"
        found["runs"] = f"{runs}?{training}&viewStateShareKey={VIEW}"
        if run := find_run(client, experiment, params):
            found["this run"] = f"{runs}/{run.info.run_id}?{training}"
    return found


def named_server() -> str:
    """The address of the server in MLFLOW_TRACKING_URI, which needs no `make ui`; empty where there is none."""
    named = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
    return named if named.lower().startswith(("http://", "https://")) else ""


def main() -> None:
    """Print the links, for `make ui`."""
    for name, address in links().items():
        print(f"{name:<8} {address}")


if __name__ == "__main__":
    main()
