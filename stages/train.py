"""Stage `train`: train the network on the Lab shards, keep its best epoch, and measure it on the validation photos."""

from pathlib import Path

from _stage import Params, run

from chromascape.files import write_json, write_table
from chromascape.learning import results
from chromascape.learning.checks import check_train
from chromascape.learning.training import train
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import SPLITS, Shards
from chromascape.tracking import runs as tracking

MODEL = Path("models/colorizer")


def train_stage(params: Params) -> None:
    """From Lab shards to weights, their card, and their figures on the validation photos."""
    section, cache = params.train, Path("data/lab")
    check_train(section)
    photos = Shards(cache, SPLITS if section.photos == "all" else ("train",))
    val = Shards(cache, ("val",))
    manifest = read_manifest(Path("data/manifest.csv"))
    with tracking.new_run(params) as run_log:
        trained = train(photos, val, section, on_epoch=run_log.epoch)
        run_log.images_per_second(trained.images_per_second)
        colorizer = results.trained_colorizer(trained, params, val)
        table, figures = results.measure(colorizer, val, Shards(cache, ("train",)), manifest, params)
        summary = results.training_summary(trained, colorizer, len(photos), len(val), figures)
        results.save_model(MODEL, trained, colorizer, params, manifest, summary)
        write_table(results.curves(trained), Path("metrics/curves.csv"))
        write_table(table, Path("reports/per_photo_val.csv"))
        write_json(summary, Path("metrics/train.json"))
        run_log.figures(figures, "val")
        run_log.trained(MODEL / "weights.safetensors")
    losses = f"val loss {summary['val_loss']:.4f}, gray's {summary['gray_val_loss']:.4f}"
    print(f"best epoch {trained.best_epoch}: {losses}")


if __name__ == "__main__":
    run(train_stage)
