"""Work in several processes: order, and what is said meanwhile."""

import sys
from types import SimpleNamespace

import pytest
from conftest import Clock

from chromascape import parallel
from chromascape.parallel import ProgressBar, in_parallel, with_progress


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_arguments(jobs: int) -> None:
    assert list(in_parallel(double, ((number,) for number in range(20)), jobs, 20, "double")) == list(range(0, 40, 2))


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


def test_short_work_shows_no_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(with_progress(range(3), 3, "check")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
