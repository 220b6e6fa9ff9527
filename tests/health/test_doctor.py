"""`chromascape doctor` as a whole: its lines, its exit code, and that it changes nothing. And `check`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import changed_params, write_photos

from chromascape import cli, disk
from chromascape.errors import ChromascapeError
from chromascape.health import Finding, doctor


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two photos in `photos`, in which nothing has run."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 2)
    write_params({})
    return tmp_path


def write_params(changes: dict[str, Any]) -> None:
    values = changed_params({"data.dir": "photos", "train.device": "cpu", "train.precision": "float32"} | changes)
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_sound_project_has_no_problem_and_is_not_changed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.rglob("*"))
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(project.rglob("*")) == before
    assert lines[-1].startswith("no problems, ") and {line.split()[0] for line in lines[:-1]} <= {"ok", "note"}
    words = "\n".join(lines)
    for text in (
        "python",
        "torch",
        "cpu is cpu, threads",
        "float32 is float32, as train.precision says",
        "2 files, 0 MB in photos",
        "no store yet",
        "shards need 0 MB more",
    ):
        assert text in words
    assert len({line.index(line.split(None, 1)[1]) for line in lines[:-1]}) == 1  # columns


def test_a_problem_is_exit_code_1_and_json_has_the_same(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".dvc" / "tmp").mkdir(parents=True)
    (project / ".dvc" / "tmp" / "rwlock").write_text("{")
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [entry["subject"] for entry in found if entry["level"] == "problem"] == ["locks"]
    assert cli.main(["doctor"]) == 1
    assert "1 problem, " in capsys.readouterr().out.splitlines()[-1]


def test_a_mistake_in_params_is_a_problem_and_checks_without_params_still_run(project: Path) -> None:
    write_params({"train.network": "resnet"})
    found = doctor.examine()
    assert found[0].level == "problem" and "train.network: must be" in found[0].text
    subjects = {finding.subject for finding in found}
    assert {"python", "locks", "checkpoints", "outputs"} <= subjects and not subjects & {"disk", "data.dir", "MLflow"}


def test_an_error_in_a_check_is_one_line_and_the_others_still_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(params: object) -> list[Finding]:
        raise ChromascapeError("data.dir: gone: write another")

    def refused(params: object) -> list[Finding]:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setitem(doctor.WITH_PARAMS, "data.dir", stops)
    monkeypatch.setitem(doctor.ALWAYS, "locks", refused)
    problems = [finding for finding in doctor.examine() if finding.level == "problem"]
    assert problems[1] == Finding("problem", "data.dir", "gone: write another")
    assert problems[0].subject == "locks" and problems[0].text.startswith("some/file: Permission denied; check")


def test_check_refuses_what_cannot_fit_before_anything_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make run` starts with it: a disk that is too small was only found hours later, by the stage that filled it."""
    assert cli.main(["check"]) == 0
    monkeypatch.setattr(disk, "free_bytes", lambda path: 1_000_000)
    assert cli.main(["check"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "not enough disk for shards and checkpoints" in line
    assert "1 MB are free" in line and "lower preprocess.side (256)" in line
