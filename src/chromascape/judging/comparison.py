"""The champion measured on the test photos of today, beside the model that would take its place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chromascape.color import lab
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.judging.evaluation import measure_photo
from chromascape.judging.gate import compare
from chromascape.parallel import in_parallel
from chromascape.params import Params
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards

LAB, MANIFEST, TABLE = Path("data/lab"), Path("data/manifest.csv"), Path("reports/per_photo.csv")


def against_champion(folder: Path, params: Params) -> dict[str, Any]:
    """What `gate.compare` says of the evaluated model and the champion, both in the faithful rendering.

    Args:
        folder: weights and configuration of the champion.
    Returns:
        Also n_seen: how many of the test photos the champion has seen.
    Raises:
        ChromascapeError: the champion's files are missing, damaged, or of a network that this code does not know; or
            the model's figures are of other photos than the Lab cache.
    """
    champion = Colorizer.load(folder, pick_device(params.train.device, "train.device"), by_torch=True)
    photos, section = Shards(LAB, ("test",)), params.evaluate
    table = pd.read_csv(TABLE, encoding_errors="surrogateescape", dtype={"path": str, "group": str})
    if table["path"].tolist() != photos.paths:
        raise ChromascapeError(f"{TABLE}: of other photos than {LAB}: run `dvc repro -f evaluate`")
    psnr = {
        "model": table["model.psnr_db"].to_numpy(),
        "champion": measure(champion, photos, params.jobs)["champion.psnr_db"].to_numpy(),
    }
    found = compare(**psnr, groups=table["group"].to_numpy(), resamples=section.bootstrap, seed=section.seed)
    test = hashes_of(read_manifest(MANIFEST), ("test",))
    return found | {"n_seen": count_seen(test, read_seen(folder), params.validate_.near_duplicate_bits)}


def measure(champion: Colorizer, photos: Shards, jobs: int) -> pd.DataFrame:
    """A row a photo: `champion.metric` for every metric, as `evaluation.evaluate` takes those of the model."""

    def tasks() -> Iterator[Any]:
        for row in range(len(photos)):
            quantised = np.ascontiguousarray(photos.read(np.array([row]))[0].transpose(1, 2, 0))
            picture = champion.network_lab(lab.dequantise(quantised))
            yield quantised, {"champion": champion.render(picture, "faithful")}

    return pd.DataFrame(list(in_parallel(measure_photo, tasks(), jobs, len(photos), "champion")))
