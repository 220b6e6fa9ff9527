"""Work in several processes: order, and what is said meanwhile."""

import sys
import threading
from collections.abc import Iterator

import pytest

from chromascape import parallel
from chromascape.parallel import in_parallel, in_threads, with_progress


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_arguments(jobs: int) -> None:
    assert list(in_parallel(double, ((number,) for number in range(20)), jobs, 20, "double")) == list(range(0, 40, 2))


@pytest.mark.parametrize("jobs", [1, 3])
def test_threads_give_results_in_order_and_take_values_little_ahead(jobs: int) -> None:
    taken = 0

    def values() -> Iterator[int]:
        nonlocal taken
        for number in range(1, 101):
            taken = number
            yield number

    results = in_threads(lambda number: (2 * number, threading.get_ident()), values(), jobs)
    assert next(results)[0] == 2 and taken <= 2 * jobs
    doubled, threads = zip(*results, strict=True)
    assert list(doubled) == list(range(4, 202, 2))
    assert (threading.get_ident() in threads) == (jobs == 1)


def test_when_a_thread_fails_nothing_more_begins() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise ValueError("one")
        return number

    with pytest.raises(ValueError, match="one"):
        list(in_threads(work, range(100), 2))
    assert len(begun) < 10


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten photos, one every 12 seconds of a clock that the test moves: a line after 36, 72 and 108 seconds."""
    now = 0.0
    monkeypatch.setattr(parallel.time, "monotonic", lambda: now)
    for _ in with_progress(range(10), 10, "evaluate"):
        now += 12
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"evaluate: {count} of 10 photos" for count in (4, 7, 10)]
    assert said.err == ""


def test_short_work_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(in_parallel(double, [(1,)], 1, 1, "double")) == [2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(with_progress(range(3), 3, "evaluate")) == [0, 1, 2]
    said = capsys.readouterr()
    assert "evaluate" in said.err and "3/3" in said.err and said.out == ""
