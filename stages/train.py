"""Stage `train`: train the network on the Lab shards and keep its best epoch."""

from pathlib import Path
from typing import Any

from _stage import Params, run

from chromascape.colorizing.colorizer import Colorizer, save
from chromascape.colorizing.networks import build_network
from chromascape.devices import pick_device
from chromascape.files import atomic_folder, write_json
from chromascape.judging.modelcard import model_card
from chromascape.learning.calibration import fit_renderings
from chromascape.learning.training import train
from chromascape.photos.shards import SPLITS, Shards
from chromascape.tracking import runs as tracking
from chromascape.tracking.curves import write_curves


def train_stage(params: Params) -> None:
    section, cache = params.train, Path("data/lab")
    photos = Shards(cache, SPLITS if section.photos == "all" else ("train",))
    val = Shards(cache, ("val",))
    size = section.working_size or params.preprocess.side
    with tracking.new_run(params) as run_log:
        trained = train(photos, val, section, on_epoch=run_log.epoch)
        run_log.images_per_second(trained.images_per_second)
        best = trained.history[trained.best_epoch - 1]
        summary: dict[str, Any] = {
            "best_epoch": trained.best_epoch,
            "epochs": section.epochs,
            "n_train": len(photos),
            "n_val": len(val),
            "train_loss": best["train_loss"],
            "val_loss": best["val_loss"],
            "gray_val_loss": best["gray_val_loss"],
        }
        network = build_network(section.network)
        network.load_state_dict(trained.weights)
        luma, device = section.input == "luma", pick_device(section.device, "train.device")
        colorizer = Colorizer(network, section.network, size, device, luma=luma)
        renderings = fit_renderings(colorizer, val, section.calibrate, section.vivid)
        summary |= {"parameters": sum(value.numel() for value in network.parameters()), "renderings": renderings}
        with atomic_folder(Path("models/colorizer")) as folder:
            save(folder, trained.weights, section.network, size, renderings, luma)
            (folder / "MODEL_CARD.md").write_text(model_card(params, summary), encoding="utf-8")
        write_curves(trained.history, Path("metrics/curves.csv"))
        write_json(summary, Path("metrics/train.json"))
        run_log.trained(Path("models/colorizer/weights.safetensors"))
    print(f"best epoch {trained.best_epoch}: val loss {best['val_loss']:.4f}, gray's {best['gray_val_loss']:.4f}")


if __name__ == "__main__":
    run(train_stage)
