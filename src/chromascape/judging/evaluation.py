"""Figures of a model on test photos, photo by photo, always beside those of gray and of a mean color."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.color.metrics import METRICS, Picture
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.model_files import CONFIG
from chromascape.files import sha256_of_file
from chromascape.judging.figures import gains
from chromascape.parallel import ProgressBar, in_parallel
from chromascape.photos.shards import Shards
from chromascape.resume import Journal, photos_fingerprint

Predicted = dict[str, NDArray[np.float32]]  # Lab (H, W, 3) by the name of the prediction


def mean_ab(photos: Shards) -> NDArray[np.float32]:
    """Mean a* and b* over all pixels of all photos, (2,): the best single color to guess."""
    total = np.zeros(2, np.uint64)
    with ProgressBar(len(photos), "mean color") as bar:
        for array in photos.arrays:
            total += np.asarray(array[:, 1:]).sum(axis=(0, 2, 3), dtype=np.uint64)
            bar.add(len(array))
    pixels = len(photos) * photos.side**2
    return (total.astype(np.float64) / pixels - lab.NEUTRAL).astype(np.float32)


def evaluate(
    colorizer: Colorizer,
    shipped: Colorizer,
    photos: Shards,
    mean_color: Callable[[], NDArray[np.floating]],
    manifest: pd.DataFrame,
    jobs: int,
    journal: Journal | None = None,
) -> pd.DataFrame:
    """A row a photo: path, group, `prediction.metric` for every prediction and metric of METRICS, and `truth.metric`
    for those that describe a picture alone.

    RGB metrics are taken on 8-bit sRGB, after colors were fitted into it.

    Args:
        colorizer: the trained model: predictions `model`, its faithful rendering, and `vivid`.
        shipped: the model that comes with the package, in its faithful rendering.
        mean_color: gives a* and b*, (2,), of the prediction `mean_ab`; called only if a photo is left to measure.
        manifest: whose columns path and group tell which photos show the same scene.
        journal: rows that an interrupted evaluation has measured, by path; new ones are added.
    """
    journal = journal or Journal(None, "evaluation")
    todo = [row for row, path in enumerate(photos.paths) if path not in journal.entries]
    measured = dict(journal.entries)
    predict = partial(_predictions, colorizer, shipped, mean_color() if todo else np.zeros(2))
    for row, figures in zip(todo, measure(photos, todo, predict, jobs, "evaluate"), strict=True):
        journal.add(photos.paths[row], figures)
        measured[photos.paths[row]] = figures
    table = pd.DataFrame([measured[path] for path in photos.paths])
    groups = dict(zip(manifest["path"], manifest["group"], strict=True))
    table.insert(0, "path", pd.Series(photos.paths, dtype=object))  # names may hold bytes that are not UTF-8
    table.insert(1, "group", pd.Series([groups[path] for path in photos.paths], dtype=object))
    return table


def _predictions(
    colorizer: Colorizer, shipped: Colorizer, mean_color: NDArray[np.floating], photo: NDArray[np.float32]
) -> Predicted:
    """The predictions for a photo, each Lab (H, W, 3), by name."""
    picture, lightness = colorizer.network_lab(photo), photo[..., 0]
    return {
        "model": colorizer.render(picture, "faithful"),
        "vivid": colorizer.render(picture, "vivid"),
        "shipped": shipped.render(shipped.network_lab(photo), "faithful"),
        "gray": lab.join(lightness, np.zeros_like(photo[..., 1:])),
        "mean_ab": lab.join(lightness, np.broadcast_to(mean_color, photo[..., 1:].shape)),
    }


def measure(
    photos: Shards, rows: Sequence[int], predict: Callable[[NDArray[np.float32]], Predicted], jobs: int, title: str
) -> Iterator[dict[str, float]]:
    """What `measure_photo` finds of each of the photos with these numbers; `predict` takes the true Lab (H, W, 3)."""

    def tasks() -> Iterator[Any]:
        for row in rows:
            # Contiguous, as a worker receives it: sums in another order have other low bits.
            quantised = np.ascontiguousarray(photos.read(np.array([row]))[0].transpose(1, 2, 0))
            yield quantised, predict(lab.dequantise(quantised))

    yield from in_parallel(measure_photo, tasks(), jobs, len(rows), title)


def evaluate_splits(
    colorizer: Colorizer,
    shipped: Colorizer,
    lab_folder: Path,
    manifest: pd.DataFrame,
    splits: Iterable[str],
    jobs: int,
    kept: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """What `evaluate` finds on the photos of each split; `kept` is a folder for what an interrupted one measured."""
    mean_color = cache(lambda: mean_ab(Shards(lab_folder, ("train",))))
    tables = {}
    for split in splits:
        photos = Shards(lab_folder, (split,))
        with closing(Journal(kept and kept / f"{split}.jsonl", "evaluation")) as journal:
            tables[split] = evaluate(colorizer, shipped, photos, mean_color, manifest, jobs, journal)
    return tables


def evaluation_fingerprint(model: Path, lab_folder: Path, manifest: Path, device: str) -> str:
    """What the tables of `evaluate_splits` follow from, as 16 hex digits."""
    files = (model / CONFIG, SHIPPED / CONFIG, lab_folder / "index.json", manifest)
    digests = [sha256_of_file(file) for file in files]
    return photos_fingerprint(Path(__file__), files=digests, torch=version("torch"), device=device)


def predicted_rgb(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A predicted Lab picture (H, W, 3) as sRGB can show it, uint8 (H, W, 3)."""
    return lab.lab_to_rgb(lab.fit_to_srgb(picture))


