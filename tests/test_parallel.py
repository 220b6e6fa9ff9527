"""Work in several processes: order, what is said meanwhile, and workers that hang or die."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from conftest import Clock
from hostile import double, hostile

from chromascape import parallel, workers
from chromascape.errors import ChromascapeError
from chromascape.parallel import ProgressBar, cores, cpu_threads, in_parallel, in_threads, with_progress


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


def test_work_in_threads_starts_none_of_its_own() -> None:
    def outer(number: int) -> list[int]:
        return list(in_threads(lambda _: threading.get_ident(), range(number), 4))

    for inner in in_threads(outer, [1, 5, 9], 2):
        assert len(set(inner)) == 1
    assert threading.get_ident() not in outer(3)  # here it does


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
    """Ten photos, one every 12 seconds: a line after 36, 72 and 108 seconds."""
    now = 0.0
    monkeypatch.setattr(parallel, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in with_progress(range(10), 10, "evaluate"):
        now += 12
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"evaluate: {count} of 10 photos" for count in (4, 7, 10)]
    assert said.err == ""


def test_a_line_counts_photos_that_come_several_at_once_and_ends_with_the_note(clock: Clock) -> None:
    with ProgressBar(100, "epoch 2/3", done=10) as bar:
        for loss in ("0.5", "0.4", "0.3"):
            clock.now += 20
            bar.note(f"loss {loss}")
            bar.add(16)
    assert clock.lines == [(40, "epoch 2/3: 42 of 100 photos, loss 0.4")]


def test_short_work_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(in_parallel(double, [(1,)], 1, 1, "double")) == [2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(parallel, "DELAY", 0)
    assert list(with_progress(range(3), 3, "evaluate")) == [0, 1, 2]
    said = capsys.readouterr()
    assert "evaluate" in said.err and "3/3" in said.err and said.out == ""
    with ProgressBar(4, "epoch 1/1", done=1) as bar:
        bar.note("loss 0.1234")
        bar.add(3)
    said = capsys.readouterr()
    assert "epoch 1/1" in said.err and "4/4" in said.err and "loss 0.1234" in said.err and said.out == ""


def test_a_single_photo_has_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(parallel, "DELAY", 0)
    assert list(with_progress([7], 1, "colorize")) == [7]
    assert capsys.readouterr() == ("", "")


def test_short_work_shows_no_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(with_progress(range(3), 3, "check")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def instead(number: int, folder: Path, reason: str, detail: str) -> tuple[int, str, str]:
    return number, reason, detail


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_hangs_or_dies_costs_its_own_task_alone(tmp_path: Path, jobs: int) -> None:
    numbers = [0, 3, 1, 5, 2, 8, 4]
    tasks = ((number, tmp_path) for number in numbers)
    found = list(in_parallel(hostile, tasks, jobs, len(numbers), "hostile", 1.0, instead))
    slow, crashed = (3, "too_slow", "takes longer than 1 seconds to read"), (5, "crashed", "crashed the reader")
    # 8 died once, as it does where memory is short, and was done again. 5 made the file: with one job 8 lives at once.
    assert found == [0, slow, 2, crashed, 4, 16, 8]
    assert not [child for child in psutil.Process().children(recursive=True) if child.cpu_percent(0.05) > 50]


def test_without_a_stand_in_a_lost_task_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        list(in_parallel(hostile, [(0, tmp_path), (5, tmp_path)], 2, 2, "preprocess"))
    assert str(caught.value) == "preprocess: a worker died or hung: if memory is short, lower jobs (2)"


def test_what_a_task_raises_is_raised_here_and_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="a slow disk") as caught:
        list(in_parallel(hostile, [(6, tmp_path)], 1, 1, "hostile", 30.0, instead))
    assert "in hostile" in "".join(caught.value.__notes__)  # the worker's own traceback


def test_a_pool_that_can_not_go_on_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pools: list[Any] = []

    def break_first(workers: int) -> Any:
        pools.append(new_pool(workers))
        if len(pools) == 1:
            schedule = pools[0].schedule

            def schedule_and_break(*args: Any, **kwargs: Any) -> Any:
                future = schedule(*args, **kwargs)
                if future.result() == 10:  # after the sixth task its only worker dies idle
                    (worker,) = pools[0]._pool_manager.worker_manager.workers.values()
                    os.kill(worker.pid, signal.SIGKILL)
                    deadline = time.monotonic() + 20
                    while pools[0].active and time.monotonic() < deadline:
                        time.sleep(0.05)
                    assert not pools[0].active
                return future

            monkeypatch.setattr(pools[0], "schedule", schedule_and_break)
        return pools[-1]

    new_pool = workers._new_pool
    monkeypatch.setattr(workers, "_new_pool", break_first)
    numbers = ((number,) for number in range(20))
    assert list(in_parallel(double, numbers, 1, 20, "double", 60.0)) == list(range(0, 40, 2))
    assert len(pools) == 2


@pytest.mark.parametrize(("limit", "threads"), [("3", 3), ("4,2", 4), ("0", 1), ("many", None), ("", None)])
def test_threads_of_a_computation_are_those_that_openmp_gets(
    monkeypatch: pytest.MonkeyPatch, limit: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert cpu_threads() == (threads or cores())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_cores_are_those_of_this_process_and_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """A container of 2 cores on a host of 64 must not start 64 workers."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(parallel, "CGROUPS", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    assert cores() == expected
