"""Stage `train`: train the network on the Lab shards and keep its best epoch."""

import sys
from contextlib import nullcontext
from pathlib import Path

from _stage import Params, run

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.devices import pick_device
from chromascape.disk import check_disk
from chromascape.files import repository_root, write_json, write_table
from chromascape.learning import results
from chromascape.learning.checkpoints import fingerprint, needed_bytes, open_checkpoints
from chromascape.learning.checks import check_train
from chromascape.learning.precision import choose
from chromascape.learning.ranks import check_devices, helps, joined
from chromascape.learning.training import train
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import SPLITS, Shards
from chromascape.resume import tell
from chromascape.tracking.stream import stream_training

MODEL, LAB, MANIFEST = Path("models/colorizer"), Path("data/lab"), Path("data/manifest.csv")


def train_stage(params: Params) -> None:
    """From Lab shards to weights, their card, and the curves of the training."""
    section = params.train
    check_train(section)
    check_devices(section)
    if helps():  # process 0 does the rest
        with joined(section, []) as ranks:
            train(*_photos(section.photos), section, precision="float32", ranks=ranks)
        return
    remedy = f"free some, or choose a smaller train.network ({section.network})"
    check_disk(repository_root(), needed_bytes(section, repository_root()), "checkpoints", remedy)
    photos, val = _photos(section.photos)
    precision, why = choose(section, photos.side, LAB, repository_root())
    tell(f"training in {precision}, {why}")
    identity = fingerprint(section, LAB, precision)
    with (
        open_checkpoints(section, identity, repository_root()) as checkpoints,
        # Without checkpoints another process may stream the same training: its run arrives whole all the same.
        stream_training(params, identity) if checkpoints else nullcontext() as stream,
        joined(section, [sys.executable, __file__]) as ranks,
    ):

        def on_epoch(row: dict[str, float]) -> None:
            if stream:
                stream.epoch(row)
            if not sys.stderr.isatty():  # on a terminal there are progress bars
                print(f"epoch {row['epoch']:.0f}/{section.epochs}: {figures(row)}", flush=True)

        trained = train(photos, val, section, on_epoch, checkpoints, precision, ranks)
        if stream:
            stream.metrics({"train/images_per_second": trained.images_per_second})
        colorizer = results.trained_colorizer(trained, params, val)
        shipped = Colorizer.load(SHIPPED, pick_device(section.device, "train.device"), by_torch=True)
        psnr = results.val_psnr(colorizer, val, shipped)
        summary = results.training_summary(trained, colorizer, len(photos), len(val), psnr, identity, section.choose_by)
        results.save_model(MODEL, trained, colorizer, params, read_manifest(MANIFEST), summary, val)
        write_table(results.curves(trained), Path("metrics/curves.csv"))
        write_json(summary, Path("metrics/train.json"))
        write_json(results.headline(summary), Path("metrics/headline/train.json"))
    print(f"best epoch {trained.best_epoch}: {figures(trained.history[trained.best_epoch - 1])}")


def _photos(wanted: str) -> tuple[Shards, Shards]:
    """Those to train on, as `train.photos` says, and those to choose the epoch by."""
    return Shards(LAB, SPLITS if wanted == "all" else ("train",)), Shards(LAB, ("val",))


def figures(row: dict[str, float]) -> str:
    """The losses of an epoch in words, and the metric by which epochs are chosen, if one is."""
    others = sorted(row.keys() - {"epoch", "train_loss", "val_loss", "gray_val_loss", "lr"}, reverse=True)
    words = {"train loss": "train_loss", "val loss": "val_loss", "gray's": "gray_val_loss"}
    words |= {name.replace("gray_", "gray's "): name for name in others}
    return ", ".join(f"{shown} {row[name]:.4f}" for shown, name in words.items())


if __name__ == "__main__":
    run(train_stage)
