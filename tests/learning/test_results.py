"""What a finished training leaves behind: its summary, and the hashes of the photos seen."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_lab
from PIL import Image

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.judging.damaged import gains_of_some
from chromascape.judging.evaluation import evaluate, mean_ab, predicted_here
from chromascape.judging.modelcard import model_card
from chromascape.learning import results
from chromascape.learning.calibration import MIN_PHOTOS
from chromascape.learning.training import Trained
from chromascape.params import Params
from chromascape.photos.shards import Shards

SIDE = 64
PSNR = {"val_psnr_db": 20.0, "shipped_val_psnr_db": 21.0, "gray_val_psnr_db": 20.0}
SMALL = {"preprocess.side": SIDE, "train.working_size": SIDE, "train.device": "cpu", "jobs": 1}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Lab shards and manifest: three training photos, four validation photos of three scenes, one test photo."""
    folder = tmp_path_factory.mktemp("shards")
    manifest = write_lab(folder, side=SIDE, groups="abcdeeft", train=3, val=4, test=1)
    manifest["phash"] = [f"{number * 0x1111111111111111:016x}" for number in range(8)]
    return folder / "lab", manifest


@pytest.fixture(scope="module")
def trained() -> Trained:
    rows = [{"epoch": n, "train_loss": 0.5, "val_loss": 1 / n, "gray_val_loss": 0.7, "lr": 0.1} for n in (1, 2)]
    return Trained(build_network("efficientnet_lite2").state_dict(), rows, 2, 100.0, "float32")


def finish(trained: Trained, photos: tuple[Path, pd.DataFrame], params: Params) -> tuple[Colorizer, dict[str, Any]]:
    val = Shards(photos[0], ("val",))
    colorizer = results.trained_colorizer(trained, params, val)
    psnr = results.val_psnr(colorizer, val, Colorizer.load(SHIPPED, "cpu"))
    return colorizer, results.training_summary(trained, colorizer, 3, len(val), psnr, "abc")


def evaluated(colorizer: Colorizer, photos: Shards, manifest: pd.DataFrame) -> pd.DataFrame:
    measured = partial(predicted_here, colorizer, colorizer, {"val": photos}, lambda: mean_ab(photos), 1)
    return evaluate(measured, {"val": photos}, manifest)["val"]


def test_the_summary_has_losses_and_psnr_beside_grays(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params]
) -> None:
    network = build_network("efficientnet_lite2")
    torch.nn.init.normal_(network.head.weight, std=0.1)
    colorizer, summary = finish(replace(trained, weights=network.state_dict()), photos, make_params(SMALL))
    val = Shards(photos[0], ("val",))
    table = evaluated(colorizer, val, photos[1])
    assert summary["val_psnr_db"] == pytest.approx(table["model.psnr_db"].mean())
    assert summary["gray_val_psnr_db"] == pytest.approx(table["gray.psnr_db"].mean())
    shipped = Colorizer.load(SHIPPED, "cpu")
    beside = evaluated(shipped, val, photos[1])
    assert summary["shipped_val_psnr_db"] == pytest.approx(beside["model.psnr_db"].mean())
    assert len({summary[f"{name}val_psnr_db"] for name in ("", "shipped_", "gray_")}) == 3
    assert results.headline(summary) == {"best_epoch": 2}  # no losses, which differ with train.loss
    assert summary["best_epoch"] == 2 and summary["epochs"] == 2 and summary["val_loss"] == 0.5
    assert summary["parameters"] == sum(value.numel() for value in build_network("efficientnet_lite2").parameters())
    assert (summary["training"], summary["precision"]) == ("abc", "float32")


def test_few_validation_photos_keep_the_shipped_factors_and_the_card_says_so(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params], tmp_path: Path
) -> None:
    params = make_params(SMALL)
    colorizer, summary = finish(trained, photos, params)
    assert colorizer.renderings == Colorizer.load(SHIPPED, "cpu").renderings == summary["renderings"]
    assert summary["n_calibration"] == 0
    results.save_model(tmp_path / "model", trained, colorizer, params, photos[1], summary, Shards(photos[0], ("val",)))
    card = (tmp_path / "model/MODEL_CARD.md").read_text()
    assert "4 validation photos are too few" in card
    gains = gains_of_some(colorizer, Shards(photos[0], ("val",)), 99)
    assert len(gains) == 4 and f"| old scan | {gains['old scan'].mean():+.2f} | " in card
    with Image.open(tmp_path / "model/damage.jpg") as picture:
        assert picture.size == (3 * SIDE, 2 * SIDE)
    assert Colorizer.load(tmp_path / "model", "cpu").renderings == colorizer.renderings
    enough = results.training_summary(trained, colorizer, 3, MIN_PHOTOS, PSNR, "abc")
    assert enough["n_calibration"] == MIN_PHOTOS


