"""Files and folders appear complete or not at all, and errors of the disk are one line."""

import errno
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import REPOSITORY

from chromascape import files
from chromascape.errors import explain_os_error
from chromascape.files import atomic_folder, atomic_write, clean_leftovers, write_json, write_table


def test_atomic_write_replaces_the_file_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    with atomic_write(path) as beside:
        assert beside.parent == path.parent
        beside.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with atomic_write(path) as beside:
        beside.write_text("two")
        assert path.read_text() == "one"
    assert path.read_text() == "two"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
@pytest.mark.parametrize("old", [None, "old"])
def test_atomic_write_that_fails_keeps_what_was_there(
    tmp_path: Path, error: type[BaseException], old: str | None
) -> None:
    path = tmp_path / "table.csv"
    if old:
        path.write_text(old)
    with pytest.raises(error), atomic_write(path) as beside:
        beside.write_text("half")
        raise error
    assert [file.name for file in tmp_path.iterdir()] == (["table.csv"] if old else [])
    assert old is None or path.read_text() == old


def test_atomic_write_that_writes_nothing_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["n" * 255, "ö" * 127, "a" * 201])
def test_atomic_write_takes_any_name_that_the_disk_takes(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as one, atomic_write(tmp_path / (name[:-1] + "m")) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / name).read_text() == "one"
    assert len(list(tmp_path.iterdir())) == 2


