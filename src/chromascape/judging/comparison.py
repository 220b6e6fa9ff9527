"""The champion measured on the photos of today, beside the model that would take its place."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.judging.evaluation import Predicted, Row, measure, measure_photo
from chromascape.judging.figures import difference, held_out
from chromascape.judging.stored import one_thread, stored_model, stored_of, stored_photos
from chromascape.parallel import Jobs, in_parallel
from chromascape.params import Params
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards

LAB, MANIFEST = Path("data/lab"), Path("data/manifest.csv")
TABLES = {"test": Path("reports/per_photo.csv"), "val": Path("reports/per_photo_val.csv")}


def against_champion(folder: Path, params: Params, split: str) -> dict[str, Any] | None:
    """What `figures.difference` says of the evaluated model and the champion in `folder`, in the faithful rendering.

    Photos that the champion was trained on are left out; None where no other is left.

    Args:
        split: val or test.
    Raises:
        ChromascapeError: the champion's files are missing, damaged, or of a network that this code does not know; or
            the model's figures are of other photos than the Lab cache.
    """
    device = pick_device(params.train.device, "train.device")
    photos, file = Shards(LAB, (split,)), TABLES[split]
    table = pd.read_csv(
        file, encoding_errors="surrogateescape", dtype={"path": str, "group": str}, keep_default_na=False
    )
    numbers = {path: number for number, path in enumerate(photos.paths)}
    if not set(table["path"]) <= numbers.keys():
        raise ChromascapeError(f"{file}: of other photos than {LAB}: run `dvc repro -f evaluate`")
    bits = params.validate_.near_duplicate_bits
    table = held_out(table, split, read_manifest(MANIFEST), folder, bits)
    rows = [(split, numbers[path]) for path in table["path"]]
    return difference(table["model.psnr_db"], faithful_psnr(folder, device, rows, params.jobs), table["group"])


def faithful_psnr(folder: Path, device: str, rows: Sequence[Row], jobs: Jobs) -> NDArray[np.float64]:
    """PSNR in dB of a model's faithful rendering of these photos, measured as that of the evaluated model.

    Raises:
        ChromascapeError: the model's files are missing or damaged.
    """
    if device == "cpu":
        stored = stored_of(folder, LAB)
        found = in_parallel(_faithful, ((*stored, *row) for row in rows), jobs, len(rows), "champion")
    else:
        champion = Colorizer.load(folder, device, by_torch=True)
        photos = {split: Shards(LAB, (split,)) for split, _ in rows}
        found = measure(photos, rows, partial(_prediction, champion), jobs, "champion")
    return np.array([row["champion.psnr_db"] for row in found])


def _faithful(
    model: Path, model_digest: str, lab_folder: Path, lab_digest: str, split: str, row: int
) -> dict[str, float]:
    """What is measured of a photo; runs in worker processes, on the CPU."""
    with one_thread():
        quantised = stored_photos(lab_folder, lab_digest, split).photo(row)
        return measure_photo(quantised, _prediction(stored_model(model, model_digest), lab.dequantise(quantised)))


def _prediction(champion: Colorizer, photo: NDArray[np.float32]) -> Predicted:
    return {"champion": champion.render(champion.network_lab(photo), "faithful")}
