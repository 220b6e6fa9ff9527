"""Real training on a dozen tiny photos, and on doubles of the network where the loop itself is looked at."""

import dataclasses
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Clock, write_lab
from torch import Tensor, nn

from chromascape.color.metrics import METRICS, Metric
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, UNet, build_network
from chromascape.colorizing.padding import predict
from chromascape.colorizing.torch_network import load_network, save
from chromascape.errors import ChromascapeError
from chromascape.learning import training
from chromascape.learning.augment import to_side
from chromascape.learning.checks import check_train
from chromascape.learning.learner import Progress, build_learner
from chromascape.learning.losses import LOSSES, Loss, build_loss
from chromascape.learning.training import Trained, train
from chromascape.params import Params, Train
from chromascape.photos.shards import Shards

SIZE = 64
N_TRAIN, N_VAL = 12, 3
MakeParams = Callable[..., Params]


class NarrowUNet(UNet):
    """The same network with a twentieth of its weights: most of a step on photos this small is the optimizer."""

    def __init__(self) -> None:
        super().__init__((16, 24, 40, 56))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "unet", NarrowUNet)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Shards]:
    """Twelve photos for training, in two files, and three for choosing the epoch."""
    folder = tmp_path_factory.mktemp("shards")
    write_lab(folder, side=SIZE, shard_mb=7 * 3 * SIZE**2 / 1e6, train=N_TRAIN, val=N_VAL)
    photos = Shards(folder / "lab", ["train"])
    assert len(photos.arrays) == 2
    return photos, Shards(folder / "lab", ["val"])


@pytest.fixture
def train_params(make_params: MakeParams) -> Callable[..., Train]:
    """The train section with small numbers, in float32 on the CPU, and some keys changed: train_params(lr=0.1)."""

    def make(**changes: Any) -> Train:
        small = {"device": "cpu", "precision": "float32", "epochs": 1, "batch_size": 6}
        small |= {"network": "unet", "init": "scratch", "flip": True, "crop": 1.0, "side": 0, "ema": 0.0} | changes
        return make_params({f"train.{key}": value for key, value in small.items()}).train

    return make


class Tiny(Network):
    """A network of two weights that remembers what it saw, in training and else; `fails` is raised, not answered."""

    multiple = 32

    def __init__(self, fails: Exception | None = None):
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 1)
        self.fails = fails
        self.seen: list[Tensor] = []
        self.validated: list[Tensor] = []

    def forward(self, lightness: Tensor) -> Tensor:
        if self.fails:
            raise self.fails
        (self.seen if self.training else self.validated).append(lightness.clone())
        return self.layer(lightness)


def use_tiny(monkeypatch: pytest.MonkeyPatch, fails: Exception | None = None) -> tuple[Tiny, list[Tensor]]:
    """Have `train` use a `Tiny`; returns it and the list that gets the targets of its training steps."""
    tiny, targets = Tiny(fails), []

    def build(weights: dict[str, float]) -> Loss:
        loss = build_loss(weights)

        def watched(predicted: Tensor, true: Tensor) -> Tensor:
            if predicted.requires_grad:
                targets.append(true.clone())
            return loss(predicted, true)

        return watched

    monkeypatch.setattr("chromascape.learning.learner.build_network", lambda name: tiny)
    monkeypatch.setattr("chromascape.learning.learner.build_loss", build)
    return tiny, targets


def all_photos(photos: Shards, side: int | None = None) -> tuple[Tensor, Tensor]:
    """Scaled L* and ab of all photos, at a side of their own or another."""
    scaled = torch.from_numpy(to_side(photos.read(np.arange(len(photos))), side or photos.side)).float() / 255
    return scaled[:, :1], scaled[:, 1:]


def loss_on(photos: Shards, weights: dict[str, Tensor], train_params: Train) -> float:
    network = build_network(train_params.network)
    network.load_state_dict(weights)
    lightness, ab = all_photos(photos, train_params.working_size)
    with torch.inference_mode():
        return float(build_loss(train_params.loss)(network.eval()(lightness), ab))


