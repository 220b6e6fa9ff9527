"""Trainings of two processes over gloo: against one process, killed, stopped and resumed with the other number."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joined_training
import numpy as np
import pytest
import torch
from conftest import write_lab
from warm import cold_path, run_python, shared, unmeasured, warm_path
from warm_client import Job

from chromascape.errors import ChromascapeError
from chromascape.learning import checkpoints, learner, ranks, training
from chromascape.learning.checkpoints import fingerprint
from chromascape.learning.checks import check_train
from chromascape.learning.ranks import ALONE, Ranks, check_devices, joined
from chromascape.parallel import cores
from chromascape.params import Train

SCRIPT = str(Path(joined_training.__file__))
# Relative, of each loss of an epoch: float32 has 1.2e-7, and the sums of a step are in another order. Seen: 1.8e-7.
ROUNDING = 2e-6
STEPS = 9
History = list[dict[str, float]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of eleven photos for training, in batches of 4, 4 and 3, and three for choosing the epoch."""
    folder = tmp_path_factory.mktemp("shards")
    write_lab(folder, train=11, val=3)
    return folder / "lab"


@contextmanager
def patched_here(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """This process trains the tiny networks in a folder."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(learner, "build_network", learner.build_network)  # what `run` sets is undone
        patched.setattr(training, "take_step", joined_training.counted(training.take_step))
        yield patched


def alone(folder: Path, *arguments: str) -> list[History]:
    """The histories of trainings of one process, in this one."""
    with patched_here(folder):
        given = [*arguments, "devices=1"]
        return [one.history for one in joined_training.run(joined_training.params_of(given), given)]


@pytest.fixture(scope="module")
def undisturbed(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, History]:
    """The history of one process, by network."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "lab").symlink_to(lab)
    return dict(zip(["norm", "plain"], alone(folder, "norm", "plain"), strict=True))


@pytest.fixture
def place(lab: Path, tmp_path: Path) -> Path:
    (tmp_path / "lab").symlink_to(lab)
    return tmp_path


def start(place: Path, *arguments: str, warm: bool = True) -> Job:
    """A training of two processes: the first, which starts the other, from a Python that is warm.

    `warm`: the other is too.
    """
    environment = unmeasured() | {"PATH": warm_path() if warm else cold_path()}
    return shared().start([SCRIPT, "devices=2", *arguments], place, environment, place / "said", place / "said")


def said(place: Path) -> list[str]:
    return (place / "said").read_text().splitlines()


def steps(place: Path) -> list[tuple[int, int]]:
    """Process, by its number and the system's, of each step so far."""
    lines = (place / "steps").read_text().splitlines() if (place / "steps").exists() else []
    return [(int(rank), int(process)) for rank, process in map(str.split, lines)]


def wait_for_step(place: Path, count: int) -> int:
    """Wait for so many steps of both processes; returns the system's number of process 1."""
    limit = time.monotonic() + 300  # where many share a machine, an import of torch takes a minute
    while len(done := steps(place)) < 2 * count:
        assert time.monotonic() < limit, said(place)
        time.sleep(0.01)
    return next(process for rank, process in done if rank == 1)


def same_curve(found: History, expected: History) -> bool:
    pairs = list(zip(found, expected, strict=True))
    assert all(row.keys() == other.keys() for row, other in pairs)
    return all(
        row[name] == pytest.approx(value, rel=ROUNDING, abs=0) for row, other in pairs for name, value in other.items()
    )


def is_gone(process: int) -> bool:
    """Whether a process has ended within seconds; one whose parent was killed has no other that waits for it."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.scale
def test_two_processes_have_the_curve_of_one_with_batch_norm_and_without(
    place: Path, undisturbed: dict[str, History]
) -> None:
    assert start(place, "norm", "plain").status() == 0, said(place)
    found = json.loads((place / "history").read_text())
    for name, history in zip(["norm", "plain"], found, strict=True):
        assert same_curve(history, undisturbed[name]), (name, history, undisturbed[name])
        losses = [row["train_loss"] for row in history]
        assert losses[-1] < 0.98 * losses[0]  # by far more than the rounding
    assert said(place) == ["2 processes train together, over gloo"]
    assert {rank for rank, _ in steps(place)} == {0, 1} and len(steps(place)) == 2 * 2 * STEPS


@pytest.mark.scale
def test_a_killed_process_ends_all_in_one_line_and_one_process_goes_on(
    place: Path, undisturbed: dict[str, History]
) -> None:
    (place / "slow").write_text("0.1")
    job = start(place)
    os.kill(wait_for_step(place, 4), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(job.status()) == 1
    killed = "error: train.devices: process 1 of 2 was killed (signal 9): if memory is short, lower train.batch_size; "
    assert said(place)[1:] == [f"{killed}`dvc repro` resumes from the last checkpoint"]
    (place / "slow").unlink()
    (place / "steps").unlink()
    (history,) = alone(place)
    assert 3 <= STEPS - len(steps(place)) <= 6  # the rest was done before
    assert same_curve(history, undisturbed["norm"])


@pytest.mark.scale
def test_torchrun_s_processes_go_on_where_one_was_killed(place: Path, undisturbed: dict[str, History]) -> None:
    """And no other process is started, whatever `train.devices` says."""

    class Killed(Exception):
        pass

    with patched_here(place) as patched:
        step, counted = training.take_step, []

        def dying(*arguments: Any) -> Any:
            if len(counted) == 5:
                raise Killed
            counted.append(1)
            return step(*arguments)

        patched.setattr(training, "take_step", dying)
        patched.setattr(checkpoints, "threads_of_one", cores)  # as torchrun's processes count, whatever torch has here
        with pytest.raises(Killed):
            joined_training.run(joined_training.params_of(["checkpoint_seconds=1e-9"]), [])
    (place / "steps").unlink()
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", SCRIPT, "devices=1"]
    warm = {"PYTHON_EXEC": str(shared().tools() / "python")} if sys.platform == "linux" else {}  # what torchrun starts
    done = run_python(command, place, unmeasured() | {"OMP_NUM_THREADS": "1"} | warm)
    assert done.returncode == 0, done.stderr
    assert "training resumes at step 5 of 9" in done.stderr
    assert len(steps(place)) == 2 * (STEPS - 5)
    assert same_curve(json.loads((place / "history").read_text())[0], undisturbed["norm"])


@pytest.mark.scale
def test_either_process_may_be_stopped_and_no_step_is_lost(place: Path, undisturbed: dict[str, History]) -> None:
    """SIGTERM of process 1, as where a machine is drained, stops both after a checkpoint."""
    (place / "slow").write_text("0.5")  # both look for it every half second
    job = start(place, "checkpoint_seconds=3600")
    other = wait_for_step(place, 2)
    os.kill(other, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(job.status()) == 1
    done = len(steps(place)) // 2
    assert 2 <= done < STEPS and len(steps(place)) == 2 * done
    assert said(place)[1:] == [f"stopped: `dvc repro` resumes at step {done} of {STEPS}"]
    assert is_gone(other)
    (place / "slow").unlink()
    (history,) = alone(place)
    assert len(steps(place)) == 2 * done + STEPS - done
    assert same_curve(history, undisturbed["norm"])


@pytest.mark.scale
def test_an_error_of_another_process_is_one_line_of_the_first_and_a_killed_first_leaves_none(place: Path) -> None:
    (place / "fails").touch()
    assert os.waitstatus_to_exitcode(start(place).status()) == 1
    assert said(place)[1:] == ["error: train.batch_size: 5 photos don't fit into the memory of cpu: lower it"]
    (place / "fails").unlink()
    (place / "slow").write_text("0.1")
    job = start(place, "epochs=1000", warm=False)
    other = wait_for_step(place, 1)
    job.kill()
    assert is_gone(other)
    assert said(place)[2:] == ["2 processes train together, over gloo"]


@pytest.mark.parametrize(("photos", "count"), [(16, 1), (16, 3), (5, 2), (3, 3), (2, 4)])
def test_parts_make_up_the_batch_and_their_weights_its_mean(photos: int, count: int) -> None:
    parts = [Ranks(rank, count) for rank in range(count)]
    batch = np.random.default_rng(0).normal(size=photos)
    own = [batch[one.own(photos)] for one in parts]
    assert np.concatenate(own).tolist() == batch.tolist()
    assert max(map(len, own)) - min(map(len, own)) <= 1
    weighted = [one.weight(photos) * part.mean() for one, part in zip(parts, own, strict=True) if len(part)]
    assert sum(weighted) / count == pytest.approx(batch.mean())


def test_one_process_starts_none_and_has_no_group() -> None:
    with joined(Train(device="cpu"), ["no such program"]) as found:
        assert found is ALONE and not torch.distributed.is_initialized()
    assert torch.equal(ALONE.sum(torch.ones(2)), torch.ones(2)) and ALONE.weight(7) == 1 and not ranks.helps()


def test_batches_that_are_too_small_are_refused_with_the_keys(lab: Path) -> None:
    with pytest.raises(ChromascapeError, match=r"train\.devices: must be at most train\.batch_size, 5 \(it is 6\)"):
        check_train(joined_training.params_of(["devices=6"]))
    with pytest.raises(ChromascapeError, match=r"^train\.devices: 4 processes for batches of 3 photos, .*batch_size$"):
        Ranks(0, 4).check_batch(3)
    Ranks(0, 3).check_batch(3)


def test_more_processes_than_gpus_are_refused_and_a_cpu_takes_any(monkeypatch: pytest.MonkeyPatch) -> None:
    check_devices(Train(device="cpu", devices=64))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_devices(Train(device="auto", devices=2))
    with pytest.raises(ChromascapeError, match=r"^train\.devices: 3 processes, but this machine has 2 GPUs: 2 at"):
        check_devices(Train(device="auto", devices=3))
    launch(monkeypatch, LOCAL_WORLD_SIZE="4")
    with pytest.raises(ChromascapeError, match="4 processes, but this machine has 2 GPUs"):
        check_devices(Train(device="auto"))


def launch(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Set torchrun's variables: process 5 of 8, the second of its machine."""
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    for name, value in (variables | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"} | changes).items():
        monkeypatch.setenv(name, value)


def test_a_launcher_s_variables_say_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch)
    assert ranks.helps() and ranks._from_launcher() == Ranks(5, 8, 1, 4)
    monkeypatch.setenv("LOCAL_RANK", "one")
    with pytest.raises(ChromascapeError, match="is no number: see torchrun"):
        ranks._from_launcher()
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(ChromascapeError, match="WORLD_SIZE is set but MASTER_PORT is not: start the training"):
        ranks._from_launcher()


def test_a_first_process_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch)
    monkeypatch.setattr(ranks, "JOIN", ranks.JOIN / 1000)
    with pytest.raises(ChromascapeError, match=r"^MASTER_ADDR: no process of this training answers at 127\.0\.0\.1:1 "):
        ranks._meet_launched()


def test_the_number_of_processes_is_no_reason_to_start_over(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the one thread that torchrun gives each."""
    one, two = (fingerprint(joined_training.params_of([f"devices={n}"]), lab, "float32") for n in (1, 2))
    assert one == two
    monkeypatch.setattr(ranks, "cores", torch.get_num_threads)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    launch(monkeypatch)
    assert fingerprint(joined_training.params_of([]), lab, "float32") == one
