"""MLflow runs: what they hold, and how the stages of one execution share one."""

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
from chromascape.tracking import artifacts, names
from chromascape.tracking.endings import end_lost, process_tag, tell_ending
from chromascape.tracking.figures import constants_of, metrics_of, result_in_words
from chromascape.tracking.lineage import committed_params, lineage
from chromascape.tracking.page import RUN_FILE, read_run_file
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

if TYPE_CHECKING:
    from PIL.Image import Image

TRAINED, EVALUATED = "trained", "evaluated"
EVALUATE_SECTIONS = ("evaluate", "jobs")  # of params.yaml; the stage train logs the others
AFTER_TRAINING = "training goes on, weights and metrics are written, and the stage evaluate records a complete run"
AFTER_EVALUATION = "report and metrics are written; `dvc repro --single-item --force evaluate` records a complete run"


class RunLog:
    """One MLflow run, as the stages write to it.

    No method raises where MLflow fails: that is told once, in a line on stderr, and costs no weights or metrics.

    Attributes:
        params: that the run is named by.
        description: what the run and its model are described as: the result, once there is one.
        run_id, experiment: MLflow's ids; empty where not even a run could be started.
        complete: whether everything has reached MLflow so far.
    """

    def __init__(self, params: Params, way_out: str):
        self.params, self.description = params, names.description(params)
        self.run_id, self.experiment, self.complete = "", "", True
        self.client: Any = None
        self._way_out, self._told = way_out, False
        self._waiting: list[tuple[str, float, int, int]] = []

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
        self._waiting.append(("train/images_per_second", value, int(time.time() * 1000), 0))
        self._send()

    def _send(self) -> None:
        """Log what waits; what fails waits for the next time, so that a short breakdown loses nothing."""
        from mlflow.entities import Metric

        metrics = [Metric(*values) for values in self._waiting]
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
            self._log(write_json, _identity(self.run_id, self.experiment, digest, TRAINED), RUN_FILE)

    def figures(self, figures: dict[str, Any], split: str = "test") -> None:
        """Figures as metrics, tags, an artifact and the run's description, as `tracking.figures` says.

        Args:
            figures: as `judging.evaluation.summarize` returns them.
            split: whose they are: test or val.
        """
        import mlflow

        self.description = f"{names.description(self.params)}\n\n{result_in_words(figures, split)}"
        tags = constants_of(figures, split) | {"mlflow.note.content": self.description}
        self._log(mlflow.log_metrics, metrics_of(figures, split), run_id=self.run_id)
        self._log(lambda: mlflow.set_tags(tags))
        self._log(lambda: self.client.log_dict(self.run_id, figures, f"figures/{split}.json"))

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

    def picture(self, picture: "Image", name: str, path: str) -> None:
        """A picture that the page shows beside the one of the same name in other runs; a tag says of which photo."""
        self._log(lambda: self.client.log_image(self.run_id, picture, key=f"photos/{name}", step=0))
        self._log(self.client.set_tag, self.run_id, f"chromascape.{name}", path)

    def model(self, folder: Path) -> None:
        """The model as a pyfunc that colorizes a photo of any size, with the code and the weights that it needs."""
        self._log(artifacts.log_model, folder, names.model_name(self.params), self.description)


@contextmanager
def new_run(params: Params) -> Iterator[RunLog]:
    """A new run with the params of training and the tags of code and data, which ends with the block.

    It ends as finished, as killed on KeyboardInterrupt, else as failed.

    Raises:
        ChromascapeError: MLflow can't start a run; nothing has been done yet, so nothing is lost.
    """
    log = RunLog(params, AFTER_TRAINING)
    with _ending(log):
        try:
            _start(log, params)
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

    log = RunLog(params, AFTER_EVALUATION)
    with _ending(log):
        log._log(_start_or_continue, log, params, sha256_of_file(weights), curves, val_figures)
        yield log
        log._log(mlflow.log_params, _section_values(params, evaluation=True))
        log._log(mlflow.set_tag, "chromascape.state", EVALUATED)


def _start(log: RunLog, params: Params) -> None:
    import mlflow

    log.experiment, log.client = connect(params.track.experiment), mlflow.MlflowClient()
    log.attempt(end_lost, log.client, log.experiment)
    tags = lineage() | _naming(params) | process_tag() | {"mlflow.note.content": log.description}
    run = mlflow.start_run(experiment_id=log.experiment, run_name=tags["mlflow.runName"], tags=tags)
    log.run_id = run.info.run_id
    mlflow.log_params(_section_values(params, evaluation=False))


def _start_or_continue(
    log: RunLog, params: Params, digest: str, curves: pd.DataFrame, val_figures: dict[str, Any] | None
) -> None:
    import mlflow

    log.experiment = connect(params.track.experiment)
    found = _trained_run(params, log.experiment, digest)
    if found:
        mlflow.start_run(run_id=found)
        log.client, log.run_id = mlflow.MlflowClient(), found
        # No later evaluation mixes with this one.
        write_json(_identity(found, log.experiment, digest, EVALUATED), RUN_FILE)
        mlflow.set_tags(lineage() | _naming(params) | process_tag())
        return
    _start(log, params)
    for row in curves.to_dict("records"):
        log.epoch({str(name): value for name, value in row.items()})
    if log._waiting:  # told already
        raise ChromascapeError("the history of the training was not taken")
    if val_figures:
        log.figures(val_figures, "val")
    log.client.set_tag(log.run_id, "chromascape.weights_sha256", digest)
    write_json(_identity(log.run_id, log.experiment, digest, EVALUATED), RUN_FILE)


def _trained_run(params: Params, experiment: str, digest: str) -> str:
    """The run that trained these weights with these params and was not evaluated yet; empty where there is none."""
    import mlflow

    kept = read_run_file()
    run_id = kept.get("run_id", "")
    if kept != _identity(run_id, experiment, digest, TRAINED):
        return ""
    try:
        run = mlflow.MlflowClient().get_run(run_id)
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        raise
    expected = {name: str(value) for name, value in _section_values(params, evaluation=False).items()}
    alive = run.info.lifecycle_stage == "active" and run.data.tags.get("chromascape.state") == TRAINED
    return run_id if alive and run.data.params == expected else ""


def _identity(run_id: str, experiment: str, digest: str, state: str) -> dict[str, str]:
    """What `models/run.json` holds."""
    store = without_credentials(tracking_uri())
    return {
        "run_id": run_id,
        "experiment_id": experiment,
        "tracking_uri": store,
        "weights_sha256": digest,
        "state": state,
    }


def _naming(params: Params) -> dict[str, str]:
    """Tags that name a run by what it is; MLflow takes the name from one."""
    changed = names.changes(params, committed_params())
    name = names.run_name(params, changed, os.environ.get("DVC_EXP_NAME", ""))
    shown = ", ".join(f"{key}={value}" for key, value in changed.items()) or "none"
    return {"mlflow.runName": name, "chromascape.changed_params": shown}


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
        if log.run_id and status != "FINISHED":
            log.attempt(tell_ending, log.client, log.run_id, status)
        log.attempt(mlflow.end_run, status)


def _reason(error: Exception) -> str:
    """An error as a part of a line, without the secrets of the server's address."""
    text = without_credentials(" ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"
