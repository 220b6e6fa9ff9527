"""The whole run of a workspace in a real MLflow store in a temporary folder, and what ties it to code and data."""

import contextlib
import io
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from conftest import make_photo
from filelock import FileLock
from mlflow.entities import Run
from PIL import Image
from registered import CURVES, FIGURES, TRAINING, alone_in, evaluated_run, write_outputs

from chromascape.colorizing.colorizer import Colorizer
from chromascape.errors import ChromascapeError
from chromascape.params import Params, flatten
from chromascape.tracking import lineage
from chromascape.tracking import run as tracking
from chromascape.tracking import store as stores
from chromascape.tracking.artifacts import two_by_two
from chromascape.tracking.figures import metrics_of, result_in_words
from chromascape.tracking.stream import stream_training


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; nothing that MLflow keeps in this process comes in or goes out."""
    monkeypatch.setattr(sys, "path", sys.path.copy())  # loading a model adds its code
    with alone_in(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
def store(empty_store: Path, workplace: Path) -> Path:
    """The folder to work in, with an empty store."""
    shutil.copy(empty_store, workplace / "mlflow.db")
    return workplace


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests", "train.lr": 0.0123})


def runs(experiment: str = "tests") -> list[Run]:
    """All runs, the oldest first, read through a client of its own."""
    client = mlflow.MlflowClient(stores.tracking_uri())
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"]) if found else []


def history(run: Run, metric: str) -> list[tuple[int, float]]:
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def curve(name: str) -> list[tuple[int, float]]:
    return list(zip([1, 2, 3], CURVES[name], strict=True))


def git(*arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *author, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def stream(params: Params, epochs: int = 3, training: str = TRAINING) -> str:
    """What the stage `train` sends while it trains; returns the run's id."""
    with stream_training(params, training) as live:
        for row in CURVES.to_dict("records")[:epochs]:
            live.epoch(row)  # type: ignore[arg-type]
    return live.run_id


def refuse(*_: Any, **__: Any) -> None:
    raise mlflow.MlflowException("refused")


def assert_whole(run: Run, params: Params) -> None:
    """Everything is in the run, once."""
    assert run.info.status == "FINISHED" and run.data.tags["chromascape.state"] == "evaluated"
    assert "chromascape.ended" not in run.data.tags
    assert run.data.params == {name: str(value) for name, value in flatten(params).items()}
    for name in CURVES.columns[1:]:
        assert history(run, name) == curve(name)
    assert history(run, "gain_over_gray_db") == [(0, 1.5)] and history(run, "val/gain_over_gray_db") == [(0, 1.25)]
    client = mlflow.MlflowClient()
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"index.html", "per_photo.csv", "params.yaml", "figures", "images"} <= artifacts
    assert {file.path for file in client.list_artifacts(run.info.run_id, "figures")} == {
        "figures/test.json", "figures/val.json",
    }  # fmt: skip
    pictures = [file for file in client.list_artifacts(run.info.run_id, "images") if file.path.endswith(".png")]
    assert len(pictures) == 1 and run.data.tags["chromascape.photo-1"] == "abc"
    assert len(run.inputs.dataset_inputs) == 3 and len(run.outputs.model_outputs) == 1
    (model,) = [m for m in client.search_logged_models([run.info.experiment_id]) if m.source_run_id == run.info.run_id]
    assert str(model.status) == "READY"
    assert {metric.key for metric in client.get_logged_model(model.model_id).metrics} >= {"gain_over_gray_db"}


def test_runs_are_kept_in_a_file_of_the_folder(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage.repository_root() == workplace.resolve()
    assert stores.tracking_uri() == f"sqlite:///{workplace.resolve()}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", str(workplace / "origin"))
    assert stores.tracking_uri() == f"sqlite:///{workplace.resolve()}/origin/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert stores.tracking_uri() == "http://localhost:5000"


