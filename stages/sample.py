"""Stage `sample`: write data/sample, and check params and data.dir before any other stage starts."""

from pathlib import Path

from _stage import Params, run

from chromascape.learning.checks import check_train
from chromascape.photos.rules import check_policy
from chromascape.photos.sample import write_sample
from chromascape.photos.source import Source


def sample(params: Params) -> None:
    """Write the sample from the packages and the folder that contain it; check the folder of photos first."""
    check_train(params.train)
    check_policy(params.validate_.policy)  # the first stage reports every mistake
    folder = Path("data/sample")
    photos = Source(params.data.dir)
    if str(photos) != str(folder):
        photos.check()
        photos.check_trackable()
    count = write_sample(folder, Path("data/sample-provenance.csv"), params.sample.max_side, Path("data/landscapes"))
    print(f"{count} files of the sample written to {folder}")


if __name__ == "__main__":
    run(sample)
