"""Whether MLflow's store can take a run, found out before any work and without changing it."""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from chromascape.errors import ChromascapeError, did_you_mean
from chromascape.tracking.address import DATABASES, files_beside, is_beside, scheme_of, sqlite_file, tracking_uri
from chromascape.tracking.database_checks import EXPERIMENT, State, database_state, revision_problem
from chromascape.tracking.server import SECONDS, check_server, deleted, within_seconds, without_credentials
from chromascape.tracking.server_checks import explain, server_problem

FORMS = "write sqlite:///FILE, http://HOST:PORT or postgresql://USER:PASSWORD@HOST/NAME, or unset the variable"


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
    if scheme_of(uri) in DATABASES:
        level, text = _database_state(uri, experiment)
        named = level != "problem" or text.startswith("track.experiment")
        return level, text if named else f"MLFLOW_TRACKING_URI: {text}"
    if scheme in ("http", "https"):
        check_server()
        problem = _asked(uri, experiment)
    else:
        problem = _kind_problem(uri, shown) or _asked(uri, experiment)
    if problem.startswith("track.experiment"):
        return "problem", problem
    return ("problem", f"MLFLOW_TRACKING_URI: {shown}: {problem}") if problem else ("ok", f"runs are kept at {shown}")


def _database_state(uri: str, experiment: str) -> State:
    """The state of a database behind a network, which may never answer."""
    found: list[State] = []

    def ask() -> str:
        found.append(database_state(uri, experiment))
        return ""

    silent = within_seconds(2 * SECONDS, ask)
    return found[0] if found else ("problem", f"{without_credentials(uri)}: {silent}: check address and network")


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


def _asked(uri: str, experiment: str) -> str:
    """What MLflow itself says, with its own credentials and certificates; empty if the store can take a run."""
    from chromascape.tracking.store import existing_client  # it sets how long MLflow waits

    try:
        client = existing_client()
        if uri.lower().startswith("http"):
            return server_problem(client, uri, experiment)
        known = client.get_experiment_by_name(experiment)
    except ChromascapeError as error:
        return str(error)
    except Exception as error:  # each store has errors of its own
        return explain(error, uri)
    return deleted(experiment, known.experiment_id) if known and known.lifecycle_stage == "deleted" else ""


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
    if problem := revision_problem(str(revision[0]), str(file), f"sqlite:///{file}"):
        return "problem", problem
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
