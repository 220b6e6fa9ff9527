"""The journal on the disk: what it promises it has, whatever tears it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chromascape.tracking import outbox

ADDRESS = {"store": "http://host:1", "experiment": "tests", "run_id": "r", "run": {"tags": {}, "start_time": 1}}


@pytest.fixture
def box(tmp_path: Path) -> outbox.Box:
    box = outbox.new_box(tmp_path, ADDRESS)
    for number in range(3):
        box.add("metrics", rows=[["loss", float(number), 1, number]])
    return box


def steps(folder: Path) -> list[int]:
    box = outbox.read_box(folder)
    return [entry["rows"][0][3] for entry in box.left] if box else []


def test_a_box_is_on_the_disk_as_it_was_given(box: outbox.Box, tmp_path: Path) -> None:
    box.mark(box.left[0])
    (read,) = outbox.boxes(tmp_path)
    assert read.left == box.left and read.address == box.address and read.folder == box.folder
    assert [entry["number"] for entry in read.left] == [2, 3]
    outbox.remove(box)
    assert outbox.boxes(tmp_path) == []


def test_nothing_is_written_before_the_first_entry(tmp_path: Path) -> None:
    outbox.new_box(tmp_path, ADDRESS)
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_a_kill_tears_costs_only_itself(box: outbox.Box) -> None:
    """Wherever the file ends: what came before is there, and what comes after."""
    journal = box.folder / outbox.JOURNAL
    whole = journal.read_bytes()
    start = whole.index(b'{"entry": {"number": 3')
    for end in range(start, len(whole) - 2):
        journal.write_bytes(whole[:end])
        assert steps(box.folder) == [0, 1]
    again = outbox.read_box(box.folder)
    assert again
    again.mark(again.left[0])
    assert steps(box.folder) == [1]


def test_figures_that_are_no_numbers_come_back(tmp_path: Path) -> None:
    box = outbox.new_box(tmp_path, ADDRESS)
    box.add("metrics", rows=[["loss", float("nan"), 1, 1], ["loss", float("inf"), 1, 2]])
    read = outbox.read_box(box.folder)
    assert read and repr(read.left[0]["rows"]) == "[['loss', nan, 1, 1], ['loss', inf, 1, 2]]"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]\n3\n", b'{"entry": {"number": 1}}\n'])
def test_a_folder_that_holds_no_box_is_passed_over(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / outbox.HOME / "1"
    folder.mkdir(parents=True)
    (folder / outbox.JOURNAL).write_bytes(content)
    assert outbox.boxes(tmp_path) == [] and outbox.waiting_note(tmp_path) == ""


def test_a_box_has_one_owner_until_that_process_is_gone(box: outbox.Box) -> None:
    script = "import sys; from pathlib import Path; from chromascape.tracking import outbox\n"
    script += "with outbox.owned(Path(sys.argv[1])) as ours: print(ours, flush=True); input()"
    command = [sys.executable, "-c", script, str(box.folder)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout and other.stdout.readline() == "True\n"
    with outbox.owned(box.folder) as ours:
        assert not ours
    other.kill()
    other.communicate()
    with outbox.owned(box.folder) as ours:
        assert ours
        outbox.remove(box)
    assert list(box.folder.parent.iterdir()) == []  # its lock file neither


def test_boxes_are_delivered_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    made = [outbox.new_box(tmp_path, ADDRESS) for _ in range(5)]
    for box in reversed(made):
        box.add("tags", values={})
    assert [box.folder for box in outbox.boxes(tmp_path)] == [box.folder for box in made]


def test_the_note_counts_in_words(box: outbox.Box, tmp_path: Path) -> None:
    box.add("model", file="x")
    expected = "waiting for http://host:1: 3 sets of metrics, 1 model; `chromascape deliver` brings it there"
    assert outbox.waiting_note(tmp_path).startswith(expected)


def test_every_kind_has_words_and_a_way_to_mlflow() -> None:
    from chromascape.tracking.delivery import APPLY

    assert list(outbox.KINDS) == list(APPLY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    box = outbox.new_box(tmp_path, ADDRESS)
    with pytest.raises(PermissionError):
        box.add("tags", values={})
    assert len(box.left) == 1
    tmp_path.chmod(0o700)


def test_the_journal_is_json_lines(box: outbox.Box) -> None:
    lines = (box.folder / outbox.JOURNAL).read_text().split()
    assert lines and all(
        isinstance(json.loads(line), dict) for line in (box.folder / outbox.JOURNAL).read_text().splitlines() if line
    )
