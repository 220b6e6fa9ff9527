"""What a run holds beside numbers: datasets, and the model for other programs."""

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

PACKAGE = Path(__file__).parents[1]


def dataset_of(rows: pd.DataFrame, folder: str, split: str) -> dict[str, Any]:
    """The photos of a split as MLflow describes a dataset: name, digest, source, source_type, schema and profile.

    Args:
        rows: a row a photo.
        folder: that they come from.
    """
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two ways to read a local path that are the same
        data = mlflow.data.from_pandas(rows, source=folder, name=f"photos-{split}")  # type: ignore[attr-defined]
    return data.to_dict()


def quilt(strip: Image.Image) -> Image.Image:
    """Four pictures side by side as two above two; any picture that is less than three times as wide as high as it is.

    MLflow's page shows pictures in squares, scaled to 256 pixels: a strip would be a thin line in a gray area.
    """
    width, height = strip.width // 4, strip.height
    if strip.width < 3 * height:
        return strip
    square = Image.new("RGB", (2 * width, 2 * height))
    for number in range(4):
        tile = strip.crop((number * width, 0, (number + 1) * width, height))
        square.paste(tile, (number % 2 * width, number // 2 * height))
    return square


def lay_model(folder: Path, into: Path) -> None:
    """What `log_model` needs, in an empty folder: the model, and the code without the weights that it ships."""
    shutil.copytree(folder, into / "colorizer")
    ignored = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(PACKAGE, into / "code" / PACKAGE.name, ignore=ignored)


def log_model(client: Any, run_id: str, laid: Path, entry: dict[str, Any], key: dict[str, str]) -> None:
    """Log a model that `lay_model` has laid; one that was logged by this key is not logged again.

    Args:
        entry: name, description and requirements.
        key: a tag that no other model has.
    """
    import mlflow
    from mlflow.models import Model

    experiment = client.get_run(run_id).info.experiment_id
    (tag, value), tags = *key.items(), {"mlflow.note.content": entry["description"], **key}
    known = [model for model in _models(client, experiment, run_id) if model.tags.get(tag) == value]
    if any(str(model.status) == "READY" for model in known):
        return
    model = known[0] if known else client.create_logged_model(experiment, entry["name"], run_id, tags)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        # MLflow writes __pycache__ into the code that it copies.
        code = shutil.copytree(laid / "code" / PACKAGE.name, Path(place) / PACKAGE.name)
        # MLflow warns of a missing example, which would cost a load of the model at each run.
        warnings.simplefilter("ignore")
        Model.log(
            None,
            flavor=mlflow.pyfunc,  # type: ignore[attr-defined]
            model_id=model.model_id,
            run_id=run_id,
            python_model=str(code / "serving" / "mlflow_model.py"),
            artifacts={"colorizer": str(laid / "colorizer")},
            code_paths=[str(code)],
            pip_requirements=entry["requirements"],
            signature=_signature(),
        )


def _signature() -> Any:
    """Files in, files out, of any number and size, and which rendering: MLflow infers no params from type hints."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    files = Schema([ColSpec(DataType.binary)])
    return ModelSignature(files, files, ParamSchema([ParamSpec("rendering", DataType.string, "faithful")]))


def requirements() -> list[str]:
    """Exact versions of what `mlflow_model.py` imports; a local suffix such as +cpu is no version to ask for."""
    names = ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def _models(client: Any, experiment: str, run_id: str) -> list[Any]:
    return list(client.search_logged_models([experiment], f"source_run_id = '{run_id}'"))
