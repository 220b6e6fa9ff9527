"""The view of the run table in the form in which the page of MLflow 3.17 reads one, and the links to it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
import yaml
from conftest import REPOSITORY, changed_params
from registered import FIGURES, evaluated_run, write_outputs

from chromascape.params import Params, flatten, load_params
from chromascape.tracking import page, view
from chromascape.tracking import store as stores
from chromascape.tracking.figures import metrics_of


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_view_shows_what_runs_are_compared_by_and_sorts_by_gain() -> None:
    tags = view.experiment_tags()
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    saved = json.loads(tags["mlflow.sharedViewState.comparison"])
    assert {type(saved["name"]), type(saved["createdAt"]), type(saved["state"])} == {str, int}  # else it is refused
    state = json.loads(saved["state"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`val/gain_over_gray_db`", False)
    known = {f"metrics.`{name}`" for name in {*metrics_of(FIGURES, "test"), *metrics_of(FIGURES, "val"), "train_loss"}}
    known.add(f"tags.`{view.VAL_PHOTOS}`")
    known |= {f"params.`{name}`" for name in flatten(load_params(REPOSITORY / "params.yaml"))}
    assert set(state["selectedColumns"]) <= known and len(state["selectedColumns"]) == 8
    numbers = [chart for chart in state["compareRunCharts"] if chart["type"] != "IMAGE"]
    assert {f"metrics.`{chart['metricKey']}`" for chart in numbers} <= known
    pictures = [chart for chart in state["compareRunCharts"] if chart["type"] == "IMAGE"]
    grid = [chart for chart in pictures if not chart["deleted"]]  # one, with a row a photo
    assert [chart["imageKeys"] for chart in grid] == [[f"photos/photo-{number}" for number in range(1, 5)]]
    assert not any(chart["showRunParams"] for chart in pictures)
    # Each picture has a deleted chart of its own, else the page would add one.
    assert [chart["imageKeys"] for chart in pictures if chart["deleted"]] == [[key] for key in grid[0]["imageKeys"]]
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= sections
    # The page sets widths only of columns that have a place in the order.
    assert set(state["columnWidths"]) == set(state["columnOrder"]) > set(state["selectedColumns"])
    assert state["columnOrder"][:2] == ["attributes.`Run Name`", "metrics.`val/gain_over_gray_db`"]
    assert "metrics.`val/shipped_gain_over_gray_db`" in state["selectedColumns"]
    # 4.11 dB on 15 photos stood above 2.45 on 60: what was measured on other photos is a group of its own.
    (grouped,) = state["groupBy"]["groupByKeys"]
    assert grouped == {"mode": "tag", "groupByData": view.VAL_PHOTOS} and not state["useGroupedValuesInCharts"]
    # Losses do not compare where `train.loss` differs, and the last epoch's is not that of the model.
    assert not any("val_loss" in name for name in state["selectedColumns"])
    assert [chart["metricKey"] for chart in numbers if chart["metricSectionId"] == "Which is better"] == [
        "val/gain_over_shipped_db"
    ]
    assert max(map(len, tags.values())) < 5000  # what some stores take at most


def test_an_experiment_has_the_view_and_keeps_what_somebody_changed(workplace: Path) -> None:
    mlflow.set_tracking_uri(stores.tracking_uri())
    try:
        client = mlflow.MlflowClient()
        old = client.create_experiment("old", tags={"mlflow.sharedViewState.comparison": "theirs"})
        assert stores.connect("old") == old
        tags = client.get_experiment(old).tags
        assert tags["mlflow.sharedViewState.comparison"] == "theirs"
        assert tags["mlflow.experimentKind"] == "custom_model_development"
        assert set(view.experiment_tags()) <= set(client.get_experiment(stores.connect("new")).tags)
    finally:
        mlflow.set_tracking_uri(None)


def test_links_lead_to_the_view_and_to_the_run_of_this_workspace(
    workplace: Path, empty_store: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params({"track.experiment": "tests"})
    monkeypatch.setenv("PORT", "8080")
    assert page.links() == {"runs": "http://127.0.0.1:8080"} and list(workplace.iterdir()) == []  # no project
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})), encoding="utf-8")
    assert page.links() == {"runs": "http://127.0.0.1:8080"} and not Path("mlflow.db").exists()
    shutil.copy(empty_store, "mlflow.db")
    assert page.links() == {"runs": "http://127.0.0.1:8080"}  # no experiment
    experiment = stores.connect("tests")
    start = f"http://127.0.0.1:8080/#/experiments/{experiment}/runs"
    runs = f"{start}?workflowType=machine_learning&viewStateShareKey=comparison"
    assert page.links() == {"runs": runs}  # nothing was evaluated
    first = evaluated_run(params)
    assert page.links() == {"runs": runs, "this run": f"{start}/{first}?workflowType=machine_learning"}
    second = evaluated_run(params, 0.2)
    assert page.links()["this run"].startswith(f"{start}/{second}?")
    write_outputs()  # as `dvc exp apply` brings them back
    assert page.links()["this run"].startswith(f"{start}/{first}?")


def test_links_of_a_server_that_is_not_there_are_its_address(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(changed_params({})), encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9/mlflow/")
    assert page.links() == {"runs": "http://127.0.0.1:9/mlflow"}
