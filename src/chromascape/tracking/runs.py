"""MLflow runs: what they hold, and how the stages of one execution share one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file, write_json
from chromascape.params import Params, flatten
from chromascape.tracking import names
from chromascape.tracking.endings import ENDED, end_lost, process_tag, tell_ending
from chromascape.tracking.lineage import committed_params, lineage
from chromascape.tracking.page import EVALUATED, RUN_FILE, TRAINED, read_run_file, run_identity
from chromascape.tracking.runlog import RunLog, reason
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

EVALUATE_SECTIONS = ("evaluate", "register", "jobs")  # of params.yaml; the stage train logs the others
AFTER_TRAINING = "training goes on, weights and metrics are written, and the stage evaluate records a complete run"
AFTER_EVALUATION = "report and metrics are written; `dvc repro --single-item --force evaluate` records a complete run"


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
    log = RunLog(params, AFTER_TRAINING)
    with _ending(log):
        try:
            _reopen(log, params, interrupted)
        except ChromascapeError:
            raise
        except Exception as error:
            store = without_credentials(tracking_uri())
            raise ChromascapeError(
                f"MLflow can't start a run in {store} ({reason(error)}): "
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
        log.record(_start_or_continue, log, params, sha256_of_file(weights), curves, val_figures)
        yield log
        log.record(mlflow.log_params, _section_values(params, evaluation=True))
        log.record(mlflow.set_tag, "chromascape.state", EVALUATED)


def _start(log: RunLog, params: Params) -> None:
    import mlflow

    log.experiment, log.client = connect(params.track.experiment), mlflow.MlflowClient()
    log.attempt(end_lost, log.client, log.experiment)
    tags = lineage() | _naming(params) | process_tag() | {"mlflow.note.content": log.description}
    run = mlflow.start_run(experiment_id=log.experiment, run_name=tags["mlflow.runName"], tags=tags)
    log.run_id = run.info.run_id
    mlflow.log_params(_section_values(params, evaluation=False))


def _reopen(log: RunLog, params: Params, run_id: str) -> None:
    """Go on with the run of a training that was interrupted, or start a new one."""
    import mlflow

    log.experiment = connect(params.track.experiment)
    run, client = _find(run_id) if run_id else None, mlflow.MlflowClient()
    values = {name: str(value) for name, value in _section_values(params, evaluation=False).items()}
    if not run or run.data.tags.get("chromascape.state") == EVALUATED or not run.data.params.items() <= values.items():
        return _start(log, params)
    log.client, log.run_id = client, run_id
    for name in run.data.metrics:
        log.logged |= {(name, point.step) for point in client.get_metric_history(run_id, name)}
    mlflow.start_run(run_id=run_id)
    if ENDED in run.data.tags:
        client.delete_tag(run_id, ENDED)
    mlflow.set_tags(lineage() | process_tag() | {"mlflow.note.content": log.description})
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

    log.experiment = connect(params.track.experiment)
    found = _trained_run(params, log.experiment, digest)
    if found:
        mlflow.start_run(run_id=found)
        log.client, log.run_id = mlflow.MlflowClient(), found
        # No later evaluation mixes with this one.
        write_json(run_identity(found, log.experiment, digest, EVALUATED), RUN_FILE)
        mlflow.set_tags(lineage() | _naming(params) | process_tag())
        return
    _start(log, params)
    for row in curves.to_dict("records"):
        log.epoch({str(name): value for name, value in row.items()})
    if log.waiting:  # told already
        raise ChromascapeError("the history of the training was not taken")
    if val_figures:
        log.figures(val_figures, "val")
    log.client.set_tag(log.run_id, "chromascape.weights_sha256", digest)
    write_json(run_identity(log.run_id, log.experiment, digest, EVALUATED), RUN_FILE)


def _trained_run(params: Params, experiment: str, digest: str) -> str:
    """The run that trained these weights with these params and was not evaluated yet; empty where there is none."""
    kept = read_run_file()
    run_id = kept.get("run_id", "")
    if kept != run_identity(run_id, experiment, digest, TRAINED):
        return ""
    run = _find(run_id)
    expected = {name: str(value) for name, value in _section_values(params, evaluation=False).items()}
    alive = run and run.data.tags.get("chromascape.state") == TRAINED
    return run_id if alive and run.data.params == expected else ""


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
        status = "FINISHED" if log.complete and not log.waiting else "FAILED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if log.run_id and status != "FINISHED":
            log.attempt(tell_ending, log.client, log.run_id, status)
        log.attempt(mlflow.end_run, status)
