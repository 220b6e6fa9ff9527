"""Versions, device and free disk, on simulated machines."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from chromascape import disk
from chromascape.errors import ChromascapeError
from chromascape.health import Finding, machine
from chromascape.learning.checkpoints import needed_bytes
from chromascape.learning.precision import Times
from chromascape.parallel import cores
from chromascape.params import Params


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Callable[..., Params]) -> Params:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(bytes(2_000_000))
    return make_params({"data.dir": "photos", "train.device": "cpu"})


def test_a_version_other_than_the_tested_one_is_a_note_and_a_missing_one_a_problem(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "torch": "2.13.0+cpu",
        "dvc": "3.67.2",
        "pillow": "13.0.0",
        "numpy": "2.4",
        "onnxruntime": "1",
        "mlflow": "3",
    }

    def version(name: str) -> str:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(metadata, "version", version)
    Path("constraints.txt").write_text("# tested\ntorch==2.13.0\ndvc==3.67.1\n")
    found = {finding.subject: finding for finding in machine.versions(None)}
    assert found["torch"].level == found["pillow"].level == "ok"
    assert (found["dvc"].level, found["dvc"].text) == ("note", "3.67.2; tested with 3.67.1 (constraints.txt)")
    assert found["scikit-image"].level == "problem" and "make run" in found["scikit-image"].text
    Path("constraints.txt").unlink()
    assert {finding.subject: finding.level for finding in machine.versions(None)}["dvc"] == "ok"


def test_device_says_what_auto_is(params: Params) -> None:
    (finding,) = machine.device(None)
    assert finding.text.startswith("auto is ") and f"cores: {cores()}" in finding.text


@pytest.mark.parametrize(
    ("capable", "text"),
    [
        (True, "auto is bf16, as a step in bf16 is 2.00 times as fast as in float32 here (400 ms against 800)"),
        (False, "auto is float32, as this device has no bf16"),
    ],
)
def test_precision_says_what_auto_is_and_keeps_nothing(
    params: Params, monkeypatch: pytest.MonkeyPatch, capable: bool, text: str
) -> None:
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: capable)
    monkeypatch.setattr("chromascape.learning.precision.time_steps", lambda section, side: Times(0.8, 0.4))
    monkeypatch.delenv("DVC_ROOT", raising=False)
    before = sorted(Path().rglob("*"))
    assert machine.precision(params) == [Finding("ok", "precision", text)]
    assert sorted(Path().rglob("*")) == before


def test_the_photos_are_counted_and_what_dvc_cannot_track_is_an_error(params: Params) -> None:
    assert machine.data(params)[0].text == "1 files, 2 MB in photos, all trackable by DVC"
    Path("photos/link").symlink_to("nowhere")
    with pytest.raises(ChromascapeError, match="DVC can't track 1 of the files"):
        machine.data(params)


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda path: count)


def test_disk_needs_shards_of_all_photos_and_checkpoints(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("photos/notes.txt").touch()
    need = 3 * 256**2 + needed_bytes(params.train, Path())
    free(monkeypatch, need)
    assert machine.disk(params)[0].level == "ok"
    free(monkeypatch, need - 1)
    with pytest.raises(ChromascapeError, match=r"shards and checkpoints: .*lower preprocess\.side \(256\)"):
        machine.disk(params)


@pytest.mark.parametrize(("verdicts", "left"), [("rejected", 0), ("accepted", 1), ("accepted\na,accepted", 1)])
def test_disk_counts_accepted_photos_where_the_manifest_is_of_this_folder(
    params: Params, monkeypatch: pytest.MonkeyPatch, verdicts: str, left: int
) -> None:
    Path("data").mkdir()
    Path("data/manifest.csv").write_text(f"path,verdict\na,{verdicts}\n")
    free(monkeypatch, needed_bytes(params.train, Path()) + left * 3 * 256**2)
    assert machine.disk(params)[0].level == "ok"
    if left:
        free(monkeypatch, needed_bytes(params.train, Path()))
        with pytest.raises(ChromascapeError, match="not enough disk"):
            machine.disk(params)
        Path("data/lab").mkdir()
        Path("data/lab/train-00000.npy").write_bytes(bytes(3 * 256**2))  # the shards are there
        assert machine.disk(params)[0].level == "ok"


def test_a_folder_in_which_dvc_makes_no_copies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC writes the folder's name into the copy's settings as ASCII: 'unexpected error' after 20 seconds."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert [finding.level for finding in machine.experiments(None)] == ["ok"]
    folder = tmp_path / "über"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (finding,) = machine.experiments(None)
    assert finding.level == "note" and "`dvc exp run --temp` and `--queue` fail in" in finding.text


def test_processes_that_train_together_are_compared_with_the_gpus(
    params: Params, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.devices(params) == [Finding("ok", "train.devices", "one process trains")]
    (finding,) = machine.devices(make_params({"train.device": "cpu", "train.devices": 3}))
    assert finding.level == "note" and finding.text.startswith(f"3 processes share this machine's {cores()} cores")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    (finding,) = machine.devices(make_params({"train.devices": 2}))
    assert finding == Finding("ok", "train.devices", "2 processes train, each on a GPU")
    with pytest.raises(ChromascapeError, match=r"^train\.devices: 3 processes, but this machine has 2 GPUs"):
        machine.devices(make_params({"train.devices": 3}))


def test_a_kernel_that_is_older_than_its_source_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kernel.c").touch()
    monkeypatch.setattr(machine.kernel, "__file__", str(tmp_path / "kernel.py"))
    monkeypatch.setattr(machine.kernel, "library", lambda: SimpleNamespace(_name=__file__))  # older than this moment
    (finding,) = machine.compiled(None)
    assert finding.level == "note" and "newer" in finding.text


def test_the_kernel_is_named_where_it_is_compiled_and_where_it_is_not(way: str) -> None:
    (finding,) = machine.compiled(None)
    assert finding.level == ("ok" if way == "compiled" else "note")
    assert ("NumPy takes its place" in finding.text) == (way == "NumPy")
