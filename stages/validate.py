"""Stage `validate`: give every file of data.dir a verdict and every accepted photo a split."""

from pathlib import Path

from _stage import Params, run

from chromascape.files import write_json
from chromascape.photos.manifest import summarize, write_manifest
from chromascape.photos.source import relative_note
from chromascape.photos.validation import counts_line, validate_folder


def validate(params: Params) -> None:
    """From a folder of files to the manifest, its counts and Data Docs."""
    folder, docs = Path(params.data.dir), Path("reports/data_docs")
    manifest = validate_folder(folder, params.data, params.validate_, docs, params.jobs)
    write_manifest(manifest, Path("data/manifest.csv"))
    write_json(summarize(manifest), Path("metrics/validate.json"))
    print(counts_line(manifest))
    print(relative_note(folder), end="")
    print(f"The verdict on each file is in data/manifest.csv, Data Docs are in {docs}/index.html")


if __name__ == "__main__":
    run(validate)
