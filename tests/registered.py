"""A workspace as the stages leave it, with a small model, and its run in MLflow."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import torch
import yaml
from conftest import changed_params, make_photo
from PIL import Image
from torch import nn

from chromascape.color.metrics import METRICS
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import save
from chromascape.files import write_json, write_table
from chromascape.judging.predictions import PREDICTIONS
from chromascape.params import Params
from chromascape.photos.manifest import COLUMNS, TYPES, write_manifest
from chromascape.tracking import run as tracking

OUTSIDE = [
    "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "GIT_DIR", "GIT_WORK_TREE", "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI",
    "MLFLOW_DEFAULT_ARTIFACT_ROOT",
]  # fmt: skip
CURVES = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [0.3, 0.2, 0.1],
        "val_loss": [0.35, 0.25, 0.3],
        "gray_val_loss": [0.4, 0.4, 0.4],
        "lr": [0.01, 0.005, 0.001],
        "val_psnr_db": [23.0, 24.0, 23.5],  # where a metric chooses the epoch
    }
)
SUMMARY: dict[str, Any] = {
    "photos": "0a1b2c3d",
    "n_photos": 4,
    "n_scenes": 4,
    "n_left_out": 0,
    "n_seen": {"model": 0, "vivid": 0, "shipped": 0},
    "held_out": True,
    "model": {"psnr_db": 24.0, "ssim": 0.93},
    "shipped": {"psnr_db": 23.8, "ssim": 0.92, "gain_over_gray_db": 1.3},
    "gray": {"psnr_db": 22.5, "ssim": 0.91},
    "mean_ab": {"psnr_db": 22.7, "ssim": 0.9},
    "truth": {"colorfulness": 40.0},
    "gain_over_gray_db": 1.5,
    "gain_over_gray_ci95_db": [0.5, 2.5],
    "win_rate_over_gray": 0.75,
    "over_shipped": {"gain_db": 0.2, "ci95_db": [0.1, 0.3], "win_rate": 0.75, "n_photos": 4, "n_scenes": 4},
}
FIGURES: dict[str, Any] = {
    "split": "test",
    "model_sha256": "",
    **SUMMARY,
    "val": SUMMARY | {"n_photos": 3, "gain_over_gray_db": 1.25},
}
TRAINING = "0123456789abcdef"  # a fingerprint


@contextmanager
def alone_in(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in this folder; nothing that git or MLflow keep in this process comes in or goes out."""
    for name in OUTSIDE:
        patch.setenv(name, "")  # so that what a test or MLflow sets is taken back
        patch.delenv(name)
    patch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    patch.chdir(folder)
    yield folder
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


def write_model(folder: Path, strength: float, seed: int = 0, vivid: float = 1.5) -> Path:
    """A model that tints every photo: the stronger, the further from the truth. Without any it gives gray."""
    torch.manual_seed(seed)
    network = build_network("unet")
    nn.init.zeros_(network.head.weight)
    nn.init.constant_(network.head.bias, strength)
    folder.mkdir(parents=True, exist_ok=True)
    save(folder, network.state_dict(), "unet", 64, {"faithful": 1.0, "vivid": vivid})
    return folder


def write_outputs(strength: float = 0.1, vivid: float = 1.5, training: str = TRAINING, **figures: Any) -> Path:
    """What the stages `validate`, `train` and `evaluate` write into this folder; returns the model's folder."""
    model = write_model(Path("models/colorizer"), strength, vivid=vivid)
    write_table(CURVES, Path("metrics/curves.csv"))
    write_json({"training": training}, Path("metrics/train.json"))
    write_figures(Path("metrics"), **figures)
    manifest = pd.DataFrame(columns=COLUMNS, index=range(5), dtype=object)
    manifest["path"] = pd.Series(["a.png", "b.png", "c.png", "caf\udce9.png", "gray.png"], dtype=object)
    manifest["verdict"] = ["accepted"] * 4 + ["rejected"]
    manifest["split"] = pd.Series(["train", "train", "val", "test", None], dtype=object)
    manifest["sha256"] = [character * 64 for character in "abcde"]
    manifest["width"], manifest["height"], manifest["colorfulness"] = 100, 100, 30.0
    write_manifest(manifest.astype(TYPES), Path("data/manifest.csv"))
    Path("reports/photos").mkdir(parents=True, exist_ok=True)
    Path("reports/index.html").write_text("a report")
    Path("reports/per_photo.csv").write_text("path,group\n")
    Image.fromarray(make_photo(0, width=64, height=16)).save("reports/photos/abc.jpg")
    if not Path("params.yaml").exists():
        values = changed_params({"track.experiment": "tests"})
        Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return model


def evaluated_run(params: Params, strength: float = 0.1, **outputs: Any) -> str:
    """The whole run of a training and its evaluation; returns its id."""
    write_outputs(strength, **outputs)
    return tracking.log_run(params)


def write_figures(place: Path, **changes: Any) -> None:
    """What the stage `evaluate` writes, beating gray by 1.5 dB."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "evaluate.json").write_text(json.dumps(FIGURES | changes), encoding="utf-8")


def table_of(gains: list[float], **columns: Any) -> pd.DataFrame:
    """A table as `evaluate` makes it, with these gains over gray and 1, 2, 3 and so on for the rest."""
    rows = len(gains)
    table = pd.DataFrame({"path": [f"{row}.png" for row in range(rows)], "group": [f"g{row}" for row in range(rows)]})
    for number, name in enumerate(PREDICTIONS, start=1):
        for more, metric in enumerate(METRICS):
            table[f"{name}.{metric}"] = [100.0 * number + 10 * more + row for row in range(rows)]
    table["gray.psnr_db"] = [20.0 + row for row in range(rows)]
    table["model.psnr_db"] = table["gray.psnr_db"] + gains
    table["truth.colorfulness"] = [40.0 + row for row in range(rows)]
    return table.assign(**columns)
