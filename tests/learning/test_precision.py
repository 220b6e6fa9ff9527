"""Which precision `auto` is, by a clock that the tests set, on a machine that is said to compute in bf16."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor, nn

from chromascape.colorizing.layers import Network
from chromascape.files import write_json
from chromascape.learning import precision
from chromascape.learning.checkpoints import fingerprint
from chromascape.learning.learner import Learner
from chromascape.learning.precision import Times, choose, choose_now, in_turn, time_steps, would_choose
from chromascape.params import Params, Train
from chromascape.resume import folder_of

FASTER, SLOWER = Times(0.8, 0.4), Times(0.8, 0.9)


@pytest.fixture
def section(make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch) -> Train:
    """`auto` on a CPU that has bf16."""
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: True)
    changes = {"train.device": "cpu", "train.precision": "auto", "train.network": "unet", "train.init": "scratch"}
    return make_params(changes | {"train.batch_size": 4, "train.side": 64}).train


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of DVC, with an index of shards in `lab`."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/index.json").write_text("{}")
    return tmp_path


def measuring(monkeypatch: pytest.MonkeyPatch, *found: Times) -> list[Train]:
    """Have timings end so, in this order; returns the list of the params that are timed."""
    coming, timed = iter(found), list[Train]()

    def measured(params: Train, side: int) -> Times:
        timed.append(params)
        return next(coming)

    monkeypatch.setattr(precision, "time_steps", measured)
    return timed


def steps(float32: list[float], bf16: list[float]) -> tuple[Callable[[bool], float], list[bool]]:
    """A timer with these seconds, the last of which repeat, and the list of what it is asked for."""
    asked: list[bool] = []

    def seconds(with_bf16: bool) -> float:
        values = bf16 if with_bf16 else float32
        asked.append(with_bf16)
        return values[min(asked.count(with_bf16), len(values)) - 1]

    return seconds, asked


@pytest.mark.parametrize(
    ("float32", "bf16", "expected"),
    [
        ([0.85], [0.37], "bf16"),
        ([0.85], [0.97], "float32"),
        ([1.21], [1.0], "bf16"),
        ([1.19], [1.0], "float32"),
        ([9.0, 0.85], [9.0, 0.97], "float32"),  # the first steps don't count
        ([0.1, 0.85], [9.0, 0.37], "bf16"),
        ([0.85, 4.0, 0.85], [0.97], "float32"),  # another program takes the machine for a step
        ([0.85], [0.37, 0.37, 4.0, 0.37], "bf16"),
    ],
)
def test_bf16_is_taken_where_it_is_clearly_faster(float32: list[float], bf16: list[float], expected: str) -> None:
    assert in_turn(steps(float32, bf16)[0]).faster == expected


@pytest.mark.parametrize(("step", "pairs"), [(10.0, 1 + 3), (0.4, 1 + 3), (0.2, 1 + 5), (0.001, 1 + 7)])
def test_steps_are_taken_in_turn_and_no_more_than_are_needed(step: float, pairs: int) -> None:
    seconds, asked = steps([step], [step])
    in_turn(seconds)
    assert asked == [False, True] * pairs


class Watched(Network):
    """A network of a few weights, with dropout, that remembers what it is given and in what it computes."""

    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Conv2d(1, 2, 3, padding=1), nn.Dropout(0.1)
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, lightness: Tensor) -> Tensor:
        colors: Tensor = self.drop(self.layer(lightness))
        channels_last = self.layer.weight.is_contiguous(memory_format=torch.channels_last)
        self.seen.append((tuple(lightness.shape), colors.dtype, self.training, channels_last))
        return colors


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    network = Watched()
    monkeypatch.setattr("chromascape.learning.learner.build_network", lambda name: network)
    return network


def test_what_is_timed_is_the_step_of_the_training(
    section: Train, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its backward pass and its optimizer, at its size. Random numbers of the training are not used up."""
    now, before = [0.0], watched.layer.weight.clone()
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    take_step = precision.take_step

    def taking(learner: Learner, *tensors: Tensor) -> Tensor:
        now[0] += 2.0 if learner.bf16 else 3.0
        return take_step(learner, *tensors)

    monkeypatch.setattr(precision, "take_step", taking)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert time_steps(section, 256) == Times(3.0, 2.0)
    assert watched.seen == [((4, 1, 64, 64), dtype, True, True) for dtype in (torch.float32, torch.bfloat16)] * 4
    assert not torch.equal(watched.layer.weight, before) and torch.equal(torch.get_rng_state(), state)


def test_a_large_batch_is_timed_by_a_part_of_it(section: Train, watched: Watched) -> None:
    time_steps(section.model_copy(update={"batch_size": 500, "side": 0}), 256)
    assert {shape for shape, *_ in watched.seen} == {(12, 1, 256, 256)}


