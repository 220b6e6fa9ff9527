"""Trainings in processes of their own that are killed and resumed: the result is that of an undisturbed one."""

import hashlib
import io
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import changed_params, write_lab
from filelock import FileLock
from safetensors.torch import save
from torch import Tensor, nn

from chromascape import files, resume
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import build_network
from chromascape.learning import checkpoints as ours
from chromascape.learning import learner, training
from chromascape.learning.checkpoints import Checkpoints, fingerprint, open_checkpoints, uninterrupted
from chromascape.learning.learner import Learner, Progress, build_learner
from chromascape.learning.precision import Times, choose
from chromascape.learning.training import Trained, train
from chromascape.params import Params, Train, load_params
from chromascape.photos.shards import Shards

EPOCHS, STEPS = 5, 6
LAST = "0000000014.checkpoint"
SMALL = {
    "train.network": "unet",
    "train.init": "scratch",
    "train.epochs": EPOCHS,
    "train.batch_size": 2,
    "train.lr": 0.005,
    "train.flip": True,
    "train.crop": 0.5,
    "train.side": 32,
    "train.ema": 0.9,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.checkpoint_seconds": 0.02,
}


class TinyUNet(Network):
    """A U-Net of a few thousand weights, with batch statistics, and with dropout by torch's global generator."""

    multiple = 32

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.up = nn.Sequential(nn.Dropout(0.1), nn.Upsample(scale_factor=2))
        self.head = nn.Conv2d(24, 2, 3, padding=1)

    def forward(self, lightness: Tensor) -> Tensor:
        shallow = self.down(lightness)
        return torch.sigmoid(self.head(torch.cat([shallow, self.up(self.deep(shallow))], dim=1)))


def tiny(name: str) -> Network:
    return TinyUNet() if name == "unet" else build_network(name)


