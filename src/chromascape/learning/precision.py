"""Which precision `train.precision: auto` is: on a CPU the faster one, by the time of the training's own step.

That a CPU has instructions for bf16 says little. Some are slower with them, others twice as fast, and one CPU can be
both, depending on the network and the size of the batch. What was measured is kept in `.dvc/tmp/` of the repository,
where experiments in copies find it too. So this machine goes on as it began, whatever its load.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock

from chromascape import __version__
from chromascape.devices import PRECISIONS, Precision, cpu_name, pick_device, pick_precision
from chromascape.files import write_json
from chromascape.learning.checkpoints import begun, fingerprint
from chromascape.learning.learner import build_learner, memory_errors_explained, take_step, train_mode
from chromascape.params import Train
from chromascape.resume import short, tell

FILE = Path(".dvc/tmp/precision.json")
MARGIN = 1.2  # how many times as fast bf16 must be: noise does not choose it where it gains nothing
LEAST, MOST, ENOUGH = 3, 7, 2.0  # pairs of steps that are timed, and the seconds after which there are enough
LARGEST = 32 * 160**2  # pixels of a timed batch: larger ones take long, and gain no less
PATIENCE = 120.0  # seconds to wait for another process that times, which would disturb both


class Times(NamedTuple):
    """Seconds of a training step in each precision."""

    float32: float
    bf16: float

    @property
    def faster(self) -> Precision:
        """bf16 where it is clearly faster."""
        return "bf16" if self.float32 >= MARGIN * self.bf16 else "float32"


class Choice(NamedTuple):
    """A precision, and why it was chosen: words for a line of a log."""

    precision: Precision
    why: str


def choose(params: Train, side: int, lab: Path, root: Path) -> Choice:
    """The precision of a training: as it began, if there are checkpoints, else as measured, now or earlier.

    Args:
        side: pixels of the photos to train on, before `train.side`.
        lab: the folder of the shards.
        root: of the repository, which keeps checkpoints and what was measured.
    Raises:
        ChromascapeError: the device is unavailable, or a batch does not fit into memory.
    """
    if settled := _settled(params):
        return settled
    for precision in PRECISIONS:
        if begun(root, fingerprint(params, lab, precision)):
            return Choice(precision, "in which this training began")
    return _by_time(_kept_times(params, side, root / FILE))


def would_choose(params: Train, side: int, root: Path) -> Choice:
    """What `choose` would say of a training that has not begun; writes nothing."""
    return _settled(params) or _by_time(_read(root / FILE).get(_key(params, side)) or time_steps(params, side))


def choose_now(params: Train, side: int) -> Precision:
    """The same for a training that keeps nothing."""
    settled = _settled(params)
    return settled.precision if settled else time_steps(params, side).faster


def time_steps(params: Train, side: int) -> Times:
    """Seconds of this training's step in both precisions; torch's random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        return in_turn(step_timer(params, side))


def step_timer(params: Train, side: int) -> Callable[[bool], float]:
    """A function that takes a training step on noise, in bf16 or else in float32, and returns its seconds."""
    side = params.side or side
    learner = build_learner(params, steps=1_000, bf16=False)
    train_mode(learner)
    count = max(1, min(params.batch_size, LARGEST // side**2))
    colors = 3 if learner.network.predicts == "rgb" else 2
    lightness = torch.rand(count, 1, side, side, device=learner.device).contiguous(memory_format=torch.channels_last)
    target = torch.rand(count, colors, side, side, device=learner.device)

    def seconds(bf16: bool) -> float:
        learner.bf16 = bf16
        start = time.perf_counter()
        with memory_errors_explained(learner):
            take_step(learner, lightness, target).item()  # waits for the device
        return time.perf_counter() - start

    return seconds


def in_turn(seconds: Callable[[bool], float]) -> Times:
    """Medians of what `seconds` of False (float32) and True (bf16) returns, called in turn, after one of each."""
    pairs = [(seconds(False), seconds(True))]  # these set up what the later ones use
    while len(pairs) <= LEAST or (len(pairs) <= MOST and sum(map(sum, pairs[1:])) < ENOUGH):
        pairs.append((seconds(False), seconds(True)))
    return Times(*(statistics.median(values) for values in zip(*pairs[1:], strict=True)))


def _settled(params: Train) -> Choice | None:
    """The choice that needs no time, or None."""
    device = pick_device(params.device, "train.device")
    precision = pick_precision(params.precision, device)
    if precision is None:
        return None
    if params.precision != "auto":
        return Choice(precision, "as train.precision says")
    return Choice(precision, "in which this device computes" if precision == "bf16" else "as this device has no bf16")


def _by_time(times: Times) -> Choice:
    ratio, shown = times.float32 / times.bf16, f"{1000 * times.bf16:.0f} ms against {1000 * times.float32:.0f}"
    return Choice(times.faster, f"as a step in bf16 is {ratio:.2f} times as fast as in float32 here ({shown})")


def _kept_times(params: Train, side: int, file: Path) -> Times:
    """Times from the file, else measured and written there. Without a repository of DVC they are only measured."""
    key, times = _key(params, side), None
    try:
        file.parent.mkdir(exist_ok=True)
        with FileLock(file.with_suffix(".lock"), timeout=PATIENCE):
            kept = _read(file)
            times = kept.get(key) or time_steps(params, side)
            if key not in kept:
                write_json(kept | {key: times}, file)
    except OSError as error:  # also where another process has the lock for too long
        tell(f"note: {file}: {short(error)}: the precision of the next training is measured again")
    return times or time_steps(params, side)


def _key(params: Train, side: int) -> str:
    """What the times are kept by.

    The loss, the optimizer, `ema` and `freeze_norm`, a small part of a step, are left out, as is the pass of the model
    that is distilled.
    """
    size = f"{params.network}, {params.batch_size} photos of {params.side or side} pixels"
    versions = f"Chromascape {__version__}, torch {torch.__version__}"
    return f"{size}; {versions}; {torch.get_num_threads()} threads of {cpu_name()}"


def _read(file: Path) -> dict[str, Times]:
    """What the file holds; nothing if it is missing or damaged, as it can be measured again."""
    try:
        return {key: _checked(times) for key, times in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _checked(values: Any) -> Times:
    times = Times(*map(float, values))
    if not all(0 < value < float("inf") for value in times):
        raise ValueError("no seconds")
    return times
