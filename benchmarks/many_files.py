"""Whether `validate` and `preprocess` cost the same for each photo, however many there are.

    python benchmarks/many_files.py 10000 30000 100000                  # about ten minutes of CPU
    python benchmarks/many_files.py --parts set 10000 30000 100000      # about two: no photos are decoded

Prints CPU milliseconds per photo, of this process and its workers, for each part: a row should be flat. The last row is
the most memory that the process has taken so far. The photos are small and unlike each other, so that the work on all
photos together shows: names, journal, near copies, scenes, rules, pages, shards.
"""

import argparse
import cProfile
import io
import pstats
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from PIL import Image

from chromascape.params import Params
from chromascape.photos import inspection, likeness, shards, validation
from chromascape.photos.gallery import render_gallery
from chromascape.photos.manifest import read_manifest, summarize, write_manifest

SIDE = 48  # pixels of the photos
FEW = 64  # photos whose facts are repeated where none are read
DEFAULTS = Params()
VALIDATE = DEFAULTS.validate_.model_copy(update={"min_side": 32, "seconds": 0})


def jpeg(number: int) -> bytes:
    """A small colorful photo, unlike those of other numbers."""
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def name(number: int) -> str:
    """A path in a folder of a thousand photos."""
    return f"{number // 1000:04}/{number:07}.jpg"


def make_folder(folder: Path, count: int) -> None:
    """Write as many photos."""
    for number in range(count):
        path = folder / name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))


def drawn_facts(count: int) -> pd.DataFrame:
    """What `inspect_folder` returns for as many photos: a few photos' facts, with hashes drawn for each."""
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder), FEW)
        few = inspection.inspect_folder(Path(folder), VALIDATE, 1)
    table = few.loc[np.resize(few.index, count)].reset_index(drop=True)
    numbers = np.random.default_rng(0).integers(0, 2**64, (count, 5), np.uint64).tolist()
    described = np.random.default_rng(1).permuted(np.resize(few["likeness"], count))
    return table.assign(
        path=[name(number) for number in range(count)],
        phash=[f"{row[0]:016x}" for row in numbers],
        sha256=["".join(f"{part:016x}" for part in row[1:]) for row in numbers],
        likeness=described,
    )


class Meter:
    """CPU milliseconds per photo, by part."""

    def __init__(self, count: int, profile: bool):
        self.count, self.profile = count, profile
        self.found: dict[str, float] = {}

    def run(self, part: str, function: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The function's result; its cost is added to the part's."""
        profiler = cProfile.Profile()
        begun = _spent()
        result = profiler.runcall(function) if self.profile else function()
        self.found[part] = 1000 * (_spent() - begun) / self.count
        if self.profile:
            print(f"{part}, {self.count:,} photos")
            pstats.Stats(profiler).sort_stats("cumtime").print_stats(25)
        return result


def _spent() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(count: int, read: bool, jobs: int, profile: bool) -> dict[str, float]:
    """The cost of each part; those that read photos only if `read`."""
    meter = Meter(count, profile)
    with tempfile.TemporaryDirectory() as place:
        photos, kept, docs = (Path(place) / part for part in ("photos", "kept", "docs"))
        kept.mkdir()
        photos.mkdir()
        if read:
            make_folder(photos, count)
            facts = meter.run("validate: read", lambda: inspection.inspect_folder(photos, VALIDATE, jobs, kept))
        else:
            drawn = drawn_facts(count)
            rows = drawn.astype(object).where(drawn.notna(), None).to_dict("records")
            facts_of = dict(zip(drawn["path"], rows, strict=True))
            for path in facts_of:
                (photos / path).parent.mkdir(exist_ok=True)
                (photos / path).touch()
            with patch.object(inspection, "inspect", lambda _, path, *__: facts_of[path]):
                facts = meter.run(
                    "validate: names, journal", lambda: inspection.inspect_folder(photos, VALIDATE, 1, kept)
                )

        def judge() -> pd.DataFrame:
            with patch.object(inspection, "inspect_folder", lambda *_: facts):
                return validation.validate_folder(photos, DEFAULTS.data, VALIDATE, docs, jobs)[0]

        manifest = meter.run("validate: rules, scenes, splits", judge)
        accepted = int((manifest["verdict"] == "accepted").sum())
        assert accepted == count, f"{count - accepted:,} photos rejected: {summarize(manifest)}"

        def tables() -> pd.DataFrame:
            write_manifest(manifest, Path(place) / "manifest.csv")
            summarize(manifest)
            likeness.running_note(manifest)
            return read_manifest(Path(place) / "manifest.csv")

        table = meter.run("validate: manifest", tables)
        lab = Path(place) / "lab"
        if read:
            meter.run("validate: page", lambda: render_gallery(manifest, photos, VALIDATE, None, jobs))
            meter.run("preprocess", lambda: shards.write_shards(lab, photos, table, 32, "crop", 48, jobs))
        else:
            used = manifest[["likeness", "split"]]
            meter.run("validate: page", lambda: likeness.most_alike(used["likeness"], used["split"], 12))
            blank = np.zeros((3, 32, 32), np.uint8)
            with patch.object(shards, "_convert", lambda *_: blank):
                meter.run("preprocess: shards", lambda: shards.write_shards(lab, photos, table, 32, "crop", 48, 1))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1000)
    return meter.found | {"most memory so far, MB in all": peak}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="*", default=[10_000, 30_000, 100_000])
    parser.add_argument("--parts", choices=["all", "set"], default="all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    columns = [measure(count, options.parts == "all", options.jobs, options.profile) for count in options.counts]
    print("| CPU ms per photo | " + " | ".join(f"{count:,}" for count in options.counts) + " |")
    print("|---|" + "---:|" * len(columns))
    for part in columns[0]:
        print(f"| {part} | " + " | ".join(f"{column[part]:.3f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