def test_atomic_folder_replaces_the_whole_folder_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lab"
    with atomic_folder(path) as beside:
        (beside / "a").write_text("1")
        (beside / "inside").mkdir()
        (beside / "inside" / "b").write_text("2")
        assert not path.exists()
    with atomic_folder(path) as beside:
        assert list(beside.iterdir()) == []
        (beside / "c").write_text("3")
        assert sorted(file.name for file in path.iterdir()) == ["a", "inside"]
    assert [file.name for file in path.iterdir()] == ["c"]
    assert [file.name for file in path.parent.iterdir()] == ["lab"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_atomic_folder_that_fails_keeps_what_was_there(
    tmp_path: Path, error: type[BaseException], old: str | None
) -> None:
    path = tmp_path / "lab"
    if old:
        path.mkdir()
        (path / "kept").write_text(old)
    with pytest.raises(error), atomic_folder(path) as beside:
        (beside / "half").write_text("half")
        raise error
    assert [file.name for file in tmp_path.iterdir()] == (["lab"] if old else [])
    assert old is None or [(file.name, file.read_text()) for file in path.iterdir()] == [("kept", old)]


# Swapping folders


def folder_with(path: Path, content: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return path


def replace_by(path: Path, content: str) -> None:
    with atomic_folder(path) as beside:
        (beside / "file").write_text(content)


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_a_rename_that_fails_leaves_the_old_folder_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException
) -> None:
    path = folder_with(tmp_path / "lab", "old")
    replace, calls = os.replace, []

    def fail_once(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == failing:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_once)
    with pytest.raises(type(error)):
        replace_by(path, "new")
    assert (path / "file").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["lab"]


def test_a_sync_that_fails_after_the_renames_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder_with(tmp_path / "lab", "old")
    sync, parent = os.fsync, tmp_path.stat().st_ino

    def fail_for_the_parent(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == parent:
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_the_parent)
    with pytest.raises(OSError, match="Input/output error"):
        replace_by(path, "new")
    assert (path / "file").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["lab"]


def test_the_old_folder_is_removed_only_when_the_new_one_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder_with(tmp_path / "lab", "old")
    replace, seen = os.replace, []

    def look(source: Any, target: Any) -> None:
        seen.append(sorted(file.read_text() for file in tmp_path.glob("**/file")))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    replace_by(path, "new")
    assert seen == [["new", "old"], ["new", "old"]]
    assert (path / "file").read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["lab"]


KILLED = """
import os, signal, sys
from pathlib import Path
from chromascape.files import atomic_folder, atomic_write

path, moment = Path(sys.argv[1]), int(sys.argv[2])
replace, calls = os.replace, []
def die(source, target):
    calls.append(target)
    if len(calls) == moment:
        os.kill(os.getpid(), signal.Signals[sys.argv[3]])
    replace(source, target)
os.replace = die
with atomic_folder(path) as beside:
    (beside / "file").write_text("new")
"""


def kill_while_replacing(path: Path, moment: int, by: str) -> None:
    """Another process replaces the folder and is killed before its first or second rename."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-c", KILLED, str(path), str(moment), by]
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.Signals[by]


@pytest.mark.parametrize("by", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("moment", [1, 2])
def test_after_a_kill_git_sees_nothing_and_the_next_write_starts_from_the_old_folder(
    tmp_path: Path, moment: int, by: str
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_bytes((REPOSITORY / ".gitignore").read_bytes())
    path = folder_with(tmp_path / "lab", "old")
    kill_while_replacing(path, moment, by)
    assert path.exists() == (moment == 1)
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert seen == ([".gitignore", "lab/file"] if moment == 1 else [".gitignore"])
    with pytest.raises(RuntimeError), atomic_folder(path):
        assert (path / "file").read_text() == "old"
        raise RuntimeError
    assert sorted(file.name for file in tmp_path.iterdir()) == [".git", ".gitignore", "lab"]
    assert (path / "file").read_text() == "old"


DEAD, OTHER = 999999999, "0123abcd"


def part(name: str, process: int, kind: str = "new", place: str | None = None, run: str = "89ab4567") -> str:
    """The name of a part that a process of this machine or of another writes."""
    return f".{name}.{place or files._place()}-{process}-{run}.{kind}.part"


def names_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_parts_of_living_processes_and_files_of_others_stay(tmp_path: Path) -> None:
    staying = {part("lab", os.getppid()), part("lab", os.getpid(), run=files._RUN), ".film.999999999.part"}
    for name in (*staying, part("lab", DEAD), part("lab", os.getpid())):  # the last by an earlier process, as ours is
        (tmp_path / name).touch()
    folder_with(tmp_path / part("gone", DEAD, "old"), "old")
    folder_with(tmp_path / part("lab", DEAD, "old"), "old")
    folder_with(tmp_path / "lab", "new")
    clean_leftovers(tmp_path)
    assert names_in(tmp_path) == staying | {"gone", "lab"}
    assert (tmp_path / "lab" / "file").read_text() == "new"
    assert (tmp_path / "gone" / "file").read_text() == "old"


def test_parts_of_another_machine_stay_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process may live: the numbers of another container mean nothing here."""
    ours = {part("lab", DEAD, place=OTHER), part("cards", DEAD, "old", OTHER)}
    for name in ours:
        os.utime(folder_with(tmp_path / name, "old"), (0, 0))  # a folder that is renamed keeps its time
    now = time.time()
    clean_leftovers(tmp_path)
    assert names_in(tmp_path) == ours
    monkeypatch.setattr(time, "time", lambda: now + 23 * 3600)
    clean_leftovers(tmp_path)
    assert names_in(tmp_path) == ours
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    clean_leftovers(tmp_path)
    assert names_in(tmp_path) == {"cards"} and (tmp_path / "cards" / "file").read_text() == "old"


def test_a_container_of_the_same_name_is_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    places = {files._place.__wrapped__()}
    monkeypatch.setattr(Path, "readlink", lambda path: Path("pid:[1]"))
    places.add(files._place.__wrapped__())
    monkeypatch.setattr(platform, "node", lambda: "another")
    places.add(files._place.__wrapped__())
    assert len(places) == 3


def test_a_folder_and_files_beside_it_can_be_written_at_the_same_time(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "lab") as beside:
        (beside / "file").write_text("1")
        write_json({}, tmp_path / "a.json")
        replace_by(tmp_path / "other", "2")
        (beside / "more").write_text("3")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.json", "lab", "other"]
    assert sorted(file.name for file in (tmp_path / "lab").iterdir()) == ["file", "more"]


def test_a_folder_left_aside_by_an_earlier_process_with_our_number_comes_back(tmp_path: Path) -> None:
    folder_with(tmp_path / part("lab", os.getpid(), "old"), "old")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "lab"):
        raise RuntimeError
    assert (tmp_path / "lab" / "file").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["lab"]


