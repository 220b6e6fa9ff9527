"""Figures of a model on test photos, photo by photo, always beside those of gray and of a mean color."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.color import lab, metrics
from chromascape.colorizing.colorizer import Colorizer
from chromascape.parallel import in_parallel
from chromascape.photos.shards import Shards

PREDICTIONS = ("model", "vivid", "shipped", "gray", "mean_ab")
METRICS = ("psnr_db", "ssim", "ciede2000", "colorfulness", "loss_mse_l1")


def mean_ab(photos: Shards) -> NDArray[np.float32]:
    """Mean a* and b* over all pixels of all photos, (2,): the best single color to guess."""
    total = sum(np.asarray(array[:, 1:]).sum(axis=(0, 2, 3), dtype=np.uint64) for array in photos.arrays)
    pixels = len(photos) * photos.side**2
    return (np.asarray(total, dtype=np.float64) / pixels - lab.NEUTRAL).astype(np.float32)


def evaluate(colorizer: Colorizer, shipped: Colorizer, photos: Shards, train_photos: Shards, jobs: int) -> pd.DataFrame:
    """A row a photo: path, and `prediction.metric` for every prediction and metric, and `truth.colorfulness`.

    Units: psnr_db in dB, ssim -1..1, ciede2000 in color differences, colorfulness as Hasler and Süsstrunk's M3,
    loss_mse_l1 the assignment's MSE + L1 on ab scaled to 0..1. All but the loss are taken on 8-bit sRGB, after
    colors were fitted into it.

    Args:
        colorizer: the trained model: predictions `model`, its faithful rendering, and `vivid`.
        shipped: the model that comes with the package.
        photos: to measure on.
        train_photos: whose mean color is the prediction `mean_ab`.
        jobs: worker processes, 0 for one a core.
    """
    color = mean_ab(train_photos)

    def tasks() -> Iterator[Any]:
        for row in range(len(photos)):
            quantised = photos.read(np.array([row]))[0].transpose(1, 2, 0)
            photo = lab.dequantise(quantised)
            picture, lightness = colorizer.network_lab(photo), photo[..., 0]
            predictions = {
                "model": colorizer.render(picture, "faithful"),
                "vivid": colorizer.render(picture, "vivid"),
                "shipped": shipped.render(shipped.network_lab(photo), "faithful"),
                "gray": lab.join(lightness, np.zeros_like(photo[..., 1:])),
                "mean_ab": lab.join(lightness, np.broadcast_to(color, photo[..., 1:].shape)),
            }
            yield quantised, predictions

    table = pd.DataFrame(list(in_parallel(_measure, tasks(), jobs, len(photos), "evaluate")))
    table.insert(0, "path", pd.Series(photos.paths, dtype=object))  # names may hold bytes that are not UTF-8
    return table


def predicted_rgb(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A predicted Lab picture (H, W, 3) as sRGB can show it, uint8 (H, W, 3)."""
    return lab.lab_to_rgb(lab.fit_to_srgb(picture))


def _measure(quantised: NDArray[np.uint8], predictions: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    """All metrics of one photo; runs in worker processes.

    Args:
        quantised: the true photo as quantised Lab (H, W, 3).
        predictions: predicted Lab (H, W, 3) by name.
    """
    true_lab = lab.dequantise(quantised)
    true_rgb = lab.lab_to_rgb(true_lab)
    row: dict[str, float] = {}
    for name, picture in predictions.items():
        rgb = predicted_rgb(picture)
        error = lab.scale_ab(picture[..., 1:]) - lab.scale_ab(true_lab[..., 1:])
        row |= {
            f"{name}.psnr_db": metrics.psnr_db(true_rgb, rgb),
            f"{name}.ssim": metrics.ssim(true_rgb, rgb),
            f"{name}.ciede2000": metrics.ciede2000(lab.rgb_to_lab(true_rgb), lab.rgb_to_lab(rgb)),
            f"{name}.colorfulness": metrics.colorfulness(rgb),
            f"{name}.loss_mse_l1": float(np.mean(error**2) + np.mean(np.abs(error))),
        }
    return row | {"truth.colorfulness": metrics.colorfulness(true_rgb)}


def summarize(table: pd.DataFrame, resamples: int, seed: int, held_out: bool) -> dict[str, Any]:
    """Means over photos for `metrics/evaluate.json`, and how much is gained over gray.

    Args:
        table: what `evaluate` returns.
        resamples, seed: of the bootstrap.
        held_out: False where the model was trained on these photos.
    """
    gain = (table["model.psnr_db"] - table["gray.psnr_db"]).to_numpy()
    closer = table["model.ciede2000"] < table["gray.ciede2000"]
    interval = metrics.bootstrap_ci95(gain, resamples, seed)
    return {
        "n_photos": len(table),
        "held_out": held_out,
        **{name: _means(table, name) for name in PREDICTIONS},
        "truth": {"colorfulness": float(table["truth.colorfulness"].mean())},
        "gain_over_gray_db": float(gain.mean()),
        "gain_over_gray_ci95_db": list(interval) if interval else None,
        "win_rate_over_gray": float((gain > 0).mean()),
        "win_rate_over_gray_ciede2000": float(closer.mean()),
    }


def _means(table: pd.DataFrame, name: str) -> dict[str, float]:
    """Means over photos of one prediction's metrics; of the vivid and the shipped one its own gain over gray too."""
    means = {metric: float(table[f"{name}.{metric}"].mean()) for metric in METRICS}
    if name not in ("vivid", "shipped"):  # the model's own gain stands beside its figures, with its interval
        return means
    gain = table[f"{name}.psnr_db"] - table["gray.psnr_db"]
    closer = table[f"{name}.ciede2000"] < table["gray.ciede2000"]
    return means | {
        "gain_over_gray_db": float(gain.mean()),
        "win_rate_over_gray": float((gain > 0).mean()),
        "win_rate_over_gray_ciede2000": float(closer.mean()),
    }


def gain_histogram(table: pd.DataFrame, width: float = 0.5) -> pd.DataFrame:
    """Photos by gain over gray: columns gain_db (middle of a bin `width` dB wide) and photos."""
    gain = (table["model.psnr_db"] - table["gray.psnr_db"]).to_numpy()
    bins = np.floor(gain / width).astype(int)
    numbers = np.arange(bins.min(), bins.max() + 1)
    return pd.DataFrame({"gain_db": (numbers + 0.5) * width, "photos": np.bincount(bins - bins.min())})


def pick_rows(table: pd.DataFrame, count: int, seed: int) -> dict[str, list[int]]:
    """Row numbers of the photos that the report shows: by gain over gray, and a fixed random sample."""
    gain = (table["model.psnr_db"] - table["gray.psnr_db"]).to_numpy()
    order = np.argsort(-gain, kind="stable").tolist()
    count = min(count, len(order))
    middle = (len(order) - count) // 2
    chosen = np.random.default_rng(seed).choice(len(order), count, replace=False)
    return {
        "Best": order[:count],
        "Median": order[middle : middle + count],
        "Worst": order[::-1][:count],
        "Random": sorted(chosen.tolist()),
    }
