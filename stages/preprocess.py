"""Stage `preprocess`: cache the accepted photos as Lab shards."""

from pathlib import Path

from _stage import Params, run

from chromascape.disk import check_shards
from chromascape.engine import opened
from chromascape.files import repository_root
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import fingerprint, write_shards
from chromascape.photos.source import Source
from chromascape.resume import open_folder


def preprocess(params: Params) -> None:
    """From the manifest and its photos to Lab shards."""
    photos, manifest, section = Source(params.data.dir), read_manifest(Path("data/manifest.csv")), params.preprocess
    side, fit, shard_mb = section.side, section.fit, section.shard_mb
    check_shards(int((manifest["verdict"] == "accepted").sum()), side, repository_root())
    identity = fingerprint(manifest, side, fit, shard_mb)
    with opened(params.engine, params.jobs) as jobs, open_folder(repository_root(), "preprocess", identity) as kept:
        write_shards(Path("data/lab"), photos, manifest, side, fit, shard_mb, jobs, kept)


if __name__ == "__main__":
    run(preprocess)
