"""How killed work resumes: never from what is damaged, and a bad disk costs no work."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from chromascape import resume
from chromascape.files import repository_root, sha256_of_file
from chromascape.resume import Journal, KeptFiles, open_folder


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def flip_a_bit(file: Path, at: int = -1) -> None:
    data = bytearray(file.read_bytes())
    data[at if at >= 0 else len(data) // 2] ^= 1
    file.write_bytes(data)


# The journal

ROWS = {"a.png": {"width": 3, "taken": 0.1}, "b\n.png": None, os.fsdecode(b"\xff.png"): [1, "é"], "d": True}


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of four lines, which the process that wrote it did not close."""
    one = Journal(tmp_path / "journal", "validation")
    for key, value in ROWS.items():
        one.add(key, value)
    return tmp_path / "journal"


def read(file: Path) -> dict[str, Any]:
    one = Journal(file, "validation")
    one.close()
    return one.entries


def test_a_line_is_in_the_file_as_soon_as_it_is_added(journal: Path) -> None:
    assert journal.read_bytes().count(b"\n") == 4
    assert read(journal) == ROWS


def test_a_journal_cut_anywhere_keeps_its_complete_lines_and_grows(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = journal.read_bytes()
    for length in range(0, len(data), 7):
        journal.write_bytes(data[:length])
        one = Journal(journal, "validation")
        assert one.entries == dict(list(ROWS.items())[: data[:length].count(b"\n")])
        one.add("new", 1)
        one.close()
        assert read(journal) == one.entries | {"new": 1}
    assert capsys.readouterr().err == ""  # that is what a kill leaves


def test_flipped_bits_are_reported_and_cost_one_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = journal.read_bytes()
    ends = [at for at, byte in enumerate(data) if byte == 10]
    for at in range(0, ends[-1], 5):
        journal.write_bytes(data)
        flip_a_bit(journal, at)
        left = read(journal)
        assert left.items() <= ROWS.items() and len(left) == (2 if at in ends else 3)
        assert capsys.readouterr().err.startswith(f"warning: {journal}: 1 of ")


def test_the_last_line_of_a_key_counts(journal: Path) -> None:
    one = Journal(journal, "validation")
    one.add("d", False)
    one.close()
    assert read(journal)["d"] is False


class FullDisk:
    """A file whose disk takes so many more bytes."""

    def __init__(self, file: Any, room: int):
        self.file, self.room = file, room

    def write(self, data: bytes) -> None:
        self.file.write(data[: self.room])
        self.file.flush()
        if len(data) > self.room:
            full()
        self.room -= len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_disk_that_fills_is_reported_once_and_what_was_written_counts(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = Journal(journal, "validation")
    one._stream = FullDisk(one._stream, 200)  # type: ignore[assignment]
    for key in range(9):
        one.add(str(key), "x" * 20)
    one.close()
    said = "warning: no checkpoint could be written (No space left on device): validation continues without\n"
    assert capsys.readouterr().err == said
    assert read(journal) == ROWS | {"0": "x" * 20, "1": "x" * 20}


def test_a_journal_that_can_not_be_opened_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal").mkdir()
    one = Journal(tmp_path / "journal", "validation")
    one.add("a", 1)
    one.close()
    assert one.entries == {} and "(Is a directory): validation continues without" in capsys.readouterr().err
    nothing = Journal(None, "validation")
    nothing.add("a", 1)
    nothing.close()
    assert capsys.readouterr().err == ""


def test_a_journal_is_synced_now_and_then(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    one = Journal(journal, "validation")
    one.add("a", 1)
    assert not synced
    monkeypatch.setattr(resume, "SYNC_SECONDS", 0)
    one.add("b", 1)
    one.close()
    assert len(synced) == 1


# Files


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder that keeps `shard.npy`."""
    folder = tmp_path / "kept"
    folder.mkdir()
    made = tmp_path / "made" / "shard.npy"
    made.parent.mkdir()
    made.write_bytes(b"Lab" * 50)
    KeptFiles(folder, "preprocessing").keep(made, sha256_of_file(made))
    made.unlink()
    return folder


def restored(kept: Path) -> tuple[str | None, Path]:
    target = kept.parent / "made" / "shard.npy"
    return KeptFiles(kept, "preprocessing").restore(target), target


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_a_kept_file_comes_back(kept: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", full)
    digest, target = restored(kept)
    assert digest == sha256_of_file(target) and target.read_bytes() == b"Lab" * 50
    assert (target.stat().st_nlink == 2) == links


@pytest.mark.parametrize("name", ["shard.npy", "shard.npy.json"])
@pytest.mark.parametrize("damage", [flip_a_bit, lambda file: os.truncate(file, 40)], ids=["flip", "cut"])
def test_a_damaged_file_is_reported_and_not_restored(
    kept: Path, name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(kept / name)
    digest, target = restored(kept)
    assert digest is None and not target.exists()
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {kept / 'shard.npy'}: damaged (") and said.count("\n") == 1


@pytest.mark.parametrize("name", ["shard.npy", "shard.npy.json"])
def test_one_of_the_two_files_alone_is_no_kept_file(kept: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (kept / name).unlink()
    assert restored(kept)[0] is None and capsys.readouterr().err == ""


def test_a_file_that_can_not_be_kept_is_reported_once(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, made = KeptFiles(kept, "preprocessing"), kept.parent / "made" / "other.npy"
    made.write_bytes(b"x")
    monkeypatch.setattr(resume, "write_json", full)
    files.keep(made, sha256_of_file(made))
    files.keep(made, sha256_of_file(made))
    said = "warning: no checkpoint could be written (No space left on device): preprocessing continues without\n"
    assert capsys.readouterr().err == said
    assert files.restore(made) is None and made.exists()


# The folder


def test_the_folder_is_removed_if_the_block_ends_well_and_stays_otherwise(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_folder(tmp_path, "validate", "abc") as folder:
        assert folder == tmp_path / ".checkpoints" / "validate-abc"
        (folder / "file").touch()
        raise RuntimeError
    with open_folder(tmp_path, "validate", "abc") as folder:
        assert folder and (folder / "file").exists()
    assert list((tmp_path / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize("kind", resume.WORK)
def test_a_folder_that_another_process_has_is_left_alone(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_folder(tmp_path, kind, "abc") as folder, open_folder(tmp_path, kind, "abc") as second:
        assert folder and second is None
    work = resume.WORK[kind]
    said = f"warning: the same {work} runs in another process: this one has no checkpoints\n"
    assert capsys.readouterr().err == said


def test_a_folder_that_can_not_be_made_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".checkpoints").touch()
    with open_folder(tmp_path, "preprocess", "abc") as folder:
        assert folder is None
    assert "this preprocessing has no checkpoints" in capsys.readouterr().err


def test_folders_of_any_kind_that_nobody_resumed_for_a_week_are_removed(tmp_path: Path) -> None:
    home = tmp_path / ".checkpoints"
    for name, days in {"train-old": 8, "validate-old": 8, "preprocess-used": 8, "train-young": 6}.items():
        (home / name).mkdir(parents=True)
        (home / name / "file").touch()
        for path in (home / name / "file", home / name):
            os.utime(path, (time.time() - days * 86400,) * 2)
    (home / "notes").mkdir()  # somebody's own
    os.utime(home / "notes", (0, 0))
    with FileLock(home / "preprocess-used.lock"):
        os.utime(home / "preprocess-used.lock", (0, 0))
        with open_folder(tmp_path, "validate", "abc"):
            left = {path.name for path in home.iterdir() if path.suffix != ".lock"}
    assert left == {"notes", "preprocess-used", "train-young", "validate-abc"}


def test_other_code_parts_or_decoders_are_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "chromascape"
    work, helper, tracking = package / "work.py", package / "helper.py", package / "tracking.py"
    package.mkdir()
    (package / "__init__.py").touch()
    work.write_text("from chromascape import helper, tracking\n")
    for file in (helper, tracking, package / "other.py"):
        file.write_text("a = 1\n")
    found = [resume.photos_fingerprint(work, side=64), resume.photos_fingerprint(work, side=128)]
    with monkeypatch.context() as patched:
        patched.setattr(resume, "version", lambda package: "9.9")
        found.append(resume.photos_fingerprint(work, side=64))
    for file in (tracking, package / "other.py"):  # what decides nothing, and what is not imported
        file.write_text("a = 2\n")
    assert resume.photos_fingerprint(work, side=64) == found[0]
    for file in (helper, work):
        file.write_text(file.read_text() + "b = 2\n")
        found.append(resume.photos_fingerprint(work, side=64))
    assert len(set(found)) == len(found) == 5 and all(len(digits) == 16 for digits in found)


def test_the_repository_is_the_one_that_dvc_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert repository_root() == tmp_path.resolve()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "parent"))
    assert repository_root() == (tmp_path / "parent").resolve()
    assert json.loads(json.dumps(resume.digest({"a": 1}))) == resume.digest({"a": 1})
