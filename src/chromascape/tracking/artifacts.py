"""What a run holds beside params, metrics and tags: datasets, pictures, and the model for other programs."""

import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from chromascape.files import sha256_of_file
from chromascape.photos.reading import open_photo, to_rgb
from chromascape.photos.source import read_bytes, shown_name
from chromascape.tracking.model_code import PACKAGE, SCRIPT, copy_code, requirements
from chromascape.tracking.resolve import is_complete, models_of_run

DIGEST = "chromascape.model_sha256"  # tag of logged models and of their versions in the registry


def model_digest(folder: Path) -> str:
    """Identifies a model by its configuration, which holds the checksum of its weights: SHA-256 in hex."""
    return sha256_of_file(folder / "config.json")


def dataset_of(manifest: pd.DataFrame, folder: str, split: str) -> dict[str, Any]:
    """The accepted photos of a split as MLflow describes a dataset: name, digest, source, schema, profile.

    Args:
        folder: that the photos come from.
    """
    import mlflow

    columns = ["path", "sha256", "width", "height", "colorfulness"]
    rows = manifest.loc[(manifest["verdict"] == "accepted") & (manifest["split"] == split), columns]
    rows = rows.assign(path=rows["path"].map(shown_name)).astype({"width": float, "height": float})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two ways to read a local path that are the same
        data = mlflow.data.from_pandas(rows, source=folder, name=f"photos-{split}")  # type: ignore[attr-defined]
    return data.to_dict()


def log_pictures(client: Any, run_id: str, folder: Path) -> dict[str, str]:
    """Log the pictures of a folder, which MLflow's page shows beside those of the same names in other runs.

    Returns:
        Tags that say which photo each shows.
    """
    logged = {file.path for file in client.list_artifacts(run_id, "images")}
    tags = {}
    for number, file in enumerate(sorted(folder.glob("*.jpg")), start=1):
        if not any(path.startswith(f"images/photos~photo-{number}+") for path in logged):
            picture = two_by_two(to_rgb(open_photo(read_bytes(file))))
            client.log_image(run_id, picture, key=f"photos/photo-{number}", step=0)
        tags[f"chromascape.photo-{number}"] = file.stem
    return tags


def two_by_two(row: Image.Image) -> Image.Image:
    """Four pictures side by side as two above two; a picture that is less than three times as wide as high is kept.

    MLflow's page shows pictures in squares, scaled to 256 pixels: a row would be a thin line in a gray area.
    """
    width, height = row.width // 4, row.height
    if row.width < 3 * height:
        return row
    square = Image.new("RGB", (2 * width, 2 * height))
    for number in range(4):
        tile = row.crop((number * width, 0, (number + 1) * width, height))
        square.paste(tile, (number % 2 * width, number // 2 * height))
    return square


def log_model(client: Any, run: Any, folder: Path, name: str, description: str) -> str:
    """Log a model folder as a pyfunc with the code that it needs, unless the run has it already; returns its id.

    `mlflow.pyfunc.log_model` does the same in one call, but fails where a killed process has begun it.
    """
    import mlflow
    from mlflow.entities import LoggedModelOutput

    run_id, digest = run.info.run_id, model_digest(folder)
    model = next((model for model in models_of_run(client, run) if model.tags.get(DIGEST) == digest), None)
    if model and is_complete(model):
        return str(model.model_id)
    tags = {"mlflow.note.content": description, DIGEST: digest}
    model = model or client.create_logged_model(run.info.experiment_id, name, run_id, tags)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), _importable(place):
        code, saved = copy_code(Path(place)), Path(place) / "model"
        warnings.simplefilter("ignore")  # of a missing example, which would cost a load of the model
        mlflow.pyfunc.save_model(  # type: ignore[attr-defined]
            saved,
            python_model=str(code / SCRIPT.relative_to(PACKAGE)),
            artifacts={"colorizer": str(folder)},
            code_paths=[str(code)],
            pip_requirements=requirements(),
            signature=_signature(),
            mlflow_model=mlflow.models.Model(run_id=run_id, model_id=model.model_id),
        )
        for cache in list(saved.rglob("__pycache__")):  # left by saving, which imports the code
            shutil.rmtree(cache)
        client.log_model_artifacts(model.model_id, str(saved))
    outputs = client.get_run(run_id).outputs
    if model.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _signature() -> Any:
    """Files in, files out, of any number and size, and params: MLflow infers none from type hints."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    files = Schema([ColSpec(DataType.binary)])
    params = [
        ParamSpec("rendering", DataType.string, "faithful"),
        ParamSpec("hints", DataType.string, [], shape=(-1,)),
        ParamSpec("negative", DataType.boolean, False),
    ]
    return ModelSignature(files, files, ParamSchema(params))


@contextmanager
def _importable(place: str) -> Iterator[None]:
    """Modules in a folder can be imported, and are forgotten afterwards: the folder is a temporary one."""
    before = set(sys.modules)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(place):
                del sys.modules[name]
