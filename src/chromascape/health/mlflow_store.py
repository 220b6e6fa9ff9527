"""Where MLflow keeps runs: is it there, of the installed version, free, and which of its runs were never ended?"""

from pathlib import Path

from chromascape.health import Finding
from chromascape.params import Params
from chromascape.tracking.address import database_file, tracking_uri
from chromascape.tracking.checks import store_state
from chromascape.tracking.run import killed_runs


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
    if len(running) > len(killed):
        found.append(Finding("note", "runs", f"{len(running) - len(killed)} running, here or on other machines"))
    return found or [Finding("ok", "runs", "all have ended")]
