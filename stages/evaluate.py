"""Stage `evaluate`: measure the model on the test photos, beside gray, and write the report."""

from pathlib import Path

from _stage import Params, run

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.seen import hashes_of, read_seen
from chromascape.colorizing.torch_network import load_colorizer
from chromascape.devices import pick_device
from chromascape.files import atomic_write, sha256_of_file, write_json, write_table
from chromascape.judging import report
from chromascape.judging.evaluation import evaluate, gain_histogram, headline, seen_by, summarize
from chromascape.judging.photo_rows import write_photo_rows
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards
from chromascape.tracking import runs as tracking

MODEL, LAB, MANIFEST = Path("models/colorizer"), Path("data/lab"), Path("data/manifest.csv")
WEIGHTS = MODEL / "weights.safetensors"


def evaluate_stage(params: Params) -> None:
    """From weights and test photos to figures, report and the finished MLflow run."""
    section, device = params.evaluate, pick_device(params.train.device, "train.device")
    colorizer, shipped = load_colorizer(MODEL, device), load_colorizer(SHIPPED, device)
    test, manifest = Shards(LAB, ("test",)), read_manifest(MANIFEST)
    table = evaluate(colorizer, shipped, test, Shards(LAB, ("train",)), manifest, params.jobs)
    bits = params.validate_.near_duplicate_bits
    n_seen = seen_by(hashes_of(manifest, ("test",)), read_seen(MODEL), read_seen(SHIPPED), bits)
    figures, histogram = summarize(table, n_seen, section.bootstrap, section.seed), gain_histogram(table)
    curves = report.read_curves(Path("metrics/curves.csv"))
    validation = report.read_metrics(Path("metrics/validate.json"), "validate")
    val_figures = report.read_metrics(Path("metrics/train.json"), "train")["val"]
    pictures = report.photo_rows(colorizer, test, table, section.rows, section.seed)
    sources = {path.as_posix(): sha256_of_file(path) for path in (MANIFEST, WEIGHTS)}
    page = report.render(figures, validation, curves, histogram, pictures, report.shown_params(params), sources)
    with atomic_write(Path("reports/index.html")) as file:
        file.write_text(page, encoding="utf-8")
    write_table(table, Path("reports/per_photo.csv"))
    write_table(histogram, Path("metrics/gains.csv"))
    write_photo_rows(Path("reports/photos"), colorizer, test, manifest, section.rows)
    write_json(figures, Path("metrics/evaluate.json"))
    write_json(headline(figures), Path("metrics/headline/evaluate.json"))
    with tracking.continue_run(params, WEIGHTS, curves, val_figures) as log:
        log.figures(figures)
        log.photos(manifest, params.data.dir)
        log.files([Path("reports/index.html"), Path("reports/per_photo.csv"), Path("params.yaml")])
        log.pictures(Path("reports/photos"))
        log.model(MODEL)


if __name__ == "__main__":
    run(evaluate_stage)
