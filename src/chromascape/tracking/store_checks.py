"""Whether MLflow's store can take a run, found out before any work and without changing it."""

import re
import sqlite3
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import psutil

from chromascape.errors import ChromascapeError, did_you_mean
from chromascape.tracking.address import files_beside, is_beside, sqlite_file, tracking_uri
from chromascape.tracking.server import (
    SECONDS,
    check_server,
    deleted,
    one_line,
    within_seconds,
    without_credentials,
)

DATABASES = ("postgresql", "mysql", "mssql")
DRIVERS = {  # packages that are named otherwise than their modules
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
}
EXPERIMENT = "SELECT lifecycle_stage, experiment_id, artifact_location FROM experiments WHERE name = :name"
FORMS = "write sqlite:///FILE, http://HOST:PORT or postgresql://USER:PASSWORD@HOST/NAME, or unset the variable"

State = tuple[Literal["ok", "note", "problem"], str]  # and what it is about


def check_store(experiment: str) -> None:
    """Stop where no run of an experiment could be logged.

    Raises:
        ChromascapeError: why not, in a line.
    """
    level, text = store_state(experiment)
    if level == "problem":
        raise ChromascapeError(text)


def store_state(experiment: str) -> State:
    """How the store of runs is. Problems say the remedy."""
    uri = tracking_uri()
    shown, scheme = without_credentials(uri), uri.partition(":")[0].lower()
    if file := sqlite_file(uri):
        return _sqlite_state(Path(file), experiment)
    if scheme in ("http", "https"):
        check_server()
        problem = _asked(experiment)
    elif scheme.split("+")[0] in DATABASES:
        problem = within_seconds(2 * SECONDS, lambda: _database_problem(uri, experiment))
    else:
        problem = _kind_problem(uri, shown) or _asked(experiment)
    if problem.startswith("track.experiment"):
        return "problem", problem
    return ("problem", f"MLFLOW_TRACKING_URI: {shown}: {problem}") if problem else ("ok", f"runs are kept at {shown}")


def _kind_problem(uri: str, shown: str) -> str:
    """Why a store is of no kind that keeps runs; empty for those that plugins of MLflow know, and Databricks."""
    scheme, separator, _ = uri.partition(":")
    if scheme.lower() == "sqlite":
        return f"names no file: {FORMS}"
    from mlflow.environment_variables import MLFLOW_ALLOW_FILE_STORE
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    known = set(_tracking_store_registry._registry) - {"", "file"}
    if scheme.partition("+")[0] in known or MLFLOW_ALLOW_FILE_STORE.get():
        return ""
    if not separator or scheme.lower() == "file":
        return f"a folder, in which MLflow 3 keeps no runs: {FORMS}"
    if re.match(r"\d+(?:/|$)", uri.partition(":")[2]):
        return f"names no protocol: did you mean http://{shown}?"
    return f"MLflow knows no store of this kind{did_you_mean(scheme, known)}: {FORMS}"


def _asked(experiment: str) -> str:
    """What MLflow itself says, with its own credentials and certificates; empty if the store can take a run."""
    from chromascape.tracking.store import existing_client  # it sets how long MLflow waits

    try:
        known = existing_client().get_experiment_by_name(experiment)
    except ChromascapeError as error:
        return str(error)
    except Exception as error:  # each store has errors of its own
        said = one_line(error) or type(error).__name__
        if re.search(r"\b40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED", f"{said} {getattr(error, 'error_code', '')}"):
            return f"refuses access ({said}): check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return f"MLflow can't use it ({said})"
    return deleted(experiment, known.experiment_id) if known and known.lifecycle_stage == "deleted" else ""


def _database_problem(uri: str, experiment: str) -> str:
    """Why a database of another kind than SQLite can't take a run, asked without MLflow, which would set it up."""
    from sqlalchemy import create_engine, inspect, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri)
        with engine.connect() as connection:
            if not inspect(connection).has_table("experiments"):
                return ""
            found = connection.execute(text(EXPERIMENT), {"name": experiment}).fetchone()
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        return f"needs the package {name}: pip install {DRIVERS.get(name, name)}"
    except (SQLAlchemyError, ValueError) as error:
        return f"can't be used ({one_line(getattr(error, 'orig', None) or error)}): check address, user and password"
    return deleted(experiment, found[1]) if found and found[0] == "deleted" else ""


