"""Where runs are kept: the tracking store and its experiment."""

import logging
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock

from chromascape.errors import ChromascapeError
from chromascape.resume import repository_root
from chromascape.tracking.server import check_server
from chromascape.tracking.view import experiment_tags

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A call of a server that hangs ends after 43 seconds; MLflow's own 120 seconds and 7 retries take many minutes. 20 is
# what a server waits for a SQLite file that others write to.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a SQLite file in the root of the repository, which outlives temporary copies."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    file = str(repository_root() / "mlflow.db")
    if not named and (unquote(file) != file or "?" in file):
        raise ChromascapeError(
            f"{file}: MLflow can't keep its runs in a folder with '?' or '%' and two digits in its name: "
            "rename it, or name another store in MLFLOW_TRACKING_URI"
        )
    return named or f"sqlite:///{file}"


def database_file() -> str:
    """The path of the store's SQLite file; empty if the store is of another kind."""
    scheme, uri = "sqlite:///", tracking_uri()
    return uri.removeprefix(scheme).split("?")[0] if uri.startswith(scheme) else ""


def existing_client() -> Any:
    """A client of a store that exists. (MLflow itself would create a missing one.)

    Raises:
        ChromascapeError: there is no store.
    """
    check_server()
    if (file := database_file()) and not Path(file).is_file():
        raise ChromascapeError(
            f"no MLflow store at {file}: run this in the project's folder, or name the store in MLFLOW_TRACKING_URI"
        )
    return _mlflow().MlflowClient()


def _mlflow() -> Any:
    """The module `mlflow`, set to the store, with its logging switched off."""
    import mlflow

    for name in ("mlflow", "alembic"):  # after the import, which sets the levels
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow


def connect(experiment: str) -> str:
    """Set MLflow to the store, create the experiment if it is new, and return its id.

    A lock guards a fresh SQLite store: if several processes set it up at once, all but one crash.
    """
    mlflow, file = _mlflow(), database_file()
    # Beside the database, where every process that shares it looks.
    with FileLock(f"{file}.lock") if file else nullcontext():
        client = mlflow.MlflowClient()
        known = client.get_experiment_by_name(experiment)
        if known is not None and known.lifecycle_stage == "deleted":
            raise ChromascapeError(
                f"track.experiment: {experiment!r} was deleted in MLflow: restore it or choose another name"
            )
        if known is None:
            place = (repository_root() / "mlartifacts").as_uri() if file else None
            return str(client.create_experiment(experiment, artifact_location=place, tags=experiment_tags()))
        for name, value in experiment_tags().items():
            if name not in known.tags:  # of an older version; changes made in MLflow's page stay
                client.set_experiment_tag(known.experiment_id, name, value)
        return str(known.experiment_id)
