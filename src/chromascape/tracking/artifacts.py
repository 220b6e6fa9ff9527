"""What a run holds beside numbers: datasets, and the model for other programs."""

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd


def log_photos(rows: pd.DataFrame, folder: str, split: str, context: str) -> None:
    """The photos of a split as a dataset of the active run.

    Args:
        rows: a row a photo.
        folder: that they come from.
        context: what MLflow calls their use: training, validation or test.
    """
    import mlflow

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two ways to read a local path that are the same
        data = mlflow.data.from_pandas(rows, source=folder, name=f"photos-{split}")  # type: ignore[attr-defined]
    mlflow.log_input(data, context=context)


def log_model(folder: Path, name: str, description: str) -> None:
    """Log the trained model with a copy of the code; the weights that the package ships are no part of it."""
    import mlflow

    package = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        code = Path(place) / package.name
        shutil.copytree(package, code, ignore=shutil.ignore_patterns("weights", "__pycache__"))
        # MLflow warns of a missing example, which would cost a load of the model at each run.
        warnings.simplefilter("ignore")
        mlflow.pyfunc.log_model(  # type: ignore[attr-defined]
            name=name,
            tags={"mlflow.note.content": description},
            python_model=str(package / "serving" / "mlflow_model.py"),
            artifacts={"colorizer": str(folder)},
            code_paths=[str(code)],
            pip_requirements=_requirements(),
            signature=_signature(),
        )


def _signature() -> Any:
    """Files in, files out, of any number and size, and which rendering: MLflow infers no params from type hints."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    files = Schema([ColSpec(DataType.binary)])
    return ModelSignature(files, files, ParamSchema([ParamSpec("rendering", DataType.string, "faithful")]))


def _requirements() -> list[str]:
    """Exact versions of what `mlflow_model.py` imports; a local suffix such as +cpu is no version to ask for."""
    names = ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    return [f"{name}=={version(name).split('+')[0]}" for name in names]
