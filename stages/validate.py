"""Stage `validate`: accept or reject every file of data.dir, and assign accepted photos to splits."""

from pathlib import Path

from _stage import Params, run

from chromascape.engine import opened
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write, repository_root, write_json
from chromascape.photos.gallery import render_gallery
from chromascape.photos.inspection import fingerprint
from chromascape.photos.likeness import running_note
from chromascape.photos.manifest import headline, summarize, write_manifest
from chromascape.photos.rules import check_policy
from chromascape.photos.source import Source, relative_note
from chromascape.photos.splits import only_note
from chromascape.photos.validation import counts_line, validate_folder
from chromascape.resume import open_folder


def validate(params: Params) -> None:
    """Write the manifest, its counts, its page and Data Docs, even if a threshold then stops the pipeline."""
    check_policy(params.validate_.policy)
    photos, docs = Source(params.data.dir), Path("reports/data_docs")
    with open_folder(repository_root(), "validate", fingerprint(photos, params.validate_)) as kept:
        with opened(params.engine, params.jobs) as jobs:
            manifest, stopped = validate_folder(photos, params.data, params.validate_, docs, jobs, kept)
        write_manifest(manifest, Path("data/manifest.csv"))
        counts = summarize(manifest)
        write_json(counts, Path("metrics/validate.json"))
        write_json(headline(counts), Path("metrics/headline/validate.json"))
        page = render_gallery(manifest, photos, params.validate_, stopped, params.jobs)
        with atomic_write(Path("reports/validation.html")) as file:
            file.write_text(page, encoding="utf-8")
    where = "reports/validation.html shows what was rejected and why, data/manifest.csv lists it"
    if stopped:
        raise ChromascapeError(f"{stopped}; {where}")
    print(counts_line(manifest))
    print(only_note(manifest, params.data) + relative_note(photos), end="")
    if note := running_note(manifest):
        print(f"note: {note}")
    print(where)


if __name__ == "__main__":
    run(validate)
