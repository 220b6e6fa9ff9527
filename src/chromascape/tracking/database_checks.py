"""Whether a database of another kind than SQLite can take a run, asked without MLflow, which would set it up."""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from chromascape.tracking.address import FOLDER
from chromascape.tracking.server import deleted, one_line, without_credentials

DRIVERS = {  # packages that are named otherwise than their modules
    "psycopg2": "psycopg2-binary",
    "psycopg": "'psycopg[binary]'",
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
}
EXPERIMENT = "SELECT lifecycle_stage, experiment_id, artifact_location FROM experiments WHERE name = :name"
MAY_CREATE = "SELECT has_schema_privilege(current_schema(), 'CREATE'), current_user"
MAY_INSERT = "SELECT has_table_privilege('runs', 'INSERT'), current_user"

State = tuple[Literal["ok", "note", "problem"], str]  # and what it is about


def database_state(uri: str, experiment: str) -> State:
    """How a database is. Problems say the remedy."""
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    shown = without_credentials(uri)
    try:
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            return _contents(connection, shown, experiment)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        return "problem", f"{shown}: needs the package {name}: pip install {DRIVERS.get(name, name)}"
    except ImportError as error:  # of psycopg, where PostgreSQL's own library is missing
        driver = make_url(uri).get_driver_name()
        said = f"{shown}: {driver} can't be imported ({one_line(error)})"
        return "problem", f"{said}: pip install {DRIVERS.get(driver, driver)}"
    except (SQLAlchemyError, ValueError) as error:
        said = one_line(getattr(error, "orig", None) or error)
        return "problem", f"{shown}: can't be used ({said}): check address, user and password, and that it runs"


def _contents(connection: Any, shown: str, experiment: str) -> State:
    """What the tables say: who may write them, the version of MLflow that made them, and the experiment."""
    from sqlalchemy import inspect, text

    tables = inspect(connection).get_table_names()
    fresh = "experiments" not in tables
    if connection.dialect.name == "postgresql":
        may, user = connection.execute(text(MAY_CREATE if fresh else MAY_INSERT)).one()
        if not may:
            grant = "GRANT CREATE ON SCHEMA public" if fresh else "GRANT ALL ON ALL TABLES IN SCHEMA public"
            return "problem", f"{shown}: user {user} may not write it: as its owner, `{grant} TO {user}`"
    if fresh:
        problem = storage_problem(os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT", ""), experiment)
        return ("problem", problem) if problem else ("note", f"{shown} has no tables yet: the first run makes them")
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if problem := revision_problem(str(revision), shown, "ADDRESS"):
        return "problem", problem
    found = connection.execute(text(EXPERIMENT), {"name": experiment}).fetchone()
    if found and found[0] == "deleted":
        return "problem", deleted(experiment, found[1])
    location = found[2] if found else os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT", "")
    problem = storage_problem(location, experiment) or _elsewhere(location, experiment)
    return ("problem", problem) if problem else ("ok", f"runs are kept at {shown}")


def storage_problem(location: str, experiment: str) -> str:
    """Why this machine can't write the files of an experiment to its location; empty where it can, as far as one knows.

    Args:
        location: as MLflow has it.
    """
    if location.startswith("s3:") and not find_spec("boto3"):
        return f"{_keeps(experiment)} in {location}, which needs the package boto3 here: pip install boto3"
    return ""


def _elsewhere(location: str, experiment: str) -> str:
    """Why the files of an experiment in a database can't be reached from here."""
    if location.startswith("mlflow-artifacts:"):
        return f"{_keeps(experiment)} behind a server of MLflow: name that server in MLFLOW_TRACKING_URI"
    folder = Path(unquote(urlsplit(location).path)) if location.startswith("file:///") else None
    if folder and folder.name == FOLDER and not folder.parent.exists():
        return (
            f"{_keeps(experiment)} in {folder}, on another machine: choose another name, and say in "
            "MLFLOW_DEFAULT_ARTIFACT_ROOT where all machines can write, such as s3://BUCKET/FOLDER"
        )
    return ""


def _keeps(experiment: str) -> str:
    return f"track.experiment: {experiment!r} keeps its files"


def revision_problem(revision: str, name: str, uri: str) -> str:
    """Why the installed MLflow can't use tables; empty if it can.

    Args:
        revision: of the tables.
        name: what they are called here.
        uri: the address that the remedy names.
    """
    made, followed = _revisions()
    if revision not in made:
        return f"{name} was made by a newer MLflow: install that, or name another store"
    if revision in followed:
        return f"{name} was made by an older MLflow: `mlflow db upgrade {uri}`, after a copy"
    return ""


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