def gray_loss_on(photos: Shards, train_params: Train) -> float:
    _, ab = all_photos(photos, train_params.working_size)
    return float(build_loss(train_params.loss)(torch.full_like(ab, 128 / 255), ab))


def same(first: Trained, second: Trained) -> bool:
    assert first.weights.keys() == second.weights.keys()
    return all(torch.equal(value, second.weights[name]) for name, value in first.weights.items())


@pytest.mark.parametrize(("network", "epochs"), [("unet", 14), ("assignment", 12)])
def test_loss_falls_clearly_below_grays(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train], network: str, epochs: int
) -> None:
    chosen = train_params(network=network, epochs=epochs, lr=0.005, batch_size=4, seed=1)
    trained = train(*shards, chosen)
    assert loss_on(shards[0], trained.weights, chosen) < 0.6 * gray_loss_on(shards[0], chosen)
    losses = [row["train_loss"] for row in trained.history]
    assert losses[-1] < 0.6 * losses[0]
    best = trained.history[trained.best_epoch - 1]
    assert best["val_loss"] < 0.7 * best["gray_val_loss"]


def test_returned_weights_have_the_val_loss_of_the_best_epoch(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    chosen = train_params(epochs=4, batch_size=2, lr=0.01, schedule="constant")
    trained = train(*shards, chosen)
    losses = [row["val_loss"] for row in trained.history]
    assert trained.best_epoch == 1 + losses.index(min(losses))
    assert loss_on(shards[1], trained.weights, chosen) == pytest.approx(min(losses), rel=1e-4)
    assert trained.history[0]["gray_val_loss"] == pytest.approx(gray_loss_on(shards[1], chosen), rel=1e-4)
    assert all(value.device.type == "cpu" for value in trained.weights.values())


@pytest.mark.parametrize(
    ("val_losses", "best"), [([0.5, 0.2, 0.9], 2), ([0.1, 0.2, 0.3], 1), ([3, 2, 1], 3), ([1, 1, 1], 1)]
)
def test_best_epoch_is_the_first_with_the_lowest_val_loss_and_its_weights_are_kept(
    monkeypatch: pytest.MonkeyPatch,
    shards: tuple[Shards, Shards],
    train_params: Callable[..., Train],
    val_losses: list[float],
    best: int,
) -> None:
    tiny, _ = use_tiny(monkeypatch)
    planned = iter(val_losses)
    monkeypatch.setattr(training, "_validate", lambda *_, gray=False: {"val_loss": 1.0 if gray else next(planned)})
    after: list[Tensor] = []
    trained = train(
        *shards, train_params(epochs=3, schedule="constant"), lambda row: after.append(tiny.layer.weight.clone())
    )
    assert trained.best_epoch == best
    assert torch.equal(trained.weights["layer.weight"], after[best - 1])
    assert not torch.equal(after[0], after[1]) and not torch.equal(after[1], after[2])


def test_a_metric_of_one_s_own_chooses_the_epoch(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """One by which higher is better, and so high for strong colors that the lowest loss would be another epoch."""
    chroma = Metric("chroma", ".1f", "higher", lambda truth, picture: float(np.abs(picture.lab[..., 1:]).mean()), "")
    monkeypatch.setitem(METRICS, "chroma", chroma)
    chosen = train_params(choose_by="chroma", epochs=3, lr=0.02, schedule="constant")
    check_train(chosen)
    trained = train(*shards, chosen)
    values = [row["val_chroma"] for row in trained.history]
    assert trained.best_epoch == 1 + values.index(max(values)) and len({*values}) == 3
    assert all(row["gray_val_chroma"] < 1 < row["val_chroma"] for row in trained.history)
    by_loss = train(*shards, chosen.model_copy(update={"choose_by": "loss"}))
    assert [row["val_loss"] for row in by_loss.history] == [row["val_loss"] for row in trained.history]
    monkeypatch.setitem(METRICS, "chroma", dataclasses.replace(chroma, direction="lower"))
    assert train(*shards, chosen).best_epoch == 1 + values.index(min(values))


def test_a_metric_that_is_no_number_is_told(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    monkeypatch.setitem(METRICS, "mine", Metric("mine", ".1f", "lower", lambda truth, picture: float("nan"), ""))
    with pytest.raises(
        ChromascapeError, match=r"^train\.choose_by: mine of the validation photos is no number in epoch 1"
    ):
        train(*shards, train_params(choose_by="mine"))


def test_same_seed_gives_identical_weights_and_another_seed_differs(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    torch.manual_seed(123)  # what the caller did before must not matter
    first = train(*shards, train_params(epochs=2, seed=3))
    torch.manual_seed(456)
    again = train(*shards, train_params(epochs=2, seed=3))
    other = train(*shards, train_params(epochs=2, seed=4))
    assert same(first, again) and first.history == again.history
    assert not same(first, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam"},
        {"optimizer": "adamw"},
        {"schedule": "constant"},
        {"schedule": "onecycle"},
        {"schedule": "cosine"},
        {"network": "assignment"},
        {"network": "assignment_rgb"},
        {"loss": {"mse": 1.0, "l1": 0.0, "ssim": 0.0}},
        {"loss": {"mse": 0.0, "l1": 1.0, "ssim": 0.0}},
        {"loss": {"mse": 1.0, "l1": 0.1, "ssim": 0.5}},
        {"flip": False},
        {"precision": "bf16"},
        {"precision": "auto", "device": "auto"},
    ],
    ids=str,
)
def test_every_setting_trains_an_epoch(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train], changes: dict[str, Any]
) -> None:
    chosen = train_params(**changes)
    trained = train(*shards, chosen)
    (row,) = trained.history
    assert 0 < row["train_loss"] < 2 and 0 < row["val_loss"] < 2 and 0 < row["gray_val_loss"] < 2
    torch.manual_seed(chosen.seed)
    untrained = build_network(chosen.network).state_dict()
    assert trained.weights.keys() == untrained.keys()
    assert all(value.dtype == untrained[name].dtype for name, value in trained.weights.items())
    assert all(torch.isfinite(value).all() for value in trained.weights.values())
    assert not any(torch.equal(value, untrained[name]) for name, value in trained.weights.items())


@pytest.mark.parametrize("taken", ["float32", "bf16"])
def test_what_auto_is_here_trains_as_if_it_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], taken: str
) -> None:
    """The steps that are timed before leave no trace."""
    monkeypatch.setattr("chromascape.devices.has_bf16", lambda device: True)
    monkeypatch.setattr("chromascape.learning.precision.MARGIN", 0.0 if taken == "bf16" else math.inf)
    by_time = train(*shards, train_params(precision="auto"))
    asked_for = train(*shards, train_params(precision=taken))
    assert by_time.precision == asked_for.precision == taken
    assert same(by_time, asked_for)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [0.01] * 4),
        # Steps 2, 5, 8 and 11 (from 0) of 12 are the last ones of their epochs: (1 + cos(π · step / 12)) / 2.
        ("cosine", [0.01 * (1 + np.cos(np.pi * step / 12)) / 2 for step in (2, 5, 8, 11)]),
    ],
)
def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step(
    monkeypatch: pytest.MonkeyPatch,
    shards: tuple[Shards, Shards],
    train_params: Callable[..., Train],
    schedule: str,
    rates: list[float],
) -> None:
    use_tiny(monkeypatch)
    trained = train(*shards, train_params(schedule=schedule, lr=0.01, epochs=4, batch_size=4))
    assert [row["lr"] for row in trained.history] == pytest.approx(rates, abs=1e-9)


