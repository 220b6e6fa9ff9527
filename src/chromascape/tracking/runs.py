"""MLflow runs: what they hold, and how the stages of one execution share one."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file, write_json
from chromascape.params import Params, flatten
from chromascape.photos.source import shown_name
from chromascape.tracking import artifacts
from chromascape.tracking.lineage import lineage
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

if TYPE_CHECKING:
    from PIL.Image import Image

TRAINED, EVALUATED = "trained", "evaluated"
RUN_FILE = Path("models/run.json")  # which run the weights beside it come from; git and DVC ignore it
EVALUATE_SECTIONS = ("evaluate", "jobs")  # of params.yaml; the stage train logs the others
AFTER_TRAINING = "training goes on, weights and metrics are written, and the stage evaluate records a complete run"
AFTER_EVALUATION = "report and metrics are written; `dvc repro --single-item --force evaluate` records a complete run"


class RunLog:
    """One MLflow run, as the stages write to it.

    No method raises where MLflow fails: that is told once, in a line on stderr, and costs no weights or metrics.

    Attributes:
        run_id: MLflow's; empty where not even a run could be started.
        complete: whether everything has reached MLflow so far.
    """

    def __init__(self, way_out: str):
        self.run_id, self.complete = "", True
        self.client: Any = None
        self._way_out, self._told = way_out, False
        self._waiting: list[tuple[str, float, int, int]] = []
        self._logged: set[tuple[str, int]] = set()  # names and steps that the run had when it was gone on with

    def attempt(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
        """Whether the call went well; the first failure is told."""
        try:
            call(*arguments, **named)
        except Exception as error:  # whatever it is: hours of training weigh more
            if not self._told:
                tqdm.write(f"warning: MLflow failed ({_reason(error)}): {self._way_out}", file=sys.stderr)
            self._told = True
            return False
        return True

    def _log(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """A call that the run is incomplete without; after a failure no other one waits for a server in vain."""
        self.complete = self.complete and self.attempt(call, *arguments, **named)

    def epoch(self, row: dict[str, float]) -> None:
        """A row of the training history: epoch, train_loss, val_loss, gray_val_loss, lr. One call of the server."""
        now = int(time.time() * 1000)
        names = ("train_loss", "val_loss", "gray_val_loss", "lr")
        self._waiting += [(name, row[name], now, int(row["epoch"])) for name in names]
        self._send()

    def images_per_second(self, value: float) -> None:
        """Speed of the whole training."""
        self._waiting.append(("images_per_second", value, int(time.time() * 1000), 0))
        self._send()

    def _send(self) -> None:
        """Log what waits; what fails waits for the next time, so that a short breakdown loses nothing."""
        from mlflow.entities import Metric

        metrics = [Metric(*values) for values in self._waiting if (values[0], values[3]) not in self._logged]
        if self.attempt(self.client.log_batch, self.run_id, metrics=metrics):
            self._waiting = []

    def trained(self, weights: Path) -> None:
        """Mark the run as the one of these weights, which `continue_run` goes on with."""
        if self._waiting:
            self._send()
        self.complete = self.complete and not self._waiting
        digest = sha256_of_file(weights)
        self._log(self.client.set_tag, self.run_id, "chromascape.weights_sha256", digest)
        self._log(self.client.set_tag, self.run_id, "chromascape.state", TRAINED)
        if self.complete:
            self._log(write_json, _identity(self.run_id, digest, TRAINED), RUN_FILE)

    def figures(self, figures: dict[str, Any], prefix: str = "") -> None:
        """Figures as metrics: those of the model by short names, each prediction's as `gray.psnr_db` and so on.

        Args:
            figures: as `judging.evaluation.summarize` returns them.
            prefix: of all names: `val.` for figures on the validation photos, none for those on the test photos.
        """
        import mlflow

        flat = {
            f"{prefix}{name}.{metric}": value
            for name, values in figures.items()
            if isinstance(values, dict)
            for metric, value in values.items()
        }
        flat |= {f"{prefix}{name}": float(value) for name, value in figures.items() if isinstance(value, int | float)}
        if figures["gain_over_gray_ci95_db"]:
            low, high = figures["gain_over_gray_ci95_db"]
            flat |= {f"{prefix}gain_over_gray_ci95_low_db": low, f"{prefix}gain_over_gray_ci95_high_db": high}
        new = {name: value for name, value in flat.items() if (name, 0) not in self._logged}
        self._log(mlflow.log_metrics, new, run_id=self.run_id)

    def photos(self, manifest: pd.DataFrame, folder: str) -> None:
        """The accepted photos of each split as logged datasets."""
        accepted = manifest[manifest["verdict"] == "accepted"]
        for split, context in {"train": "training", "val": "validation", "test": "test"}.items():
            rows = accepted.loc[accepted["split"] == split, ["path", "sha256", "width", "height", "colorfulness"]]
            rows = rows.assign(path=rows["path"].map(shown_name)).astype({"width": float, "height": float})
            self._log(artifacts.log_photos, rows, folder, split, context)

    def files(self, paths: list[Path]) -> None:
        """Files as artifacts, under their names."""
        for path in paths:
            self._log(lambda file: self.client.log_artifact(self.run_id, file), str(path))

    def picture(self, picture: "Image", name: str) -> None:
        """A picture as the artifact `pictures/{name}.png`."""
        self._log(lambda: self.client.log_image(self.run_id, picture, f"pictures/{name}.png"))

    def model(self, folder: Path) -> None:
        """The model as a pyfunc that colorizes a photo of any size, with the code and the weights that it needs."""
        self._log(artifacts.log_model, folder)


@contextmanager
def new_run(params: Params, interrupted: str = "") -> Iterator[RunLog]:
    """A new run with the params of training and the tags of code and data, which ends with the block.

    It ends as finished, as killed on KeyboardInterrupt, else as failed.

    Args:
        interrupted: id of a run to go on with, whose training was killed or stopped; what it has is not logged again.
            Where it is gone, was evaluated or has other params, a new one is made.
    Raises:
        ChromascapeError: MLflow can't start a run; nothing has been done yet, so nothing is lost.
    """
    log = RunLog(AFTER_TRAINING)
    with _ending(log):
        try:
            _reopen(log, params, interrupted)
        except ChromascapeError:
            raise
        except Exception as error:
            store = without_credentials(tracking_uri())
            raise ChromascapeError(
                f"MLflow can't start a run in {store} ({_reason(error)}): "
                "put that right, or name another store in MLFLOW_TRACKING_URI"
            ) from None
        yield log


@contextmanager
def continue_run(
    params: Params, weights: Path, curves: pd.DataFrame, val_figures: dict[str, Any] | None = None
) -> Iterator[RunLog]:
    """The run that has just trained these weights, as `models/run.json` says; else a new, complete one.

    The latter is the case where only the evaluation runs again, where DVC had the weights in its cache, or where the
    run was deleted: every execution of the pipeline has one run, each run is complete, and none changes any more
    once an evaluation has begun to write to it. The params of evaluation are logged where the block ends well.

    Args:
        curves: a row an epoch, and
        val_figures: figures on the validation photos; a new run gets both, as it was not there while training.
    """
    import mlflow

    log = RunLog(AFTER_EVALUATION)
    with _ending(log):
        log._log(_start_or_continue, log, params, sha256_of_file(weights), curves, val_figures)
        yield log
        log._log(mlflow.log_params, _section_values(params, evaluation=True))
        log._log(mlflow.set_tag, "chromascape.state", EVALUATED)


def _start(log: RunLog, params: Params) -> None:
    import mlflow

    experiment = connect(params.track.experiment)
    run = mlflow.start_run(experiment_id=experiment, run_name=os.environ.get("DVC_EXP_NAME"), tags=lineage())
    log.client, log.run_id = mlflow.MlflowClient(), run.info.run_id
    mlflow.log_params(_section_values(params, evaluation=False))


def _reopen(log: RunLog, params: Params, run_id: str) -> None:
    """Go on with the run of a training that was interrupted, or start a new one."""
    import mlflow

    connect(params.track.experiment)
    run, client = _find(run_id) if run_id else None, mlflow.MlflowClient()
    values = {name: str(value) for name, value in _section_values(params, evaluation=False).items()}
    if not run or run.data.tags.get("chromascape.state") == EVALUATED or not run.data.params.items() <= values.items():
        return _start(log, params)
    log.client, log.run_id = client, run_id
    for name in run.data.metrics:
        log._logged |= {(name, point.step) for point in client.get_metric_history(run_id, name)}
    mlflow.start_run(run_id=run_id)
    mlflow.set_tags(lineage())
    mlflow.log_params({name: value for name, value in values.items() if name not in run.data.params})


def _find(run_id: str) -> Any:
    """The run of that id; None where there is none, or it was deleted."""
    import mlflow

    try:
        run = mlflow.MlflowClient().get_run(run_id)
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _start_or_continue(
    log: RunLog, params: Params, digest: str, curves: pd.DataFrame, val_figures: dict[str, Any] | None
) -> None:
    import mlflow

    connect(params.track.experiment)
    found = _trained_run(params, digest)
    if found:
        mlflow.start_run(run_id=found)
        log.client, log.run_id = mlflow.MlflowClient(), found
        write_json(_identity(found, digest, EVALUATED), RUN_FILE)  # no later evaluation mixes with this one
        mlflow.set_tags(lineage())
        return
    _start(log, params)
    for row in curves.to_dict("records"):
        log.epoch({str(name): value for name, value in row.items()})
    if log._waiting:  # told already
        raise ChromascapeError("the history of the training was not taken")
    if val_figures:
        log.figures(val_figures, prefix="val.")
    log.client.set_tag(log.run_id, "chromascape.weights_sha256", digest)


def _trained_run(params: Params, digest: str) -> str:
    """The run that trained these weights with these params and was not evaluated yet; empty where there is none."""
    try:
        kept = json.loads(RUN_FILE.read_text(encoding="utf-8"))
        run_id = str(kept["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if kept != _identity(run_id, digest, TRAINED):
        return ""
    run = _find(run_id)
    expected = {name: str(value) for name, value in _section_values(params, evaluation=False).items()}
    alive = run and run.data.tags.get("chromascape.state") == TRAINED
    return run_id if alive and run.data.params == expected else ""


def _identity(run_id: str, digest: str, state: str) -> dict[str, str]:
    """What `models/run.json` holds."""
    store = without_credentials(tracking_uri())
    return {"run_id": run_id, "tracking_uri": store, "weights_sha256": digest, "state": state}


def _section_values(params: Params, evaluation: bool) -> dict[str, Any]:
    """The flat params of evaluation, or all others."""
    values = flatten(params).items()
    return {name: value for name, value in values if (name.partition(".")[0] in EVALUATE_SECTIONS) == evaluation}


@contextmanager
def _ending(log: RunLog) -> Iterator[None]:
    """End MLflow's active run with the block, so that none is left as running."""
    import mlflow

    status = "FAILED"
    try:
        yield
        status = "FINISHED" if log.complete and not log._waiting else "FAILED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        log.attempt(mlflow.end_run, status)


def _reason(error: Exception) -> str:
    """An error as a part of a line, without the secrets of the server's address."""
    text = without_credentials(" ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"
