"""The MLflow run of one execution of the pipeline, logged whole from the files that its stages wrote.

There is one way to a complete run, whether its training ran just now, was resumed, or came from DVC's cache. Whatever a
run has already is not logged again, so that an interrupted logging is simply repeated.
"""

import os
import time
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from chromascape.errors import ChromascapeError
from chromascape.files import read_metrics, repository_root, sha256_of_file
from chromascape.params import Params, deciding, flatten
from chromascape.photos.manifest import read_manifest
from chromascape.resume import digest, folder_of, lock_of, tell
from chromascape.tracking import artifacts, names
from chromascape.tracking.address import tracking_uri
from chromascape.tracking.figures import constants_of, metrics_of, result_in_words
from chromascape.tracking.lineage import checkout, lineage, place
from chromascape.tracking.locks import locked
from chromascape.tracking.server import one_line, without_credentials
from chromascape.tracking.store import connect
from chromascape.tracking.view import VAL_PHOTOS

MODEL = Path("models/colorizer")
CURVES, TRAIN, EVALUATE = Path("metrics/curves.csv"), Path("metrics/train.json"), Path("metrics/evaluate.json")
FILES = (Path("reports/index.html"), Path("reports/per_photo.csv"), Path("params.yaml"))
PICTURES, MANIFEST = Path("reports/photos"), Path("data/manifest.csv")
# Tags. A training's names this checkout, so that two checkouts that share a store have runs of their own.
TRAINING, EXECUTION, STATE, ENDED = (f"chromascape.{name}" for name in ("training", "execution", "state", "ended"))
EVALUATED = "evaluated"  # the state of a run that is whole
NOTE = "mlflow.note.content"
BATCH = 500  # metrics in a request; MLflow takes 1,000
LONGEST_PARAM, LONGEST_TAG = 6_000, 8_000  # characters that MLflow takes


def log_run(params: Params) -> str:
    """Complete the run of the training and evaluation in this workspace, or make it; returns its id.

    Raises:
        ChromascapeError: MLflow fails. What was logged stays, and the next call completes it.
    """
    try:
        return _log_run(params)
    except ChromascapeError:
        raise
    except Exception as error:  # each store has errors of its own
        raise ChromascapeError(
            f"MLflow failed in {without_credentials(tracking_uri())} ({reason(error)}): report and metrics are "
            "written; `dvc repro` logs them once MLflow takes them"
        ) from None


def _log_run(params: Params) -> str:
    import mlflow

    experiment = connect(params.track.experiment)
    client = mlflow.MlflowClient()
    close_killed_runs(client, experiment)
    figures = read_metrics(EVALUATE, "evaluate")
    split = figures["split"]
    note = f"{names.description(params)}\n\n{result_in_words(figures, split)}"
    tags = run_tags(params) | {NOTE: note, TRAINING: _training_here(), EXECUTION: execution(params)}
    tags["chromascape.precision"] = read_metrics(TRAIN, "train").get("precision", "")
    with locked(tracking_uri()):
        run = _find_or_create(client, experiment, tags)
    run_id = run.info.run_id
    log_params(client, run, flatten(params))
    by_split = {split: figures, "val": figures["val"]}
    values = {name: value for of, its in by_split.items() for name, value in metrics_of(its, of).items()}
    model_id = artifacts.log_model(client, run, MODEL, names.model_name(params), note)
    _log_metrics(client, run, values, model_id)
    _log_datasets(client, run_id, params.data.dir)
    for name, its in by_split.items():
        client.log_dict(run_id, its, f"figures/{name}.json")
        tags |= constants_of(its, name)
    tags[VAL_PHOTOS] = f"{figures['val']['n_photos']:,} photos, id {figures['val']['photos']}"
    for file in FILES:
        client.log_artifact(run_id, str(file))
    tags |= artifacts.log_pictures(client, run_id, PICTURES)
    if run.data.tags.get(STATE) == EVALUATED:  # the commit that it was made with stays
        tags = {name: value for name, value in tags.items() if name not in run.data.tags}
    set_tags(client, run_id, tags | {STATE: EVALUATED})
    if ENDED in client.get_run(run_id).data.tags:
        client.delete_tag(run_id, ENDED)
    client.set_terminated(run_id, "FINISHED")
    return str(run_id)


def _find_or_create(client: Any, experiment: str, tags: dict[str, str]) -> Any:
    """The run that the training streamed to, else the one that an earlier logging has begun, else a new one.

    All are of this checkout. A run that another experiment of DVC streamed to is taken last, once its training has
    ended: that experiment may have failed before its evaluation, and if it did not, it makes another one.
    """
    found = client.search_runs([experiment], f"tags.`{TRAINING}` = '{tags[TRAINING]}'")
    streamed = [run for run in found if EXECUTION not in run.data.tags]
    own = [run for run in streamed if run.data.tags.get("dvc.experiment") == tags.get("dvc.experiment")]
    begun = [run for run in found if run.data.tags.get(EXECUTION) == tags[EXECUTION]]
    ended = [run for run in streamed if run.info.status != "RUNNING"]
    for run in [*own, *begun, *ended]:
        client.set_tag(run.info.run_id, EXECUTION, tags[EXECUTION])
        return run
    return client.create_run(experiment, tags=tags)


def find_run(client: Any, experiment: str, params: Params) -> Any:
    """The whole run of the training and evaluation in this workspace; None where the store has none.

    Where other checkouts share the store and have the same results, it is this one's own, if it has one.

    Raises:
        OSError: nothing was evaluated here yet.
    """
    wanted = f"tags.`{EXECUTION}` = '{execution(params)}' and tags.`{STATE}` = '{EVALUATED}'"
    found = client.search_runs([experiment], wanted)
    own = [run for run in found if run.data.tags.get(TRAINING, "").startswith(f"{checkout()}/")]
    return next(iter([*own, *found]), None)