def test_a_file_cleans_up_what_a_killed_process_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / part("table.csv", DEAD)).touch()
    write_json({}, tmp_path / "table.json")
    assert [file.name for file in tmp_path.iterdir()] == ["table.json"]


# On the disk before it has its name


@pytest.fixture
def synced_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], bool]:
    """Whether this file or folder was handed to fsync before anything got its final name."""
    early: set[int] = set()
    renamed: list[Any] = []
    sync, replace = os.fsync, os.replace

    def noted(descriptor: int) -> None:
        if not renamed:
            early.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def rename(source: Any, target: Any) -> None:
        renamed.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", rename)
    return lambda path: path.stat().st_ino in early


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, synced_before: Callable[[Path], bool]) -> None:
    write_json({"a": 1}, tmp_path / "a.json")
    assert synced_before(tmp_path / "a.json")


def test_all_of_a_folder_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, synced_before: Callable[[Path], bool]
) -> None:
    path = tmp_path / "lab"
    with atomic_folder(path) as beside:
        (beside / "a").write_text("1")
        folder_with(beside / "in", "2")
    for inside in (path, path / "a", path / "in", path / "in" / "file"):
        assert synced_before(inside), inside


@pytest.mark.parametrize("write", [lambda path: write_json({}, path), lambda path: replace_by(path, "1")])
def test_the_name_itself_is_on_the_disk_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, (tmp_path / "x").exists()))
    )
    write(tmp_path / "x")
    assert synced[-1] == (tmp_path.stat().st_ino, True)


def test_write_table_keeps_names_that_are_hard_to_keep(tmp_path: Path) -> None:
    names = ["a,b", 'say "a"', "new\nline", "return\rhere", os.fsdecode(b"\xff.png"), "ä"]
    table = pd.DataFrame({"path": pd.Series(names, dtype=object), "n": range(len(names))})
    write_table(table, tmp_path / "t.csv")
    data = (tmp_path / "t.csv").read_bytes()
    assert b"\r\n" not in data and b"\xff.png" in data
    back = pd.read_csv(tmp_path / "t.csv", encoding_errors="surrogateescape", dtype={"path": object})
    assert back["path"].tolist() == names and back["n"].tolist() == list(range(len(names)))
    write_table(pd.DataFrame({"a": [0.5]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"a\n0.5\n"


def test_write_json_sorts_keys_and_ends_with_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "validate.json"
    write_json({"b": 1, "a": {"d": None, "c": [1.5, "é"]}}, path)
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert text.index('"a"') < text.index('"b"') and text.index('"c"') < text.index('"d"')
    assert json.loads(text) == {"a": {"c": [1.5, "é"], "d": None}, "b": 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_write_json_refuses_what_json_has_no_number_for(tmp_path: Path, value: float) -> None:
    path = tmp_path / "metrics.json"
    write_json({"x": 1}, path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"x": [value]}, path)
    assert json.loads(path.read_text()) == {"x": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            (errno.ENOSPC, "No space left on device", "out.npy"),
            "out.npy: No space left on device; free some space on this disk and run the command again",
        ),
        ((errno.ENOENT, "No such file or directory", "a b"), "a b: No such file or directory; check the path"),
        (
            (errno.EACCES, "Permission denied", "x"),
            "x: Permission denied; check the permissions of the file and its folder",
        ),
        (
            (errno.EROFS, "Read-only file system", "x"),
            "x: Read-only file system; the disk is mounted read-only: write to another disk",
        ),
        ((errno.EIO, "Input/output error", "x"), "x: Input/output error"),
        ((errno.ENOSPC, "No space left on device"), "No space left on device; free some space on this disk and run"),
        (("just words",), "just words"),
    ],
)
def test_an_error_of_the_disk_is_one_line_with_a_way_out(arguments: tuple[Any, ...], line: str) -> None:
    assert explain_os_error(OSError(*arguments)).startswith(line)


def test_a_table_is_written_whole_and_keeps_the_bytes_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "photos.csv"
    odd = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    write_table(pd.DataFrame({"path": pd.Series([odd], dtype=object), "psnr_db": [0.1]}), path)
    assert path.read_bytes() == b"path,psnr_db\ncaf\xe9.png,0.1\n"
    assert [file.name for file in path.parent.iterdir()] == ["photos.csv"]