def test_onecycle_warms_up_to_the_peak_and_ends_near_zero(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    use_tiny(monkeypatch)
    trained = train(*shards, train_params(schedule="onecycle", lr=0.01, epochs=20, batch_size=6))
    rates = [row["lr"] for row in trained.history]
    peak = rates.index(max(rates))
    assert 2 <= peak <= 5 and max(rates) == pytest.approx(0.01, rel=0.1)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] < 0.005 and 0 < rates[-1] < 1e-4


def test_weight_decay_is_used_by_adamw_alone(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    weights = {}
    for optimizer in ("adam", "adamw"):
        for decay in (0.0, 0.9):
            torch.manual_seed(0)
            use_tiny(monkeypatch)
            trained = train(*shards, train_params(optimizer=optimizer, weight_decay=decay, lr=0.1, schedule="constant"))
            weights[optimizer, decay] = trained
    assert same(weights["adam", 0.0], weights["adam", 0.9])
    assert same(weights["adam", 0.0], weights["adamw", 0.0])
    assert not same(weights["adamw", 0.0], weights["adamw", 0.9])


def test_on_epoch_gets_each_row_of_the_history(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    use_tiny(monkeypatch)
    rows: list[dict[str, float]] = []
    trained = train(*shards, train_params(epochs=3), rows.append)
    assert rows == trained.history
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(list(row) == ["epoch", "train_loss", "val_loss", "gray_val_loss", "lr"] for row in rows)
    assert len({row["gray_val_loss"] for row in rows}) == 1


@pytest.mark.parametrize(("batch_size", "batches"), [(5, [4] * 3), (7, [6, 6]), (11, [6, 6]), (1, [1] * 12)])
def test_every_epoch_takes_all_photos_in_nearly_equal_batches_in_another_order(
    monkeypatch: pytest.MonkeyPatch,
    shards: tuple[Shards, Shards],
    train_params: Callable[..., Train],
    batch_size: int,
    batches: list[int],
) -> None:
    tiny, _ = use_tiny(monkeypatch)
    train(*shards, train_params(epochs=2, batch_size=batch_size, flip=False))
    assert [len(batch) for batch in tiny.seen] == batches * 2
    lightness, _ = all_photos(shards[0])
    order = photos_in(torch.cat(tiny.seen), lightness)
    assert order[:N_TRAIN] != order[N_TRAIN:]
    assert sorted(order[:N_TRAIN]) == sorted(order[N_TRAIN:]) == list(range(N_TRAIN))


@pytest.mark.parametrize(("count", "size"), [(47, 16), (1, 16), (16, 16), (17, 16), (33, 16), (100, 7), (31, 30)])
def test_no_photo_is_dropped_and_no_batch_is_much_smaller(count: int, size: int) -> None:
    batches = training._batches(np.arange(count), size)
    np.testing.assert_array_equal(np.concatenate(batches), np.arange(count))
    assert len(batches) == -(-count // size)
    lengths = [len(batch) for batch in batches]
    assert max(lengths) <= size and max(lengths) - min(lengths) <= 1


def test_the_train_loss_is_the_mean_over_photos(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """With batches of 3, 3, 2, 2 and 2 photos the mean over batches would be another."""
    use_tiny(monkeypatch)
    monkeypatch.setattr(
        "chromascape.learning.learner.build_loss", lambda _: lambda predicted, true: predicted.mean() * 0 + len(true)
    )
    monkeypatch.setattr(training, "_batches", lambda rows, size: np.array_split(rows, min(5, len(rows))))
    (row,) = train(*shards, train_params(epochs=1)).history
    assert row["train_loss"] == pytest.approx((2 * 3 * 3 + 3 * 2 * 2) / 12)


def photos_in(batch: Tensor, photos: Tensor) -> list[int]:
    return [next(row for row, photo in enumerate(photos) if torch.equal(one, photo)) for one in batch]


def test_a_batch_larger_than_the_set_takes_the_whole_set(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, _ = use_tiny(monkeypatch)
    trained = train(*shards, train_params(batch_size=64, epochs=2, flip=False))
    assert [len(batch) for batch in tiny.seen] == [N_TRAIN, N_TRAIN]
    lightness, _ = all_photos(shards[0])
    assert sorted(photos_in(tiny.seen[0], lightness)) == list(range(N_TRAIN))
    assert len(trained.history) == 2


def test_flips_mirror_lightness_and_target_together(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, targets = use_tiny(monkeypatch)
    train(*shards, train_params(flip=True, epochs=3))
    lightness, ab = all_photos(shards[0])
    assert len(targets) == len(tiny.seen) == 6
    kinds = []
    for one, target in zip(torch.cat(tiny.seen), torch.cat(targets), strict=True):
        plain = [row for row in range(N_TRAIN) if torch.equal(one, lightness[row])]
        mirrored = [row for row in range(N_TRAIN) if torch.equal(one, lightness[row].flip(-1))]
        assert len(plain) + len(mirrored) == 1
        (row,) = plain + mirrored
        assert torch.equal(target, ab[row].flip(-1) if mirrored else ab[row])
        kinds.append(bool(mirrored))
    assert 0.25 < np.mean(kinds) < 0.75


def test_without_flip_no_photo_is_mirrored(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, targets = use_tiny(monkeypatch)
    train(*shards, train_params(flip=False))
    lightness, ab = all_photos(shards[0])
    order = photos_in(torch.cat(tiny.seen), lightness)
    assert torch.equal(torch.cat(targets), ab[order])


def test_rgb_network_learns_rgb(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    _, targets = use_tiny(monkeypatch)
    monkeypatch.setattr("chromascape.learning.learner.build_network", build_network)
    train(*shards, train_params(network="assignment_rgb", flip=False))
    rgb = torch.cat(targets)
    assert rgb.shape == (N_TRAIN, 3, SIZE, SIZE)
    # make_photo's red grows with the light while its blue falls.
    red, blue = rgb[:, 0].flatten(), rgb[:, 2].flatten()
    assert float(torch.corrcoef(torch.stack([red, blue]))[0, 1]) < -0.9
    assert 0 <= float(rgb.min()) < 0.1 and 0.9 < float(rgb.max()) <= 1


def test_images_per_second_is_measured_with_and_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """Under DVC in CI there is no terminal, and the progress bar neither shows nor measures anything."""
    tiny, _ = use_tiny(monkeypatch)
    answer = tiny.forward
    monkeypatch.setattr(tiny, "forward", lambda lightness: (time.sleep(0.05), answer(lightness))[1])
    start = time.perf_counter()
    trained = train(*shards, train_params(epochs=2))
    took = time.perf_counter() - start
    # Four steps of at least 0.05 s for 24 photos.
    assert 2 * N_TRAIN / took <= trained.images_per_second <= 2 * N_TRAIN / 0.2


def test_images_per_second_counts_no_photo_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, _ = use_tiny(monkeypatch)
    answer = tiny.forward
    monkeypatch.setattr(tiny, "forward", lambda lightness: (time.sleep(0.05), answer(lightness))[1])
    trained = train(*shards, train_params(epochs=2, batch_size=1000))
    assert trained.images_per_second <= 2 * N_TRAIN / 0.1  # two steps of twelve photos


def test_a_long_epoch_is_not_silent_in_a_log(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], clock: Clock
) -> None:
    """Twelve seconds a photo: gray's pass, the epoch and the validation pass each said nothing before they ended."""
    monkeypatch.setattr(Shards, "read", clock.slow(Shards.read, 12))
    train(*shards, train_params(batch_size=1))
    said = [(seconds, re.sub(r"loss 0\.\d{4}$", "loss", line)) for seconds, line in clock.lines]
    assert said == [
        (36, "validation, gray: 3 of 3 photos"),
        *((36 + 36 * number, f"epoch 1/1: {3 * number} of 12 photos, loss") for number in (1, 2, 3, 4)),
        (216, "validation: 3 of 3 photos"),
    ]


def test_a_resumed_epoch_counts_what_was_done(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], clock: Clock
) -> None:
    params = train_params(batch_size=1)
    learner, progress = build_learner(params, N_TRAIN, bf16=False), Progress(N_TRAIN, 1, step=8)
    monkeypatch.setattr(Shards, "read", clock.slow(Shards.read, 31))
    training._train_epoch(learner, shards[0], progress, None)
    assert [line.partition(",")[0] for _, line in clock.lines] == [
        f"epoch 1/1: {done} of 12 photos" for done in (9, 10, 11, 12)
    ]


def test_diverging_loss_names_the_learning_rate_and_the_epoch(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    rows: list[dict[str, float]] = []

    def build(weights: dict[str, float]) -> Loss:
        loss = build_loss(weights)
        return lambda predicted, true: loss(predicted, true) * (float("nan") if rows else 1)

    monkeypatch.setattr("chromascape.learning.learner.build_loss", build)
    with pytest.raises(ChromascapeError) as caught:
        train(*shards, train_params(epochs=3), rows.append)
    assert str(caught.value) == "train.lr: the loss became infinite in epoch 2: lower train.lr"
    assert len(rows) == 1


OUT_OF_MEMORY = [
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 7.79 GiB",
    "MPS backend out of memory (MPS allocated: 9.07 GB, other allocations: 1.20 MB, max allowed: 9.07 GB)",
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 1",
    "[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes.",
]


@pytest.mark.parametrize("text", OUT_OF_MEMORY)
def test_running_out_of_memory_names_the_batch_size(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], text: str
) -> None:
    use_tiny(monkeypatch, fails=RuntimeError(text))
    with pytest.raises(ChromascapeError) as caught:
        train(*shards, train_params(batch_size=9))
    assert str(caught.value) == "train.batch_size: 9 photos don't fit into the memory of cpu: lower it"


def test_running_out_of_memory_over_the_gray_loss_names_the_batch_size(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """Gray's loss is taken first, in batches of the same size."""

    def loss(*_: object) -> Tensor:
        raise RuntimeError(OUT_OF_MEMORY[2])

    monkeypatch.setattr("chromascape.learning.learner.build_loss", lambda weights: loss)
    with pytest.raises(ChromascapeError, match=r"^train\.batch_size: 9 photos"):
        train(*shards, train_params(batch_size=9))


@pytest.mark.parametrize(
    "text",
    [
        "mat1 and mat2 shapes cannot be multiplied (4x3 and 2x1)",
        "CUDA error: an illegal memory access was encountered",
        "Unsupported memory format. Supports only ChannelsLast, Contiguous",
    ],
)
def test_other_runtime_errors_pass_through(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], text: str
) -> None:
    use_tiny(monkeypatch, fails=RuntimeError(text))
    with pytest.raises(RuntimeError) as caught:
        train(*shards, train_params())
    assert str(caught.value) == text


def test_a_missing_device_names_the_key(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ChromascapeError, match=r"^train\.device: cuda is not available here"):
        train(*shards, train_params(device="cuda"))


def test_training_writes_no_files(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    use_tiny(monkeypatch)
    train(*shards, train_params())
    assert list(tmp_path.iterdir()) == []


def test_the_moving_average_begins_with_the_weights_after_the_first_step(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    weights = []
    for ema in (0.0, 0.9):
        torch.manual_seed(0)
        tiny, _ = use_tiny(monkeypatch)
        before = tiny.layer.weight.clone()
        weights.append(train(*shards, train_params(batch_size=N_TRAIN, ema=ema)).weights["layer.weight"])
        assert not torch.equal(weights[-1], before)
    assert torch.equal(*weights)


def test_the_moving_average_is_what_is_validated_and_kept(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """With a decay near 1 the average hardly leaves the first step's weights, whatever training does."""
    learned = train(*shards, train_params(epochs=4, batch_size=2, lr=0.01, ema=0.0))
    averaged = train(*shards, train_params(epochs=4, batch_size=2, lr=0.01, ema=0.999))
    head = {name: float(run.weights["head.weight"].norm()) for name, run in (("a", averaged), ("l", learned))}
    assert 0 < head["a"] < 0.3 * head["l"]
    assert averaged.history[-1]["val_loss"] != learned.history[-1]["val_loss"]
    assert [row["train_loss"] for row in averaged.history] == [row["train_loss"] for row in learned.history]


def test_crops_are_seen_at_the_side_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, targets = use_tiny(monkeypatch)
    train(*shards, train_params(crop=0.5, side=32))
    assert {tuple(seen.shape[1:]) for seen in tiny.seen} == {(1, 32, 32)}
    assert {tuple(target.shape[1:]) for target in targets} == {(2, 32, 32)}


def test_the_shipped_model_can_be_fine_tuned(shards: tuple[Shards, Shards], train_params: Callable[..., Train]) -> None:
    chosen = train_params(network="efficientnet_lite2", init="shipped", lr=1e-9, epochs=1)
    trained = train(*shards, chosen)
    shipped = load_network(SHIPPED)[1].state_dict()
    assert torch.allclose(trained.weights["head.weight"], shipped["head.weight"], atol=1e-6)


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_batch_norm_keeps_the_shipped_statistics(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train], frozen: bool
) -> None:
    chosen = train_params(network="efficientnet_lite2", init="shipped", epochs=1, freeze_norm=frozen)
    trained, shipped = train(*shards, chosen).weights, load_network(SHIPPED)[1].state_dict()
    kept = {torch.equal(trained[name], value) for name, value in shipped.items() if "running_" in name}
    assert kept == ({True} if frozen else {False})
    assert not torch.equal(trained["encoder.stem.weight"], shipped["encoder.stem.weight"])


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_shipped_model_s_colors_of_the_undamaged_photo_are_learned_in_part(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], share: float
) -> None:
    from chromascape.color import lab

    tiny, targets = use_tiny(monkeypatch)
    train(*shards, train_params(distill=share, damage=1.0, flip=False, batch_size=N_TRAIN))
    with torch.no_grad():
        photos = torch.from_numpy(shards[0].read(np.arange(N_TRAIN))).float() / lab.LEVELS
        taught = load_network(SHIPPED)[1].eval()(photos[:, :1])
    expected = photos[:, 1:].lerp(taught, share)
    assert float(targets[0].mean()) == pytest.approx(float(expected.mean()), abs=1e-5)
    assert float(targets[0].std()) == pytest.approx(float(expected.std()), abs=1e-5)
    assert abs(float(tiny.seen[0].mean()) - float(photos[:, :1].mean())) > 1e-3  # what learns sees the damage


def test_an_epoch_is_chosen_by_photos_that_are_damaged_as_in_training_alike_in_each(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    clean, _ = all_photos(shards[1])
    gray = set()
    for share in (0.0, 1.0):
        tiny, _ = use_tiny(monkeypatch)
        history = train(*shards, train_params(epochs=2, damage=share, working_size=0, batch_size=N_TRAIN)).history
        first, second = tiny.validated
        assert torch.equal(first, second) and torch.equal(first, clean) is (share == 0)
        gray.add(history[0]["gray_val_loss"])
    assert len(gray) == 1


def test_with_luma_the_network_sees_it_in_place_of_lightness(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    from chromascape.color import lab

    tiny, targets = use_tiny(monkeypatch)
    train(*shards, train_params(input="luma", flip=False, batch_size=12))
    photos = lab.dequantise(shards[0].read(np.arange(N_TRAIN)).transpose(0, 2, 3, 1))
    (seen,) = tiny.seen
    assert float(seen.mean()) == pytest.approx(lab.luma(photos).mean() / 100, abs=1e-4)
    assert float(targets[0].mean()) == pytest.approx(float(lab.scale_ab(photos[..., 1:]).mean()), abs=1e-4)


def test_the_moving_average_takes_in_the_batch_statistics(
    shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    """Averaged weights with the last step's statistics would be a network that never was."""
    name = "down1.1.running_mean"
    runs = {
        ema: train(*shards, train_params(epochs=1, batch_size=1, lr=1e-9, ema=ema)).weights[name]
        for ema in (0.0, 0.999)
    }
    # A step's momentum is 0.1: after twelve steps 1 - 0.9 ** 12 = 0.72 of the way, the average with the first 0.1.
    assert 0 < float(runs[0.999].norm()) < 0.3 * float(runs[0.0].norm())


def test_with_bf16_the_loss_is_taken_in_float32(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    tiny, _ = use_tiny(monkeypatch)
    inside, outside = [], []
    answer = tiny.layer.forward
    monkeypatch.setattr(tiny.layer, "forward", lambda x: (inside.append(answer(x).dtype), answer(x))[1])

    def loss(predicted: Tensor, true: Tensor) -> Tensor:
        outside.append((predicted.dtype, true.dtype))
        return (predicted - true).abs().mean()

    monkeypatch.setattr("chromascape.learning.learner.build_loss", lambda weights: loss)
    for precision, computed in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        inside.clear()
        trained = train(*shards, train_params(precision=precision))
        assert set(inside) == {computed}
        assert set(outside) == {(torch.float32, torch.float32)}
        assert all(value.dtype == torch.float32 for value in trained.weights.values())


class MadeUp(Network):
    """A network that nothing in the project knows of."""

    predicts = "rgb"
    multiple = 48

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, lightness: Tensor) -> Tensor:
        assert all(side % 48 == 0 for side in lightness.shape[2:])
        return torch.sigmoid(self.layer(lightness))


def test_a_network_that_is_added_to_the_table_trains_and_colorizes(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train], tmp_path: Path
) -> None:
    monkeypatch.setitem(NETWORKS, "made_up", MadeUp)
    chosen = train_params(network="made_up", epochs=30, lr=0.05, batch_size=4)
    check_train(chosen)
    trained = train(*shards, chosen)
    assert trained.history[-1]["train_loss"] < 0.8 * trained.history[0]["train_loss"]
    save(tmp_path, trained.weights, "made_up", SIZE, {"faithful": 1.0, "vivid": 1.0})
    colored = Colorizer.load(tmp_path, "cpu").colorize(np.full((70, 90), 200, np.uint8))
    assert colored.shape == (70, 90, 3) and colored.dtype == np.uint8
    lightness, _ = all_photos(shards[1])
    network = load_network(tmp_path)[1].eval()
    assert isinstance(network, MadeUp) and predict(network, lightness).shape == (N_VAL, 3, SIZE, SIZE)


def test_a_loss_that_is_added_to_the_table_can_be_trained_with(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], train_params: Callable[..., Train]
) -> None:
    monkeypatch.setitem(LOSSES, "huber", lambda predicted, true: nn.functional.huber_loss(predicted, true, delta=0.1))
    chosen = train_params(loss={"huber": 2.0}, epochs=2)  # the others have no weight then
    check_train(chosen)
    _, ab = all_photos(shards[1], chosen.working_size)
    trained = train(*shards, chosen)
    gray = 2 * nn.functional.huber_loss(torch.full_like(ab, 128 / 255), ab, delta=0.1)
    assert trained.history[0]["gray_val_loss"] == pytest.approx(float(gray), rel=1e-4)
    assert trained.history[1]["train_loss"] < trained.history[0]["train_loss"]
