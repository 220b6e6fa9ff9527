"""Small models and their runs, as the stages `train` and `evaluate` leave them in MLflow."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import save
from chromascape.params import Params
from chromascape.tracking import runs as tracking

OUTSIDE = [
    "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "GIT_DIR", "GIT_WORK_TREE", "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_REGISTRY_URI",
]  # fmt: skip
CURVES = pd.DataFrame({"epoch": [1], "train_loss": [0.3], "val_loss": [0.35], "gray_val_loss": [0.4], "lr": [0.01]})
FIGURES: dict[str, Any] = {
    "n_photos": 4,
    "n_seen": {"model": 0, "vivid": 0, "shipped": 0},
    "held_out": True,
    "model": {"psnr_db": 24.0, "ssim": 0.93},
    "gray": {"psnr_db": 22.5, "ssim": 0.91},
    "gain_over_gray_db": 1.5,
    "gain_over_gray_ci95_db": [0.5, 2.5],
    "win_rate_over_gray": 0.75,
}


def write_model(folder: Path, strength: float, seed: int = 0) -> Path:
    """A model that tints every photo: the stronger, the further from the truth. Without any it gives gray."""
    torch.manual_seed(seed)
    network = build_network("unet")
    nn.init.zeros_(network.head.weight)
    nn.init.constant_(network.head.bias, strength)
    folder.mkdir(parents=True, exist_ok=True)
    save(folder, network.state_dict(), "unet", 64, {"faithful": 1.0, "vivid": 1.5})
    return folder


def evaluated_run(params: Params, folder: Path) -> str:
    """The run of a training and its evaluation; returns its id."""
    weights = folder / "weights.safetensors"
    with tracking.new_run(params) as log:
        log.trained(weights)
    with tracking.continue_run(params, weights, CURVES) as log:
        log.figures(FIGURES)
        log.model(folder)
    return log.run_id


def write_figures(place: Path, **changes: Any) -> None:
    """What the stage `evaluate` writes, beating gray by 1.5 dB."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "evaluate.json").write_text(json.dumps(FIGURES | changes), encoding="utf-8")
