"""What killed processes leave behind, made by hand."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from chromascape.errors import ChromascapeError
from chromascape.health import leftovers
from chromascape.resume import STALE_SECONDS

fcntl = pytest.importorskip("fcntl")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return tmp_path


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def rwlock(process: int) -> None:
    entry = {"pid": process, "cmd": "dvc repro"}
    Path(leftovers.RWLOCK).write_text(json.dumps({"write": {"data/lab": entry}, "read": {"a": [entry]}}))


def only(found: list[Any]) -> tuple[str, str]:
    (finding,) = found
    return finding.level, finding.text


def test_no_locks_are_no_finding() -> None:
    assert only(leftovers.locks(None)) == ("ok", "none is held")
    leftovers.RWLOCK.write_text("{}")
    leftovers.LOCK.write_text("  123\n")  # what DVC's lock leaves: the system has let go of it
    assert only(leftovers.locks(None)) == ("ok", "none is held")


def test_a_path_lock_of_a_dead_process_is_no_finding_as_dvc_removes_it(gone: int) -> None:
    rwlock(gone)
    assert only(leftovers.locks(None)) == ("ok", "none is held")


def test_a_path_lock_whose_number_another_program_has_now_is_a_problem() -> None:
    """DVC asks only whether the number lives: after a restart it waits for a program that has nothing to do with it."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    dvc = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc", "repro"])
    try:
        rwlock(sleeper.pid)
        level, text = only(leftovers.locks(None))
        assert level == "problem" and "another program has that number now: remove this file" in text
        rwlock(dvc.pid)
        assert only(leftovers.locks(None))[0] == "note"
    finally:
        for process in (sleeper, dvc):
            process.kill()
            process.wait()


@pytest.mark.parametrize("text", ["{", "[]", '{"write": {"a": {"pid": "x"}}}'])
def test_a_damaged_path_lock_is_a_problem(text: str) -> None:
    leftovers.RWLOCK.write_text(text)
    level, said = only(leftovers.locks(None))
    assert level == "problem" and "remove this file" in said


def test_a_repository_lock_that_is_held_is_a_note() -> None:
    leftovers.LOCK.write_text("1")
    with leftovers.LOCK.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert only(leftovers.locks(None))[0] == "note"
    assert only(leftovers.locks(None))[0] == "ok"


def test_a_hard_linked_lock_stays_and_is_a_problem_where_its_process_is_gone(gone: int) -> None:
    leftovers.LOCK.write_text(f"{leftovers.LOCK}|host|{gone}|123456")
    level, text = only(leftovers.locks(None))
    assert level == "problem" and "which is gone: remove this file" in text
    leftovers.LOCK.write_text(f"{leftovers.LOCK}|host|{os.getpid()}|123456")
    assert only(leftovers.locks(None))[0] == "note"


def test_checkpoints_are_named_with_size_age_and_whether_they_are_stale(project: Path) -> None:
    assert only(leftovers.checkpoints(None)) == ("ok", "none")
    home = project / ".checkpoints"
    for name, age in {"train-new": 120, "train-old": STALE_SECONDS + 3600, "train-at-work": 1}.items():
        (home / name).mkdir(parents=True)
        (home / name / "1.safetensors").write_bytes(bytes(3_000_000))
        os.utime(home / name / "1.safetensors", (time.time() - age,) * 2)
        (home / f"{name}.lock").touch()
    with (home / "train-at-work.lock").open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        found = {finding.text.split("train-")[1].split(",")[0]: finding for finding in leftovers.checkpoints(None)}
    assert found["new"].level == "note" and "3 MB" in found["new"].text and "2 minutes ago" in found["new"].text
    assert "resumes from it" in found["new"].text
    assert "7 days ago: stale" in found["old"].text and "in use by a process" in found["at-work"].text


def test_outputs_are_compared_with_dvc_lock(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And `dvc checkout` is named where the cache has them: that of a fresh clone is empty."""
    cache = project / "cache"
    monkeypatch.setattr(leftovers, "_cache", lambda: cache)
    assert "no dvc.lock" in only(leftovers.outputs(None))[1]
    (project / "folder").mkdir()
    (project / "folder" / "a").write_bytes(b"123")
    (project / "file").write_bytes(b"hello")
    outs = [
        {"path": "folder", "md5": "x.dir", "size": 3, "nfiles": 1},
        {"path": "file", "md5": "5d41402abc4b2a76b9719d911017c592", "size": 5},
    ]
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"one": {"outs": outs}, "two": {"cmd": "x"}}}))
    assert only(leftovers.outputs(None)) == ("ok", "all 2 match dvc.lock")
    (project / "file").write_bytes(b"hellO")
    (project / "folder" / "b").touch()
    level, text = only(leftovers.outputs(None))
    assert level == "note" and text.startswith("different from dvc.lock: file, folder: ")
    assert "`dvc pull` fetches the recorded ones from a remote that has them: DVC's cache here does not" in text
    (project / "file").unlink()
    cached = cache / "files/md5/5d/41402abc4b2a76b9719d911017c592"
    cached.parent.mkdir(parents=True)
    cached.touch()
    missing, other = leftovers.outputs(None)
    assert missing.text == "missing: file: `dvc repro` makes them, `dvc checkout` restores the recorded ones"
    assert "folder" in other.text and "`dvc checkout`" not in other.text
    Path("dvc.lock").write_text("stages: [1]")
    with pytest.raises(ChromascapeError, match="damaged: `git checkout"):
        leftovers.outputs(None)
