"""One process at a time, of all that share a store: by a file beside a SQLite store, by an advisory lock in PostgreSQL.

A server offers no lock.
"""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from filelock import FileLock

from chromascape.errors import ChromascapeError
from chromascape.tracking.address import scheme_of, sqlite_file
from chromascape.tracking.server import one_line, without_credentials


def has_lock(uri: str) -> bool:
    """Whether a store has a lock that holds for all processes on all machines that share it."""
    return bool(sqlite_file(uri)) or scheme_of(uri) == "postgresql"


@contextmanager
def locked(uri: str, what: str = "") -> Iterator[None]:
    """Wait for the lock of a store, and hold it; nothing where it has none. A process that is killed frees it.

    Args:
        uri: of the store, absolute.
        what: one of several locks of the same store.
    """
    if file := sqlite_file(uri):
        with FileLock(f"{file}.{what}.lock" if what else f"{file}.lock"):
            yield
    elif scheme_of(uri) == "postgresql":
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        # PostgreSQL frees it when the connection ends, which is this block's own. No transaction stays open meanwhile.
        with ExitStack() as stack:
            try:
                engine = create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT")
                connection = stack.enter_context(engine.connect())
                key = zlib.crc32(f"chromascape {what}".encode())
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            except (SQLAlchemyError, ImportError) as error:
                raise ChromascapeError(f"{without_credentials(uri)}: {one_line(error)}") from None
            yield
    else:
        yield
