"""What a run holds beside numbers: datasets, and the model for other programs."""

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from PIL import Image


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
        )


def _requirements() -> list[str]:
    """Exact versions of what `mlflow_model.py` imports; a local suffix such as +cpu is no version to ask for."""
    names = ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    return [f"{name}=={version(name).split('+')[0]}" for name in names]
