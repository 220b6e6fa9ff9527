"""Several pipelines at once on one fresh store."""

import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from conftest import lay_code, made_once, write_photos
from test_stages import run_stage, write_params
from warm import unmeasured, warm_path

SMALL = {
    "preprocess.side": 64,
    "train.epochs": 1,
    "train.side": 64,
    "train.working_size": 64,
    "train.batch_size": 4,
    "evaluate.rows": 1,
}


def make_project(folder: Path) -> None:
    """The stage scripts and their code, with a few small photos, which are in shards."""
    folder.mkdir()
    lay_code(folder)
    write_photos(folder / "photos", 12)
    write_params(folder, SMALL)
    for name in ("validate", "preprocess"):
        assert run_stage(folder, name, measured=True).returncode == 0
    (folder / "mlflow.db").unlink(missing_ok=True)


def small_project(factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A copy of the project that `make_project` makes."""
    return Path(shutil.copytree(made_once(factory, "project", make_project), folder, symlinks=True))


@pytest.mark.scale
@pytest.mark.no_cover
def test_four_pipelines_at_once_on_a_fresh_store_are_four_complete_runs(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of four that set up one store together, three crashed."""
    store = f"sqlite:///{tmp_path}/mlflow.db"
    projects = [small_project(tmp_path_factory, tmp_path / f"clone-{number}") for number in range(4)]
    environment = unmeasured() | {"MLFLOW_TRACKING_URI": store, "OMP_NUM_THREADS": "1", "PATH": warm_path()}
    script = "import subprocess, sys\n"
    script += "for name in sys.argv[1:]: subprocess.run(['python', f'stages/{name}.py'], check=True)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", script, "train", "evaluate"], cwd=project, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for project in projects
    ]  # fmt: skip
    said = [process.communicate(timeout=400)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, "\n".join(said)
    assert "warning: MLflow" not in "".join(said)
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("chromascape").experiment_id
    runs = client.search_runs([experiment])
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    models = client.search_logged_models([experiment])
    assert {model.source_run_id for model in models if str(model.status) == "READY"} == {r.info.run_id for r in runs}
    rows = [pd.read_csv(project / "metrics/curves.csv").iloc[0] for project in projects]
    for run in runs:
        assert run.data.metrics["val_loss"] == rows[0]["val_loss"] and "gain_over_gray_db" in run.data.metrics
        assert run.data.tags["chromascape.state"] == "evaluated" and len(run.inputs.dataset_inputs) == 3
        names = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"index.html", "per_photo.csv", "figures", "images", "params.yaml"} <= names
