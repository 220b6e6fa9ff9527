"""Versions and aliases in a real MLflow store, the stage that sets them, and the folder that an address names."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pytest
import yaml
from conftest import REPOSITORY, changed_params, lay_code, make_photo
from PIL import Image
from registered import OUTSIDE, TRAINING, alone_in, evaluated_run, write_model, write_outputs
from warm import run_python, warm_path

from chromascape import cli
from chromascape.errors import ChromascapeError
from chromascape.files import sha256_of_file
from chromascape.judging.gate import decide
from chromascape.params import Params, Register
from chromascape.tracking import resolve
from chromascape.tracking import run as tracking
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.registry import Decision, Registry, open_registry
from chromascape.tracking.resolve import resolve_model
from chromascape.tracking.stream import stream_training


@pytest.fixture(autouse=True)
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder to work in, with an empty store."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    with alone_in(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
def params(make_params: Callable[..., Params]) -> Params:
    return make_params({"track.experiment": "tests"})


def digest(folder: Path) -> str:
    return sha256_of_file(folder / "weights.safetensors")


def aliases() -> dict[str, str]:
    found = mlflow.MlflowClient().get_registered_model("chromascape").aliases
    return {alias: str(version) for alias, version in found.items()}  # a server says '1', a store in a file 1


def tags(version: str) -> dict[str, str]:
    return dict(mlflow.MlflowClient().get_model_version("chromascape", version).tags)


def registered(params: Params, strength: float = 0.1, **outputs: Any) -> Any:
    """The version of an evaluated model."""
    run_id = evaluated_run(params, strength, **outputs)
    with open_registry("chromascape", "tests") as registry:
        return registry.version_of(model_digest(Path("models/colorizer")), registry.client.get_run(run_id))


def assign(version: Any, promoted: bool, reason: str) -> Decision:
    with open_registry("chromascape", "tests") as registry:
        return registry.assign(version, lambda champion: Decision(promoted, reason))


def test_the_same_model_is_one_version_however_often_it_is_evaluated(store: Path, params: Params) -> None:
    first = registered(params)
    again = registered(params, win_rate_over_gray=0.5)
    assert (int(first.version), int(again.version)) == (1, 1) and first.run_id == again.run_id
    assert len(mlflow.MlflowClient().search_model_versions("name = 'chromascape'")) == 1


def test_the_same_weights_with_other_factors_are_another_version(store: Path, params: Params) -> None:
    """The registry served factors that were never evaluated."""
    first = registered(params, vivid=1.5)
    second = registered(params, vivid=1.25)
    assert (int(first.version), int(second.version)) == (1, 2)
    for version, vivid in ((1, 1.5), (2, 1.25)):
        config = json.loads((resolve_model(f"models:/chromascape/{version}") / "config.json").read_text())
        assert config["renderings"]["vivid"] == vivid


def test_aliases_move_and_say_why(store: Path, params: Params) -> None:
    first, second = (registered(params, 0.1 * number) for number in (1, 2))
    assert assign(first, True, "the first").alias == "champion"
    assert aliases() == {"champion": "1"}
    assert assign(second, False, "not better").alias == "challenger"
    assert aliases() == {"champion": "1", "challenger": "2"}
    assign(second, True, "better with more photos")
    assert aliases() == {"champion": "2"}  # not both
    assert tags("1")["chromascape.replaced"].endswith("by version 2") and "20" in tags("1")["chromascape.replaced"]
    assert "chromascape.replaced" not in tags("2")
    assert (tags("2")["chromascape.alias"], tags("2")["chromascape.reason"]) == ("champion", "better with more photos")
    run = mlflow.MlflowClient().get_run(second.run_id).data.tags
    assert run["chromascape.alias"] == "champion" and run["chromascape.reason"] == "better with more photos"
    assert run["chromascape.registered"] == "chromascape version 2"


def test_an_alias_that_was_moved_by_hand_is_not_contradicted(store: Path, params: Params) -> None:
    """A version was 'champion: not shown to be better than the champion', and another kept its tag champion."""
    first, second = (registered(params, 0.1 * number) for number in (1, 2))
    assign(first, True, "the first")
    assign(second, False, "not shown to be better than the champion, version 1")
    mlflow.MlflowClient().set_registered_model_alias("chromascape", "champion", "2")  # in MLflow's page
    with open_registry("chromascape", "tests") as registry:
        registry.assign(second, lambda champion: decide(2, champion, {}, Register(), 1, lambda *_: None))
    assert aliases() == {"champion": "2"}  # not both
    assert (tags("2")["chromascape.alias"], tags("2")["chromascape.reason"]) == ("champion", "made champion by hand")
    assert tags("1")["chromascape.replaced"].endswith("by version 2")
    # Back again, where the version that is registered is not the one that was moved.
    mlflow.MlflowClient().set_registered_model_alias("chromascape", "champion", "1")
    assign(second, False, "not better")
    assert aliases() == {"champion": "1", "challenger": "2"}
    assert (tags("1")["chromascape.alias"], tags("1")["chromascape.reason"]) == ("champion", "made champion by hand")
    assert "chromascape.replaced" not in tags("1") and tags("2")["chromascape.alias"] == "challenger"


def test_trainings_that_were_measured_on_the_test_photos_are_counted_once(store: Path, params: Params) -> None:
    for training, photos in (("aa", "11111111"), ("bb", "11111111"), ("cc", "22222222")):
        evaluated_run(params, training=training, photos=photos)
    evaluated_run(params, training="bb", photos="11111111", win_rate_over_gray=0.5)  # the same, measured again
    with open_registry("chromascape", "tests") as registry:
        assert [registry.looks(photos) for photos in ("11111111", "22222222", "33333333")] == [2, 1, 0]


def test_trainings_are_counted_on_all_pages() -> None:
    """MLflow gives a thousand runs at a time."""

    class Page(list[Any]):
        token = ""

    def runs(*names: str) -> Page:
        tags = [SimpleNamespace(tags={tracking.TRAINING: name}) for name in names]
        return Page(SimpleNamespace(data=data, info=SimpleNamespace(run_id="")) for data in tags)

    pages = {None: runs("a", "b"), "next": runs("b", "c")}
    pages[None].token = "next"
    client = SimpleNamespace(search_runs=lambda *_, page_token: pages[page_token])
    assert Registry(client, "chromascape", "1").looks("11111111") == 3


def test_a_champion_that_another_process_made_meanwhile_is_compared_with_too(store: Path, params: Params) -> None:
    first, second = (registered(params, 0.1 * number) for number in (1, 2))
    asked: list[str] = []

    def decide(champion: Any) -> Decision:
        if not champion:  # while it is compared with nobody, somebody else is quicker
            mlflow.MlflowClient().set_registered_model_alias("chromascape", "champion", first.version)
        asked.append(str(champion.version) if champion else "none")
        return Decision(not champion, "the first")

    with open_registry("chromascape", "tests") as registry:
        assert registry.assign(second, decide).alias == "challenger"
    assert asked == ["none", "1"] and aliases() == {"champion": "1", "challenger": "2"}


def hold(folder: str, seconds: float) -> None:
    os.chdir(folder)
    with open_registry("chromascape", "tests"):
        Path("held").touch()
        time.sleep(seconds)
        Path("held").unlink()


def test_one_registers_at_a_time(store: Path, params: Params, forks: Any) -> None:
    """Two that compare themselves with the same champion would both take its place."""
    other = forks.Process(target=hold, args=(str(store), 2))
    other.start()
    while not Path("held").exists():
        assert other.is_alive()
        time.sleep(0.05)
    with open_registry("chromascape", "tests"):
        assert not Path("held").exists()
    other.join()
    assert other.exitcode == 0


def test_the_lock_is_that_of_the_registry_where_it_is_elsewhere(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)  # which is set below
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    with open_registry("chromascape", "tests") as registry:
        assert not registry.alone, "the runs are in a file, but a server has the aliases"
    shutil.copy("mlflow.db", "other.db")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///other.db")
    with open_registry("chromascape", "tests") as registry:
        assert registry.alone and Path("other.db.register.lock").exists()
        assert not Path("mlflow.db.register.lock").exists()


def test_what_mlflow_refuses_is_one_line(store: Path) -> None:
    with (
        pytest.raises(ChromascapeError, match=r"can't register the model in sqlite:.*no room.*`dvc repro`"),
        open_registry("chromascape", "tests"),
    ):
        raise mlflow.MlflowException("no\nroom")


@pytest.fixture
def project(store: Path) -> Path:
    """A working copy after its stage `evaluate`: scripts, params, figures and a model whose run is in the store."""
    lay_code(store)
    write_outputs()
    values = changed_params({"track.experiment": "tests", "register.min_scenes": 4})
    (store / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return store


def register(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name not in OUTSIDE and name != "PYTHONPATH"}
    return run_python(["stages/register.py"], folder, outside | environment)


def result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "metrics/register.json").read_text()))


def test_the_stage_registers_once_and_says_so_in_a_line(project: Path, params: Params) -> None:
    tracking.log_run(params)
    said = []
    for _ in range(2):
        done = register(project)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        said.append(done.stdout)
        assert result(project)["version"] == 1 and result(project)["alias"] == "champion"
    assert said[0] == said[1]
    line, *figures, report = said[0].splitlines()
    assert line.startswith("chromascape: version 1 is champion: gain over gray +1.50 dB") and "no champion" in line
    assert "; better than the shipped model: +0.20 dB" in line
    assert figures == [
        "PSNR on 4 test photos: model 24.00 dB, shipped model 23.80, gray 22.50",
        "PSNR on 3 validation photos: model 24.00 dB, shipped model 23.80, gray 22.50",
    ]
    assert report == f"report: {project.resolve() / 'reports/index.html'}"
    assert aliases() == {"champion": "1"}
    # In a temporary copy of the repository as DVC makes it for an experiment.
    copy = project / "tmp/copy"
    for name in ("stages", "src", "metrics", "params.yaml"):
        place = shutil.copytree if (project / name).is_dir() else shutil.copy
        copy.mkdir(parents=True, exist_ok=True)
        place(project / name, copy / name)
    here, there = Path.cwd(), os.environ.copy()
    os.environ["DVC_ROOT"] = str(project)
    try:
        os.chdir(copy)
        write_outputs(0.2, gain_over_gray_db=0.2)
        shutil.copy(project / "params.yaml", copy)
        tracking.log_run(params)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(there)
    done = register(copy, DVC_ROOT=str(project), DVC_EXP_NAME="happy-owl")
    assert done.stdout.startswith("chromascape: version 2 is challenger") and "min_gain_db" in done.stdout, done.stderr
    assert done.stdout.endswith("report: reports/index.html, after `dvc exp apply happy-owl`\n")
    assert aliases() == {"champion": "1", "challenger": "2"} and not (copy / "mlflow.db").exists()


def test_figures_of_val_register_nothing_and_say_so(project: Path, params: Params) -> None:
    """The champion's old reason was repeated. No store is opened: it may not even be there."""
    (project / "mlflow.db").unlink()
    write_outputs(split="val")
    done = register(project)
    assert done.returncode == 0, done.stderr
    first, *figures, _ = done.stdout.splitlines()
    assert first == "nothing is registered: evaluate.split is val, so that the test photos stay unused"
    assert figures == ["PSNR on 3 validation photos: model 24.00 dB, shipped model 23.80, gray 22.50"]
    assert result(project)["alias"] is None and not (project / "mlflow.db").exists()


