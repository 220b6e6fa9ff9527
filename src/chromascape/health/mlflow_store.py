"""Where MLflow keeps runs: is it there, of the installed version, free, and which of its runs were never ended?"""

from pathlib import Path
from typing import Any

import psutil

from chromascape.health import Finding
from chromascape.params import Params
from chromascape.tracking.address import database_file, tracking_uri
from chromascape.tracking.lineage import checkout
from chromascape.tracking.run import TRAINING, killed_runs, training_lock
from chromascape.tracking.store_checks import holders, store_state


def store(params: Params) -> list[Finding]:
    """The store, and the runs that it calls running; an empty store is none yet, and is not made."""
    level, text = store_state(params.track.experiment)
    found = [Finding(level, "MLflow", text)]
    file = database_file()
    if level != "ok" or (file and not Path(file).exists()):
        return found
    return [*found, *_runs(params)]


def _runs(params: Params) -> list[Finding]:
    """Runs that MLflow calls running: at work, or of this checkout and killed."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri())
    try:
        experiment = client.get_experiment_by_name(params.track.experiment)
        number = experiment.experiment_id if experiment else ""
        running = client.search_runs([number], "attributes.status = 'RUNNING'") if number else []
        killed = killed_runs(client, number) if number else []
    except mlflow.MlflowException as error:
        return [Finding("problem", "runs", f"MLflow: {' '.join(str(error).split())[:150]}")]
    found = []
    if killed:
        names = ", ".join(str(run.info.run_name) for run in killed)
        found.append(Finding("note", "runs", f"{len(killed)} whose process was killed: {names}: `dvc repro` ends them"))
    ended = {run.info.run_id for run in killed}
    found += [Finding("note", "runs", _at_work(run)) for run in running if run.info.run_id not in ended]
    return found or [Finding("ok", "runs", "all have ended")]


def _at_work(run: Any) -> str:
    """Who works on a run that MLflow calls running, and what to do where DVC has lost the process."""
    name = str(run.info.run_name)
    owner, _, fingerprint = run.data.tags.get(TRAINING, "").partition("/")
    if owner != checkout():
        return f"{name} is running on another machine, or in another folder"
    process = next(iter(holders(training_lock(fingerprint).resolve())), None)
    if process is None:
        return f"{name} is running, in a process that we can't see"
    if not _is_orphan(process):
        return f"{name} is running in process {process.pid}"
    return (
        f"{name} is running in process {process.pid}, but the dvc that started it is gone: wait for its end or "
        f"`kill {process.pid}`, which keeps a checkpoint; then `dvc repro`"
    )


def _is_orphan(process: psutil.Process) -> bool:
    """Whether DVC started a process and none of those that it descends from is DVC."""
    try:
        commands = [" ".join(parent.cmdline()).lower() for parent in process.parents()]
        return "DVC_STAGE" in process.environ() and not any("dvc" in command for command in commands)
    except (psutil.Error, OSError):
        return False