def execution(params: Params) -> str:
    """What tells one execution of the pipeline from another: its params, training, model and figures, 32 hex digits.

    The path of the photos is left out: what they are is in the figures.
    """
    return digest([deciding(params), *(sha256_of_file(file) for file in (TRAIN, MODEL / "config.json", EVALUATE))])[:32]


def training_tag(fingerprint: str) -> str:
    """The tag of a training of this checkout."""
    return f"{checkout()}/{fingerprint}"


def _training_here() -> str:
    return training_tag(read_metrics(TRAIN, "train")["training"])


def run_tags(params: Params) -> dict[str, str]:
    """Tags that name a run and tie it to code, data and DVC experiment, with MLflow's own, such as the user."""
    from mlflow.tracking.context.registry import resolve_tags

    changed = names.changes(params)
    experiment = [os.environ.get("DVC_EXP_NAME", ""), place().replace("workspace", "")]
    own = {
        "mlflow.runName": names.run_name(params, changed, ", ".join(filter(None, experiment))),
        "chromascape.changed_params": (", ".join(f"{key}={value}" for key, value in changed.items()) or "none")[
            :LONGEST_TAG
        ],
        NOTE: names.description(params),
    }
    return dict(resolve_tags(lineage() | own))


def set_tags(client: Any, run_id: str, values: dict[str, str]) -> None:
    """Set tags of a run in one request."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, value[:LONGEST_TAG]) for name, value in values.items()])


def log_params(client: Any, run: Any, values: dict[str, Any]) -> None:
    """Log those params that the run does not have yet; one that is too long for MLflow is cut off, with a note."""
    from mlflow.entities import Param

    missing = {name: str(value) for name, value in values.items() if name not in run.data.params}
    for name, value in missing.items():
        if len(value) > LONGEST_PARAM:
            tell(f"note: {name}: MLflow keeps the first {LONGEST_PARAM:,} of its {len(value):,} characters")
    client.log_batch(run.info.run_id, params=[Param(name, value[:LONGEST_PARAM]) for name, value in missing.items()])


def _log_metrics(client: Any, run: Any, values: dict[str, float], model_id: str) -> None:
    """All epochs of the curves, and the figures, which are the model's too, as far as the run does not have them."""
    from mlflow.entities import Metric

    now, run_id, rows = int(time.time() * 1000), run.info.run_id, _rows(CURVES)
    curve = [name for name in rows[0] if name != "epoch"]  # with the metric that chose the epoch, if one did
    logged = {
        (name, point.step)
        for name in curve
        if name in run.data.metrics
        for point in client.get_metric_history(run_id, name)
    }
    curves = [(name, float(row[name]), int(row["epoch"])) for row in rows for name in curve]
    missing = [Metric(name, value, now, step) for name, value, step in curves if (name, step) not in logged]
    new = {name: value for name, value in values.items() if name not in run.data.metrics}
    missing += [Metric(name, value, now, 0, model_id=model_id, run_id=run_id) for name, value in new.items()]
    for start in range(0, len(missing), BATCH):
        client.log_batch(run_id, metrics=missing[start : start + BATCH])


def _rows(file: Path) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in pd.read_csv(file).to_dict("records")]


def _log_datasets(client: Any, run_id: str, folder: str) -> None:
    """The accepted photos of each split; MLflow keeps equal ones once."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    manifest = read_manifest(MANIFEST)
    for split, context in {"train": "training", "val": "validation", "test": "test"}.items():
        data = Dataset(**artifacts.dataset_of(manifest, folder, split))
        _log_input(client, run_id, DatasetInput(data, [InputTag("mlflow.data.context", context)]))


def _log_input(client: Any, run_id: str, given: Any) -> None:
    """Log a dataset; another run that logs the same one at this moment may write it first, and then it is there."""
    from mlflow.exceptions import MlflowException

    for left in (2, 1, 0):
        try:
            return client.log_inputs(run_id, datasets=[given])  # type: ignore[no-any-return]
        except MlflowException as error:
            if not left or not any(word in str(error).lower() for word in ("unique", "duplicate")):
                raise


def close_killed_runs(client: Any, experiment: str) -> None:
    """Mark the runs of this checkout whose process was killed: MLflow calls them running for ever."""
    for run in killed_runs(client, experiment):
        client.set_tag(run.info.run_id, ENDED, "killed")
        client.set_terminated(run.info.run_id, "KILLED")


def killed_runs(client: Any, experiment: str) -> list[Any]:
    """Runs that MLflow calls running, of trainings of this checkout that no process works on."""
    found = client.search_runs(
        [experiment], f"attributes.status = 'RUNNING' and tags.`{TRAINING}` LIKE '{checkout()}/%'"
    )
    idle = [run for run in found if not _is_at_work(run.data.tags[TRAINING].partition("/")[2])]
    # A training ends its run before it frees its lock: one that ended meanwhile is not running any more.
    return [run for run in idle if client.get_run(run.info.run_id).info.status == "RUNNING"]


def training_lock(fingerprint: str) -> Path:
    """The file that a training of this checkout locks as long as it runs."""
    return lock_of(folder_of(repository_root(), "train", fingerprint))


def _is_at_work(fingerprint: str) -> bool:
    """Whether a process holds the lock on the checkpoints of a training."""
    lock = training_lock(fingerprint)
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except OSError:  # a timeout, or a folder that is read-only
        return True


def reason(error: Exception) -> str:
    """The type and text of an error as a part of a line."""
    return f"{type(error).__name__}: {one_line(error) or 'no reason given'}"
