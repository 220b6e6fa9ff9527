"""Stage `evaluate`: measure the model on the test photos, beside gray, and write the report."""

from pathlib import Path

from _stage import Params, run

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.seen import hashes_of, read_seen
from chromascape.devices import pick_device
from chromascape.files import atomic_write, write_json, write_table
from chromascape.judging import report
from chromascape.judging.evaluation import evaluate, gain_histogram, seen_by, summarize
from chromascape.judging.strips import strips
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards
from chromascape.tracking import runs as tracking

MODEL, LAB = Path("models/colorizer"), Path("data/lab")


def evaluate_stage(params: Params) -> None:
    """From weights and test photos to figures, report and the finished MLflow run."""
    section, device = params.evaluate, pick_device(params.train.device, "train.device")
    colorizer, shipped = Colorizer.load(MODEL, device), Colorizer.load(SHIPPED, device)
    test, manifest = Shards(LAB, ("test",)), read_manifest(Path("data/manifest.csv"))
    table = evaluate(colorizer, shipped, test, Shards(LAB, ("train",)), manifest, params.jobs)
    bits = params.validate_.near_duplicate_bits
    n_seen = seen_by(hashes_of(manifest, ("test",)), read_seen(MODEL), read_seen(SHIPPED), bits)
    figures, histogram = summarize(table, n_seen, section.bootstrap, section.seed), gain_histogram(table)
    curves = report.read_curves(Path("metrics/curves.csv"))
    validation = report.read_metrics(Path("metrics/validate.json"), "validate")
    val_figures = report.read_metrics(Path("metrics/train.json"), "train")["val"]
    pictures = report.triptychs(colorizer, test, table, section.rows, section.seed)
    page = report.render(figures, validation, curves, histogram, pictures, report.shown_params(params))
    with atomic_write(Path("reports/index.html")) as file:
        file.write_text(page, encoding="utf-8")
    write_table(table, Path("reports/per_photo.csv"))
    write_table(histogram, Path("metrics/gains.csv"))
    write_json(figures, Path("metrics/evaluate.json"))
    with tracking.continue_run(params, MODEL / "weights.safetensors", curves, val_figures) as log:
        log.figures(figures)
        log.photos(manifest, params.data.dir)
        log.files([Path("reports/index.html"), Path("reports/per_photo.csv"), Path("params.yaml")])
        fixed = strips(colorizer, test, table, section.rows, section.seed)
        for number, (name, strip) in enumerate(fixed.items(), start=1):
            log.picture(strip, f"photo-{number}", name)
        log.model(MODEL)


if __name__ == "__main__":
    run(evaluate_stage)
