"""What a finished training leaves behind: the model, its figures on the validation photos, and what it has seen."""

from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork, save
from chromascape.colorizing.training_photos import Hashes, hashes_of, read_seen, write_seen
from chromascape.devices import pick_device
from chromascape.files import atomic_folder
from chromascape.judging.evaluation import DIGITS, evaluate, seen_by, summarize
from chromascape.judging.modelcard import model_card
from chromascape.learning.calibration import MIN_PHOTOS, fit_renderings
from chromascape.learning.training import Trained
from chromascape.params import Params
from chromascape.photos.shards import SPLITS, Shards


def trained_colorizer(trained: Trained, params: Params, val: Shards) -> Colorizer:
    """The network of the best epoch, with its colors as strong as the validation photos ask for.

    Args:
        val: the validation photos.
    """
    section = params.train
    module = build_network(section.network)
    module.load_state_dict(trained.weights)
    network = TorchNetwork(module, pick_device(section.device, "train.device"))
    size = section.working_size or params.preprocess.side
    colorizer = Colorizer(network, section.network, size, luma=section.input == "luma")
    colorizer.renderings = fit_renderings(colorizer, val, section.calibrate, section.vivid)
    return colorizer


def seen_photos(params: Params, manifest: pd.DataFrame) -> Hashes:
    """Photos that the weights were trained on or chosen by, those of the weights that they started from among them."""
    splits = SPLITS if params.train.photos == "all" else ("train", "val")
    own = hashes_of(manifest, splits)
    return own | read_seen(SHIPPED) if params.train.init == "shipped" else own


def measure(
    colorizer: Colorizer, val: Shards, train_photos: Shards, manifest: pd.DataFrame, params: Params
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The per-photo table of the validation photos, and its summary, as `evaluate` has them of the test photos.

    Args:
        train_photos: whose mean color is a baseline.
    """
    shipped = Colorizer.load(SHIPPED, pick_device(params.train.device, "train.device"), by_torch=True)
    table = evaluate(colorizer, shipped, val, train_photos, manifest, params.jobs)
    bits = params.validate_.near_duplicate_bits
    n_seen = seen_by(hashes_of(manifest, ("val",)), seen_photos(params, manifest), read_seen(SHIPPED), bits)
    return table, summarize(table, n_seen)


def training_summary(
    trained: Trained, colorizer: Colorizer, n_train: int, n_val: int, val: dict[str, Any]
) -> dict[str, Any]:
    """What `metrics/train.json` holds.

    Args:
        n_train, n_val: photos.
        val: figures on the validation photos.
    """
    best = trained.history[trained.best_epoch - 1]
    return {
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.history),
        "n_train": n_train,
        "n_val": n_val,
        "n_calibration": n_val if n_val >= MIN_PHOTOS else 0,
        "train_loss": best["train_loss"],
        "val_loss": best["val_loss"],
        "gray_val_loss": best["gray_val_loss"],
        "parameters": sum(value.numel() for value in build_network(colorizer.name).parameters()),
        "renderings": colorizer.renderings,
        "val": val,
    }


def headline(summary: dict[str, Any]) -> dict[str, float]:
    """The figures on the validation photos that stand in tables of experiments; `summary` as `training_summary`."""
    figures = {
        "val_gain_db": summary["val"]["gain_over_gray_db"],
        "val_loss": summary["val_loss"],
        "gray_loss": summary["gray_val_loss"],
    }
    return {name: round(value, DIGITS) for name, value in figures.items()}


def save_model(
    folder: Path,
    trained: Trained,
    colorizer: Colorizer,
    params: Params,
    manifest: pd.DataFrame,
    summary: dict[str, Any],
) -> None:
    """Write weights, configuration, model card and the hashes of the photos seen; the folder appears whole.

    Args:
        summary: as `training_summary`.
    """
    with atomic_folder(folder) as temporary:
        save(temporary, trained.weights, colorizer.name, colorizer.size, colorizer.renderings, colorizer.luma)
        write_seen(seen_photos(params, manifest), temporary)
        (temporary / "MODEL_CARD.md").write_text(model_card(params, summary), encoding="utf-8")


def curves(trained: Trained) -> pd.DataFrame:
    """The history of the training, a row an epoch; the columns stand as here also where it came from a checkpoint."""
    return pd.DataFrame(trained.history, columns=["epoch", "train_loss", "val_loss", "gray_val_loss", "lr"])