def measure_photo(quantised: NDArray[np.uint8], predictions: Predicted) -> dict[str, float]:
    """All metrics of one photo; runs in worker processes.

    Args:
        quantised: the true photo as quantised Lab (H, W, 3).
        predictions: predicted Lab (H, W, 3) by name.
    """
    true_lab = lab.dequantise(quantised)
    truth = Picture(true_lab, lab.lab_to_rgb(true_lab))
    row: dict[str, float] = {}
    for name, predicted in predictions.items():
        picture = Picture(predicted, predicted_rgb(predicted))
        row |= {f"{name}.{key}": metric.of(truth, picture) for key, metric in METRICS.items()}
    alone = {key: metric for key, metric in METRICS.items() if metric.direction == "neither"}
    return row | {f"truth.{key}": metric.of(truth, truth) for key, metric in alone.items()}


def gain_histogram(table: pd.DataFrame, width: float = 0.5) -> pd.DataFrame:
    """Photos by gain over gray: columns gain_db (middle of a bin `width` dB wide) and photos."""
    gain = gains(table, "model")
    bins = np.floor(gain / width).astype(int)
    numbers = np.arange(bins.min(), bins.max() + 1)
    return pd.DataFrame({"gain_db": (numbers + 0.5) * width, "photos": np.bincount(bins - bins.min())})


def fixed_rows(n_photos: int, count: int, seed: int) -> list[int]:
    """Row numbers of a random sample that is the same for every model measured on these photos."""
    return sorted(np.random.default_rng(seed).choice(n_photos, min(count, n_photos), replace=False).tolist())


def pick_rows(table: pd.DataFrame, count: int, seed: int) -> dict[str, list[int]]:
    """Row numbers of the photos that the report shows, each once: all of few, from the highest gain over gray to the
    lowest; of many the fixed random sample, and of the others those with the highest, middle and lowest gain.
    """
    gain = gains(table, "model")
    order = np.argsort(-gain, kind="stable").tolist()
    if len(order) <= 4 * count:
        return {"All": order}
    fixed = fixed_rows(len(order), count, seed)
    left = [row for row in order if row not in fixed]
    middle = (len(left) - count) // 2
    return {
        "Random": fixed,
        "Best": left[:count],
        "Median": left[middle : middle + count],
        "Worst": left[::-1][:count],
    }
