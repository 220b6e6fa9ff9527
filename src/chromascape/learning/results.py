"""What a finished training leaves behind: the model, its card, and which photos it has seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from chromascape.color import lab
from chromascape.color.measures import psnr_db
from chromascape.colorizing.colorizer import SHIPPED, Colorizer, scale_chroma
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork, save
from chromascape.colorizing.training_photos import count_seen, hashes_of, join, read_seen, write_seen
from chromascape.devices import pick_device
from chromascape.files import atomic_folder
from chromascape.judging.damaged import gains_of_some, pictures_by_damage, worst_damages
from chromascape.judging.modelcard import PICTURE, model_card
from chromascape.learning.calibration import MIN_PHOTOS, fit_renderings
from chromascape.learning.choosing import LOSS, code_of
from chromascape.learning.training import Trained
from chromascape.parallel import with_progress
from chromascape.params import Params
from chromascape.photos.shards import SPLITS, Shards

DAMAGED = 32  # validation photos that the card shows under each damage, at most: half a second each


def trained_colorizer(trained: Trained, params: Params, val: Shards) -> Colorizer:
    """The network of the best epoch, with its colors as strong as the validation photos ask for."""
    section = params.train
    module = build_network(section.network)
    module.load_state_dict(trained.weights)
    network = TorchNetwork(module, pick_device(section.device, "train.device"))
    size = section.working_size or params.preprocess.side
    colorizer = Colorizer(network, section.network, size, luma=section.input == "luma")
    colorizer.renderings = fit_renderings(colorizer, val, section.calibrate, section.vivid)
    return colorizer


def val_psnr(colorizer: Colorizer, val: Shards, shipped: Colorizer) -> dict[str, float]:
    """Mean PSNR in dB over the validation photos: of both models' faithful renderings, and of the gray photo."""
    total = np.zeros(3)
    for row in with_progress(range(len(val)), len(val), "validation, PSNR"):
        true_lab = lab.dequantise(val.photo(row))
        truth = lab.lab_to_rgb(true_lab)
        pictures = [model.render(model.network_lab(true_lab), "faithful") for model in (colorizer, shipped)]
        pictures.append(scale_chroma(true_lab, 0))
        total += [psnr_db(truth, lab.lab_to_rgb(lab.fit_to_srgb(picture))) for picture in pictures]
    return dict(
        zip(("val_psnr_db", "shipped_val_psnr_db", "gray_val_psnr_db"), (total / len(val)).tolist(), strict=True)
    )


def training_summary(
    trained: Trained,
    colorizer: Colorizer,
    n_train: int,
    n_val: int,
    psnr: dict[str, float],
    fingerprint: str,
    choose_by: str = LOSS,
) -> dict[str, Any]:
    """What `metrics/train.json` holds; `psnr` as from `val_psnr`, and the fingerprint by which the run is found."""
    best = trained.history[trained.best_epoch - 1]
    return {
        "best_epoch": trained.best_epoch,
        "chosen_by": choose_by,
        "chosen_by_code": code_of(choose_by),
        "chosen_value": best[f"val_{choose_by}"],
        "gray_chosen_value": best[f"gray_val_{choose_by}"],
        "epochs": len(trained.history),
        "n_train": n_train,
        "n_val": n_val,
        "n_calibration": n_val if n_val >= MIN_PHOTOS else 0,
        "train_loss": best["train_loss"],
        "val_loss": best["val_loss"],
        "gray_val_loss": best["gray_val_loss"],
        **psnr,
        "parameters": sum(value.numel() for value in build_network(colorizer.name).parameters()),
        "precision": trained.precision,
        "renderings": colorizer.renderings,
        "training": fingerprint,
    }


def headline(summary: dict[str, Any]) -> dict[str, int]:
    """What tables of experiments show of a training; `summary` as `training_summary`.

    No losses: they are of `train.loss`, so that they do not compare where experiments differ in it.
    """
    return {"best_epoch": summary["best_epoch"]}


def save_model(
    folder: Path,
    trained: Trained,
    colorizer: Colorizer,
    params: Params,
    manifest: pd.DataFrame,
    summary: dict[str, Any],
    val: Shards,
) -> None:
    """Write weights, configuration, model card and the hashes of the photos seen; the folder appears whole.

    Seen are the photos that the weights were trained on or chosen by, and those of the shipped weights where they began
    with these or learned from them.
    """
    trained_on = hashes_of(manifest, SPLITS if params.train.photos == "all" else ("train",))
    if params.train.uses_shipped:
        trained_on = join(trained_on, read_seen(SHIPPED))
    chose = hashes_of(manifest, ("val",))
    shipped_saw = count_seen(chose, read_seen(SHIPPED), params.validate_.near_duplicate_bits)
    with atomic_folder(folder) as temporary:
        save(temporary, trained.weights, colorizer.name, colorizer.size, colorizer.renderings, colorizer.luma)
        write_seen(temporary, trained_on, chose)
        gains = gains_of_some(colorizer, val, DAMAGED)
        pictures = pictures_by_damage(colorizer, val.read(np.array([0]))[0], worst_damages(gains))
        worst = np.concatenate(list(pictures.values()), axis=1)
        Image.fromarray(worst).save(temporary / PICTURE, quality=85)
        card = model_card(params, summary, shipped_saw, gains)
        (temporary / "MODEL_CARD.md").write_text(card, encoding="utf-8")


def curves(trained: Trained) -> pd.DataFrame:
    """The history of the training, a row an epoch; the columns stand as here also where it came from a checkpoint."""
    first = ["epoch", "train_loss", "val_loss", "gray_val_loss", "lr"]
    return pd.DataFrame(trained.history, columns=[*first, *sorted(trained.history[0].keys() - first)])
