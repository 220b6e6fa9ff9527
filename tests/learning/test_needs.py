"""What a training is estimated to take, against what it takes."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
import pytest
import yaml
from conftest import REPOSITORY, changed_params
from warm import unmeasured

from chromascape import room
from chromascape.errors import ChromascapeError
from chromascape.learning import needs
from chromascape.params import Params, load_params

# A training of two steps on made-up photos in a process of its own, which tells its peak and what it has on the disk.
TRAINING = f"""
{inspect.getsource(memory)}
import json
from pathlib import Path
import mlflow, numpy as np
from chromascape.learning import training
from chromascape.learning.checkpoints import Checkpoints
from chromascape.params import load_params

class Made:
    side = int(sys.argv[1])
    def __init__(self, count): self.count = count
    def __len__(self): return self.count
    def read(self, rows):
        return np.random.default_rng(0).integers(0, 255, (len(rows), 3, self.side, self.side), dtype=np.uint8)

params = load_params(Path("params.yaml")).train
training.train(Made(2 * params.batch_size), Made(2), params, None, Checkpoints(Path("kept"), 0.0))
print(json.dumps([peak_bytes(), max(file.stat().st_size for file in Path("kept").glob("*.safetensors"))]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no module resource")
@pytest.mark.parametrize(
    "changes",
    [
        {"train.network": "efficientnet", "train.init": "scratch", "train.batch_size": 16},
        {"train.network": "assignment", "train.init": "scratch", "train.batch_size": 8, "train.ema": 0.9},
    ],
    ids=["efficientnet", "assignment, moving average"],
)
def test_the_estimate_is_neither_half_nor_double_of_what_a_training_takes(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    changes |= {"train.epochs": 1, "train.device": "cpu", "train.precision": "float32"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed_params(changes)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, "192"],
        cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    peak, checkpoint = json.loads(done.stdout.splitlines()[-1])
    params = load_params(tmp_path / "params.yaml").train
    assert 0.6 < needs.training_memory(params, 192) / peak < 1.6
    assert needs.checkpoint_bytes(params) == pytest.approx(checkpoint, rel=0.02)


@pytest.mark.no_cover  # torch's device without numbers is much of pure Python
def test_what_a_step_keeps_grows_with_photos_and_pixels_and_whole_photos_count_too(
    make_params: Callable[..., Params],
) -> None:
    train = make_params({"train.batch_size": 4, "train.side": 128}).train
    bytes_of = needs.step_bytes(train, 128)
    assert needs.step_bytes(train.model_copy(update={"batch_size": 8}), 128) == 2 * bytes_of
    assert needs.step_bytes(train.model_copy(update={"side": 256}), 256) == pytest.approx(4 * bytes_of, rel=0.05)
    assert needs.step_bytes(train.model_copy(update={"side": 0}), 128) == bytes_of
    assert needs.step_bytes(train, 1024) > 5 * bytes_of  # validation sees all of the 1024 pixels


def test_each_network_of_the_table_is_counted_as_it_is() -> None:
    saved = {name: needs.saved_per_photo(name, 64) / 64**2 for name in ("unet", "efficientnet", "assignment")}
    assert saved["unet"] < saved["assignment"] < saved["efficientnet"]
    assert needs.weight_bytes("assignment") == pytest.approx(4 * 956_944, rel=0.01)


def test_a_machine_that_is_too_small_is_told_so_with_the_param_to_lower(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params({"train.batch_size": 500, "train.device": "cpu"}).train
    need = needs.training_memory(params, 256)
    monkeypatch.setattr(room, "free_memory", lambda: need)
    needs.check_training_room(params, 256, tmp_path, 1)
    monkeypatch.setattr(room, "free_memory", lambda: need - 1)
    with pytest.raises(
        ChromascapeError, match=r"not enough memory for training.*lower train.batch_size \(500\), train"
    ):
        needs.check_training_room(params, 256, tmp_path, 1)
    with pytest.raises(ChromascapeError, match=r"not enough memory for measuring.*: lower jobs \(4000\)"):
        needs.check_training_room(params.model_copy(update={"batch_size": 1}), 256, tmp_path, 4000)
    monkeypatch.setattr(room, "free_disk", lambda path: needs.training_disk(params) - 1)
    with pytest.raises(ChromascapeError, match=r"no room for checkpoints and weights: .*smaller train.network \(effic"):
        needs.check_training_room(params, 256, tmp_path, 1)
    (tmp_path / ".checkpoints" / "train-0").mkdir(parents=True)
    (tmp_path / ".checkpoints" / "train-0" / "0001.safetensors").write_bytes(b"x")  # gone on with: it is there already
    with pytest.raises(ChromascapeError, match="not enough memory"):
        needs.check_training_room(params, 256, tmp_path, 1)


def test_on_a_gpu_its_memory_is_not_guessed(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params().train
    monkeypatch.setattr(needs, "pick_device", lambda wanted, key: "cuda")
    assert set(needs.memory_needs(params, 256, 2)) == {"measuring"}


def test_a_model_of_these_params_needs_no_more_disk(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params, other = make_params(), make_params({"train.lr": 0.5})
    assert needs.disk_to_come(params) == needs.training_disk(params.train) > 0
    (tmp_path / "dvc.lock").write_bytes((REPOSITORY / "dvc.lock").read_bytes())
    locked = yaml.safe_load((tmp_path / "dvc.lock").read_text())
    locked["stages"]["train"]["params"]["params.yaml"]["train"] = params.train.model_dump(mode="json")
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(locked))
    assert needs.disk_to_come(params) > 0
    (tmp_path / "models" / "colorizer").mkdir(parents=True)
    assert needs.disk_to_come(params) == 0 and needs.disk_to_come(other) > 0
