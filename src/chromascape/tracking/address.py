"""Which store of MLflow is meant, and where the files beside it are. Importing this needs no MLflow."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from chromascape.errors import ChromascapeError
from chromascape.files import repository_root

FOLDER_STORE = re.compile(r"(file:)?(?!/|databricks|uc$)[^:]+")  # a relative one
FOLDER = "mlartifacts"  # beside the database; also what `mlflow server` serves by default
DATABASES = ("postgresql", "mysql", "mssql")  # beside SQLite
LOCATION = f"file:{FOLDER}"  # of artifacts, in place of an absolute path: see `beside_store`


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a SQLite file in the root of the repository."""
    return absolute(os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db")


def registry_uri() -> str:
    """MLFLOW_REGISTRY_URI, or the store of runs, which has a registry too."""
    named = os.environ.get("MLFLOW_REGISTRY_URI")
    return absolute(named) if named else tracking_uri()


def absolute(uri: str) -> str:
    """The address of a store; a relative file is taken from the repository: `dvc exp run --temp` drops its copy."""
    if FOLDER_STORE.fullmatch(uri):  # for MLFLOW_ALLOW_FILE_STORE
        return str(repository_root() / uri.removeprefix("file:"))
    file = sqlite_file(uri)
    if not file or Path(file).is_absolute():
        return uri
    scheme, query = uri.partition(":///")[0], uri.partition("?")[2]
    place = str(repository_root() / file)
    if unquote(place) != place or "?" in place:
        raise ChromascapeError(
            f"{place}: MLflow can't keep its runs in a folder with '?' or '%' and two digits in its name: "
            "rename it, or name another store in MLFLOW_TRACKING_URI"
        )
    return f"{scheme}:///{place}" + (f"?{query}" if query else "")


def sqlite_file(uri: str) -> str:
    """The file in the address of a SQLite store, which MLflow itself writes with %20 for a space; else empty."""
    scheme, separator, rest = uri.partition(":///")
    file = unquote(rest.partition("?")[0])
    kept = separator and scheme.lower().split("+")[0] == "sqlite" and not file.startswith((":memory:", "file:"))
    return file if kept else ""


def scheme_of(uri: str) -> str:
    """The protocol of an address without the name of a driver: 'postgresql' of postgresql+psycopg://host/name."""
    return uri.partition(":")[0].lower().split("+")[0]


def database_file() -> str:
    """The absolute path of the store's SQLite file; empty if the store is of another kind."""
    return sqlite_file(tracking_uri())


def is_beside(location: str) -> bool:
    """Whether a location of artifacts is beside its store."""
    return location == LOCATION or location.startswith(f"{LOCATION}/")


def files_beside(location: str, uri: str) -> Path | None:
    """The folder behind a location such as `file:mlartifacts/RUN`; None without a SQLite file.

    Args:
        uri: of the store that the location was read from.
    """
    file = sqlite_file(uri)
    return Path(file).absolute().parent / unquote(urlsplit(location).path) if file else None
