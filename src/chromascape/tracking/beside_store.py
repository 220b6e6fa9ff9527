"""Artifacts beside their store: MLflow's locations for them stay right when a project is moved or copied.

MLflow makes the path of an experiment's artifacts absolute, and writes it to every run and model. So the location has
a scheme of its own, `beside-store:mlartifacts`. `pyproject.toml` names this module as MLflow's plugin for it, so that
MLflow's own commands find the files too.
"""

import os
from typing import Any
from urllib.parse import urlsplit

from chromascape.tracking.address import FOLDER, files_beside

SERVED = "_MLFLOW_SERVER_FILE_STORE"  # in which `mlflow server` and `mlflow ui` tell their processes the store


def repository(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    """What reads and writes the files of a location: those beside a SQLite store, else those that its server serves."""
    from mlflow import get_tracking_uri
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

    store = os.environ.get(SERVED) or tracking_uri or get_tracking_uri()
    if folder := files_beside(artifact_uri, store):
        return LocalArtifactRepository(folder.as_uri(), tracking_uri, registry_uri)
    path = urlsplit(artifact_uri).path.removeprefix(FOLDER).lstrip("/")
    return MlflowArtifactsRepository(f"mlflow-artifacts:/{path}", tracking_uri, registry_uri)
