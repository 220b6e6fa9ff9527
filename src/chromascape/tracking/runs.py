"""MLflow runs: what they hold, and how the stages of one execution share one."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from chromascape.files import sha256_of_file
from chromascape.params import Params, flatten
from chromascape.photos.source import shown_name
from chromascape.tracking.lineage import lineage, workspace
from chromascape.tracking.store import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from PIL.Image import Image

TRAINED, EVALUATED = "trained", "evaluated"


class RunLog:
    """One MLflow run, as the stages write to it."""

    def __init__(self, client: "MlflowClient", run_id: str):
        self.client, self.run_id = client, run_id

    def epoch(self, row: dict[str, float]) -> None:
        """A row of the training history."""
        for name in ("train_loss", "val_loss", "gray_val_loss", "lr"):
            self.client.log_metric(self.run_id, name, row[name], step=int(row["epoch"]))

    def images_per_second(self, value: float) -> None:
        self.client.log_metric(self.run_id, "images_per_second", value)

    def trained(self, weights: Path) -> None:
        """Mark the run as one that `continue_run` finds by its weights."""
        self.client.set_tag(self.run_id, "chromascape.weights_sha256", sha256_of_file(weights))
        self.client.set_tag(self.run_id, "chromascape.state", TRAINED)

    def figures(self, figures: dict[str, Any]) -> None:
        """Test metrics: the ones that matter by short names, each prediction's as `gray.psnr_db` and so on."""
        import mlflow

        flat = {
            f"{name}.{metric}": value
            for name, values in figures.items()
            if isinstance(values, dict)
            for metric, value in values.items()
        }
        flat |= {name: float(value) for name, value in figures.items() if isinstance(value, int | float)}
        if figures["gain_over_gray_ci95_db"]:
            flat["gain_over_gray_ci95_low_db"], flat["gain_over_gray_ci95_high_db"] = figures["gain_over_gray_ci95_db"]
        mlflow.log_metrics(flat, run_id=self.run_id)

    def photos(self, manifest: pd.DataFrame, folder: str) -> None:
        """The accepted photos of each split as logged datasets."""
        import mlflow

        accepted = manifest[manifest["verdict"] == "accepted"]
        for split, context in {"train": "training", "val": "validation", "test": "test"}.items():
            rows = accepted.loc[accepted["split"] == split, ["path", "sha256", "width", "height", "colorfulness"]]
            rows = rows.assign(path=rows["path"].map(shown_name)).astype({"width": float, "height": float})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of two ways to read a local path that are the same
                data = mlflow.data.from_pandas(rows, source=folder, name=f"photos-{split}")  # type: ignore[attr-defined]
            mlflow.log_input(data, context=context)

    def files(self, paths: list[Path]) -> None:
        for path in paths:
            self.client.log_artifact(self.run_id, str(path))

    def picture(self, picture: "Image", name: str) -> None:
        self.client.log_image(self.run_id, picture, f"pictures/{name}.png")

    def model(self, folder: Path) -> None:
        """The model as a pyfunc that colorizes a photo of any size, with the code and the weights that it needs."""
        import mlflow

        package = Path(__file__).parents[1]
        with warnings.catch_warnings():
            # MLflow warns of a missing example, which would cost a load of the model at each run.
            warnings.simplefilter("ignore")
            mlflow.pyfunc.log_model(  # type: ignore[attr-defined]
                name="model",
                python_model=str(package / "serving" / "mlflow_model.py"),
                artifacts={"colorizer": str(folder)},
                code_paths=[str(package)],
                pip_requirements=_requirements(),
            )


@contextmanager
def new_run(params: Params) -> Iterator[RunLog]:
    """A new run with all params and the tags of code and data; it ends with the block, as failed on an error."""
    import mlflow

    experiment = connect(params.track.experiment)
    with mlflow.start_run(experiment_id=experiment, run_name=os.environ.get("DVC_EXP_NAME"), tags=lineage()) as run:
        mlflow.log_params(flatten(params))
        yield RunLog(mlflow.MlflowClient(), run.info.run_id)


@contextmanager
def continue_run(params: Params, weights: Path, curves: pd.DataFrame) -> Iterator[RunLog]:
    """The run that has just trained these weights here; else a new one, which gets the history of the training.

    The latter is the case where only the evaluation runs again, or DVC had the weights in its cache: every
    execution of the pipeline has one run, and each run is complete.
    """
    import mlflow

    experiment = connect(params.track.experiment)
    digest = sha256_of_file(weights)
    wanted = {"weights_sha256": digest, "state": TRAINED, "workspace": workspace()}
    where = " and ".join(f"tags.`chromascape.{name}` = '{value}'" for name, value in wanted.items())
    found = mlflow.MlflowClient().search_runs([experiment], where, max_results=1)
    if found:
        with mlflow.start_run(run_id=found[0].info.run_id) as run:
            mlflow.set_tags(lineage())
            yield RunLog(mlflow.MlflowClient(), run.info.run_id)
            mlflow.set_tag("chromascape.state", EVALUATED)
        return
    with new_run(params) as log:
        for row in curves.to_dict("records"):
            log.epoch({str(name): value for name, value in row.items()})
        log.trained(weights)
        yield log
        mlflow.set_tag("chromascape.state", EVALUATED)


def _requirements() -> list[str]:
    """Exact versions of what `served.py` imports; a local suffix such as +cpu is no version that can be asked for."""
    names = ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    return [f"{name}=={version(name).split('+')[0]}" for name in names]
