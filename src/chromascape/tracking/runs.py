"""MLflow runs: what they hold, and how the stages of one execution share one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file, write_json
from chromascape.params import Params
from chromascape.resume import repository_root
from chromascape.tracking import names, outbox
from chromascape.tracking.delivery import PATIENCE, PATIENCE_KILLED, Courier, deliver_waiting, reason, tell
from chromascape.tracking.endings import ENDED, NOTE, end_lost, process_tag
from chromascape.tracking.lineage import lineage, place
from chromascape.tracking.page import EVALUATED, RUN_FILE, TRAINED, read_run_file, run_identity, section_values
from chromascape.tracking.runlog import RunLog
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

AFTER_TRAINING = "training goes on, and what MLflow does not take now is kept and delivered later"
AFTER_EVALUATION = "report and metrics are written, and what MLflow does not take now is kept and delivered later"


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
    log = RunLog(params)
    try:
        log.experiment = connect(params.track.experiment)
        _deliver_first()
        if not _reopen(log, interrupted):
            _start(log)
            _client().log_batch(log.run_id, params=_params(section_values(params, evaluation=False)))
    except ChromascapeError:
        raise
    except Exception as error:
        if log.run_id:
            with suppress(Exception):
                _client().set_terminated(log.run_id, "FAILED")
        store = without_credentials(tracking_uri())
        raise ChromascapeError(
            f"MLflow can't start a run in {store} ({reason(error)}): "
            "put that right, or name another store in MLFLOW_TRACKING_URI"
        ) from None
    with _writing(log, AFTER_TRAINING):
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
    log, digest = RunLog(params), sha256_of_file(weights)
    trained = _find_or_start(log, digest)
    if log.run_id:
        with suppress(OSError):  # no later evaluation mixes with this one
            write_json(run_identity(log.run_id, log.experiment, digest, EVALUATED, params), RUN_FILE)
    with _writing(log, AFTER_EVALUATION):
        log.courier.add("status", status="RUNNING")
        log.tags(_naming(params) | lineage() | process_tag())
        if not trained:
            log.courier.add("params", values=section_values(params, evaluation=False))
            for row in curves.to_dict("records"):
                log.epoch({str(name): value for name, value in row.items()})
            if val_figures:
                log.figures(val_figures, "val")
            log.tags({"chromascape.weights_sha256": digest})
        yield log
        log.courier.add("params", values=section_values(params, evaluation=True))
        log.tags({"chromascape.state": EVALUATED})


def _start(log: RunLog) -> None:
    """A new run in MLflow."""
    client = _client()
    waiting = {str(box.address["run_id"]) for box in outbox.boxes(repository_root())}
    with suppress(Exception):
        end_lost(client, log.experiment, waiting)
    log.run_id = client.create_run(log.experiment, tags=_tags(log)).info.run_id


def _reopen(log: RunLog, run_id: str) -> bool:
    """Go on with the run of a training that was interrupted, if there is one that fits."""
    run, client = _find(run_id) if run_id else None, _client()
    values = section_values(log.params, evaluation=False)
    if not run or run.data.tags.get("chromascape.state") == EVALUATED or not run.data.params.items() <= values.items():
        return False
    log.run_id = run_id
    for name in run.data.metrics:
        log.logged |= {(name, point.step) for point in client.get_metric_history(run_id, name)}
    client.update_run(run_id, status="RUNNING")
    if ENDED in run.data.tags:
        client.delete_tag(run_id, ENDED)
    for name, value in (lineage() | process_tag() | {NOTE: log.description}).items():
        client.set_tag(run_id, name, value)
    missing = {name: value for name, value in values.items() if name not in run.data.params}
    client.log_batch(run_id, params=_params(missing))
    return True


def _find(run_id: str) -> Any:
    """The run of that id; None where there is none, or it was deleted."""
    import mlflow

    try:
        run = _client().get_run(run_id)
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _find_or_start(log: RunLog, digest: str) -> bool:
    """Whether there is the run that trained these weights by these params and was not evaluated yet; else a new one.

    Where MLflow fails `models/run.json` is believed, or the log has no run yet: delivery will make it.
    """
    kept = read_run_file()
    run_id, experiment = kept.get("run_id", ""), kept.get("experiment_id", "")
    usable = kept == run_identity(run_id, experiment, digest, TRAINED, log.params)
    try:
        log.experiment = connect(log.params.track.experiment)
        _deliver_first()
        run = _find(run_id) if usable and experiment == log.experiment else None
        usable = run is not None and run.data.tags.get("chromascape.state") != EVALUATED
        if not usable:
            _start(log)
    except Exception as error:  # whatever it is: an evaluation weighs more
        tell(f"warning: MLflow failed ({reason(error)}): {AFTER_EVALUATION}")
    if usable:
        log.run_id, log.experiment = run_id, experiment
    return usable


def _deliver_first() -> None:
    """What earlier stages had to keep comes first."""
    for done in deliver_waiting():
        if done.entries:
            tell(f"MLflow got what waited of run {done.run_id}: {outbox.in_words(done.entries)}")
        if done.problem:
            tell(f"warning: what waits of run {done.run_id} waits on: {done.problem}")


def _tags(log: RunLog) -> dict[str, str]:
    """What a new run is tagged with, beside what MLflow itself finds out, such as the user."""
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags(lineage() | _naming(log.params) | process_tag() | {NOTE: log.description}))


def _naming(params: Params) -> dict[str, str]:
    """Tags that name a run by what it is; MLflow takes the name from one."""
    changed = names.changes(params)
    experiment = [os.environ.get("DVC_EXP_NAME", ""), place().replace("workspace", "")]
    name = names.run_name(params, changed, ", ".join(filter(None, experiment)))
    shown = ", ".join(f"{key}={value}" for key, value in changed.items()) or "none"
    return {"mlflow.runName": name, "chromascape.changed_params": shown}


def _params(values: dict[str, str]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, value) for name, value in values.items()]


def _client() -> Any:
    import mlflow

    return mlflow.MlflowClient()


@contextmanager
def _writing(log: RunLog, after: str) -> Iterator[None]:
    """Deliver what is logged in the block, and end the run with it, so that none is left as running."""
    run = {"tags": {} if log.run_id else _tags(log), "start_time": int(time.time() * 1000)}
    store, experiment = without_credentials(tracking_uri()), log.params.track.experiment
    address = {"store": store, "experiment": experiment, "run_id": log.run_id, "run": run}
    log.courier, status = Courier(address, after), "FAILED"
    try:
        with _system_metrics(log.run_id):
            yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        log.end(status)
        log.courier.close(PATIENCE_KILLED if status == "KILLED" else PATIENCE)


@contextmanager
def _system_metrics(run_id: str) -> Iterator[None]:
    """Metrics of the machine, where MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING asks for them; MLflow sends them itself."""
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

    monitor: Any = None
    if run_id and MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(run_id, resume_logging=True)
            monitor.start()
        except Exception as error:  # no psutil, say
            tell(f"warning: no metrics of the machine: {reason(error)}")
    try:
        yield
    finally:
        if monitor:
            monitor.finish()
