"""Stage `preprocess`: cache the accepted photos as Lab shards."""

from pathlib import Path

from _stage import Params, run

from chromascape.photos.footprint import check_cache_room
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import write_shards


def preprocess(params: Params) -> None:
    """From the manifest and its photos to Lab shards."""
    section = params.preprocess
    manifest = read_manifest(Path("data/manifest.csv"))
    check_cache_room(int((manifest["verdict"] == "accepted").sum()), section, params.jobs)
    write_shards(
        Path("data/lab"), Path(params.data.dir), manifest, section.side, section.fit, section.shard_mb, params.jobs
    )


if __name__ == "__main__":
    run(preprocess)
