"""Move all runs, models and versions from one database of MLflow to an empty one, such as from SQLite to PostgreSQL.

    python -m chromascape.tracking.move_store sqlite:///mlflow.db postgresql+psycopg://USER:PASSWORD@HOST/NAME \\
        --artifacts s3://BUCKET/moved

All tables are copied in one transaction, or nothing is. Runs, experiments, versions and aliases keep their names and
numbers. Files beside a SQLite store are copied to --artifacts, and named there; others stay where they are.
"""

import argparse
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.tracking.address import DATABASES, LOCATION, absolute, files_beside, is_beside, scheme_of, sqlite_file
from chromascape.tracking.database_checks import revision_problem
from chromascape.tracking.locks import locked
from chromascape.tracking.server import one_line, without_credentials
from chromascape.tracking.store import LOCATIONS, relocate

OWN = ("experiments", "experiment_tags", "workspaces")  # in which an empty store has rows
ROWS = 1000  # in a statement


def main() -> None:
    """Move a store, and say what was moved."""
    parser = argparse.ArgumentParser(description="Move all runs from one database of MLflow to an empty one.")
    parser.add_argument("source", metavar="FROM", help="sqlite:///mlflow.db")
    parser.add_argument("target", metavar="TO", help="postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    parser.add_argument(
        "--artifacts",
        required=True,
        metavar="PLACE",
        help="where files go, such as s3://BUCKET/FOLDER",
    )
    options = parser.parse_args()
    try:
        counts = move(absolute(options.source), absolute(options.target), options.artifacts.rstrip("/"))
    except ChromascapeError as error:
        sys.exit(f"error: {error}")
    print(
        f"moved {counts['runs']:,} runs, {counts['logged_models']:,} models and {counts['model_versions']:,} versions "
        f"to {without_credentials(options.target)}; {without_credentials(options.source)} is as it was"
    )


def move(source: str, target: str, artifacts: str) -> dict[str, int]:
    """Copy all tables of a store, and the files that lie beside it.

    Args:
        source: address of a database.
        target: address of a database without runs. Its tables are made if it has none.
        artifacts: where files beside the source go, as MLflow writes it.

    Returns:
        Rows by table.

    Raises:
        ChromascapeError: an address is of no use, or the target has runs. The target is as it was.
    """
    for uri in (source, target):
        if scheme_of(uri) not in (*DATABASES, "sqlite"):
            raise ChromascapeError(f"{without_credentials(uri)}: no database: write sqlite:///FILE or postgresql://...")
    if (file := sqlite_file(source)) and not Path(file).is_file():
        raise ChromascapeError(f"no MLflow store at {file}")
    try:
        with locked(target), _held(source) as held, _reading(held) as old, _writing(target) as new:
            return _copy(old, new, source, artifacts)
    except ChromascapeError:
        raise
    except Exception as error:  # each database and each place for files has errors of its own
        said = f"{type(error).__name__}: {one_line(getattr(error, 'orig', None) or error)}"
        raise ChromascapeError(f"nothing was moved to {without_credentials(target)} ({said})") from None


def _copy(old: Any, new: Any, source: str, artifacts: str) -> dict[str, int]:
    """Copy files and rows between open connections."""
    from sqlalchemy import func, select

    tables = _tables(old, new)
    for name, (_, table) in tables.items():
        limit = 1 if name in OWN[:1] else 0
        if name not in OWN[1:] and new.scalar(select(func.count()).select_from(table)) > limit:
            raise ChromascapeError(f"the store to move to has {name} already: name an empty database")
    if (folder := files_beside(LOCATION, source)) and folder.is_dir():
        _send(folder, artifacts)
    for _, table in reversed(list(tables.values())):
        new.execute(table.delete())
    counts = {}
    for name, (from_table, table) in tables.items():
        places = [column for of, column in LOCATIONS if of == name]
        counts[name] = 0
        columns = [column for column in from_table.columns if table.columns[column.name].computed is None]
        for rows in old.execute(select(*columns)).mappings().partitions(ROWS):
            new.execute(table.insert(), [_placed(dict(row), places, artifacts) for row in rows])
            counts[name] += len(rows)
    _count_on(new, [table for _, table in tables.values()])
    return counts


def _placed(row: dict[str, Any], columns: list[str], artifacts: str) -> dict[str, Any]:
    """A row whose files, if they lie beside the store, are named where they were copied to."""
    moved = {name: artifacts + row[name].removeprefix(LOCATION) for name in columns if is_beside(row[name] or "")}
    return row | moved


def _send(folder: Path, artifacts: str) -> None:
    """Copy a folder to where MLflow keeps files."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(artifacts).log_artifacts(str(folder))


def _tables(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """All tables of a store as they are in both databases, those first to which others refer."""
    from sqlalchemy import MetaData, text

    revisions = [str(each.execute(text("SELECT version_num FROM alembic_version")).scalar()) for each in (old, new)]
    if problem := revision_problem(revisions[0], "the store to move", "ADDRESS"):
        raise ChromascapeError(problem)
    if problem := revision_problem(revisions[1], "the store to move to", "ADDRESS"):
        raise ChromascapeError(problem)
    was, now = MetaData(), MetaData()
    was.reflect(old)
    now.reflect(new)
    names = [table.name for table in now.sorted_tables]
    return {
        name: (was.tables[name], now.tables[name]) for name in names if name in was.tables and name[:7] != "alembic"
    }


def _count_on(new: Any, tables: list[Any]) -> None:
    """Let PostgreSQL give numbers after those that were copied."""
    from sqlalchemy import func, select, text

    if new.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            sequence = new.scalar(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            )
            highest = new.scalar(select(func.max(column))) if sequence else None
            if highest:
                new.execute(text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest})


@contextmanager
def _held(uri: str) -> Iterator[str]:
    """The address of what is read: of a SQLite store a copy whose paths are relative; nobody writes to it meanwhile."""
    file = sqlite_file(uri)
    if not file:
        yield uri
        return
    with TemporaryDirectory() as folder, closing(sqlite3.connect(file, isolation_level=None)) as store:
        store.execute("BEGIN IMMEDIATE")
        copy = f"{folder}/mlflow.db"
        with closing(sqlite3.connect(file)) as reader, closing(sqlite3.connect(copy)) as writer:
            reader.backup(writer)
        relocate(copy, file)
        yield f"sqlite:///{copy}"


@contextmanager
def _reading(uri: str) -> Iterator[Any]:
    """A connection that sees one moment."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    level = "SERIALIZABLE" if sqlite_file(uri) else "REPEATABLE READ"
    with create_engine(uri, poolclass=NullPool, isolation_level=level).connect() as connection:
        yield connection


@contextmanager
def _writing(uri: str) -> Iterator[Any]:
    """A transaction on a store, whose tables MLflow makes if there are none."""
    from mlflow import MlflowClient
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    with create_engine(uri, poolclass=NullPool).begin() as connection:
        yield connection


if __name__ == "__main__":
    main()
