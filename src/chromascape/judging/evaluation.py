"""Figures of a model on test photos, photo by photo, always beside those of gray and of a mean color."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
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
from chromascape.judging.damaged import PREFIX, gains_by_damage
from chromascape.judging.figures import gains
from chromascape.judging.stored import one_thread, stored_model, stored_of, stored_photos
from chromascape.parallel import Jobs, ProgressBar, in_parallel
from chromascape.photos.shards import Shards
from chromascape.resume import Journal, photos_fingerprint

Row = tuple[str, int]  # split and number of a photo
Measured = Callable[[Sequence[Row]], Iterator[dict[str, float]]]
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


def evaluate_splits(
    model: Path,
    device: str,
    lab_folder: Path,
    manifest: pd.DataFrame,
    splits: Iterable[str],
    jobs: Jobs,
    kept: Path | None = None,
    damaged: str | None = None,
) -> dict[str, pd.DataFrame]:
    """What `evaluate` finds on the photos of each split.

    On the CPU, `jobs` predict too, each process with one thread, so that their number changes no digit. A GPU is used
    by this process alone, and `jobs` measure.

    Args:
        model: the folder of the trained model.
        kept: a folder for what an interrupted evaluation has measured.
        damaged: the split whose photos are measured under each damage too.
    """
    mean_color = cache(lambda: mean_ab(Shards(lab_folder, ("train",))))
    photos = {split: Shards(lab_folder, (split,)) for split in splits}
    if device == "cpu":
        measured: Measured = partial(in_workers, model, lab_folder, mean_color, jobs, damaged=damaged)
    else:
        colorizer, shipped = (Colorizer.load(folder, device, by_torch=True) for folder in (model, SHIPPED))
        measured = partial(predicted_here, colorizer, shipped, photos, mean_color, jobs, damaged=damaged)
    return evaluate(measured, photos, manifest, kept)


def evaluate(
    measured: Measured, photos: dict[str, Shards], manifest: pd.DataFrame, kept: Path | None = None
) -> dict[str, pd.DataFrame]:
    """A row a photo of each split: path, group, `prediction.metric` for every prediction and metric of METRICS, and
    `truth.metric` for those that describe a picture alone.

    RGB metrics are taken on 8-bit sRGB, after colors were fitted into it.

    Args:
        measured: gives what is measured of photos, see `in_workers`; it is not called if no photo is left.
        photos: of each split.
        manifest: whose columns path and group tell which photos show the same scene.
        kept: a folder for the rows that an interrupted evaluation has measured; new ones are added.
    """
    with ExitStack() as stack:
        journals = {
            split: stack.enter_context(closing(Journal(kept and kept / f"{split}.jsonl", "evaluation")))
            for split in photos
        }
        rows = {split: dict(journal.entries) for split, journal in journals.items()}
        todo = [
            (split, row) for split in photos for row, path in enumerate(photos[split].paths) if path not in rows[split]
        ]
        for (split, row), figures in zip(todo, measured(todo) if todo else (), strict=True):
            path = photos[split].paths[row]
            journals[split].add(path, figures)
            rows[split][path] = figures
    return {
        split: _table([rows[split][path] for path in photos[split].paths], photos[split], manifest) for split in rows
    }


def _table(rows: list[dict[str, float]], photos: Shards, manifest: pd.DataFrame) -> pd.DataFrame:
    """The figures of the photos with their paths and groups."""
    table = pd.DataFrame(rows)
    groups = dict(zip(manifest["path"], manifest["group"], strict=True))
    table.insert(0, "path", pd.Series(photos.paths, dtype=object))  # names may hold bytes that are not UTF-8
    table.insert(1, "group", pd.Series([groups[path] for path in photos.paths], dtype=object))
    return table


def in_workers(
    model: Path,
    lab_folder: Path,
    mean_color: Callable[[], NDArray[np.floating]],
    jobs: Jobs,
    rows: Sequence[Row],
    damaged: str | None = None,
) -> Iterator[dict[str, float]]:
    """What is measured of each of the photos, predicted by the CPUs of the workers.

    Args:
        model: the folder of the trained model: predictions `model`, its faithful rendering, and `vivid`. The model
            that comes with the package gives `shipped`, in its faithful rendering.
        mean_color: gives a* and b*, (2,), of the prediction `mean_ab`.
        damaged: a split for whose photos `damage.NAME` is added for every entry of `photos.damage.FIXED`, see
            `judging.damaged.gains_by_damage`.
    """
    stored = stored_of(model, lab_folder)
    color = mean_color()
    tasks = ((*stored, split, row, color, split == damaged) for split, row in rows)
    return in_parallel(_evaluated, tasks, jobs, len(rows), "evaluate")


def predicted_here(
    colorizer: Colorizer,
    shipped: Colorizer,
    photos: dict[str, Shards],
    mean_color: Callable[[], NDArray[np.floating]],
    jobs: Jobs,
    rows: Sequence[Row],
    damaged: str | None = None,
) -> Iterator[dict[str, float]]:
    """As `in_workers`, predicted by these models in this process."""
    predict = partial(_predictions, colorizer, shipped, mean_color())
    here = jobs if isinstance(jobs, int) else jobs.jobs  # predictions are too large to be sent to a cluster
    found = measure(photos, rows, predict, here, "evaluate")
    for (split, row), figures in zip(rows, found, strict=True):
        if split == damaged:
            figures |= _damage_figures(colorizer, photos[split].photo(row))
        yield figures


def _evaluated(
    model: Path, model_digest: str, lab_folder: Path, lab_digest: str, split: str, row: int,
    mean_color: NDArray[np.floating], damaged: bool,
) -> dict[str, float]:  # fmt: skip
    """What is measured of a photo; runs in worker processes, on the CPU."""
    with one_thread():
        colorizer, shipped = stored_model(model, model_digest), stored_model(SHIPPED)
        quantised = stored_photos(lab_folder, lab_digest, split).photo(row)
        figures = measure_photo(quantised, _predictions(colorizer, shipped, mean_color, lab.dequantise(quantised)))
        return figures | (_damage_figures(colorizer, quantised) if damaged else {})


def _damage_figures(colorizer: Colorizer, quantised: NDArray[np.uint8]) -> dict[str, float]:
    """Columns of the table for a photo (H, W, 3)."""
    gains = gains_by_damage(colorizer, np.ascontiguousarray(quantised.transpose(2, 0, 1)))
    return {f"{PREFIX}{label}": gain for label, gain in gains.items()}


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
    photos: dict[str, Shards],
    rows: Sequence[Row],
    predict: Callable[[NDArray[np.float32]], Predicted],
    jobs: Jobs,
    title: str,
) -> Iterator[dict[str, float]]:
    """What `measure_photo` finds of each of the photos; `predict` takes the true Lab (H, W, 3), in this process."""

    def tasks() -> Iterator[Any]:
        for split, row in rows:
            quantised = photos[split].photo(row)
            yield quantised, predict(lab.dequantise(quantised))

    yield from in_parallel(measure_photo, tasks(), jobs, len(rows), title)


def evaluation_fingerprint(
    model: Path, lab_folder: Path, manifest: Path, device: str, damaged: str | None = None
) -> str:
    """What the tables of `evaluate_splits` follow from, as 16 hex digits."""
    files = (model / CONFIG, SHIPPED / CONFIG, lab_folder / "index.json", manifest)
    digests = [sha256_of_file(file) for file in files]
    return photos_fingerprint(Path(__file__), files=digests, torch=version("torch"), device=device, damaged=damaged)


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
        predicted = np.ascontiguousarray(predicted)  # as a worker process receives it: see `Shards.photo`
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
