"""Free disk, with disks simulated, and what shards and checkpoints are estimated to need."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chromascape import disk
from chromascape.errors import ChromascapeError
from chromascape.learning.checkpoints import KEPT, Checkpoints, needed_bytes
from chromascape.learning.training import train
from chromascape.params import Params


def test_free_disk_is_that_of_the_disk_where_the_folder_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or shutil._ntuple_diskusage(9, 2, 7))
    assert disk.free_bytes(tmp_path / "not" / "there" / "yet") == 7
    assert asked == [tmp_path]


def test_what_does_not_fit_is_one_line_with_need_free_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda path: 3_000_000)
    disk.check_disk(tmp_path, 3_000_000, "shards", "lower it")
    with pytest.raises(ChromascapeError) as caught:
        disk.check_disk(tmp_path, 3_000_001_000, "shards", "lower it")
    line = f"{tmp_path}: not enough disk for shards: they need about 3.0 GB and 3 MB are free: lower it"
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("config", "copies"),
    [
        (None, 2),
        ("[core]\n    analytics = false\n    site_cache_dir = /x\n['remote \"local\"']\n    url = remote\n", 2),
        ("[cache]\n    dir = ../big\n", 1),
        ("[cache]\n    type = hardlink,copy\n", 1),
    ],
)
def test_shards_need_twice_their_bytes_unless_dvc_is_configured_to_link_or_to_cache_in_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str | None, copies: int
) -> None:
    if config:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / ".dvc" / "config.local").write_text(config)
    need = copies * 1000 * 3 * 64**2
    monkeypatch.setattr(disk, "free_bytes", lambda path: need)
    disk.check_shards(1000, 64, tmp_path)
    monkeypatch.setattr(disk, "free_bytes", lambda path: need - 1)
    with pytest.raises(ChromascapeError, match=r"^data/lab: not enough disk for the Lab shards of 1,000 photos: .*64"):
        disk.check_shards(1000, 64, tmp_path)
    (tmp_path / ".checkpoints" / "preprocess-0").mkdir(parents=True)
    (tmp_path / ".checkpoints" / "preprocess-0" / "train-00000.npy").write_bytes(b"x")  # a shard that is reused
    disk.check_shards(1000, 64, tmp_path)


class Photos:
    """Shards of gray noise, 64 pixels."""

    side = 64

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 255, (len(rows), 3, self.side, self.side), dtype=np.uint8)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_checkpoints_are_as_large_as_estimated(tmp_path: Path, make_params: Callable[..., Params], ema: float) -> None:
    params = make_params(
        {
            "train.network": "assignment", "train.init": "scratch", "train.epochs": 1, "train.batch_size": 2,
            "train.ema": ema, "train.side": 0, "train.device": "cpu", "train.precision": "float32",
        }
    ).train  # fmt: skip
    need = needed_bytes(params, tmp_path)
    folder = tmp_path / ".checkpoints" / "train-0"
    folder.mkdir(parents=True)
    train(Photos(6), Photos(2), params, None, Checkpoints(folder, 0.0))  # type: ignore[arg-type]
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert len(sizes) == KEPT
    assert need == pytest.approx((KEPT + 1) * max(sizes), rel=0.02)
    assert needed_bytes(params, tmp_path) == need - sum(sizes) > 0  # a training that resumes needs no room for these


@pytest.mark.parametrize(
    ("count", "text"),
    [(-1, "0 MB"), (0, "0 MB"), (2_500_000, "2 MB"), (999_000_000, "999 MB"), (1.24e9, "1.2 GB"), (3e12, "3.0 TB")],
)
def test_bytes_are_shown_for_people(count: float, text: str) -> None:
    assert disk.shown_bytes(count) == text
