"""The champion measured on the photos of today, beside the model that would take its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.colorizing.colorizer import Colorizer
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.judging.evaluation import Predicted, measure
from chromascape.judging.figures import difference, held_out
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
    champion = Colorizer.load(folder, pick_device(params.train.device, "train.device"), by_torch=True)
    photos, file = Shards(LAB, (split,)), TABLES[split]
    table = pd.read_csv(
        file, encoding_errors="surrogateescape", dtype={"path": str, "group": str}, keep_default_na=False
    )
    numbers = {path: number for number, path in enumerate(photos.paths)}
    if not set(table["path"]) <= numbers.keys():
        raise ChromascapeError(f"{file}: of other photos than {LAB}: run `dvc repro -f evaluate`")
    bits = params.validate_.near_duplicate_bits
    table = held_out(table, split, read_manifest(MANIFEST), folder, bits)
    rows = [numbers[path] for path in table["path"]]
    return difference(table["model.psnr_db"], faithful_psnr(champion, photos, rows, params.jobs), table["group"])


def faithful_psnr(champion: Colorizer, photos: Shards, rows: Sequence[int], jobs: int) -> NDArray[np.float64]:
    """PSNR in dB of the faithful rendering of the photos with these numbers, measured as that of the model."""

    def predict(photo: NDArray[np.float32]) -> Predicted:
        return {"champion": champion.render(champion.network_lab(photo), "faithful")}

    measured = measure(photos, rows, predict, jobs, "champion")
    return np.array([row["champion.psnr_db"] for row in measured])