def shell(folder: Path, *arguments: str) -> str:
    """What a command prints, by this Python's environment and this checkout's code."""
    kept = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    kept |= {f"GIT_{role}_{what}": "t@t.t" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    kept["PATH"] = warm_path()
    done = subprocess.run(
        arguments, cwd=folder, env=kept | {"DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(REPOSITORY / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.scale
def test_dvc_runs_the_stage_once_and_takes_no_registration_from_a_cache(project: Path, params: Params) -> None:
    stage = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["register"]
    stage["deps"] = [dep for dep in stage["deps"] if (project / dep).exists()]
    assert {"metrics/evaluate.json", "models/colorizer", "src/chromascape/tracking/registry.py"} <= {*stage["deps"]}
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"register": stage}}), encoding="utf-8")
    (project / ".gitignore").write_text("mlflow.db*\nmlartifacts/\n__pycache__/\n/.checkpoints/\n")
    shell(project, "git", "init", "-q")
    shell(project, "dvc", "init", "-q")
    tracking.log_run(params)
    shell(project, "git", "add", "-A")
    shell(project, "git", "commit", "-qm", "start")
    assert "version 1 is champion" in shell(project, "dvc", "repro")
    assert "up to date" in shell(project, "dvc", "repro")
    # An experiment that fails at the gate, and back: the verdict is asked for anew, of the same store.
    assert "version 1 is champion" in shell(project, "dvc", "repro", "--force", "--single-item", "register")
    mlflow.MlflowClient().delete_registered_model_alias("chromascape", "champion")
    assert "is challenger" in shell(project, "dvc", "exp", "run", "-S", "register.min_gain_db=2")
    assert "is challenger" in shell(project, "dvc", "exp", "run", "--temp", "-S", "register.min_gain_db=3")
    assert result(project)["min_gain_db"] == 2 and aliases() == {"challenger": "1"}
    assert "version 1 is champion" in shell(project, "dvc", "exp", "run", "-S", "register.min_gain_db=0.5")
    assert aliases() == {"champion": "1"}
    assert len(mlflow.MlflowClient().search_model_versions("name = 'chromascape'")) == 1