@pytest.mark.parametrize(
    ("used", "on", "own"),
    [("no", "train", 7), ("no", "all", 8), ("init", "train", 7), ("init", "all", 8), ("distill", "train", 7)],
)
def test_weights_carry_the_photos_that_they_were_trained_on_or_chosen_by(
    trained: Trained,
    photos: tuple[Path, pd.DataFrame],
    make_params: Callable[..., Params],
    tmp_path: Path,
    used: str,
    on: str,
    own: int,
) -> None:
    manifest = photos[1]
    init, distill = "shipped" if used == "init" else "scratch", 0.5 * (used == "distill")
    params = make_params(SMALL | {"train.init": init, "train.distill": distill, "train.photos": on})
    colorizer = Colorizer(TorchNetwork(build_network("efficientnet_lite2")), "efficientnet_lite2", SIDE)
    summary = results.training_summary(trained, colorizer, 3, 4, PSNR, "abc")
    results.save_model(tmp_path / "model", trained, colorizer, params, manifest, summary, Shards(photos[0], ("val",)))
    seen = read_seen(tmp_path / "model")
    shipped = read_seen(SHIPPED)
    assert len(seen) == own + len(shipped) * (used != "no")
    assert count_seen(hashes_of(manifest, ("train", "val")), seen, 0) == 7
    assert count_seen(hashes_of(manifest, ("test",)), seen, 0) == int(on == "all")
    assert count_seen(shipped, seen, 0) == len(shipped) * (used != "no")
    trained_on = read_seen(tmp_path / "model", trained_only=True)
    assert count_seen(hashes_of(manifest, ("val",)), trained_on, 0) == 4 * (on == "all")  # it chose the epoch only


def test_curves_are_a_row_an_epoch(trained: Trained) -> None:
    curves = results.curves(trained)
    assert list(curves.columns) == ["epoch", "train_loss", "val_loss", "gray_val_loss", "lr"]
    np.testing.assert_allclose(curves["val_loss"], [1, 0.5])
    trained.history = [dict(sorted(row.items())) for row in trained.history]  # as they come from a checkpoint
    pd.testing.assert_frame_equal(results.curves(trained), curves)
    by_metric = replace(trained, history=[{"gray_val_ssim": 0.1, "val_ssim": 0.2, **row} for row in trained.history])
    assert list(results.curves(by_metric).columns) == [*curves.columns, "gray_val_ssim", "val_ssim"]


def test_the_metric_that_chose_the_epoch_is_in_the_summary_and_on_the_card(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params]
) -> None:
    colorizer = Colorizer(TorchNetwork(build_network("efficientnet_lite2")), "efficientnet_lite2", SIDE)
    rows = [row | {"val_psnr_db": 24.0 - row["epoch"], "gray_val_psnr_db": 21.5} for row in trained.history]
    chosen = replace(trained, history=rows, best_epoch=1)
    summary = results.training_summary(chosen, colorizer, 3, 4, PSNR, "abc", "psnr_db")
    assert (summary["chosen_by"], summary["chosen_value"], summary["gray_chosen_value"]) == ("psnr_db", 23.0, 21.5)
    gains = pd.DataFrame({"none": [1.0]})
    card = model_card(make_params({"train.choose_by": "psnr_db"}), summary, 0, gains)
    assert "| 1: validation loss 1.0000, gray's 0.7000; chosen by `psnr_db`: 23.0000, gray's 21.5000 |" in card
    by_loss = results.training_summary(trained, colorizer, 3, 4, PSNR, "abc")
    assert (by_loss["chosen_by"], by_loss["chosen_value"], by_loss["gray_chosen_value"]) == ("loss", 0.5, 0.7)
    assert "| 2: validation loss 0.5000, gray's 0.7000 |" in model_card(make_params(), by_loss, 0, gains)
