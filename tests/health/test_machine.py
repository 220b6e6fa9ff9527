"""Versions, device and room, with other machines pretended."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from chromascape.health import machine
from chromascape.params import Params
from chromascape.photos import footprint


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Callable[..., Params]) -> Params:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(bytes(2_000_000))
    return make_params({"data.dir": "photos", "train.device": "cpu"})


def test_a_version_other_than_tested_or_asked_for_is_a_note_and_a_missing_one_a_problem(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"torch": "2.13.0+cpu", "dvc": "3.67.2", "mlflow": "3.18.0", "pillow": "13.0.0", "tqdm": "4.0"}

    def version(name: str) -> str:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    asked = ["torch==2.13.0", "pillow>=11", "tqdm>=4.66", 'mlflow==3.17.2; extra == "pipeline"', 'ruff; extra == "dev"']
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    Path("constraints.txt").write_text("# tested\ntorch==2.13.0\ndvc==3.67.1\n")
    found = {finding.subject: finding for finding in machine.versions(None)}
    assert found["torch"].level == found["pillow"].level == "ok"
    assert (found["dvc"].level, found["dvc"].text) == ("note", "3.67.2; tested with 3.67.1 (constraints.txt)")
    assert (found["mlflow"].level, found["mlflow"].text[:40]) == (
        "note",
        "3.18.0, and Chromascape asks for ==3.17.2"[:40],
    )
    assert found["tqdm"].level == "note" and "ruff" not in found
    assert found["scikit-image"].level == "problem" and "make run" in found["scikit-image"].text


def test_a_package_that_is_not_installed_still_has_its_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert "torch" in {finding.subject for finding in machine.versions(None)}


def test_device_says_what_auto_takes(params: Params) -> None:
    (finding,) = machine.device(None)
    assert finding.text.startswith("auto takes ") and "threads: " in finding.text


def test_the_photos_are_counted_and_what_dvc_cannot_track_stops(params: Params) -> None:
    assert machine.data(params)[0].text == "1 files, 2 MB in photos"


def test_disk_and_memory_are_problems_where_the_need_is_larger(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {finding.level for finding in machine.disk(params) + machine.memory(params)} == {"ok"}
    monkeypatch.setattr(machine, "free_disk", lambda path: 5_000_000)
    monkeypatch.setattr(machine, "free_memory", lambda: 700_000_000)
    monkeypatch.setattr(machine, "container_limits", lambda: [(800_000_000, 1)])
    disk = {finding.subject: finding for finding in machine.disk(params)}
    assert {finding.level for finding in disk.values()} == {"problem"} and "preprocess.side" in disk["disk"].text
    memory = {finding.subject: finding for finding in machine.memory(params)}
    assert memory["memory, training"].level == "problem" and "train.batch_size (16)" in memory["memory, training"].text
    assert "the container's limit is 800 MB" in memory["memory"].text


def test_a_cache_of_dvc_on_another_disk_has_its_own_line(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    other = type("Other", (), {"stat": lambda self: type("Status", (), {"st_dev": -1})})()
    monkeypatch.setattr(machine, "existing", lambda path: other)
    monkeypatch.setattr(footprint, "copies_here", lambda root: 1)
    assert "disk, DVC's cache" in {finding.subject for finding in machine.disk(params)}