@pytest.fixture(scope="module", autouse=True)
def tiny_unet(forks: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("chromascape.learning.learner.build_network", tiny)
        yield


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def train_in_a_process(steps: Connection, place: Path, pause: float) -> None:
    """Train as the stage does: send a word for each step, write weights and history, and what is said into a file."""
    os.chdir(place)
    os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    signal.signal(signal.SIGTERM, stopped)
    torch.set_num_threads(1)
    learner.build_network = tiny
    files._sync = lambda path: None  # no power is cut here, and many write to this disk
    section, folder, step = load_params().train, Path("lab"), training.take_step

    def told(*arguments: Any) -> Tensor:
        loss = step(*arguments)
        steps.send("step")
        time.sleep(pause)
        return loss

    training.take_step = told
    with open_checkpoints(section, fingerprint(section, folder, "float32"), place) as checkpoints:
        trained = train(*shards(folder), section, None, checkpoints)
        Path("weights").write_bytes(weights_of(trained))
        Path("history").write_text(json.dumps(trained.history))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of twelve photos for training and three for choosing the epoch."""
    folder = tmp_path_factory.mktemp("shards")
    write_lab(folder, train=12, val=3)
    return folder / "lab"


@pytest.fixture
def section(make_params: Callable[..., Params]) -> Train:
    return make_params(SMALL).train


@pytest.fixture
def place(lab: Path, tmp_path: Path) -> Path:
    """A folder with params.yaml and the shards, for processes to train in."""
    (tmp_path / "lab").symlink_to(lab)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed_params(SMALL)), encoding="utf-8")
    return tmp_path


def shards(lab: Path) -> tuple[Shards, Shards]:
    return Shards(lab, ["train"]), Shards(lab, ["val"])


def weights_of(trained: Trained) -> bytes:
    return save({name: value.contiguous() for name, value in trained.weights.items()})


@pytest.fixture(scope="module")
def undisturbed(lab: Path, tiny_unet: None) -> tuple[bytes, Any]:
    """Weights and history of a training without checkpoints, in one piece."""
    trained = train(*shards(lab), Params.model_validate(changed_params(SMALL)).train)
    assert len(trained.history) == EPOCHS
    return weights_of(trained), trained.history


class Training:
    """A training in a process of its own."""

    processes = multiprocessing.get_context("forkserver")

    def __init__(self, place: Path, pause: float = 0.0):
        self.place = place
        self.steps, there = self.processes.Pipe(duplex=False)
        self.process = self.processes.Process(target=train_in_a_process, args=(there, place, pause), daemon=True)
        self.process.start()
        there.close()
        self.counted = 0

    def wait_for(self, count: float) -> bool:
        """Wait for so many steps; whether there were that many."""
        with suppress(EOFError):
            while self.counted < count:
                self.steps.recv()
                self.counted += 1
        return self.counted == count

    def end(self) -> int:
        """Count the other steps; returns the exit code."""
        self.wait_for(float("inf"))
        self.steps.close()
        self.process.join(60)
        assert self.process.exitcode is not None
        return self.process.exitcode

    @property
    def said(self) -> list[str]:
        return (self.place / "said").read_text().splitlines()

    @property
    def resumed_at(self) -> int:
        """The step at which it says it resumes; 0 if it started over."""
        lines = [line for line in self.said if line.startswith("training resumes at step")]
        return int(lines[0].split()[4]) if lines else 0

    @property
    def result(self) -> tuple[bytes, Any]:
        return (self.place / "weights").read_bytes(), json.loads((self.place / "history").read_text())


@pytest.mark.scale
def test_a_training_killed_at_random_moments_ends_in_the_bytes_of_an_undisturbed_one(
    place: Path, undisturbed: tuple[bytes, Any]
) -> None:
    chance, kills, ended = random.Random(16), 0, 0
    starts: list[int] = []
    while kills < 12 or not ended:
        one = Training(place)
        if kills < 12 and one.wait_for(chance.randint(1, 9)):
            time.sleep(chance.uniform(0, 0.03))  # in mid-step, in mid-checkpoint
            one.process.kill()
        code = one.end()
        starts.append(one.resumed_at)
        if code:
            assert code == -signal.SIGKILL, one.said
            kills += 1
            continue
        ended += 1
        assert one.result == undisturbed
        assert one.counted == EPOCHS * STEPS - starts[-1]
        assert list((place / ".checkpoints").iterdir()) == []  # finished ones are gone
    assert sum(at > 0 for at in starts) >= 6 and len(set(starts)) >= 5, starts


@pytest.mark.scale
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_stopped_training_loses_no_step_and_says_how_to_resume(
    place: Path, undisturbed: tuple[bytes, Any], number: signal.Signals
) -> None:
    values = changed_params(SMALL | {"train.checkpoint_seconds": 3600})
    (place / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    one = Training(place, pause=0.05)
    assert one.wait_for(2 * STEPS + 2)
    assert one.process.pid
    os.kill(one.process.pid, number)  # in mid-step: it sleeps there
    assert one.end() == 1 and one.counted == 2 * STEPS + 2
    assert one.said[-1] == f"KeyboardInterrupt: `dvc repro` resumes at step {one.counted} of {EPOCHS * STEPS}"
    again = Training(place)
    assert again.end() == 0 and again.resumed_at == one.counted
    assert again.counted == EPOCHS * STEPS - one.counted
    assert again.result == undisturbed


@pytest.mark.scale
def test_a_second_training_of_the_same_says_that_it_has_no_checkpoints(
    place: Path, undisturbed: tuple[bytes, Any], section: Train
) -> None:
    with open_checkpoints(section, fingerprint(section, place / "lab", "float32"), place) as checkpoints:
        assert checkpoints
        other = Training(place)
        assert other.end() == 0 and other.result == undisturbed
        told = "warning: the same training runs in another process: this one has no checkpoints"
        assert other.said == [told]
        assert list(checkpoints.folder.iterdir()) == []


class Stop(Exception):
    """Ends a training where a process would have been killed."""


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Have training end before step `count` (from 0); returns the list that counts its steps."""
    step, counted = training.take_step, list[int]()

    def counting(*arguments: Any) -> Tensor:
        if len(counted) == count:
            raise Stop
        counted.append(len(counted))
        return step(*arguments)

    monkeypatch.setattr(training, "take_step", counting)
    return counted


@pytest.fixture(scope="module")
def ended_early(lab: Path, tiny_unet: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoints of a training that ended after 14 steps, with one at each step."""
    section = Params.model_validate(changed_params(SMALL)).train
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(files, "_sync", lambda path: None)  # slow where many write to a disk
        stop_after(patched, 14)
        root = tmp_path_factory.mktemp("root")
        with pytest.raises(Stop), open_checkpoints(section, fingerprint(section, lab, "float32"), root) as checkpoints:
            assert checkpoints
            checkpoints.seconds = 0
            train(*shards(lab), section, None, checkpoints)
    return checkpoints.folder


@pytest.fixture
def killed(ended_early: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of these checkpoints in the folder of the test, which waits for no disk."""
    monkeypatch.setattr(files, "_sync", lambda path: None)
    return Path(shutil.copytree(ended_early, tmp_path / ".checkpoints" / ended_early.name))


def resumed(lab: Path, section: Train, root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple[bytes, Any], int]:
    """Weights and history of the training, resumed if there is a checkpoint, and the steps that it took."""
    counted = stop_after(monkeypatch, -1)
    with open_checkpoints(section, fingerprint(section, lab, "float32"), root) as checkpoints:
        trained = train(*shards(lab), section, None, checkpoints)
    return (weights_of(trained), trained.history), len(counted)


def test_the_last_two_checkpoints_are_kept(killed: Path) -> None:
    assert sorted(path.name for path in killed.iterdir()) == ["0000000013.checkpoint", LAST]


def test_a_checkpoint_is_never_unpickled(killed: Path, tmp_path: Path) -> None:
    """Not even one whose checksum is right."""

    class Command:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "made by the file"),)

    stream = io.BytesIO()
    torch.save({"network": Command()}, stream)
    (killed / LAST).write_bytes(hashlib.sha256(stream.getvalue()).digest() + stream.getvalue())
    with pytest.raises(pickle.UnpicklingError):
        ours._read(killed / LAST)
    assert not (tmp_path / "made by the file").exists()


