"""What the Lab cache will take, against what it takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from chromascape import room
from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.photos import footprint


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in an empty folder, whose photos are in `photos`."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    return tmp_path


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"data.dir": "photos", "preprocess.side": 64})


def lay_photos(count: int, others: int = 0) -> None:
    for number in range(count):
        Path(f"photos/{number}.jpg").touch()
    for number in range(others):
        Path(f"photos/{number}.txt").touch()


def lay_manifest(accepted: int, rejected: int) -> None:
    Path("data").mkdir()
    verdicts = ["accepted"] * accepted + ["rejected"] * rejected
    pd.DataFrame({"path": "x\ny", "verdict": verdicts}).to_csv("data/manifest.csv", index=False)


def lay_index(count: int, side: int, fit: str = "crop") -> None:
    Path("data/lab").mkdir(parents=True)
    index = {"side": side, "fit": fit, "shards": [{"photos": ["a"] * count}]}
    Path("data/lab/index.json").write_text(json.dumps(index))


def test_photos_that_nobody_has_validated_count_by_their_extension(params: Params) -> None:
    lay_photos(5, others=3)
    assert footprint.expected_photos(Path("photos")) == (5, False)
    assert footprint.cache_to_come(params) == 5 * 3 * 64**2
    assert footprint.expected_photos(Path("nowhere")) == (0, False)


def test_after_validation_the_accepted_ones_count_with_dvc_s_copy(params: Params) -> None:
    lay_photos(5, others=3)
    lay_manifest(4, 4)
    assert footprint.expected_photos(Path("photos")) == (4, True)
    assert footprint.cache_to_come(params) == 2 * 4 * 3 * 64**2
    Path("photos/new.jpg").touch()
    assert footprint.expected_photos(Path("photos")) == (6, False)


def test_a_cache_that_is_there_needs_nothing_and_another_one_goes_first(params: Params) -> None:
    lay_photos(4)
    lay_manifest(4, 0)
    lay_index(4, 64)
    assert footprint.cache_to_come(params) == 0
    index = Path("data/lab/index.json")
    index.write_text(index.read_text().replace("crop", "squash"))
    assert footprint.cache_to_come(params) == (2 - 1) * 4 * 3 * 64**2
    index.write_text("{")
    assert footprint.cache_to_come(params) == 2 * 4 * 3 * 64**2


@pytest.mark.parametrize(
    ("config", "local", "expected"),
    [
        (None, None, (".dvc/cache", False)),
        ("[core]\n    analytics = false\n['remote \"local\"']\n    url = remote\n", None, (".dvc/cache", False)),
        ("[cache]\n    dir = ../big\n    type = reflink,copy\n", None, ("big", False)),
        ("[cache]\n    dir = ../big\n", "[cache]\n    dir = ../own%1\n    type = hardlink,copy\n", ("own%1", True)),
        ("not a configuration", None, (".dvc/cache", False)),
    ],
)
def test_dvc_s_cache_is_where_its_configuration_says(
    project: Path, config: str | None, local: str | None, expected: tuple[str, bool]
) -> None:
    Path(".dvc").mkdir()
    for name, text in {"config": config, "config.local": local}.items():
        if text is not None:
            Path(".dvc", name).write_text(text)
    assert footprint.dvc_cache(project) == (project / expected[0], expected[1])
    assert footprint.copies_here(project) == (1 if expected[1] else 2)


def test_too_little_disk_or_memory_is_one_line_with_the_param_to_lower(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    need = 2 * 1000 * 3 * 64**2
    monkeypatch.setattr(room, "free_disk", lambda path: need)
    footprint.check_cache_room(1000, params.preprocess, 1)
    monkeypatch.setattr(room, "free_memory", lambda: 100_000_000)
    with pytest.raises(ChromascapeError, match=r"not enough memory for preprocess.*lower jobs \(7\) or preprocess.sha"):
        footprint.check_cache_room(1000, params.preprocess, 7)
    monkeypatch.setattr(room, "free_memory", lambda: 10**12)
    monkeypatch.setattr(room, "free_disk", lambda path: need - 1)
    with pytest.raises(ChromascapeError) as caught:
        footprint.check_cache_room(1000, params.preprocess, 1)
    line = str(caught.value)
    Path(".checkpoints/preprocess-0").mkdir(parents=True)
    Path(".checkpoints/preprocess-0/train-00000.npy").write_bytes(b"x")  # a shard that is done already
    footprint.check_cache_room(1000, params.preprocess, 1)
    assert line.startswith("data/lab: no room for the Lab cache of 1,000 photos: they need about 25 MB and 25 MB are")
    assert "lower preprocess.side (64" in line and "\n" not in line


def test_a_cache_on_another_disk_is_asked_by_itself(
    project: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        st_dev = -1

    monkeypatch.setattr(footprint, "existing", lambda path: type("Disk", (), {"stat": lambda self: Elsewhere})())
    monkeypatch.setattr(room, "free_disk", lambda path: 10 if Path(path).name == "cache" else 1000 * 3 * 64**2)
    assert footprint.copies_here(project) == 1
    with pytest.raises(ChromascapeError, match=r"/cache: no room for DVC's copy of the Lab cache of 1,000 photos"):
        footprint.check_cache_room(1000, params.preprocess, 1)


def test_memory_grows_by_a_shard_and_by_workers(params: Params) -> None:
    section = params.preprocess.model_copy(update={"shard_mb": 1000.0})
    few, many = (footprint.preprocess_memory(10**12, section, jobs) for jobs in (1, 9))
    assert many - few == 8 * footprint.WORKER_BYTES and few > 1_000_000_000
    assert footprint.preprocess_memory(5_000_000, section, 1) < few - 990_000_000
