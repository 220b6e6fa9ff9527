"""Files and folders appear whole or not at all, and errors of the disk are told in one line."""

import errno
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chromascape.errors import explain_os_error
from chromascape.files import atomic_folder, atomic_write, write_json, write_table


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


def test_atomic_folder_starts_empty_even_after_a_killed_run(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "lab") as beside:
        leftover = beside
        (beside / "a").write_text("1")
    leftover.mkdir()
    (leftover / "stale").write_text("from a killed run")
    with atomic_folder(tmp_path / "lab") as beside:
        assert beside == leftover
        (beside / "b").write_text("2")
    assert [file.name for file in (tmp_path / "lab").iterdir()] == ["b"]


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
            "x: Read-only file system; the disk is mounted read-only: write somewhere else",
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
