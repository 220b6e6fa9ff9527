"""Stage `evaluate`: measure the model beside gray on photos it has not seen, write the report, log the MLflow run."""

from pathlib import Path

from _stage import Params, run

from chromascape.colorizing.colorizer import Colorizer
from chromascape.devices import pick_device
from chromascape.engine import opened
from chromascape.files import atomic_write, read_metrics, repository_root, sha256_of_file, write_json, write_table
from chromascape.judging import report
from chromascape.judging.evaluation import evaluate_splits, evaluation_fingerprint, gain_histogram
from chromascape.judging.figures import headline, held_out_tables, summarize_splits
from chromascape.judging.photo_rows import write_photo_rows
from chromascape.learning.choosing import check_choice
from chromascape.params import deciding
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards
from chromascape.resume import open_folder
from chromascape.tracking.run import log_run

MODEL, LAB, MANIFEST = Path("models/colorizer"), Path("data/lab"), Path("data/manifest.csv")


def evaluate_stage(params: Params) -> None:
    """From weights and photos to figures, report and the whole MLflow run."""
    section, device = params.evaluate, pick_device(params.train.device, "train.device")
    check_choice(read_metrics(Path("metrics/train.json"), "train"))
    manifest = read_manifest(MANIFEST)
    colorizer = Colorizer.load(MODEL, device, by_torch=True)
    damaged = section.split if section.damage else None
    identity = evaluation_fingerprint(MODEL, LAB, MANIFEST, device, damaged)
    with open_folder(repository_root(), "evaluate", identity) as kept:
        splits = sorted({"val", section.split})
        with opened(params.engine, params.jobs) as jobs:
            tables = evaluate_splits(MODEL, device, LAB, manifest, splits, jobs, kept, damaged)
        tables = held_out_tables(tables, manifest, MODEL, params.validate_.near_duplicate_bits)
        figures = summarize_splits(tables, section.split, manifest, MODEL, params)
        photos, table = Shards(LAB, (section.split,)), tables[section.split]
        histogram, curves = gain_histogram(table), report.read_curves(Path("metrics/curves.csv"))
        page = report.render(
            figures,
            read_metrics(Path("metrics/validate.json"), "validate"),
            curves,
            histogram,
            report.photo_rows(colorizer, photos, table, section.rows, section.seed),
            deciding(params),
            {path.as_posix(): sha256_of_file(path) for path in (MANIFEST, MODEL / "weights.safetensors")},
            report.damaged_photo(colorizer, photos, section.seed) if damaged else {},
        )
        with atomic_write(Path("reports/index.html")) as file:
            file.write_text(page, encoding="utf-8")
        write_table(table, Path("reports/per_photo.csv"))
        write_table(tables["val"], Path("reports/per_photo_val.csv"))
        write_table(histogram, Path("metrics/gains.csv"))
        write_photo_rows(Path("reports/photos"), colorizer, photos, manifest, section.rows)
        write_json(figures, Path("metrics/evaluate.json"))
        write_json(headline(figures), Path("metrics/headline/evaluate.json"))
        log_run(params)


if __name__ == "__main__":
    run(evaluate_stage)
