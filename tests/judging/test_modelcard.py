"""The model card."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from chromascape.judging.modelcard import model_card
from chromascape.params import Params

SUMMARY = {
    "parameters": 3_240_834,
    "n_train": 1_647,
    "n_val": 200,
    "n_calibration": 200,
    "renderings": {"faithful": 0.95, "vivid": 1.4},
    "best_epoch": 7,
    "epochs": 10,
    "train_loss": 0.04,
    "val_loss": 0.03456,
    "gray_val_loss": 0.05678,
    "val_psnr_db": 24.126,
    "shipped_val_psnr_db": 24.256,
    "gray_val_psnr_db": 22.5,
    "training": "0123456789abcdef",
}
GAINS = pd.DataFrame({"none": [3.0, 1.0, 2.0, -1.0], "old scan": [-2.0, -1.0, 1.0, 1.5]})


def test_card_states_what_the_weights_come_from(make_params: Callable[..., Params]) -> None:
    changes: dict[str, Any] = {
        "train.network": "assignment",
        "train.seed": 17,
        "train.loss.l1": 0.1,
        "train.loss.ssim": 0.25,
        "train.optimizer": "adam",
        "train.schedule": "cosine",
        "train.init": "scratch",
        "train.crop": 0.5,
        "train.side": 96,
        "train.working_size": 0,
        "train.flip": True,
        "train.ema": 0.99,
        "data.train_only": ["more", "odd ones"],
        "train.lr": 0.003,
        "train.batch_size": 12,
        "train.epochs": 10,
        "preprocess.side": 128,
        "data.dir": "my/photos",
        "data.split.seed": 5,
    }
    rows = {}
    for line in model_card(make_params(changes), SUMMARY, 0, GAINS).splitlines():
        if line.startswith("| "):
            name, _, value = line.strip("| ").partition(" | ")
            rows[name] = value
    assert rows["Network"] == "`assignment`, 3,240,834 parameters, sees photos at 128 pixels"
    assert rows["Photos"] == ("1,647 for training, 200 for choosing the epoch (only trained on: `more`, `odd ones`)")
    assert rows["Split"] == "train 0.8, val 0.1, test 0.1, seed 5"
    assert rows["Loss"] == "1 · `mse` + 0.1 · `l1` + 0.25 · `ssim`, on ab scaled to 0..1"
    assert rows["Recipe"] == "adam, cosine, lr 0.003, batch 12, 10 epochs, moving average of the weights 0.99"
    assert rows["Started from"] == "`scratch`"
    assert rows["Sees"] == "crops of at least 0.5 of the area at 96 pixels, half of them mirrored"
    assert rows["Factors on ab"] == "faithful 0.95, vivid 1.4; fitted on 200 validation photos"
    assert rows["Seed"] == "17"
    assert rows["Best epoch"] == "7: validation loss 0.0346, gray's 0.0568"
    assert rows["Made with"] == "Chromascape 0.1.0"


@pytest.mark.parametrize(("on", "said"), [("train", False), ("all", True)])
def test_card_says_when_all_photos_were_trained_on(make_params: Callable[..., Params], on: str, said: bool) -> None:
    card = model_card(make_params({"train.photos": on}), SUMMARY, 0, GAINS)
    assert ("All three splits were trained on, so no figure measured on them is a held-out one." in card) is said
    assert "not a record of what was there" in card


def test_the_card_of_a_network_that_predicts_rgb_says_so(make_params: Callable[..., Params]) -> None:
    card = model_card(make_params({"train.network": "assignment_rgb"}), SUMMARY, 0, GAINS)
    assert "Predicts the color (RGB)" in card and "on RGB in 0..1" in card


def test_card_says_where_factors_were_not_fitted(make_params: Callable[..., Params]) -> None:
    card = model_card(make_params(), SUMMARY | {"n_val": 5, "n_calibration": 0}, 0, GAINS)
    assert (
        "| Factors on ab | faithful 0.95, vivid 1.4; 5 validation photos are too few to fit them on, so the "
        "shipped model's factors were kept |"
    ) in card
    card = model_card(make_params({"train.calibrate": False}), SUMMARY, 0, GAINS)
    assert "vivid 1.4 (faithful: as the network gives it); fitted on 200 validation photos |" in card


def test_card_shows_the_validation_figures_beside_the_shipped_models_and_grays(
    make_params: Callable[..., Params],
) -> None:
    card = model_card(make_params(), SUMMARY, 0, GAINS)
    rows = ["| on the 200 validation photos, which chose the epoch | PSNR, dB |", "|---|---|", "| this model | 24.13 |"]
    rows += ["| the model that comes with Chromascape | 24.26 |", "| gray | 22.50 |"]
    assert "\n".join(rows) in card
    card = model_card(make_params(), SUMMARY, 12, GAINS)
    assert "comes with Chromascape, which has seen 12 of them | 24.26 |" in card


def test_card_has_the_gains_under_each_damage_beside_gray(make_params: Callable[..., Params]) -> None:
    card = model_card(make_params(), SUMMARY, 0, GAINS)
    table = [
        "| damage, on 4 of the validation photos | gain over gray, dB PSNR | closer than gray on |",
        "|---|---|---|",
    ]
    table += ["| none | +1.25 | 75 % |", "| old scan | -0.12 | 50 % |", "| gray, under each | +0.00 | |"]
    assert (
        "\n\n" + "\n".join(table) + "\n\nLeast is gained under old scan. A photo" in card
        and "](damage.jpg)\n\nThe run has all" in card
    )


def test_card_names_its_run(make_params: Callable[..., Params]) -> None:
    card = model_card(make_params(), SUMMARY, 0, GAINS)
    assert "| Run | in MLflow, the one whose tag `chromascape.training` ends in `0123456789abcdef` |" in card
    assert '``tags.`chromascape.training` LIKE "%0123456789abcdef"``' in card
