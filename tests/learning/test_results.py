"""What a finished training leaves behind: figures on val, and the hashes of the photos seen."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import write_photos

from chromascape.color.metrics import METRICS
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.judging.predictions import PREDICTIONS
from chromascape.learning import results
from chromascape.learning.calibration import MIN_PHOTOS
from chromascape.learning.training import Trained
from chromascape.params import Params
from chromascape.photos.shards import Shards, write_shards

SIDE = 64
SMALL = {"preprocess.side": SIDE, "train.working_size": SIDE, "train.device": "cpu", "jobs": 1}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Lab shards and manifest: three training photos, four validation photos of three scenes, one test photo."""
    folder = tmp_path_factory.mktemp("shards")
    paths = write_photos(folder / "photos", 8, width=80, height=72)
    manifest = pd.DataFrame({"path": [path.name for path in paths], "verdict": "accepted", "group": [*"abcdeeft"]})
    manifest["sha256"] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    manifest["phash"] = [f"{number * 0x1111111111111111:016x}" for number in range(8)]
    manifest["split"] = ["train"] * 3 + ["val"] * 4 + ["test"]
    manifest[["left", "top", "right", "bottom", "width", "height"]] = 0, 0, 80, 72, 80, 72
    write_shards(folder / "lab", folder / "photos", manifest, SIDE, "crop", 1.0, jobs=1)
    return folder / "lab", manifest


@pytest.fixture(scope="module")
def trained() -> Trained:
    rows = [{"epoch": n, "train_loss": 0.5, "val_loss": 1 / n, "gray_val_loss": 0.7, "lr": 0.1} for n in (1, 2)]
    return Trained(build_network("efficientnet_lite2").state_dict(), rows, 2, 100.0)


def finish(
    trained: Trained, photos: tuple[Path, pd.DataFrame], params: Params
) -> tuple[Colorizer, pd.DataFrame, dict[str, Any]]:
    lab, manifest = photos
    val = Shards(lab, ("val",))
    colorizer = results.trained_colorizer(trained, params, val)
    table, figures = results.measure(colorizer, val, Shards(lab, ("train",)), manifest, params)
    return colorizer, table, results.training_summary(trained, colorizer, 3, len(val), figures)


def test_val_has_the_figures_that_evaluate_has_of_test(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params]
) -> None:
    _, table, summary = finish(trained, photos, make_params(SMALL))
    assert table["path"].tolist() == [f"photo-{number:03}.png" for number in (3, 4, 5, 6)]
    assert table["group"].tolist() == [*"deef"]
    figures = summary["val"]
    assert results.headline(summary) == {
        "val_gain_db": round(figures["gain_over_gray_db"], 4),
        "val_loss": round(summary["val_loss"], 4),
        "gray_loss": round(summary["gray_val_loss"], 4),
    }
    for name in PREDICTIONS:
        assert set(METRICS) <= set(figures[name])
        assert figures[name]["psnr_db"] == pytest.approx(table[f"{name}.psnr_db"].mean())
    assert figures["n_photos"] == 4 and len(figures["gain_over_gray_ci95_db"]) == 2
    # They chose the epoch, so the model has seen them.
    assert figures["n_seen"] == {"model": 4, "vivid": 4, "shipped": 0} and figures["held_out"] is False
    assert summary["best_epoch"] == 2 and summary["epochs"] == 2 and summary["val_loss"] == 0.5
    assert summary["parameters"] == sum(value.numel() for value in build_network("efficientnet_lite2").parameters())


def test_few_validation_photos_keep_the_shipped_factors_and_the_card_says_so(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params], tmp_path: Path
) -> None:
    params = make_params(SMALL)
    colorizer, _, summary = finish(trained, photos, params)
    assert colorizer.renderings == Colorizer.load(SHIPPED, "cpu").renderings == summary["renderings"]
    assert summary["n_calibration"] == 0
    results.save_model(tmp_path / "model", trained, colorizer, params, photos[1], summary)
    assert "4 validation photos are too few" in (tmp_path / "model/MODEL_CARD.md").read_text()
    assert Colorizer.load(tmp_path / "model", "cpu").renderings == colorizer.renderings
    enough = results.training_summary(trained, colorizer, 3, MIN_PHOTOS, summary["val"])
    assert enough["n_calibration"] == MIN_PHOTOS


@pytest.mark.parametrize(
    ("init", "on", "own"),
    [("scratch", "train", 7), ("scratch", "all", 8), ("shipped", "train", 7), ("shipped", "all", 8)],
)
def test_weights_carry_the_photos_that_they_were_trained_on_or_chosen_by(
    trained: Trained,
    photos: tuple[Path, pd.DataFrame],
    make_params: Callable[..., Params],
    tmp_path: Path,
    init: str,
    on: str,
    own: int,
) -> None:
    manifest = photos[1]
    params = make_params(SMALL | {"train.init": init, "train.photos": on})
    colorizer = Colorizer(TorchNetwork(build_network("efficientnet_lite2")), "efficientnet_lite2", SIDE)
    figures = {name: dict.fromkeys(METRICS, 0.5) for name in PREDICTIONS} | {"n_photos": 4}
    summary = results.training_summary(trained, colorizer, 3, 4, figures)
    results.save_model(tmp_path / "model", trained, colorizer, params, manifest, summary)
    seen = read_seen(tmp_path / "model")
    shipped = read_seen(SHIPPED)
    assert len(seen) == own + len(shipped) * (init == "shipped")
    assert count_seen(hashes_of(manifest, ("train", "val")), seen, 0) == 7
    assert count_seen(hashes_of(manifest, ("test",)), seen, 0) == int(on == "all")
    assert count_seen(shipped, seen, 0) == len(shipped) * (init == "shipped")


def test_photos_that_the_shipped_weights_have_seen_are_counted(
    trained: Trained, photos: tuple[Path, pd.DataFrame], make_params: Callable[..., Params]
) -> None:
    shipped = read_seen(SHIPPED)
    manifest = photos[1].copy()
    manifest.loc[3, "sha256"] = shipped.sha256[0].tobytes().hex()
    manifest.loc[4, "phash"] = shipped.phash[1].tobytes().hex()
    _, _, summary = finish(trained, (photos[0], manifest), make_params(SMALL))
    assert summary["val"]["n_seen"]["shipped"] == 2


def test_curves_are_a_row_an_epoch(trained: Trained) -> None:
    curves = results.curves(trained)
    assert list(curves.columns) == ["epoch", "train_loss", "val_loss", "gray_val_loss", "lr"]
    np.testing.assert_allclose(curves["val_loss"], [1, 0.5])
    trained.history = [dict(sorted(row.items())) for row in trained.history]  # as they come from a checkpoint
    pd.testing.assert_frame_equal(results.curves(trained), curves)
