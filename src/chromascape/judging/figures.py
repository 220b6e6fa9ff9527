"""From a table of photos to figures: means, intervals, and how the model stands to gray and to the shipped model."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.color.measures import mean_ci95
from chromascape.color.metrics import METRICS
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.training_photos import are_seen, hashes_by_row, read_seen
from chromascape.files import sha256_of_file
from chromascape.judging.predictions import PREDICTIONS
from chromascape.params import Params

DIGITS = 4  # behind the point, of figures in tables of experiments


def summarize(table: pd.DataFrame, by_model: NDArray[np.bool_], by_shipped: NDArray[np.bool_]) -> dict[str, Any]:
    """Means over photos for `metrics/evaluate.json`, and how much is gained over gray and over the shipped model.

    Args:
        table: what `evaluation.evaluate` returns.
        by_model, by_shipped: (N,), which of the photos the trained and the shipped model have seen. `held_out` is False
            where the trained model has seen any; photos that the shipped one has seen are no part of `over_shipped`.
    """
    model = gain_over_gray(table, "model")
    interval = mean_ci95(gains(table, "model"), table["group"])
    means = {name: _means(table, name) for name in PREDICTIONS}
    for name in ("vivid", "shipped"):  # the model's own gain stands beside its figures, with its interval
        means[name] |= gain_over_gray(table, name)
    fresh = table[~by_shipped]
    n_seen = int(by_model.sum())
    return {
        "n_photos": len(table),
        "n_scenes": int(table["group"].nunique()),
        "n_seen": {"model": n_seen, "vivid": n_seen, "shipped": int(by_shipped.sum())},
        "held_out": n_seen == 0,
        **means,
        "truth": _means(table, "truth"),
        **model,
        "gain_over_gray_ci95_db": list(interval) if interval else None,
        "over_shipped": difference(fresh["model.psnr_db"], fresh["shipped.psnr_db"], fresh["group"]),
    }


def difference(
    model: "pd.Series[float]", other: "pd.Series[float] | NDArray[np.floating]", groups: "pd.Series[str]"
) -> dict[str, Any] | None:
    """How much closer to the truth a model is than another, photo by photo.

    Args:
        model, other: PSNR in dB of the same photos in the same order, (N,).
        groups: (N,), which photos show the same scene.
    Returns:
        gain_db, the mean difference; ci95_db, its interval, None for fewer than two scenes; win_rate, the share of
        photos on which the model is closer; n_photos and n_scenes. None without photos.
    """
    differences = np.asarray(model, float) - np.asarray(other, float)
    if not len(differences):
        return None
    interval = mean_ci95(differences, groups)
    return {
        "gain_db": float(differences.mean()),
        "ci95_db": list(interval) if interval else None,
        "win_rate": float((differences > 0).mean()),
        "n_photos": len(differences),
        "n_scenes": len(np.unique(np.asarray(groups))),
    }


def held_out(table: pd.DataFrame, split: str, manifest: pd.DataFrame, model: Path, bits: int) -> pd.DataFrame:
    """The rows of a table without photos that a model was trained on; of `val` those stay that only chose its epoch.

    Args:
        model: its folder, which names the photos that it has seen.
        bits: in which perceptual hashes of near copies differ at most.
    """
    seen = are_seen(_hashes(table, manifest), read_seen(model, trained_only=split == "val"), bits)
    return table[~seen].reset_index(drop=True)


def held_out_tables(
    tables: dict[str, pd.DataFrame], manifest: pd.DataFrame, model: Path, bits: int
) -> dict[str, pd.DataFrame]:
    """`held_out` of each split's table; whole where the model was trained on all of its photos."""
    found = {split: held_out(table, split, manifest, model, bits) for split, table in tables.items()}
    return {split: table if found[split].empty else found[split] for split, table in tables.items()}


def summarize_splits(
    tables: dict[str, pd.DataFrame], split: str, manifest: pd.DataFrame, model: Path, params: Params
) -> dict[str, Any]:
    """What `metrics/evaluate.json` holds: the figures of one split, which `split` names, and those of `val` below.

    `model_sha256` is that of the model's config.json, by which other programs know whether the figures are of the model
    that they find. `photos` tells sets of photos apart, and `n_left_out` counts the photos that are left out.

    Args:
        tables: as `held_out_tables` returns them.
        model: the folder of the trained model, which names the photos that it has seen.
    """
    bits, found = params.validate_.near_duplicate_bits, {}
    accepted = manifest[manifest["verdict"] == "accepted"]
    for name, table in tables.items():
        photos = _hashes(table, manifest)
        found[name] = {
            "photos": photos_id(table, manifest, params),
            "n_left_out": int((accepted["split"] == name).sum()) - len(table),
            **summarize(table, *(are_seen(photos, read_seen(folder), bits) for folder in (model, SHIPPED))),
        }
    digest = sha256_of_file(model / "config.json")
    return {"split": split, "model_sha256": digest, **found[split], "val": found["val"]}


def photos_id(table: pd.DataFrame, manifest: pd.DataFrame, params: Params) -> str:
    """Eight hex digits: figures are comparable where these are equal, as the photos and their size are the same."""
    rows = manifest.set_index("path").loc[table["path"]]
    view = f"{params.preprocess.side} {params.preprocess.fit}"
    return hashlib.sha256("\n".join([view, *sorted(rows["sha256"])]).encode()).hexdigest()[:8]


def headline(figures: dict[str, Any]) -> dict[str, float]:
    """The figures that DVC's tables of experiments show; `figures` as in `metrics/evaluate.json`.

    Names are short, because DVC prints them as headings. Those without `val` are of the test photos, and are missing
    where the test photos were not measured.
    """
    val, found = figures["val"], {}
    found["val_gain_db"] = val["gain_over_gray_db"]
    found["shipped_val_gain"] = val["shipped"]["gain_over_gray_db"]
    if figures["split"] == "test":
        found |= {
            "gain_over_gray_db": figures["gain_over_gray_db"],
            "win_rate": figures["win_rate_over_gray"],
            "psnr_db": figures["model"]["psnr_db"],
            "gray_psnr": figures["gray"]["psnr_db"],
            "ssim": figures["model"]["ssim"],
            "gray_ssim": figures["gray"]["ssim"],
        }
    return {"val_photos": val["n_photos"], **{name: round(value, DIGITS) for name, value in found.items()}}


def gains(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """PSNR of a prediction minus that of the gray photo, dB, (N,)."""
    return (table[f"{name}.psnr_db"] - table["gray.psnr_db"]).to_numpy()


def gain_over_gray(table: pd.DataFrame, name: str) -> dict[str, float]:
    """Mean gain of a prediction over gray, and on which share of the photos it is closer to the truth."""
    over_gray = gains(table, name)
    closer = table[f"{name}.ciede2000"] < table["gray.ciede2000"]
    return {
        "gain_over_gray_db": float(over_gray.mean()),
        "win_rate_over_gray": float((over_gray > 0).mean()),
        "win_rate_over_gray_ciede2000": float(closer.mean()),
    }


def _means(table: pd.DataFrame, name: str) -> dict[str, float]:
    """Means over photos of one prediction's metrics, or of the truth's."""
    columns = {key: f"{name}.{key}" for key in METRICS}
    return {key: float(table[column].mean()) for key, column in columns.items() if column in table}


def _hashes(table: pd.DataFrame, manifest: pd.DataFrame) -> NDArray[np.uint8]:
    """Hashes of the photos of a table, in its order."""
    return hashes_by_row(manifest.set_index("path").loc[table["path"]])
