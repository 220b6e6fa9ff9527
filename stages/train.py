"""Stage `train`: train the network on the Lab shards, keep its best epoch, and measure it on the validation photos."""

import sys
from pathlib import Path

from _stage import Params, run

from chromascape.disk import check_disk
from chromascape.files import write_json, write_table
from chromascape.learning import results
from chromascape.learning.checkpoints import needed_bytes, open_checkpoints
from chromascape.learning.checks import check_train
from chromascape.learning.training import train
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import SPLITS, Shards
from chromascape.resume import repository_root
from chromascape.tracking import runs as tracking

MODEL = Path("models/colorizer")


def train_stage(params: Params) -> None:
    """From Lab shards to weights, their card, and their figures on the validation photos."""
    section, cache = params.train, Path("data/lab")
    check_train(section)
    remedy = f"free some, or choose a smaller train.network ({section.network})"
    check_disk(repository_root(), needed_bytes(section, repository_root()), "checkpoints", remedy)
    train_photos = Shards(cache, ("train",))
    photos = Shards(cache, SPLITS) if section.photos == "all" else train_photos
    val = Shards(cache, ("val",))
    manifest = read_manifest(Path("data/manifest.csv"))
    with (
        open_checkpoints(section, cache, repository_root()) as checkpoints,
        tracking.new_run(params, checkpoints.run_id if checkpoints else "") as run_log,
    ):
        if checkpoints:
            checkpoints.remember_run(run_log.run_id)

        def on_epoch(row: dict[str, float]) -> None:
            run_log.epoch(row)
            if not sys.stderr.isatty():  # on a terminal there are progress bars
                print(f"epoch {row['epoch']:.0f}/{section.epochs}: {losses(row)}", flush=True)

        trained = train(photos, val, section, on_epoch, checkpoints)
        run_log.images_per_second(trained.images_per_second)
        colorizer = results.trained_colorizer(trained, params, val)
        table, figures = results.measure(colorizer, val, train_photos, manifest, params)
        summary = results.training_summary(trained, colorizer, len(photos), len(val), figures)
        results.save_model(MODEL, trained, colorizer, params, manifest, summary)
        write_table(results.curves(trained), Path("metrics/curves.csv"))
        write_table(table, Path("reports/per_photo_val.csv"))
        write_json(summary, Path("metrics/train.json"))
        write_json(results.headline(summary), Path("metrics/headline/train.json"))
        run_log.figures(figures, "val")
        run_log.trained(MODEL / "weights.safetensors")
    print(f"best epoch {trained.best_epoch}: {losses(summary)}")


def losses(row: dict[str, float]) -> str:
    """The losses of an epoch in words."""
    return ", ".join(
        f"{words} {row[name]:.4f}"
        for words, name in {"train loss": "train_loss", "val loss": "val_loss", "gray's": "gray_val_loss"}.items()
    )


if __name__ == "__main__":
    run(train_stage)
