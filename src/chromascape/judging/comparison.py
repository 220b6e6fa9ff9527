"""The champion measured on the test photos of today, beside the model that would take its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.training_photos import count_seen, hashes_of, read_seen
from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.judging.evaluation import Predicted, measure
from chromascape.judging.gate import compare
from chromascape.params import Params
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards

LAB, MANIFEST, TABLE = Path("data/lab"), Path("data/manifest.csv"), Path("reports/per_photo.csv")


def against_champion(folder: Path, params: Params) -> dict[str, Any]:
    """What `gate.compare` says of the evaluated model and the champion in `folder`, both in the faithful rendering.

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
    psnr = table["model.psnr_db"].to_numpy()
    found = compare(
        psnr, faithful_psnr(champion, photos, params.jobs), table["group"].to_numpy(), section.bootstrap, section.seed
    )
    test = hashes_of(read_manifest(MANIFEST), ("test",))
    return found | {"n_seen": count_seen(test, read_seen(folder), params.validate_.near_duplicate_bits)}


def faithful_psnr(champion: Colorizer, photos: Shards, jobs: int) -> NDArray[np.float64]:
    """PSNR in dB of the faithful rendering of each photo, (N,), measured as that of the model."""

    def predict(photo: NDArray[np.float32]) -> Predicted:
        return {"champion": champion.render(champion.network_lab(photo), "faithful")}

    rows = measure(photos, range(len(photos)), predict, jobs, "champion")
    return np.array([row["champion.psnr_db"] for row in rows])