def test_what_was_measured_is_kept_and_noise_changes_it_no_more(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = measuring(monkeypatch, FASTER, SLOWER, SLOWER)
    first = choose(section, 256, root / "lab", root)
    assert first.precision == "bf16" and "2.00 times as fast" in first.why and "400 ms against 800" in first.why
    assert choose(section, 256, root / "lab", root) == first == would_choose(section, 256, root)
    assert len(timed) == 1
    for changes in ({"batch_size": 5}, {"network": "assignment"}):
        assert choose(section.model_copy(update=changes), 256, root / "lab", root).precision == "float32"
    assert len(timed) == 3 and len(json.loads((root / precision.FILE).read_text())) == 3
    assert choose(section.model_copy(update={"lr": 0.1}), 256, root / "lab", root) == first


@pytest.mark.parametrize(
    "changed", ["torch.get_num_threads", "torch.__version__", "chromascape.learning.precision.cpu_name"]
)
def test_other_threads_versions_and_machines_are_measured_again(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    timed = measuring(monkeypatch, FASTER, SLOWER)
    choose(section, 256, root / "lab", root)
    monkeypatch.setattr(changed, "9.9" if changed.endswith("__") else lambda: 9)
    assert choose(section, 256, root / "lab", root).precision == "float32" and len(timed) == 2


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"KEY": [1]}', '{"KEY": [1, 0]}', '{"KEY": ["a", 1]}', '{"KEY": [1, NaN]}', '{"KEY": 1}']
)
def test_a_damaged_file_is_measured_again(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    timed = measuring(monkeypatch, FASTER)
    (root / ".dvc/tmp").mkdir()
    (root / precision.FILE).write_text(text.replace("KEY", precision._key(section, 256)))
    assert [choose(section, 256, root / "lab", root).precision for _ in range(2)] == ["bf16", "bf16"]
    assert len(timed) == 1


def test_without_a_place_to_keep_it_it_is_measured_and_said(
    section: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timed = measuring(monkeypatch, FASTER)
    (tmp_path / "index.json").write_text("{}")
    assert choose(section, 256, tmp_path, tmp_path).precision == "bf16" and len(timed) == 1
    assert capsys.readouterr().err.count("the precision of the next training is measured again") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["index.json"]


def test_a_full_disk_costs_no_second_measurement(section: Train, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    timed = measuring(monkeypatch, FASTER)
    monkeypatch.setattr(precision, "write_json", full)
    assert choose(section, 256, root / "lab", root).precision == "bf16" and len(timed) == 1


def test_two_processes_do_not_time_at_once(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second would slow the first; it waits, and takes what the first has found."""
    (root / ".dvc/tmp").mkdir()
    monkeypatch.setattr(precision, "PATIENCE", 0.01)
    timed = measuring(monkeypatch, FASTER)
    with FileLock((root / precision.FILE).with_suffix(".lock")):
        assert choose(section, 256, root / "lab", root).precision == "bf16"
    assert len(timed) == 1 and "measured again" in capsys.readouterr().err and not (root / precision.FILE).exists()


@pytest.mark.parametrize("began", ["float32", "bf16"])
def test_a_training_that_has_begun_keeps_its_precision_whatever_is_measured(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch, began: precision.Precision
) -> None:
    times = FASTER if began == "float32" else SLOWER
    folder = folder_of(root, "train", fingerprint(section, root / "lab", began))
    folder.mkdir(parents=True)
    measuring(monkeypatch)
    write_json({precision._key(section, 256): times}, root / precision.FILE)
    assert choose(section, 256, root / "lab", root).precision != began  # the folder has no checkpoint
    (folder / "0000000001.checkpoint").touch()
    assert choose(section, 256, root / "lab", root) == (began, "in which this training began")
    other = section.model_copy(update={"lr": 0.1})
    assert choose(other, 256, root / "lab", root).precision != began


@pytest.mark.parametrize(
    ("wanted", "bf16", "expected"),
    [
        ("auto", False, ("float32", "as this device has no bf16")),
        ("float32", True, ("float32", "as train.precision says")),
        ("bf16", False, ("bf16", "as train.precision says")),
    ],
)
def test_what_needs_no_time_takes_none(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, bf16: bool, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: bf16)
    timed, params = measuring(monkeypatch), section.model_copy(update={"precision": wanted})
    assert choose(params, 256, root / "lab", root) == would_choose(params, 256, root) == expected
    assert choose_now(params, 256) == expected[0] and not timed
    assert not (root / ".dvc/tmp").exists()


def test_what_would_be_chosen_is_measured_and_not_kept(
    section: Train, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = measuring(monkeypatch, FASTER, SLOWER)
    assert [would_choose(section, 256, root).precision for _ in range(2)] == ["bf16", "float32"]
    assert len(timed) == 2 and not (root / ".dvc/tmp").exists()
