"""What a process of a training does about the others, with the others as doubles; test_ranks.py has real ones."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from torch.distributed import HashStore

from chromascape.errors import ChromascapeError
from chromascape.learning import watch
from chromascape.learning.watch import Watch


class Other:
    """A process that has ended with this code, or runs (None)."""

    def __init__(self, code: int | None = None):
        self.code, self.killed = code, False

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed = True


class Gone:
    """The store of a process that has ended."""

    def clone(self) -> "Gone":
        return self

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("Connection reset by peer")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"POLL": 0.01, "PATIENCE": 0.05, "GRACE": 0.05}.items():
        monkeypatch.setattr(watch, name, seconds)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which a thread would have ended this process; each ends that thread."""
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise SystemExit

    monkeypatch.setattr(os, "_exit", leave)
    return codes


def wait_until(true: Callable[[], object]) -> None:
    limit = time.monotonic() + 10
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_what_another_process_said_comes_before_how_it_ended() -> None:
    store = HashStore()
    one = Watch(0, 3, store, [Other(), Other(1)])
    assert one.problem(store) == (
        "train.devices: process 2 of 3 ended with code 1: `dvc repro` resumes from the last checkpoint"
    )
    other = Watch(2, 3, store, [])
    with pytest.raises(SystemExit), other.explained():
        raise ChromascapeError("train.lr: lower it")
    with pytest.raises(SystemExit), other.explained():
        raise ChromascapeError("what follows from it")
    assert one.problem(store) == "train.lr: lower it"
    assert Watch(0, 3, HashStore(), [Other(), Other(0)]).problem(HashStore()) == ""


def test_the_process_that_was_killed_is_named_and_not_those_that_lost_it() -> None:
    store = HashStore()
    for codes, named in (([1, -9], 2), ([-6, -9], 2), ([-9, -6], 1), ([1, -6], 2), ([-15, 1], 1), ([3, 1], 1)):
        problem = Watch(0, 3, store, [Other(code) for code in codes]).problem(store)
        assert problem.startswith(f"train.devices: process {named} of 3 "), codes


def test_a_broken_connection_is_told_as_what_broke_it_and_an_error_of_one_s_own_as_it_is() -> None:
    store, broken = HashStore(), RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]")
    one = Watch(0, 2, store, [])
    told = r"^train\.devices: the connection to another process broke \(.*resumes"
    with pytest.raises(ChromascapeError, match=told), one.explained():
        raise broken
    store.set(watch.ERROR, "train.batch_size: lower it")
    with pytest.raises(ChromascapeError, match=r"^train\.batch_size: lower it$"), one.explained():
        raise broken
    with pytest.raises(RuntimeError, match="sizes of tensors"), one.explained():
        raise RuntimeError("sizes of tensors must match")
    for gone in (store, Gone()):  # process 0 says it
        with pytest.raises(SystemExit), Watch(1, 2, gone, []).explained():
            raise broken


def test_what_is_wrong_in_another_process_alone_reaches_the_first() -> None:
    store = HashStore()
    with pytest.raises(SystemExit), Watch(1, 2, store, []).explained():
        raise RuntimeError("sizes of tensors must match")
    assert Watch(0, 2, store, []).problem(store) == "process 1 of 2: RuntimeError: sizes of tensors must match"


def test_a_process_that_does_not_come_or_dies_before_is_named() -> None:
    store = HashStore()
    with pytest.raises(ChromascapeError, match=r"^train\.devices: process 1 of 2 is not there after 0\.1 seconds$"):
        Watch(0, 2, store, [Other()]).wait_for_all(0.1)
    with pytest.raises(ChromascapeError, match=r"process 1 of 2 was killed \(signal 9\): if memory is short, lower"):
        Watch(0, 2, store, [Other(-9)]).wait_for_all(60)
    store.set("here/1", "")
    Watch(0, 2, store, [Other()]).wait_for_all(0)


@pytest.mark.parametrize("store", [HashStore(), Gone()], ids=["told", "gone"])
def test_another_process_leaves_with_the_first(store: Any, left: list[int]) -> None:
    with Watch(1, 2, store, []):
        if isinstance(store, HashStore):
            time.sleep(0.05)
            assert not left
            with pytest.raises(KeyboardInterrupt), Watch(0, 2, store, []):
                raise KeyboardInterrupt
        wait_until(lambda: left)
    assert left == [1]


def test_the_first_ends_all_where_it_waits_for_one_that_is_gone(left: list[int], capsys: Any) -> None:
    others = [Other(), Other(-11)]
    with Watch(0, 3, HashStore(), others):
        wait_until(lambda: left)
    assert left == [1] and all(other.killed for other in others)
    said = "error: train.devices: process 2 of 3 was killed (signal 11): `dvc repro` resumes from the last checkpoint\n"
    assert capsys.readouterr().err == said


def test_a_signal_to_another_process_stops_the_first_once() -> None:
    store, caught = HashStore(), list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        with Watch(1, 2, store, []):
            signal.raise_signal(signal.SIGTERM)
            wait_until(lambda: store.check([watch.STOP]))
        assert not caught and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        with Watch(0, 2, store, []):
            wait_until(lambda: caught)
            time.sleep(0.05)
        assert caught == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    Watch(0, 2, store, []).wait_for_first()
    Watch(1, 2, store, []).wait_for_first()
