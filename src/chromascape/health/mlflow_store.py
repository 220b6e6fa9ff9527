"""Where MLflow keeps runs: is it there, of the installed version, free, and which of its runs were never ended?"""

import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import psutil

from chromascape.health import Finding
from chromascape.params import Params
from chromascape.tracking.run import killed_runs
from chromascape.tracking.server import check_server, without_credentials
from chromascape.tracking.store import database_file, tracking_uri


def store(params: Params) -> list[Finding]:
    """The store, and the runs that it calls running; an empty store is none yet, and is not made."""
    shown = without_credentials(tracking_uri())
    if database := database_file():
        file = Path(database).absolute()
        if not file.exists():
            return [Finding("ok", "MLflow", f"no store yet: the first run makes {file}")]
        found = _database(file, shown)
        if found.level == "problem" or "locked" in found.text:
            return [found]
    else:
        check_server()
        found = Finding("ok", "MLflow", f"runs are kept at {shown}")
    return [found, *_runs(params)]


def _database(file: Path, uri: str) -> Finding:
    """The state of a SQLite store, asked without MLflow, which would migrate it or wait."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=1)) as database:
            database.execute("BEGIN IMMEDIATE")  # what a run that begins would need
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            known = "alembic_version" in tables
            revision = database.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
            database.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return Finding("note", "MLflow", f"{file} is locked by {_who_has(file)}: a run waits until it is free")
        return Finding("problem", "MLflow", f"{file}: {error}: check its permissions and those of its folder")
    except sqlite3.DatabaseError as error:
        text = f"{file} is damaged ({error}): move it away, and the next run makes a new one"
        return Finding("problem", "MLflow", text)
    if not revision:
        return Finding("note", "MLflow", f"{file} was never set up to its end: the next run does")
    return _revision(file, uri, str(revision[0]))


def _revision(file: Path, uri: str, revision: str) -> Finding:
    """Whether the tables are those of the MLflow that is installed."""
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    scripts = ScriptDirectory(str(files("mlflow") / "store" / "db_migrations"))
    if revision == scripts.get_current_head():
        return Finding("ok", "MLflow", f"{file}, set up for the installed version, free")
    try:
        scripts.get_revision(revision)
    except CommandError:
        return Finding("problem", "MLflow", f"{file} was made by a newer MLflow: install that, or name another store")
    return Finding("problem", "MLflow", f"{file} was made by an older MLflow: `mlflow db upgrade {uri}`, after a copy")


def _who_has(file: Path) -> str:
    """The processes that have a file open, as far as we may see."""
    names = []
    for process in psutil.process_iter(["pid", "name"]):
        try:
            if any(Path(opened.path) == file for opened in process.open_files()):
                names.append(f"process {process.pid} ({process.name()})")
        except (psutil.Error, OSError):
            continue
    return ", ".join(names) or "a process that we can't see"


def _runs(params: Params) -> list[Finding]:
    """Runs that MLflow calls running: at work, or of this checkout and killed."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri())
    try:
        experiment = client.get_experiment_by_name(params.track.experiment)
        number = experiment.experiment_id if experiment else ""
        running = client.search_runs([number], "attributes.status = 'RUNNING'") if number else []
        killed = killed_runs(client, number) if number else []
    except mlflow.MlflowException as error:
        return [Finding("problem", "runs", f"MLflow: {' '.join(str(error).split())[:150]}")]
    found = []
    if killed:
        names = ", ".join(str(run.info.run_name) for run in killed)
        found.append(Finding("note", "runs", f"{len(killed)} whose process was killed: {names}: `dvc repro` ends them"))
    if len(running) > len(killed):
        found.append(Finding("note", "runs", f"{len(running) - len(killed)} running, here or on other machines"))
    return found or [Finding("ok", "runs", "all have ended")]