def test_the_store_may_be_named_by_the_environment(
    empty_store: Path, workplace: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = workplace / "elsewhere" / "runs.db"
    other.parent.mkdir()
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    run_id = evaluated_run(params)
    assert not (workplace / "mlflow.db").exists()
    run = mlflow.MlflowClient(tracking_uri=f"sqlite:///{other}").get_run(run_id)
    assert run.info.status == "FINISHED" and run.data.params["train.lr"] == "0.0123"


def test_a_store_elsewhere_is_locked_where_all_who_share_it_look(
    empty_store: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two working copies that set up one fresh store at once crash where each takes a lock of its own."""
    other = workplace / "elsewhere" / "runs.db"
    other.parent.mkdir()
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    stores.connect("tests")
    assert list(workplace.glob("*.lock")) == []
    assert len(list(other.parent.glob("*.lock"))) == 1


@pytest.mark.parametrize("name", ["größe a#b", "50% off"])
def test_the_folder_may_have_any_name(store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    root = store / name
    root.mkdir()
    shutil.move(store / "mlflow.db", root)
    monkeypatch.chdir(root)
    run_id = evaluated_run(params)
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("SELECT run_uuid FROM runs").fetchall() == [(run_id,)]
    assert {"mlartifacts", "mlflow.db", "mlflow.db.lock"} <= {path.name for path in root.iterdir()}
    artifacts = mlflow.MlflowClient().list_artifacts(run_id)
    assert "index.html" in [artifact.path for artifact in artifacts]
    assert len(list((root / "mlartifacts").rglob("weights.safetensors"))) == 1


@pytest.mark.parametrize("name", ["feature%2Fx", "what?"])
def test_a_folder_that_mlflow_would_misread_is_refused_at_once(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Jenkins, for one, puts a branch feature/x into a folder feature%2Fx; MLflow would try for minutes."""
    root = store / name
    root.mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(ChromascapeError, match="rename it, or name another store in MLFLOW_TRACKING_URI"):
        stores.connect("tests")
    assert list(root.iterdir()) == []


def test_the_experiment_is_made_once(store: Path) -> None:
    assert stores.connect("tests") == stores.connect("tests")
    assert stores.connect("others") != stores.connect("tests")


def test_a_deleted_experiment_is_one_line_that_names_the_key(store: Path, params: Params) -> None:
    mlflow.set_tracking_uri(stores.tracking_uri())
    mlflow.MlflowClient().delete_experiment(stores.connect("tests"))
    with pytest.raises(ChromascapeError) as caught:
        evaluated_run(params)
    said = "track.experiment: 'tests' was deleted in MLflow: choose another name, or restore it: "
    said += "`mlflow experiments restore --experiment-id 1`"
    assert str(caught.value) == said


def test_a_server_decides_itself_where_artifacts_go(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str | None]] = []

    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifact_location: str | None, tags: dict[str, str]) -> str:
            made.append((name, artifact_location))
            return "7"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(mlflow, "MlflowClient", Client)
    assert stores.connect("tests") == "7"
    assert made == [("tests", None)]
    assert list(workplace.iterdir()) == []  # no lock where there is no file


def test_calls_of_a_server_that_hangs_take_seconds() -> None:
    """By MLflow's own defaults, 120 seconds and 7 retries, one call would take a quarter of an hour."""
    one = int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) * (1 + int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]))
    assert one < 60


def test_without_a_streamed_run_a_whole_one_is_made(store: Path, params: Params) -> None:
    run_id = evaluated_run(params)
    (run,) = runs()
    assert run.info.run_id == run_id
    assert_whole(run, params)
    assert run.data.tags["chromascape.version"] == "0.1.0"


def test_the_run_that_was_streamed_is_completed_and_logging_twice_changes_nothing(store: Path, params: Params) -> None:
    streamed = stream(params, epochs=2)  # MLflow failed at the third, say
    assert evaluated_run(params) == streamed
    (run,) = runs()
    assert_whole(run, params)
    before = run.data.to_dictionary()
    assert tracking.log_run(params) == streamed
    (again,) = runs()
    assert_whole(again, params)
    assert again.data.to_dictionary() == before


