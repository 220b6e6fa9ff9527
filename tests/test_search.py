"""The search: its list, what it tells Optuna, its table. Trainings are stood in for by a process that prints epochs."""

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import optuna
import pytest
import yaml
from conftest import REPOSITORY, changed_params, load_file
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from chromascape.errors import ChromascapeError
from chromascape.learning.checks import check_train
from chromascape.params import Params

LIST = REPOSITORY / "experiments" / "search.yaml"
PARAMS: dict[str, dict[str, Any]] = {
    "train.lr": {"low": 1e-5, "high": 1e-3, "log": True},
    "train.epochs": {"low": 1, "high": 4},
    "train.flip": {"choices": [True, False]},
}
OPTIONS = argparse.Namespace(output=Path("search.md"), storage="sqlite:///search.db")


@pytest.fixture(scope="module")
def search() -> Any:
    """The script as a module; it imports its neighbours, as Python puts a script's folder on the path."""
    sys.path.insert(0, str(LIST.parent))
    try:
        return load_file(LIST.with_suffix(".py"))
    finally:
        sys.path.remove(str(LIST.parent))


def plan_file(folder: Path, **changes: Any) -> Path:
    file = folder / "list.yaml"
    plan = {"title": "small", "trials": 3, "common": {"train.epochs": 2}, "params": PARAMS} | changes
    file.write_text(yaml.safe_dump({key: value for key, value in plan.items() if value is not None}))
    return file


def test_the_list_that_comes_along_proposes_valid_params(search: Any) -> None:
    plan = search.read_plan(LIST)
    for seed in range(5):
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        values = search.suggest(study.ask(), plan["params"])
        check_train(Params.model_validate(changed_params(plan["common"] | values)).train)
    assert set(search.first_values(plan)) == set(plan["params"])  # what params.yaml has is in the ranges


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": None}, "must have title, trials, common and params"),
        ({"trials": 0}, "trials must be a whole number of at least 1"),
        ({"common": []}, "common must have params by their names"),
        ({"params": ["train.lr"]}, "params must have params by their names"),
        ({"params": {"train.lrr": {"low": 0, "high": 1}}}, "no param train.lrr; did you mean train.lr?"),
        ({"common": {"train.epoch": 2}}, "no param train.epoch; did you mean train.epochs?"),
        ({"params": {"train.lr": {"low": 0.1}}}, "train.lr must have low and high"),
        ({"params": {"train.lr": 0.1}}, "train.lr must have low and high"),
        ({"params": {"train.lr": {"low": 0.1, "high": 0.01}}}, "train.lr: "),
        ({"params": {"train.lr": {"low": 0.0, "high": 0.01, "log": True}}}, "train.lr: "),
        ({"params": {"train.flip": {"choices": []}}}, "train.flip: "),
    ],
)
def test_a_list_that_is_wrong_is_refused_by_name(search: Any, tmp_path: Path, changes: Any, said: str) -> None:
    file = plan_file(tmp_path, **changes)
    with pytest.raises(ChromascapeError) as error:
        search.read_plan(file)
    assert said in str(error.value) and str(error.value).startswith(str(file)) and "\n" not in str(error.value)