def test_a_checkpoint_resumes_where_it_was(
    killed: Path, lab: Path, section: Train, tmp_path: Path, undisturbed: tuple[bytes, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert resumed(lab, section, tmp_path, monkeypatch) == (undisturbed, EPOCHS * STEPS - 14)
    assert not killed.exists()


def test_a_training_killed_in_validation_keeps_the_learning_rate_of_its_last_step(
    lab: Path, section: Train, tmp_path: Path, undisturbed: tuple[bytes, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step follows that would find it out anew."""
    monkeypatch.setattr(files, "_sync", lambda path: None)
    validate = training._validate

    def dying(learner: Learner, photos: Shards, gray: bool = False) -> dict[str, float]:
        if learner.schedule.last_epoch == 2 * STEPS:
            raise Stop
        return validate(learner, photos, gray)

    with monkeypatch.context() as patched:
        patched.setattr(training, "_validate", dying)
        with (
            pytest.raises(Stop),
            open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path) as checkpoints,
        ):
            assert checkpoints
            checkpoints.seconds = 0
            train(*shards(lab), section, None, checkpoints)
    assert resumed(lab, section, tmp_path, monkeypatch) == (undisturbed, (EPOCHS - 2) * STEPS)


def test_rows_that_the_last_process_had_are_given_again(
    killed: Path, lab: Path, section: Train, tmp_path: Path, undisturbed: tuple[bytes, Any]
) -> None:
    """Killed between a checkpoint and the logging of its epoch, the run would lack that one."""
    rows: list[dict[str, float]] = []
    with open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path) as checkpoints:
        train(*shards(lab), section, rows.append, checkpoints)
    assert rows == undisturbed[1]


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file: Path, size: int | None = None) -> None:
    os.truncate(file, file.stat().st_size // 2 if size is None else size)


@pytest.mark.parametrize(
    "damage", [flip_a_bit, truncate, lambda file: truncate(file, 20)], ids=["flip", "half", "head"]
)
@pytest.mark.parametrize("both", [False, True], ids=["last", "both"])
def test_a_damaged_checkpoint_is_told_and_never_trained_on(
    killed: Path, section: Train, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None],
    both: bool,
) -> None:  # fmt: skip
    damage(killed / LAST)
    if both:
        damage(killed / "0000000013.checkpoint")
    progress, learner = Progress(STEPS, EPOCHS), build_learner(section, EPOCHS * STEPS, bf16=False)
    before = weights_in(learner.network)
    found = Checkpoints(killed, 60).restore(learner, progress)
    assert (found, progress.done) == ((False, 0) if both else (True, 13))
    assert (weights_in(learner.network) == before) == both
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert len(said) == 1 + both and f"{LAST}: damaged (" in said[0]


def weights_in(network: nn.Module) -> bytes:
    return save({name: value.contiguous() for name, value in network.state_dict().items()})


@pytest.mark.parametrize(
    "changes",
    [{"lr": 0.004}, {"seed": 1}, {"epochs": EPOCHS + 1}, {"loss": {"mse": 1.0, "l1": 0.5, "ssim": 0.0}}, {"ema": 0.8}],
    ids=str,
)
def test_a_changed_param_starts_over(
    killed: Path, lab: Path, section: Train, tmp_path: Path, changes: dict[str, Any]
) -> None:
    other = Train.model_validate(section.model_dump() | changes)
    with open_checkpoints(other, fingerprint(other, lab, "float32"), tmp_path) as checkpoints:
        assert checkpoints
        progress, learner = Progress(STEPS, other.epochs), build_learner(other, other.epochs * STEPS, bf16=False)
        assert not checkpoints.restore(learner, progress) and progress.done == 0
    assert (killed / LAST).exists()  # it resumes when the change is taken back


def test_the_interval_of_checkpoints_is_no_reason_to_start_over(section: Train, lab: Path) -> None:
    other = Train.model_validate(section.model_dump() | {"checkpoint_seconds": 7})
    assert fingerprint(other, lab, "float32") == fingerprint(section, lab, "float32")


def test_other_data_code_torch_threads_or_weights_are_another_training(
    section: Train, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [fingerprint(section, lab, "float32")]
    other = tmp_path / "lab"
    other.mkdir()
    (other / "index.json").write_text((lab / "index.json").read_text() + " ")
    found.append(fingerprint(section, other, "float32"))
    for module, name, value in [
        (torch, "__version__", "9.9"),
        (torch, "get_num_threads", lambda: 7),
        (torch.backends.cpu, "get_cpu_capability", lambda: "another"),
    ]:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, value)
            found.append(fingerprint(section, lab, "float32"))
    package = tmp_path / "package"
    package.mkdir()
    for changed in ("training.py", "augment.py", "params.py"):
        with monkeypatch.context() as patched:
            patched.setattr(resume, "sha256_of_file", lambda file, changed=changed: str(file.name == changed))
            found.append(fingerprint(section, lab, "float32"))
    uses_shipped = [
        Train.model_validate(section.model_dump() | change) for change in ({"init": "shipped"}, {"distill": 0.5})
    ]
    monkeypatch.setattr(ours, "SHIPPED", package)
    for data in (b"1", b"2"):
        (package / "weights.safetensors").write_bytes(data)
        found += [fingerprint(train, lab, "float32") for train in uses_shipped]
    assert len(set(found)) == len(found) == 12
    assert all(len(digits) == 16 for digits in found)


@pytest.mark.parametrize(
    ("network", "lite"), [("efficientnet", 0), ("efficientnet_lite1", 1), ("efficientnet_lite2", 2)]
)
def test_other_imagenet_weights_of_its_encoder_are_another_training(
    section: Train, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, lite: int
) -> None:
    def file(number: int) -> Path:
        return tmp_path / str(number)

    monkeypatch.setattr(ours, "weights_file", file)
    for number in range(3):
        file(number).write_bytes(b"1")
    chosen = Train.model_validate(section.model_dump() | {"network": network, "init": "imagenet"})
    before = fingerprint(chosen, lab, "float32")
    for number in range(3):
        file(number).write_bytes(b"2")
        assert (fingerprint(chosen, lab, "float32") == before) == (number != lite)
        file(number).write_bytes(b"1")


def test_checkpoints_nobody_went_on_with_for_a_week_are_removed(
    lab: Path, section: Train, tmp_path: Path, killed: Path
) -> None:
    home = tmp_path / ".checkpoints"
    ages = {"train-old": 8, "train-used": 8, "train-young": 6}
    for name, days in ages.items():
        (home / name).mkdir()
        (home / name / "0000000001.checkpoint").touch()
        (home / f"{name}.lock").touch()
        for path in (home / name / "0000000001.checkpoint", home / name, home / f"{name}.lock"):
            os.utime(path, (time.time() - days * 86400,) * 2)
    (home / "train-lone.lock").touch()
    os.utime(home / "train-lone.lock", (0, 0))
    (home / "notes-old").mkdir()  # somebody's own
    os.utime(home / "notes-old", (0, 0))
    os.utime(killed, (0, 0))  # our own may be as old as it likes
    with (
        FileLock(home / "train-used.lock"),
        open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path) as checkpoints,
    ):
        os.utime(home / "train-used.lock", (0, 0))
        assert checkpoints and checkpoints.folder == killed and killed.exists()
        left = {path.name for path in home.iterdir()}
    assert left == {killed.name, f"{killed.name}.lock", "train-used", "train-used.lock", "notes-old"} | {
        "train-young", "train-young.lock",
    }  # fmt: skip


@pytest.mark.parametrize("error", [Stop(), KeyboardInterrupt()], ids=["error", "stopped"])
def test_checkpoints_stay_where_the_block_ends_badly(
    lab: Path, section: Train, tmp_path: Path, killed: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)), open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path):
        raise error
    assert (killed / LAST).exists()


def test_stopped_after_the_last_step_it_still_resumes_there(
    lab: Path, section: Train, tmp_path: Path, undisturbed: tuple[bytes, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measuring on the validation photos comes after the training."""
    total = EPOCHS * STEPS
    with (
        pytest.raises(KeyboardInterrupt, match=f"`dvc repro` resumes at step {total} of {total}"),
        open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path) as checkpoints,
    ):
        train(*shards(lab), section, None, checkpoints)
        raise KeyboardInterrupt
    assert resumed(lab, section, tmp_path, monkeypatch) == (undisturbed, 0)


def test_a_full_disk_costs_checkpoints_and_no_training(
    lab: Path, section: Train, tmp_path: Path, undisturbed: tuple[bytes, Any],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert resumed(lab, section, tmp_path, monkeypatch)[0] == undisturbed
    said = capsys.readouterr().err
    assert said.count("warning: no checkpoint could be written (No space left on device)") == 1


def test_a_folder_that_cannot_be_made_costs_checkpoints_and_no_training(
    lab: Path, section: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".checkpoints").write_text("a file")
    with open_checkpoints(section, fingerprint(section, lab, "float32"), tmp_path) as checkpoints:
        assert checkpoints is None
    assert "this training has no checkpoints" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"optimizer": "adam", "ema": 0.0}, {"network": "assignment_rgb"}], ids=str)
def test_other_settings_resume_to_the_same_bytes(
    lab: Path, section: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    other = Train.model_validate(section.model_dump() | {"epochs": 2} | changes)
    alone = train(*shards(lab), other)
    with monkeypatch.context() as patched:
        stop_after(patched, 8)
        with pytest.raises(Stop), open_checkpoints(other, fingerprint(other, lab, "float32"), tmp_path) as checkpoints:
            assert checkpoints
            checkpoints.seconds = 0
            train(*shards(lab), other, None, checkpoints)
    assert resumed(lab, other, tmp_path, monkeypatch) == ((weights_of(alone), alone.history), 4)


def test_a_resumed_training_computes_as_it_began_whatever_is_faster_now(
    lab: Path, section: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a caller asks for another precision: the checkpoint says its own."""
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: True)
    auto = Train.model_validate(section.model_dump() | {"epochs": 2, "precision": "auto"})
    alone = train(*shards(lab), auto, precision="bf16")
    monkeypatch.setattr("chromascape.learning.precision.time_steps", lambda params, side: Times(float32=1.0, bf16=2.0))
    with monkeypatch.context() as patched:
        stop_after(patched, 8)
        with pytest.raises(Stop), open_checkpoints(auto, fingerprint(auto, lab, "bf16"), tmp_path) as checkpoints:
            assert checkpoints
            checkpoints.seconds = 0
            train(*shards(lab), auto, None, checkpoints, "bf16")
    assert choose(auto, 64, lab, tmp_path).precision == "bf16"
    with open_checkpoints(auto, fingerprint(auto, lab, "bf16"), tmp_path) as checkpoints:
        trained = train(*shards(lab), auto, None, checkpoints, "float32")
    assert trained.precision == "bf16"
    assert (weights_of(trained), trained.history) == (weights_of(alone), alone.history)
    assert choose(auto, 64, lab, tmp_path).precision == "float32"  # it has ended
    assert fingerprint(auto, lab, "bf16") != fingerprint(auto, lab, "float32")


def test_signals_wait_for_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("the block")
    assert done == ["the block"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_progress_counts_steps_over_all_epochs() -> None:
    progress = Progress(steps=6, epochs=8, epoch=3, step=2)
    assert (progress.done, progress.total) == (14, 48)
    assert np.isfinite(progress.seconds) and not Checkpoints(Path("nowhere"), 60).due()
