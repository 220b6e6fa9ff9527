"""Where runs are kept: the tracking store and its experiment."""

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from chromascape.errors import ChromascapeError
from chromascape.files import repository_root
from chromascape.tracking.address import (
    DATABASES,
    FOLDER,
    LOCATION,
    database_file,
    files_beside,
    registry_uri,
    scheme_of,
    tracking_uri,
)
from chromascape.tracking.locks import locked
from chromascape.tracking.server import check_server, deleted
from chromascape.tracking.view import experiment_tags

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A call of a server that hangs ends after 43 seconds; MLflow's own 120 seconds and 7 retries take many minutes. 20 is
# what a server waits for a SQLite file that others write to.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


# Where MLflow's tables hold the path of artifacts.
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


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
    if file:
        client = _mlflow().MlflowClient()
        relocate(file)
        return client
    with locked(tracking_uri()):  # MLflow makes the tables of a database that has none, and fails where two do
        return _mlflow().MlflowClient()


def _mlflow() -> Any:
    """The module `mlflow`, set to the store, with its logging switched off."""
    import mlflow
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry

    from chromascape.tracking.beside_store import repository

    for name in ("mlflow", "alembic"):  # after the import, which sets the levels
        logging.getLogger(name).setLevel(logging.ERROR)
    # MLflow knows it from pyproject.toml, but an environment that was made before it was there does not.
    _artifact_repository_registry.register("file", repository)
    mlflow.set_tracking_uri(tracking_uri())
    if os.environ.get("MLFLOW_REGISTRY_URI"):
        mlflow.set_registry_uri(registry_uri())
    return mlflow


def connect(experiment: str) -> str:
    """Set MLflow to the store, create the experiment if it is new, and return its id.

    A lock guards a fresh database: if several processes set it up at once, all but one crash.
    """
    mlflow, file = _mlflow(), database_file()
    with locked(tracking_uri()):
        client = mlflow.MlflowClient()
        if file:
            relocate(file)
        known = client.get_experiment_by_name(experiment)
        if known is not None and known.lifecycle_stage == "deleted":
            raise ChromascapeError(deleted(experiment, known.experiment_id))
        if known is None:
            number = _create(client, experiment)
            if file:
                relocate(file)
            return number
        for name, value in experiment_tags().items():
            if name not in known.tags:  # of an older version; changes made in MLflow's page stay
                client.set_experiment_tag(known.experiment_id, name, value)
        return str(known.experiment_id)


def _create(client: Any, experiment: str) -> str:
    """The id of a new experiment. A server has no lock: where another client was quicker, it is that client's."""
    from mlflow import MlflowException

    try:
        return str(client.create_experiment(experiment, artifact_location=new_location(), tags=experiment_tags()))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(experiment).experiment_id)


def new_location() -> str | None:
    """Where a new experiment keeps its files; None where a server knows.

    Of a database, MLflow would take a folder below the current one, which DVC removes with its temporary copies.
    """
    if file := database_file():
        return (Path(file).parent / FOLDER).as_uri()  # a relative one MLflow makes absolute
    if scheme_of(tracking_uri()) in DATABASES:
        return os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or (repository_root() / FOLDER).as_uri()
    return None


def relocate(file: str, store: str = "") -> None:
    """Make the absolute paths of artifacts relative that lie beside a SQLite store, see `beside_store`.

    MLflow wrote them, perhaps of a place that the project has left. If others write to the store, it is left for the
    next time.

    Args:
        store: the file of the store, where `file` is a copy of it that lies elsewhere.
    """
    store = store or file
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as database, database:
        rows = database.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        for experiment, old in rows:
            if not old.startswith("file:/") or not old.endswith(f"/{FOLDER}"):
                continue
            runs = database.execute("SELECT run_uuid FROM runs WHERE experiment_id = ?", (experiment,)).fetchall()
            if runs and not any((Path(store).parent / FOLDER / run).is_dir() for (run,) in runs):
                continue  # of a checkout that shares this store, and keeps its files itself
            for table, column in LOCATIONS:
                wanted = f"SELECT DISTINCT {column} FROM {table} WHERE {column} = ? OR substr({column}, 1, ?) = ?"
                for (place,) in database.execute(wanted, (old, len(old) + 1, f"{old}/")).fetchall():
                    new = LOCATION + place[len(old) :]
                    if not _is_left_behind(store, place, new):
                        database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, place))


def _is_left_behind(file: str, old: str, new: str) -> bool:
    """Whether files are at an absolute location alone: an older version put them there after the project had moved."""
    beside = files_beside(new, f"sqlite:///{file}")
    return bool(beside and not beside.exists() and Path(unquote(urlsplit(old).path)).exists())
