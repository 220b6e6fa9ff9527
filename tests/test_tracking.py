"""MLflow: where runs go, what they hold, what ties them to code and data."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch
from PIL import Image

from chromascape import tracking
from chromascape.colorizer import save
from chromascape.errors import ChromascapeError
from chromascape.networks import build_network
from chromascape.params import Params, flatten

CURVES = pd.DataFrame(
    {"epoch": [1, 2], "train_loss": [0.5, 0.4], "val_loss": [0.6, 0.3], "gray_val_loss": [0.7, 0.7], "lr": [0.1, 0.0]}
)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty git repository as the current folder; MLflow as if just imported before and after."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "tracked.txt").write_text("one")
    subprocess.run([*git, "add", "tracked.txt"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "start"], check=True)
    yield tmp_path
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    save(folder, build_network("unet").state_dict(), "unet", 64)
    return folder / "weights.safetensors"


def all_runs(folder: Path) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids)


def test_a_run_goes_to_sqlite_in_the_repository_with_all_params(
    repository: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params({"train.lr": 0.125})
    with tracking.new_run(params) as log:
        log.epoch(CURVES.to_dict("records")[0])
        log.images_per_second(12.5)
    (run,) = all_runs(repository)
    assert run.data.params == {key: str(value) for key, value in flatten(params).items()}
    assert run.data.params["train.lr"] == "0.125"
    assert run.data.metrics["val_loss"] == 0.6 and run.data.metrics["images_per_second"] == 12.5
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((repository / "mlartifacts").resolve().as_uri())


def test_in_a_temporary_copy_runs_go_to_the_repository_that_dvc_names(
    repository: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = repository / "copy"
    copy.mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    with tracking.new_run(make_params()):
        pass
    assert len(all_runs(repository)) == 1
    assert list(copy.iterdir()) == []


def test_the_environment_names_another_store(
    repository: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository / 'elsewhere.db'}")
    with tracking.new_run(make_params()):
        pass
    assert (repository / "elsewhere.db").exists() and not (repository / "mlflow.db").exists()


def test_a_run_that_breaks_off_is_marked_failed(repository: Path, make_params: Callable[..., Params]) -> None:
    with pytest.raises(ZeroDivisionError), tracking.new_run(make_params()):
        raise ZeroDivisionError
    assert [run.info.status for run in all_runs(repository)] == ["FAILED"]


def test_evaluation_continues_the_run_that_trained_the_weights(
    repository: Path, make_params: Callable[..., Params], weights: Path
) -> None:
    with tracking.new_run(make_params()) as log:
        log.trained(weights)
    with tracking.continue_run(make_params(), weights, CURVES) as log:
        log.figures(figures())
    (run,) = all_runs(repository)
    assert run.data.metrics["gain_over_gray_db"] == 1.5
    assert run.data.metrics["gray.psnr_db"] == 20.0
    assert run.data.metrics["gain_over_gray_ci95_low_db"] == 1.0
    assert "val_loss" not in run.data.metrics  # the history is only told again to a new run
    assert run.data.tags["chromascape.state"] == "evaluated"


def test_evaluating_the_same_weights_again_is_a_complete_run_of_its_own(
    repository: Path, make_params: Callable[..., Params], weights: Path
) -> None:
    with tracking.new_run(make_params()) as log:
        log.trained(weights)
    for _ in range(2):
        with tracking.continue_run(make_params(), weights, CURVES) as log:
            log.figures(figures())
    newest = all_runs(repository)[0]
    assert len(all_runs(repository)) == 2
    client = mlflow.MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    history = client.get_metric_history(newest.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.6), (2, 0.3)]


def test_lineage_names_commit_data_and_experiment(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "dvc.lock").write_text(
        "stages:\n"
        "  validate: {deps: [{path: ../photos, md5: aaa.dir}, {path: src/x.py, md5: no}]}\n"
        "  preprocess: {outs: [{path: data/lab, md5: bbb.dir}]}\n"
    )
    monkeypatch.setenv("DVC_EXP_NAME", "brave-try")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee")
    tags = tracking.lineage()
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert tags["git.commit"] == head
    assert tags["git.dirty"] == "false"
    assert tags["dvc.photos_md5"] == "aaa.dir" and tags["dvc.lab_md5"] == "bbb.dir"
    assert tags["dvc.experiment"] == "brave-try" and tags["dvc.baseline"] == "c0ffee"
    (repository / "tracked.txt").write_text("two")
    assert tracking.lineage()["git.dirty"] == "true"


def test_lineage_without_git_or_dvc_is_short_but_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tags = tracking.lineage()
    assert "git.commit" not in tags and "dvc.lab_md5" not in tags
    assert tags["chromascape.version"]


def test_a_deleted_experiment_is_named(make_params: Callable[..., Params]) -> None:
    identity = tracking.connect("gone")
    mlflow.MlflowClient().delete_experiment(identity)
    with pytest.raises(ChromascapeError, match=r"track\.experiment: 'gone' was deleted in MLflow: restore it"):
        tracking.connect("gone")


def test_the_photos_of_each_split_are_logged_as_datasets(repository: Path, make_params: Callable[..., Params]) -> None:
    manifest = pd.DataFrame(
        {
            "path": ["a.jpg", "b\udcff.jpg", "c.jpg", "d.jpg"],
            "verdict": ["accepted"] * 3 + ["rejected"],
            "split": ["train", "val", "test", None],
            "sha256": ["1", "2", "3", "4"],
            "width": [10] * 4,
            "height": [10] * 4,
            "colorfulness": [20.0] * 4,
        },
        dtype=object,
    )
    with tracking.new_run(make_params()) as log:
        log.photos(manifest, str(repository))
    (run,) = all_runs(repository)
    contexts = {entry.dataset.name: entry.tags[0].value for entry in run.inputs.dataset_inputs}
    assert contexts == {"photos-train": "training", "photos-val": "validation", "photos-test": "test"}


def test_the_logged_model_loads_back_and_colorizes_photos_of_any_size(
    repository: Path, make_params: Callable[..., Params], weights: Path
) -> None:
    with tracking.new_run(make_params()) as log:
        log.model(weights.parent)
        log.picture(Image.new("RGB", (8, 8), "red"), "random-1")
        log.files([repository / "tracked.txt"])
    files = {str(path.relative_to(repository)) for path in (repository / "mlartifacts").rglob("*")}
    assert any(name.endswith("pictures/random-1.png") for name in files)
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]
    model = mlflow.pyfunc.load_model(f"runs:/{log.run_id}/model")
    photos = []
    for size in ((101, 67), (64, 90)):
        stream = io.BytesIO()
        Image.effect_noise(size, 60).save(stream, "PNG")
        photos.append(stream.getvalue())
    pictures = [Image.open(io.BytesIO(data)) for data in model.predict(photos)]
    assert [picture.size for picture in pictures] == [(101, 67), (64, 90)]
    assert {picture.format for picture in pictures} == {"PNG"}


@pytest.mark.scale
def test_four_processes_at_once_on_a_fresh_store_all_keep_their_runs(repository: Path) -> None:
    script = (
        "from pathlib import Path; from chromascape import tracking; from chromascape.params import load_params; "
        "import sys; params = load_params(Path(sys.argv[1]))\n"
        "with tracking.new_run(params) as log: log.images_per_second(1.0)"
    )
    params = Path(__file__).resolve().parents[1] / "params.yaml"
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(params)], cwd=repository, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    errors = [process.communicate()[1].decode() for process in started]
    assert [process.returncode for process in started] == [0] * 4, errors
    runs = all_runs(repository)
    assert [run.data.metrics["images_per_second"] for run in runs] == [1.0] * 4


def figures() -> dict[str, object]:
    row = {"psnr_db": 20.0, "ssim": 0.9, "ciede2000": 10.0, "colorfulness": 0.0, "loss_mse_l1": 0.05}
    return {
        "n_photos": 3,
        "held_out": True,
        "model": row | {"psnr_db": 21.5},
        "gray": row,
        "mean_ab": row,
        "truth": {"colorfulness": 30.0},
        "gain_over_gray_db": 1.5,
        "gain_over_gray_ci95_db": [1.0, 2.0],
        "win_rate_over_gray": 1.0,
        "win_rate_over_gray_ciede2000": 1.0,
    }
