"""Stage `evaluate`: measure the model on the test photos, beside gray, and write the report."""

import json
from pathlib import Path

from _stage import Params, run

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.files import atomic_write, write_json, write_table
from chromascape.judging import report
from chromascape.judging.evaluation import evaluate, gain_histogram, summarize
from chromascape.params import flatten
from chromascape.photos.manifest import read_manifest
from chromascape.photos.shards import Shards
from chromascape.tracking import runs as tracking
from chromascape.tracking.curves import read_curves

MODEL = Path("models/colorizer")


def evaluate_stage(params: Params) -> None:
    section = params.evaluate
    colorizer, test = Colorizer.load(MODEL), Shards(Path("data/lab"), ("test",))
    table = evaluate(colorizer, Colorizer.load(SHIPPED), test, Shards(Path("data/lab"), ("train",)), params.jobs)
    figures = summarize(table, section.bootstrap, section.seed, held_out=params.train.photos == "train")
    curves = read_curves(Path("metrics/curves.csv"))
    pictures = report.triptychs(colorizer, test, table, section.rows, section.seed)
    validation = json.loads(Path("metrics/validate.json").read_text(encoding="utf-8"))
    histogram = gain_histogram(table)
    page = report.render(figures, validation, curves, histogram, pictures, flatten(params))
    tables = {"reports/per_photo.csv": table, "metrics/gains.csv": histogram}
    for path, content in tables.items():
        write_table(content, Path(path))
    with atomic_write(Path("reports/index.html")) as file:
        file.write_text(page, encoding="utf-8")
    write_json(figures, Path("metrics/evaluate.json"))
    with tracking.continue_run(params, MODEL / "weights.safetensors", curves) as log:
        log.figures(figures)
        log.photos(read_manifest(Path("data/manifest.csv")), params.data.dir)
        log.files([Path("reports/index.html"), Path("reports/per_photo.csv"), Path("params.yaml")])
        for number, picture in enumerate(pictures["Random"], start=1):
            log.picture(picture.strip(), f"random-{number}")
        log.model(MODEL)


if __name__ == "__main__":
    run(evaluate_stage)
