"""Training curves in MLflow while a training runs. A convenience: it never delays a training, and never stops one.

`tracking.run` logs the run whole when the evaluation ends, whatever has arrived here.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.params import Params, flatten
from chromascape.resume import tell
from chromascape.tracking.address import tracking_uri
from chromascape.tracking.run import (
    ENDED,
    EVALUATED,
    STATE,
    TRAINING,
    close_killed_runs,
    log_params,
    reason,
    run_tags,
    set_tags,
    training_tag,
)
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect

PATIENCE = 10.0  # seconds that a training waits at its end for what MLflow has not taken yet
# While a training is interrupted; MLflow never changes a logged param.
MAY_CHANGE = ("train.checkpoint_seconds", "train.devices")


class Stream:
    """Sends epochs to a run from a thread of its own. After the first failure it warns once and sends nothing more."""

    def __init__(self, client: Any, run_id: str, logged: set[tuple[str, int]]):
        """`logged`: names and steps of the metrics that the run has already."""
        self.client, self.run_id, self.logged = client, run_id, logged
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def epoch(self, row: dict[str, float]) -> None:
        """A row of the training history, as `learning.training.Trained` has them."""
        self.metrics({name: value for name, value in row.items() if name != "epoch"}, int(row["epoch"]))

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Metrics at a step, with the time of this call; a resumed training skips those that the run has."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = [Metric(name, value, now, step) for name, value in values.items() if (name, step) not in self.logged]
        if new:
            self._calls.put(lambda: self.client.log_batch(self.run_id, metrics=new))

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED; wait for the thread, but not for long."""
        if status != "FINISHED":
            self._calls.put(lambda: self.client.set_tag(self.run_id, ENDED, status.lower()))
        self._calls.put(lambda: self.client.set_terminated(self.run_id, status))
        self._calls.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            _warn(f"no answer within {PATIENCE:g} seconds")

    def _work(self) -> None:
        try:
            for call in iter(self._calls.get, None):
                call()
        except Exception as error:  # whatever it is, training matters more
            _warn(reason(error))


def _warn(problem: str) -> None:
    tell(f"warning: MLflow failed ({problem}): no more live curves; the stage `evaluate` logs the run whole")


@contextmanager
def stream_training(params: Params, fingerprint: str) -> Iterator[Stream | None]:
    """A run that shows a training while it runs: that of the same training, if one was interrupted, else a new one.

    It ends as finished, as killed on KeyboardInterrupt, else as failed. There is none, with a note, for a training
    that a whole run has: where it ends in the same bytes again, nothing is evaluated, and its run had no figures.

    Args:
        fingerprint: of the training, see `learning.checkpoints.fingerprint`.
    Raises:
        ChromascapeError: MLflow can't start a run. Nothing has been computed yet, so nothing is lost.
    """
    try:
        stream = _open(params, fingerprint)
    except ChromascapeError:
        raise
    except Exception as error:
        raise ChromascapeError(
            f"MLflow can't start a run in {without_credentials(tracking_uri())} ({reason(error)}): "
            "fix that, or name another store in MLFLOW_TRACKING_URI"
        ) from None
    if stream is None:
        tell("note: MLflow has the run of this same training: no live curves")
        yield None
        return
    status = "FAILED"
    try:
        with _system_metrics(stream.run_id):
            yield stream
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        stream.close(status)


def _open(params: Params, fingerprint: str) -> Stream | None:
    """The stream into the run of this training, which is running from now on; None where it has a whole run."""
    import mlflow

    experiment = connect(params.track.experiment)
    client = mlflow.MlflowClient()
    close_killed_runs(client, experiment)
    tag = training_tag(fingerprint)
    found = client.search_runs([experiment], f"tags.`{TRAINING}` = '{tag}'")
    run = next((run for run in found if run.data.tags.get(STATE) != EVALUATED), None)
    if run is None and found:
        return None
    tags = run_tags(params) | {TRAINING: tag}
    logged: set[tuple[str, int]] = set()
    if run is None:
        run = client.create_run(experiment, tags=tags)
    else:
        client.update_run(run.info.run_id, status="RUNNING")
        set_tags(client, run.info.run_id, tags)
        if ENDED in run.data.tags:
            client.delete_tag(run.info.run_id, ENDED)
        for name in run.data.metrics:
            logged |= {(name, point.step) for point in client.get_metric_history(run.info.run_id, name)}
    values = {name: value for name, value in flatten(params).items() if name.startswith("train.")}
    log_params(client, run, {name: value for name, value in values.items() if name not in MAY_CHANGE})
    return Stream(client, run.info.run_id, logged)


@contextmanager
def _system_metrics(run_id: str) -> Iterator[None]:
    """Metrics of the machine where MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING asks for them; MLflow sends them itself."""
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

    monitor: Any = None
    if MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        try:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            monitor = SystemMetricsMonitor(run_id, resume_logging=True)
            monitor.start()
        except Exception as error:  # no psutil, say
            tell(f"warning: no system metrics: {reason(error)}")
    try:
        yield
    finally:
        if monitor:
            ending = threading.Thread(target=_finish, args=[monitor], daemon=True)
            ending.start()
            ending.join(PATIENCE)


def _finish(monitor: Any) -> None:
    """End the metrics of the machine, which waits for a thread that may wait for a server."""
    with suppress(Exception):
        monitor.finish()