def _sqlite_state(file: Path, experiment: str) -> State:
    """The state of a SQLite store, asked without MLflow, which would migrate it or wait."""
    if not file.exists():
        nearest = next(folder for folder in file.parents if folder.exists())  # MLflow makes those that are missing
        if not _is_writable(nearest):
            return "problem", f"{file}: can't be written: check the path and the permissions of {nearest}"
        return "ok", f"no store yet: the first run makes {file}"
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=1)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE chromascape_try (a)")  # what a run that begins would need, taken back below
            state = _contents_state(file, database, experiment)
            database.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return "note", f"{file} is locked by {_named(holders(file))}: a run waits until it is free"
        full = "full" in str(error) or "I/O" in str(error)
        remedy = "free some space on its disk" if full else "check its permissions and those of its folder"
        return "problem", f"{file}: {error}: {remedy}"
    except sqlite3.DatabaseError as error:
        return "problem", f"{file} is damaged ({error}): move it away, and the next run makes a new one"
    return state


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, found out by making one: permissions don't tell of read-only disks."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _contents_state(file: Path, database: Any, experiment: str) -> State:
    """What the tables say: the version of MLflow that made them, the experiment, and whether its files are there."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    set_up = "alembic_version" in tables
    revision = database.execute("SELECT version_num FROM alembic_version").fetchone() if set_up else None
    if not revision:
        return "note", f"{file} was never set up to its end: the next run does"
    made, followed = _revisions()
    if str(revision[0]) not in made:
        return "problem", f"{file} was made by a newer MLflow: install that, or name another store"
    if str(revision[0]) in followed:
        return "problem", f"{file} was made by an older MLflow: `mlflow db upgrade sqlite:///{file}`, after a copy"
    found = database.execute(EXPERIMENT, {"name": experiment}).fetchone()
    if found and found[0] == "deleted":
        return "problem", deleted(experiment, found[1])
    if found and (lost := _lost_files(file, database, *found[1:])):
        return "note", lost
    return "ok", f"{file}, set up for the installed version, free"


def _lost_files(file: Path, database: Any, number: int, location: str) -> str:
    """What to say where the files of an experiment's runs are not where its location says; else empty."""
    beside = files_beside(location, f"sqlite:///{file}") if is_beside(location) else None
    folder = beside or (Path(unquote(urlsplit(location).path)) if location.startswith("file:") else None)
    whole = "SELECT 1 FROM runs WHERE experiment_id = ? AND status = 'FINISHED' LIMIT 1"  # others may have no files
    has_runs = database.execute(whole, (number,)).fetchone()
    if not folder or not has_runs or folder.exists():
        return ""
    remedy = "copy it there" if beside else f"copy it beside {file}, and `make ui` finds it there"
    return f"{folder} is missing, which has the files and models of the runs in {file}: {remedy}"


def _revisions() -> tuple[set[str], set[str]]:
    """The versions of the tables that the installed MLflow knows, and those that others follow.

    Read as text: importing them takes seconds.
    """
    spec = find_spec("mlflow")
    place = Path(next(iter(spec.submodule_search_locations or []))) if spec else Path()
    text = "\n".join(file.read_text("utf-8") for file in (place / "store/db_migrations/versions").glob("*.py"))
    made, followed = (
        set(re.findall(rf"^{name}\s*=\s*['\"](\w+)", text, re.MULTILINE)) for name in ("revision", "down_revision")
    )
    return made, followed


def holders(file: Path) -> list[psutil.Process]:
    """The processes that have a file open, as far as we may see."""
    found = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            if any(Path(opened.path) == file for opened in process.open_files()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _named(processes: list[psutil.Process]) -> str:
    names = [f"process {process.pid} ({process.info['name']})" for process in processes]
    return ", ".join(names) or "a process that we can't see"