def test_the_first_trial_has_what_is_in_the_ranges(
    search: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    numbers = {name: {"low": 0, "high": 5} for name in ("train.seed", "train.network", "train.loss.mse2")}
    plan = {"params": numbers | {"train.flip": {"choices": ["no"]}}, "common": {"train.seed": 3}}
    assert search.first_values(plan) == {"train.seed": 3, "train.loss.mse2": 0}


@pytest.fixture
def study(search: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    """A new study in a database of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "git", lambda *_: "0" * 40)
    found, is_new = search.open_study(search.read_plan(plan_file(tmp_path)), ["data.dir=x"], "sqlite:///search.db")
    assert is_new
    return found


def printing(losses: list[float], pause: float = 0.0) -> list[str]:
    """A process that prints epochs as a training does."""
    lines = [f"epoch {n}/{len(losses)}: train loss 0.0900, val loss {loss:.4f}, gray's 0.1000" for n, loss in
             enumerate(losses, 1)]  # fmt: skip
    code = "import time\nfor line in %r:\n print(line, flush=True)\n line.startswith('epoch') and time.sleep(%r)" % (  # noqa: UP031
        ["Running", *lines],
        pause,
    )
    return [sys.executable, "-c", code]


def test_a_training_that_promises_less_than_the_others_is_stopped(search: Any, study: optuna.Study) -> None:
    for loss in (0.05, 0.06, 0.04):
        trial = study.ask()
        lines, pruned = search.watch(printing([loss, loss]), trial)
        assert not pruned and len(lines) == 3
        assert study.trials[trial.number].intermediate_values == pytest.approx({1: 1 - loss / 0.1, 2: 1 - loss / 0.1})
        study.tell(trial, 1.0)
    begun = time.monotonic()
    lines, pruned = search.watch(printing([0.09, 0.09, 0.09], pause=30), study.ask())
    assert pruned and time.monotonic() - begun < 20 and "KeyboardInterrupt" in lines[-1]


def test_a_training_that_begins_while_the_search_is_stopped_is_stopped_too(search: Any, study: optuna.Study) -> None:
    search.stopping.set()
    try:
        begun = time.monotonic()
        search.watch(printing([0.05] * 3, pause=30), study.ask())
        assert time.monotonic() - begun < 20
    finally:
        search.stopping.clear()


def test_a_search_goes_on_where_it_stopped(search: Any, study: optuna.Study, tmp_path: Path) -> None:
    study.tell(study.ask(), 1.0)
    plan = search.read_plan(plan_file(tmp_path, trials=50))  # more trials of the same search
    again, is_new = search.open_study(plan, ["data.dir=x"], "sqlite:///search.db")
    assert not is_new and again.study_name == study.study_name and search.count(again) == 1
    other, is_new = search.open_study(plan, ["data.dir=y"], "sqlite:///search.db")
    assert is_new and other.study_name != study.study_name


def test_trials_of_a_killed_search_are_begun_again(search: Any, study: optuna.Study) -> None:
    own, killed, elsewhere = (study.ask() for _ in range(3))
    values = search.suggest(killed, PARAMS)
    own.set_user_attr("process", search.process_id(os.getpid()))
    killed.set_user_attr("process", [platform.node(), os.getpid(), 12.5])  # its number was given to this process since
    elsewhere.set_user_attr("process", ["another machine", 1, 1.0])
    search.begin_again(study)
    states = [trial.state for trial in study.trials]
    assert states == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]
    assert search.suggest(study.ask(), PARAMS) == values


def test_a_search_has_as_many_trials_as_its_list_says_and_gives_up_when_all_fail(
    search: Any, study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "write", lambda *_: None)
    results = iter([0.5, optuna.TrialPruned(), ChromascapeError("failed"), 1.5])

    def run_trial(*_: Any) -> float:
        if isinstance(result := next(results), Exception):
            raise result
        return result

    monkeypatch.setattr(search, "run_trial", run_trial)
    search.run_trials(study, {"trials": 3, "params": {}}, [], "parent", OPTIONS)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]  # one that failed does not count
    results = iter([ChromascapeError("failed")] * 9)
    search.run_trials(study, {"trials": 9, "params": {}}, [], "parent", OPTIONS)
    assert len(study.trials) == 4 + search.FAILURES


def test_a_trial_that_runs_elsewhere_counts(
    search: Any, study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.ask()
    monkeypatch.setattr(search, "run_trial", lambda *_: pytest.fail("one too many"))
    search.run_trials(study, {"trials": 1, "params": {}}, [], "parent", OPTIONS)
    assert len(study.trials) == 1


def test_a_database_that_is_not_there_is_one_line(search: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "git", lambda *_: "0" * 40)
    with pytest.raises(ChromascapeError, match=r"^--storage: ") as error:
        search.open_study(search.read_plan(plan_file(tmp_path)), [], "sqlite:////proc/none/search.db")
    assert "\n" not in str(error.value)


def test_an_experiment_that_exists_is_not_run_again(
    search: Any, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = (
        '{"val": {"gain_over_gray_db": 1.25, "n_photos": 4, "gain_over_gray_ci95_db": [1, 2], "gray": {"psnr_db": 20}}}'
    )
    monkeypatch.setattr(search.dvc.api, "read", lambda *_, **__: figures)
    monkeypatch.setattr(search, "watch", lambda *_: pytest.fail("it ran"))
    assert search.run_trial(study.ask(), PARAMS, ["a=1"], study.study_name, "parent") == 1.25


def test_a_failed_trial_says_why_and_a_stopped_one_is_done_again(
    search: Any, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search, "git", lambda command, *_: "" if command == "for-each-ref" else "0" * 40)
    monkeypatch.setattr(search, "watch", lambda *_: (["first", "error: no photos"], False))
    monkeypatch.setattr(search, "adopt", lambda *_: None)
    with pytest.raises(ChromascapeError, match="failed"):
        search.run_trial(study.ask(), PARAMS, [], study.study_name, "parent")
    assert "error: no photos" in capsys.readouterr().err
    search.stopping.set()
    try:
        trial = study.ask()
        with pytest.raises(ChromascapeError, match="stopped"):
            search.run_trial(trial, PARAMS, [], study.study_name, "parent")
    finally:
        search.stopping.clear()
    assert study.ask().suggest_float("train.lr", 1e-5, 1e-3, log=True) == trial.params["train.lr"]


def machine(folder: Path, storage: str, number: int, barrier: Any) -> None:
    """A search on one of several machines, whose trials take no time."""
    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    sys.path.insert(0, str(LIST.parent))
    search = load_file(LIST.with_suffix(".py"))
    search.git, search.write = lambda *_: "0" * 40, lambda *_: None
    search.platform.node = lambda: f"machine-{number}"
    search.run_trial = lambda trial, *_: trial.suggest_float("x", 0, 1)
    plan = {"title": "small", "trials": 9, "params": PARAMS, "common": {}}
    barrier.wait()
    study, _ = search.open_study(plan, ["data.dir=x"], storage)
    options = argparse.Namespace(output=folder / "search.md", storage=storage)
    with search.locked(storage, "search"):
        parent = search.parent_run(study.study_name, "small")
    barrier.wait()
    search.run_trials(study, plan, [], parent, options)


@pytest.mark.scale
@pytest.mark.no_cover
def test_several_machines_share_one_search_in_postgresql(
    postgres: Any, forks: Any, tmp_path: Path, empty_store: Path, search: Any
) -> None:
    storage = postgres.new("optuna")
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed_params({"track.experiment": "tests"})))
    barrier = forks.Barrier(3)
    machines = [forks.Process(target=machine, args=(tmp_path, storage, number, barrier)) for number in range(3)]
    for process in machines:
        process.start()
    for process in machines:
        process.join(60)
    assert [process.exitcode for process in machines] == [0] * 3
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 9  # not one more
    assert {trial.user_attrs["process"][0] for trial in trials} <= {f"machine-{number}" for number in range(3)}
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert len(client.search_runs([client.get_experiment_by_name("tests").experiment_id])) == 1  # one parent


def test_mlflow_s_own_database_is_refused(search: Any, tmp_path: Path, empty_store: Path) -> None:
    """Both keep a table alembic_version, and neither would open it again."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    with pytest.raises(ChromascapeError, match="names MLflow's own database: Optuna needs another one"):
        search.open_study(search.read_plan(plan_file(tmp_path)), [], f"sqlite:///{tmp_path}/mlflow.db")


def done(number: int, gain: float, lr: float) -> optuna.trial.FrozenTrial:
    trial = create_trial(
        value=gain, params={"train.lr": lr, "train.flip": True},
        distributions={
            "train.lr": FloatDistribution(1e-5, 1e-3, log=True), "train.flip": CategoricalDistribution([True, False])
        },
        user_attrs={"figures": {"n_photos": 4, "gain_over_gray_ci95_db": [gain - 1, gain + 1]}, "gray_db": 20.5,
                    "experiment": f"exp-{number}"},
    )  # fmt: skip
    trial.number = number
    return trial


def test_the_table_has_gray_then_the_best_trials_and_those_that_were_stopped(search: Any) -> None:
    stopped = create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.1, 2: 0.2})
    stopped.number = 2
    trials = [done(0, 1.0, 1e-4), done(1, 2.0, 2e-4), stopped]
    plan = {"title": "Small", "params": {"train.lr": {}, "train.flip": {}}}
    lines = search.table(plan, trials, "small.svg").splitlines()
    assert "4 photos, on which gray has 20.50 dB" in lines[2] and "![Gain by trial and by param](small.svg)" in lines
    rows = [line.split(" | ")[:2] for line in lines if line.startswith("| ") and "trial" not in line]
    assert rows == [
        ["| gray", "0"], ["| 1", "+2.00 (+1.00 to +3.00)"], ["| 0", "+1.00 (+0.00 to +2.00)"],
        ["| 2", "stopped after epoch 2"],
    ]  # fmt: skip
    image = search.picture(trials, ["train.lr", "train.flip"])
    assert "train.lr" in image and "train.flip" in image and image == search.picture(trials, ["train.lr", "train.flip"])
    assert "gain over gray" in search.picture([], ["train.lr"])  # before any trial has ended