def test_without_a_whole_run_the_stage_fails_and_says_how_to_get_one(project: Path, params: Params) -> None:
    """It ended well with no version, and never came back."""
    with stream_training(params, TRAINING):
        pass
    done = register(project)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and "no complete run" in line and "`dvc repro --force --single-item evaluate`" in line
    assert not (project / "metrics/register.json").exists()
    tracking.log_run(params)
    assert register(project).returncode == 0


def test_without_mlflow_the_stage_fails_in_one_line(project: Path) -> None:
    done = register(project, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith(
        "error: MLFLOW_TRACKING_URI: no MLflow server at http://127.0.0.1:9"
    )
    assert not (project / "metrics/register.json").exists()


def test_an_address_is_the_folder_of_its_weights(
    store: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version, model = registered(params), Path("models/colorizer")
    run_id = version.run_id
    assign(version, True, "the first")
    shutil.copytree(model, store / "kept")
    shutil.rmtree(model)
    for address in ("models:/chromascape@champion", "models:/chromascape/1", f"runs:/{run_id}"):
        folder = resolve_model(address)
        assert digest(folder) == digest(store / "kept") and (folder / "config.json").is_file()
        assert folder.is_relative_to(store.resolve() / "mlartifacts")  # read where it is, not copied
    assert resolve_model("some/folder") == Path("some/folder")
    Image.fromarray(make_photo(0, width=64, height=64)).save("a.png")
    assert cli.main(["colorize", "a.png", "-o", "out.png", "--model", "models:/chromascape@champion"]) == 0
    assert cli.main(["colorize", "a.png", "-o", "same.png", "--model", str(store / "kept")]) == 0
    assert Path("out.png").read_bytes() == Path("same.png").read_bytes()
    capsys.readouterr()
    assert cli.main(["colorize", "a.png", "-o", "b.png", "--model", "models:/chromascape@nobody"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: models:/chromascape@nobody: not found in sqlite:") and "nobody" in line
    shutil.rmtree(folder)
    with pytest.raises(ChromascapeError, match="models:/chromascape/1: its weights can't be read from"):
        resolve_model("models:/chromascape/1")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("models:/chromascape", "write models:/NAME@champion, models:/NAME/VERSION or runs:/RUN_ID"),
        ("models:/chromascape/1", "not found in sqlite:"),
        ("models:/chromascape@champion", "not found in sqlite:"),
        ("runs:/0123", "not found in sqlite:"),
    ],
)
def test_an_address_of_nothing_is_one_line(address: str, said: str) -> None:
    with pytest.raises(ChromascapeError) as caught:
        resolve_model(address)
    assert str(caught.value).startswith(f"{address}: {said}") and "\n" not in str(caught.value)


def test_a_version_of_another_kind_is_one_line(store: Path) -> None:
    with open_registry("other", "tests") as registry:
        registry.client.create_registered_model("other")
        registry.client.create_model_version("other", "file:///nowhere")
        with pytest.raises(ChromascapeError, match="models:/other/1: no model of Chromascape"):
            registry.weights(registry.client.get_model_version("other", "1"))
    with pytest.raises(ChromascapeError, match="models:/other/1: no model of Chromascape in sqlite:"):
        resolve_model("models:/other/1")


def test_looking_for_a_model_makes_no_store(store: Path) -> None:
    (store / "mlflow.db").unlink()
    with pytest.raises(ChromascapeError, match=r"no MLflow store at .*: run this in the project's folder, or name"):
        resolve_model("models:/chromascape@champion")
    assert list(store.iterdir()) == []


def test_without_mlflow_installed_an_address_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ChromascapeError, match=r"needs mlflow: pip install -e '.*\[pipeline\]'"):
        resolve_model("models:/chromascape@champion")


def test_what_lies_on_another_machine_is_copied_and_goes_with_the_process(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    at_exit: list[Any] = []

    def fetch(artifact_uri: str, dst_path: str) -> str:
        asked.append(artifact_uri)
        return str(write_model(Path(dst_path) / "colorizer", 0.1))

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", fetch)
    monkeypatch.setattr(resolve.atexit, "register", lambda *call, **named: at_exit.append((call, named)))
    folder = resolve.download(SimpleNamespace(artifact_location="mlflow-artifacts:/1/models/m-1/artifacts"), "it")
    assert asked == ["mlflow-artifacts:/1/models/m-1/artifacts/artifacts/colorizer"]
    ((call, named),) = at_exit
    call[0](*call[1:], **named)
    assert not folder.exists() and not folder.parent.exists()


@pytest.mark.scale
def test_the_commands_of_the_page_on_promoting_work(store: Path, params: Params) -> None:
    page = (REPOSITORY / "docs/promoting.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(commands) == 3 and "dvc repro --force --single-item register" in commands[0]  # which another test runs
    for number in (1, 2):
        assign(registered(params, 0.2 * number), True, "better")
    Image.fromarray(make_photo(0, width=64, height=64)).save("photo.jpg")
    assert aliases() == {"champion": "2"}
    use, decide = commands[1:]
    shell(store, "bash", "-ec", use)
    assert Path("champion.png").read_bytes() != Path("first.png").read_bytes()
    shell(store, "bash", "-ec", decide)
    assert aliases() == {"champion": "1"}
