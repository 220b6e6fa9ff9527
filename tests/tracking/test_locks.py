"""Locks of a store: one holder at a time of each name, on SQLite and on PostgreSQL."""

import threading
from pathlib import Path

import pytest

from chromascape.tracking.locks import has_lock, locked

SOON = 0.3  # seconds in which a lock that is free is taken


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.scale)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/mlflow.db"
    return str(request.getfixturevalue("postgres").new("locks"))


def test_a_name_has_one_holder_at_a_time_and_two_names_do_not_wait_for_each_other(uri: str) -> None:
    taken = {name: threading.Event() for name in ("", "register", "search")}

    def take(name: str) -> None:
        with locked(uri, name):
            taken[name].set()

    threads = [threading.Thread(target=take, args=[name], daemon=True) for name in taken]
    with locked(uri, "register"):
        for thread in threads:
            thread.start()
        assert taken[""].wait(30) and taken["search"].wait(30)
        assert not taken["register"].wait(SOON)
    assert taken["register"].wait(30)
    for thread in threads:
        thread.join()


def test_a_server_has_no_lock_and_nobody_waits() -> None:
    assert not has_lock("https://host") and has_lock("postgresql+psycopg://host/runs") and has_lock("sqlite:///a.db")
    with locked("https://host"), locked("https://host"):
        pass
