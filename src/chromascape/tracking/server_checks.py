"""Whether a server of MLflow can take a run: who we are to it, what we may do, which MLflow it is, where files go.

Nothing is written: what asks for a permission is a request that lacks something, which a server refuses as such (400)
where it would not refuse it for want of permission (403).
"""

import re
from typing import Any
from urllib.parse import urlsplit

from chromascape.tracking.database_checks import storage_problem
from chromascape.tracking.server import deleted, one_line

API = "/api/2.0/mlflow"


def server_problem(client: Any, uri: str, experiment: str) -> str:
    """Why no run of an experiment can be logged on a server; empty if one can.

    Args:
        client: MLflow's, set to the server.
        uri: of the server.
    """
    import mlflow

    try:
        known = client.get_experiment_by_name(experiment)
        if known and known.lifecycle_stage == "deleted":
            return deleted(experiment, known.experiment_id)
        version = _answer(uri, "/version", "GET").text
    except Exception as error:  # MLflow's, or one of its connection
        return explain(error, uri)
    if (found := re.fullmatch(r"(\d+)\.\d+\S*", version.strip())) and found[1] != mlflow.__version__.partition(".")[0]:
        return f"is MLflow {found[0]}, and {mlflow.__version__} is installed here: both need the same major version"
    return _may_write(uri, experiment, known) or _storage(client, experiment, known)


def explain(error: Exception, uri: str) -> str:
    """The failure of a request with its remedy."""
    if "Invalid Host header" in str(error):
        host = urlsplit(uri).netloc.rpartition("@")[2]
        return f"refuses the name {host}: add it to the server's --allowed-hosts, with its port"
    said = one_line(error) or type(error).__name__
    if re.search(r"\b40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED", f"{said} {getattr(error, 'error_code', '')}"):
        return f"refuses access ({said}): check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return f"MLflow can't use it ({said})"


def _may_write(uri: str, experiment: str, known: Any) -> str:
    """Why runs can't be added to an experiment, or a new experiment can't be made."""
    if known:
        wanted = {"experiment_id": known.experiment_id, "start_time": "never"}
        if _answer(uri, f"{API}/runs/create", "POST", wanted).status_code == 403:
            return (
                f"lets you read the experiment {experiment!r}, but not write it (403): ask its owner for the "
                "permission EDIT, or choose another name in track.experiment"
            )
    elif _answer(uri, f"{API}/experiments/create", "POST", {}).status_code == 403:
        return f"lets you make no experiment (403): ask its owner to make {experiment!r} and let you write it"
    return ""


def _storage(client: Any, experiment: str, known: Any) -> str:
    """Why files can't be written: a new experiment keeps them beside those of the first one."""
    try:
        location = (known or client.get_experiment("0")).artifact_location
    except Exception:  # deleted, or not ours to read
        return ""
    return storage_problem(location, experiment)


def _answer(uri: str, path: str, method: str, content: dict[str, str] | None = None) -> Any:
    """The answer of a server, whatever its status, with MLflow's own credentials and certificates."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    body = {} if content is None else {"json": content}
    return http_request(get_default_host_creds(uri), path, method, raise_on_status=False, **body)