REFUSED = r"MLflow failed in sqlite:.*refused\): .*`dvc repro` logs"
OFTEN = ["log_batch", "log_inputs", "log_artifact"]  # fail at the second call
ONCE = [
    "log_image", "create_logged_model", "log_model_artifacts", "log_outputs", "finalize_logged_model", "set_terminated",
]  # fmt: skip


@pytest.mark.parametrize("failing", [*OFTEN, *ONCE])
def test_where_mlflow_fails_it_is_one_line_and_the_next_call_completes_the_same_run(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_outputs()
    with monkeypatch.context() as patch:
        called: list[int] = []
        method = getattr(mlflow.MlflowClient, failing)

        def fail(*arguments: Any, **named: Any) -> Any:
            called.append(1)
            done = method(*arguments, **named) if len(called) == 1 else None
            if len(called) == 1 and failing in OFTEN:
                return done
            raise mlflow.MlflowException("http://me:secret@host/api: connection\nrefused")  # perhaps after the work

        patch.setattr(mlflow.MlflowClient, failing, fail)
        with pytest.raises(
            ChromascapeError, match=r"MLflow failed in sqlite:.*refused\): .*`dvc repro` logs"
        ) as caught:
            tracking.log_run(params)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    (begun,) = runs()
    assert tracking.log_run(params) == begun.info.run_id
    (run,) = runs()
    assert_whole(run, params)


def test_a_run_counts_as_whole_only_once_its_logging_is_complete(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_outputs()
    experiment = stores.connect("tests")
    client = mlflow.MlflowClient()
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_artifact", refuse)
        with pytest.raises(ChromascapeError):
            tracking.log_run(params)
    assert len(runs()) == 1 and tracking.find_run(client, experiment, params) is None
    run_id = tracking.log_run(params)
    assert tracking.find_run(client, experiment, params).info.run_id == run_id


def test_another_execution_of_the_same_training_has_a_run_of_its_own(
    store: Path, params: Params, make_params: Callable[..., Params]
) -> None:
    streamed = stream(params)
    first = evaluated_run(params)
    changed = make_params({"track.experiment": "tests", "train.lr": 0.0123, "evaluate.rows": 2})
    second = tracking.log_run(changed)
    assert first == streamed != second
    assert [run.data.params["evaluate.rows"] for run in runs()] == ["4", "2"]
    for run, its in zip(runs(), (params, changed), strict=True):
        assert_whole(run, its)


def test_other_figures_weights_or_training_are_another_execution(store: Path, params: Params) -> None:
    write_outputs()
    found = {tracking.execution(params)}
    for changes in ({"win_rate_over_gray": 0.5}, {"strength": 0.2}, {"vivid": 1.25}, {"training": "f" * 16}):
        write_outputs(**changes)  # type: ignore[arg-type]
        found.add(tracking.execution(params))
    assert len(found) == 5


def test_only_what_decides_the_figures_tells_executions_apart(
    store: Path, params: Params, make_params: Callable[..., Params]
) -> None:
    write_outputs()
    same = {"track.experiment": "other", "jobs": 3, "register.min_gain_db": 2.0, "data.dir": "/elsewhere"}
    assert tracking.execution(make_params({"train.lr": 0.0123} | same)) == tracking.execution(params)
    assert tracking.execution(make_params({"train.lr": 0.5})) != tracking.execution(params)


def test_a_run_that_another_experiment_of_dvc_streams_to_or_another_training_is_not_completed(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    tracking.training_lock(TRAINING).parent.mkdir()
    with FileLock(tracking.training_lock(TRAINING)), stream_training(params, TRAINING) as theirs:
        monkeypatch.delenv("DVC_EXP_NAME")
        ours = evaluated_run(params)
    assert theirs and ours != theirs.run_id
    Path("metrics/train.json").write_text('{"training": "another"}')
    assert tracking.log_run(params) not in (ours, theirs.run_id)


def test_the_run_of_an_experiment_that_failed_after_its_training_is_completed_by_the_next_one(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next `dvc exp run` has another name, and takes the training from DVC's cache."""
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    theirs = stream(params)
    monkeypatch.setenv("DVC_EXP_NAME", "merry-fox")
    assert evaluated_run(params) == theirs
    (run,) = runs()
    assert_whole(run, params)
    assert run.data.tags["dvc.experiment"] == "merry-fox"


def test_what_is_too_long_for_mlflow_is_cut_off_with_a_note(
    store: Path, make_params: Callable[..., Params], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # as servers may have it
    patterns = [f"folder-{number:04}/*" for number in range(600)]
    evaluated_run(make_params({"track.experiment": "tests", "data.train_only": patterns}))
    (run,) = runs()
    assert run.data.params["data.train_only"] == str(patterns)[:6000]
    assert run.data.tags["chromascape.changed_params"].startswith("data.train_only=['folder-0000/*'")
    said = f"note: data.train_only: MLflow keeps the first 6,000 of its {len(str(patterns)):,} characters\n"
    assert capsys.readouterr().err == said


def test_a_run_of_another_checkout_stays_as_it_is(store: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clones that share a store and have the same results."""
    theirs = evaluated_run(params)
    before = mlflow.MlflowClient().get_run(theirs).data.to_dictionary()
    monkeypatch.setattr(tracking, "checkout", lambda: "9" * 16)
    assert tracking.log_run(params) != theirs
    assert mlflow.MlflowClient().get_run(theirs).data.to_dictionary() == before
    monkeypatch.undo()  # links lead to one's own, not to the latest
    monkeypatch.chdir(store)
    assert tracking.find_run(mlflow.MlflowClient(), stores.connect("tests"), params).info.run_id == theirs


def test_figures_of_val_alone_leave_the_headline_figures_out(store: Path, params: Params) -> None:
    write_outputs()
    Path("metrics/evaluate.json").write_text(
        __import__("json").dumps({"split": "val", **FIGURES["val"], "val": FIGURES["val"]})
    )
    tracking.log_run(params)
    (run,) = runs()
    assert "gain_over_gray_db" not in run.data.metrics and run.data.metrics["val/gain_over_gray_db"] == 1.25
    assert "On 3 validation photos" in run.data.tags["mlflow.note.content"]


def test_headline_figures_stand_on_top_the_others_in_sections(store: Path, params: Params) -> None:
    evaluated_run(params, n_seen={"model": 0, "shipped": 2})
    (run,) = runs()
    figures = {name: value for name, value in run.data.metrics.items() if name not in CURVES}
    assert {name: value for name, value in figures.items() if not name.startswith("val/")} == {
        "gain_over_gray_db": 1.5,
        "gain_over_gray_ci95_low_db": 0.5,
        "gain_over_gray_ci95_high_db": 2.5,
        "win_rate_over_gray": 0.75,
        "psnr_db": 24.0,
        "ssim": 0.93,
        "test/psnr_db": 24.0,
        "test/ssim": 0.93,
        "gray/psnr_db": 22.5,
        "gray/ssim": 0.91,
        "shipped/psnr_db": 23.8,
        "shipped/ssim": 0.92,
        "shipped/gain_over_gray_db": 1.3,
        "test/gain_over_shipped_db": 0.2,
    }
    assert (figures["val/gray_psnr_db"], figures["val/shipped_gain_over_gray_db"]) == (22.5, 1.3)
    assert figures["val/gain_over_shipped_db"] == 0.2
    assert run.data.tags["chromascape.val_photos"] == "3 photos, id 0a1b2c3d"
    assert run.data.tags["test.photos"] == run.data.tags["val.photos"] == "0a1b2c3d"
    assert (run.data.tags["test.n_photos"], run.data.tags["test.held_out"]) == ("4", "true")
    assert run.data.tags["test.n_seen.shipped"] == "2" and run.data.tags["val.n_photos"] == "3"
    logged = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/figures/test.json")
    assert logged.items() >= (FIGURES | {"n_seen": {"model": 0, "shipped": 2}}).items()


def test_no_zero_of_a_description_has_a_minus() -> None:
    said = result_in_words(FIGURES | {"gain_over_gray_db": -0.001, "gain_over_gray_ci95_db": [-0.002, 0.4]}, "test")
    assert "**+0.00 dB** (95 % interval +0.00 to +0.40)" in said


def test_a_run_and_its_description_say_what_it_is_and_how_good(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "abc123")
    evaluated_run(params, held_out=False)
    (run,) = runs()
    assert run.info.run_name == "lr=0.0123 [happy-owl] efficientnet_lite2 sample"
    assert run.data.tags["dvc.experiment"] == "happy-owl" and run.data.tags["dvc.baseline"] == "abc123"
    said = run.data.tags["mlflow.note.content"]
    assert said.startswith("efficientnet_lite2 on sample") and "On 4 test photos: gain over gray **+1.50 dB**" in said
    assert "PSNR dB 24.00 (shipped model 23.80, gray 22.50)" in said and "better than gray on 75 %" in said
    assert "was trained on these photos or chosen by them" in said


def test_a_run_says_where_dvc_ran_it(store: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage.lineage()["chromascape.place"] == "workspace"
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.setenv("DVC_EXP_NAME", "happy-owl")
    for folder, expected in {"standalone/tmpa": "temporary", "tmpb": "queue"}.items():
        copy = store / ".dvc/tmp/exps" / folder
        copy.mkdir(parents=True)
        monkeypatch.chdir(copy)
        assert lineage.lineage()["chromascape.place"] == expected
        name = tracking.run_tags(params)["mlflow.runName"]
        assert name == f"lr=0.0123 [happy-owl, {expected}] efficientnet_lite2 sample"


def test_completing_a_run_brings_its_tags_up_to_date(store: Path, params: Params) -> None:
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    stream(params)
    git("commit", "--quiet", "--allow-empty", "-m", "second")
    evaluated_run(params)
    made_with = git("rev-parse", "HEAD")
    assert runs()[0].data.tags["git.commit"] == made_with
    git("commit", "--quiet", "--allow-empty", "-m", "third")
    tracking.log_run(params)  # as `dvc repro -f` does
    assert runs()[0].data.tags["git.commit"] == made_with


def test_a_run_of_a_killed_process_is_closed_by_the_next_one_of_this_checkout_alone(
    store: Path, params: Params
) -> None:
    experiment = stores.connect("tests")
    client = mlflow.MlflowClient()
    tags = {
        "killed": tracking.training_tag("a" * 16),
        "at work": tracking.training_tag("b" * 16),
        "elsewhere": f"{'9' * 16}/{'a' * 16}",
    }
    ids = {name: client.create_run(experiment, tags={tracking.TRAINING: tag}).info.run_id for name, tag in tags.items()}
    ids["other program"] = client.create_run(experiment).info.run_id
    (store / ".checkpoints").mkdir()
    with FileLock(store / ".checkpoints" / f"train-{'b' * 16}.lock"):
        assert [run.info.run_id for run in tracking.killed_runs(client, experiment)] == [ids["killed"]]
        evaluated_run(params)
    states = {name: client.get_run(run_id).info.status for name, run_id in ids.items()}
    assert states == {"killed": "KILLED", "at work": "RUNNING", "elsewhere": "RUNNING", "other program": "RUNNING"}
    assert client.get_run(ids["killed"]).data.tags["chromascape.ended"] == "killed"


def test_a_checkout_keeps_its_name_and_another_has_another(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage.checkout() == lineage.checkout() and not (store / ".dvc").exists()
    (store / ".dvc").mkdir()
    first = lineage.checkout()
    assert first == lineage.checkout() and len(first) == 16
    monkeypatch.setenv("DVC_ROOT", str(store))
    copy = store / "copy"
    (copy / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert lineage.checkout() == first  # a temporary copy that DVC makes
    monkeypatch.delenv("DVC_ROOT")
    assert lineage.checkout() != first
    assert [file.name for file in (copy / ".dvc/tmp").iterdir()] == ["checkout"]
    (copy / ".dvc").rename(copy / "gone")
    (copy / ".dvc").write_text("in the way")
    assert lineage.checkout() == lineage.checkout() != first


def test_a_checkout_that_is_moved_keeps_its_name_and_one_that_is_copied_gets_its_own(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one server, a copy would end and complete the runs of its original."""
    monkeypatch.setenv("DVC_ROOT", str(workplace / "first ü"))
    (workplace / "first ü" / ".dvc/tmp").mkdir(parents=True)
    first = lineage.checkout()
    shutil.copytree(workplace / "first ü", workplace / "copy")
    (workplace / "first ü").rename(workplace / "moved")
    monkeypatch.setenv("DVC_ROOT", str(workplace / "moved"))
    assert lineage.checkout() == lineage.checkout() == first
    shutil.copytree(workplace / "moved", workplace / "second")
    monkeypatch.setenv("DVC_ROOT", str(workplace / "second"))
    assert lineage.checkout() == lineage.checkout() != first
    (workplace / "second/.dvc/tmp/checkout").write_text("0123456789abcdef")  # of an older version
    assert lineage.checkout() == "0123456789abcdef"


def test_figures_of_one_scene_have_no_interval(store: Path, params: Params) -> None:
    evaluated_run(params, gain_over_gray_ci95_db=None)
    metrics = runs()[0].data.metrics
    assert metrics["gain_over_gray_db"] == 1.5
    assert [name for name in metrics if "ci95" in name and not name.startswith("val/")] == []


def test_accepted_photos_are_logged_split_by_split(store: Path, params: Params) -> None:
    run_id = evaluated_run(params)
    logged = {
        entry.dataset.name: ({tag.key: tag.value for tag in entry.tags}["mlflow.data.context"], entry.dataset.profile)
        for entry in mlflow.MlflowClient().get_run(run_id).inputs.dataset_inputs
    }
    assert {name: context for name, (context, _) in logged.items()} == {
        "photos-train": "training",
        "photos-val": "validation",
        "photos-test": "test",
    }
    rows = {name: yaml.safe_load(profile)["num_rows"] for name, (_, profile) in logged.items()}
    assert rows == {"photos-train": 2, "photos-val": 1, "photos-test": 1}


def test_files_pictures_and_the_model_are_kept_once_beside_the_store(store: Path, params: Params) -> None:
    run_id = evaluated_run(params)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id))
    assert folder.is_relative_to(store.resolve() / "mlartifacts")
    assert (folder / "index.html").read_text() == "a report"
    (picture,) = (folder / "images").glob("photos*photo-1+step+0+*.png")  # as the page looks for it
    expected = two_by_two(Image.open("reports/photos/abc.jpg"))
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), np.asarray(expected))
    kept = [path for path in (store / "mlartifacts").rglob("*") if path.is_file()]
    names = [path.name for path in kept]
    assert names.count("weights.safetensors") == 1 and "colorizer.py" in names  # not those that the package ships
    assert not any("__pycache__" in path.parts for path in kept)
    assert not {".pkl", ".pickle", ".pt", ".pth"} & {path.suffix for path in kept}
    (requirements,) = [path.read_text().split() for path in kept if path.name == "requirements.txt"]
    assert {line.partition("==")[0] for line in requirements} >= {"mlflow", "pandas", "pillow", "torch", "tqdm"}
    assert all("==" in line and "+" not in line for line in requirements)


def test_the_logged_model_colorizes_photos_of_any_size(store: Path, params: Params) -> None:
    run_id = evaluated_run(params)
    (model,) = mlflow.search_logged_models([runs()[0].info.experiment_id], output_format="list")
    assert model.name == "efficientnet_lite2-sample" and model.source_run_id == run_id
    expected = Colorizer.load("models/colorizer", "cpu")
    shutil.rmtree("models/colorizer")  # the model brings its own weights
    loaded = mlflow.pyfunc.load_model(model.model_uri)
    photos, answers = [], []
    for seed, (width, height) in enumerate([(67, 90), (160, 41)]):
        picture = Image.fromarray(make_photo(seed, width=width, height=height)).convert("L")
        stream = io.BytesIO()
        picture.save(stream, "PNG" if seed else "JPEG")
        photos.append(stream.getvalue())
        answers.append(expected.colorize(Image.open(stream)))
    colored = [Image.open(io.BytesIO(data)) for data in loaded.predict(photos)]
    for picture, answer in zip(colored, answers, strict=True):
        assert picture.format == "PNG" and picture.size == answer.size
        difference = np.asarray(picture).astype(int) - np.asarray(answer)
        assert np.abs(difference).max() <= 1
    assert [picture.size for picture in colored] == [(67, 90), (160, 41)]


def test_four_pictures_side_by_side_are_logged_as_two_above_two_in_their_order() -> None:
    """The page shows pictures in squares: a strip would be a line in a gray area."""
    values = [10, 60, 120, 240]
    strip = Image.fromarray(np.concatenate([np.full((6, 6, 3), value, np.uint8) for value in values], axis=1))
    square = np.asarray(two_by_two(strip))
    assert square.shape == (12, 12, 3)
    assert [int(square[y, x, 0]) for y, x in ((0, 0), (5, 11), (6, 5), (11, 6))] == values
    wide = Image.new("RGB", (17, 6))
    assert two_by_two(wide) is wide


@pytest.mark.parametrize("has_git", [True, False], ids=["no repository", "no git"])
def test_without_a_repository_there_are_no_tags_of_git(monkeypatch: pytest.MonkeyPatch, has_git: bool) -> None:
    if not has_git:
        monkeypatch.setenv("PATH", "")
    assert [name for name in lineage.lineage() if name.startswith("git.")] == []


def test_lineage_reads_the_hashes_of_photos_and_shards() -> None:
    deps = [
        {"path": "src/chromascape/validation.py", "md5": "1"},
        {"path": "stages/validate.py", "md5": "2"},
        {"path": "data/sample", "md5": "photos.dir"},
    ]
    stages: dict[str, Any] = {"validate": {"deps": deps}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    tags = lineage.lineage()
    assert tags["dvc.photos_md5"] == "photos.dir" and "dvc.lab_md5" not in tags
    stages["preprocess"] = {"outs": [{"path": "data/lab", "md5": "lab.dir"}]}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    tags = lineage.lineage()
    assert (tags["dvc.photos_md5"], tags["dvc.lab_md5"]) == ("photos.dir", "lab.dir")


@pytest.mark.parametrize("content", [None, "", "stages:\n", "schema: '2.0'\n", "{", "- a\n", "stages: {}\n"])
def test_without_a_whole_dvc_lock_there_are_no_hashes(content: str | None) -> None:
    if content is not None:
        Path("dvc.lock").write_text(content)
    assert [name for name in lineage.lineage() if name.startswith("dvc.")] == []


def test_no_tag_names_a_folder_of_this_machine(workplace: Path) -> None:
    tags = lineage.lineage()
    assert not any(str(workplace) in value for value in tags.values())


def test_the_gain_under_each_damage_is_a_metric_and_the_worst_is_told() -> None:
    damaged = FIGURES | {"damage": {"none": 1.5, "grain 20": -0.07, "faded": 1.0}}
    of_test = metrics_of(damaged, "test")
    assert (of_test["damage/none"], of_test["damage/grain 20"], of_test["damage/faded"]) == (1.5, -0.07, 1.0)
    assert metrics_of(damaged, "val")["val/damage_faded"] == 1.0
    assert "the gain falls to -0.07 dB (grain 20)." in result_in_words(damaged, "test")
    assert "damage" not in result_in_words(FIGURES, "test") and not [
        name for name in metrics_of(FIGURES, "test") if "damage" in name
    ]


@pytest.mark.parametrize(("failures", "said"), [(2, ""), (3, "unique constraint"), (1, "down")])
def test_a_dataset_that_two_runs_log_at_once_is_logged_again(failures: int, said: str) -> None:
    calls = []

    class Client:
        def log_inputs(self, run_id: str, datasets: list[Any]) -> None:
            calls.append(datasets)
            if len(calls) <= failures:
                raise mlflow.MlflowException(said or "(UniqueViolation) dataset_pk")

    with pytest.raises(mlflow.MlflowException, match=said) if said else contextlib.nullcontext():
        tracking._log_input(Client(), "run", "photos")
    assert len(calls) == {"": 3, "unique constraint": 3, "down": 1}[said]
