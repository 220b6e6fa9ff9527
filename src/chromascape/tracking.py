"""All of MLflow: where runs go, what they hold, and what ties them to code and data."""

import hashlib
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd
import yaml
from filelock import FileLock

from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file
from chromascape.params import Params, flatten
from chromascape.photos import shown_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from PIL.Image import Image

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
TRAINED, EVALUATED = "trained", "evaluated"


def repository_root() -> Path:
    """Where runs are kept: in an experiment's temporary copy, DVC names the repository that it was copied from."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a SQLite file in the repository's root, so that no run goes with a temporary copy."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    file = str(repository_root() / "mlflow.db")
    if not named and (unquote(file) != file or "?" in file):
        raise ChromascapeError(
            f"{file}: MLflow can't keep its runs in a folder with '?' or '%' and two digits in its name: "
            "rename it, or name another store in MLFLOW_TRACKING_URI"
        )
    return named or f"sqlite:///{file}"


def connect(experiment: str) -> str:
    """Point MLflow at the store and make the experiment if it is new; returns the experiment's id.

    A fresh SQLite store is set up under a lock: of several processes that try at once, all but one would crash.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow

    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    local = uri.startswith("sqlite:///")
    # Beside the database, where all that share it look.
    with FileLock(uri.removeprefix("sqlite:///").split("?")[0] + ".lock") if local else nullcontext():
        client = mlflow.MlflowClient()
        known = client.get_experiment_by_name(experiment)
        if known is not None and known.lifecycle_stage == "deleted":
            raise ChromascapeError(
                f"track.experiment: {experiment!r} was deleted in MLflow: restore it or choose another name"
            )
        if known is not None:
            return str(known.experiment_id)
        place = (repository_root() / "mlartifacts").as_uri() if local else None
        return str(client.create_experiment(experiment, artifact_location=place))


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

        package = Path(__file__).parent
        with warnings.catch_warnings():
            # MLflow warns of a missing example, which would cost a load of the model at each run.
            warnings.simplefilter("ignore")
            mlflow.pyfunc.log_model(  # type: ignore[attr-defined]
                name="model",
                python_model=str(package / "served.py"),
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
    wanted = {"weights_sha256": digest, "state": TRAINED, "workspace": _workspace()}
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


def lineage() -> dict[str, str]:
    """Tags that tie a run to code, data and DVC experiment."""
    lock = _read_lock()
    validate = lock.get("validate", {}).get("deps", [])
    photos = [dep for dep in validate if not str(dep.get("path", "")).startswith(("src/", "stages/"))]
    shards = lock.get("preprocess", {}).get("outs", [])
    commit = _git("rev-parse", "HEAD")
    changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    tags = {
        "git.commit": commit,
        "git.dirty": str(changed).lower() if commit else "",
        "dvc.photos_md5": photos[0].get("md5", "") if photos else "",
        "dvc.lab_md5": shards[0].get("md5", "") if shards else "",
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "chromascape.version": version("chromascape"),
        "chromascape.workspace": _workspace(),
    }
    return {name: value for name, value in tags.items() if value}


def _read_lock() -> dict[str, Any]:
    """The stages of dvc.lock as far as this execution has come: DVC writes it stage by stage."""
    try:
        lock = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))
        return dict(lock["stages"])
    except (OSError, yaml.YAMLError, TypeError, KeyError):
        return {}


def _git(*arguments: str) -> str:
    """What git says; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _workspace() -> str:
    """Tells the working copies of one repository apart, without naming a folder of this machine."""
    return hashlib.sha256(str(Path.cwd().resolve()).encode()).hexdigest()[:16]


def _requirements() -> list[str]:
    """Exact versions of what `served.py` imports; a local suffix such as +cpu is no version that can be asked for."""
    names = ["mlflow", "numpy", "pandas", "pillow", "safetensors", "torch"]
    return [f"{name}=={version(name).split('+')[0]}" for name in names]
