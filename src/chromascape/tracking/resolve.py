"""The folder of a model in MLflow: `models:/NAME@ALIAS`, `models:/NAME/3`, `runs:/RUN_ID`.

Heavy packages are imported only when such a model is named.
"""

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from chromascape.errors import ChromascapeError, how_to_install
from chromascape.tracking.address import SCHEME, tracking_uri
from chromascape.tracking.server import one_line, without_credentials

# Weights and configuration inside a model that `artifacts.log_model` has logged.
FOLDER = "artifacts/colorizer"
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))|runs:/(?P<run>\w+)")


def resolve_model(text: str) -> Path:
    """The folder that `Colorizer.load` reads: a path as it is, or the files of a model in MLflow.

    Files on another machine are copied into a temporary folder, which is removed when this process ends. Only weights
    and configuration are read, never a pickle.

    Raises:
        ChromascapeError: there is no such model, its files can't be read, or MLflow is not available.
    """
    if not text.startswith(("models:/", "runs:/")):
        return Path(text)
    address = ADDRESS.fullmatch(text)
    if address is None:
        raise ChromascapeError(f"{text}: write models:/NAME@champion, models:/NAME/VERSION or runs:/RUN_ID")
    try:
        from chromascape.tracking.store import existing_client  # first: it sets how MLflow behaves

        from mlflow import MlflowException  # isort: skip
    except ModuleNotFoundError as error:
        raise ChromascapeError(f"{text}: needs {error.name}: {how_to_install('pipeline')}") from None
    store = without_credentials(tracking_uri())
    try:
        model = _find(existing_client(), address)
    except ChromascapeError as error:
        raise ChromascapeError(f"{text}: {error}") from None
    except MlflowException as error:
        raise ChromascapeError(f"{text}: not found in {store} ({explain(error)})") from None
    if model is None:
        raise ChromascapeError(f"{text}: no model of Chromascape in {store}")
    return download(model, text)


def _find(client: Any, address: re.Match[str]) -> Any:
    """The logged model at an address; None if the run has none or the version is of another kind."""
    if address["run"]:
        return model_of_run(client, client.get_run(address["run"]))
    if address["alias"]:
        version = client.get_model_version_by_alias(address["name"], address["alias"])
    else:
        version = client.get_model_version(address["name"], address["version"])
    return model_of_version(client, version)


def model_of_version(client: Any, version: Any) -> Any:
    """The logged model behind a version; None if the version has another source.

    A store in a database keeps the source of a version, but not the id of its model.
    """
    source = re.fullmatch(r"models:/(m-\w+)", version.source or "")
    return client.get_logged_model(source[1]) if source else None


def model_of_run(client: Any, run: Any) -> Any:
    """The last complete model of a run; None if there is none."""
    return next((model for model in models_of_run(client, run) if is_complete(model)), None)


def models_of_run(client: Any, run: Any) -> list[Any]:
    """The models of a run, the last one first; the logging of some may have been interrupted."""
    return list(
        client.search_logged_models(
            [run.info.experiment_id],
            filter_string=f"source_run_id = '{run.info.run_id}'",
            order_by=[{"field_name": "creation_timestamp", "ascending": False}],
        )
    )


def is_complete(model: Any) -> bool:
    """Whether the logging of a model has ended."""
    return str(model.status) == "READY"


def download(model: Any, shown: str) -> Path:
    """The folder with weights and configuration of a logged model.

    Args:
        shown: what to call the model in an error.
    """
    from mlflow.artifacts import download_artifacts

    place = model.artifact_location
    target = None
    if not place.startswith(("file:", "/", f"{SCHEME}:")):  # files on this machine are read in place
        target = tempfile.mkdtemp(prefix="chromascape-")
        atexit.register(shutil.rmtree, target, ignore_errors=True)
    try:
        return Path(download_artifacts(artifact_uri=f"{place}/{FOLDER}", dst_path=target))
    except Exception as error:  # each kind of storage raises errors of its own
        raise ChromascapeError(
            f"{shown}: its weights can't be read from {without_credentials(place)} ({explain(error)})"
        ) from None


def explain(error: Exception) -> str:
    """The text of an MLflow error as a part of a line."""
    return one_line(error) or type(error).__name__
