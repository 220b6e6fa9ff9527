"""A project with its store that is moved, copied, or written by an older version: files lie beside the store."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from conftest import make_photo
from PIL import Image
from registered import evaluated_run
from test_run import workplace as workplace
from warm import run_python

from chromascape.params import Params
from chromascape.tracking import store as stores
from chromascape.tracking.artifacts import model_digest
from chromascape.tracking.beside_store import repository
from chromascape.tracking.registry import Decision, open_registry
from chromascape.tracking.run import MODEL

# MLflow alone, as a notebook has it, in the project's folder; then what README shows.
ALONE = """
import importlib.metadata, json, re, sys
import mlflow
from packaging.requirements import Requirement

lines = open(mlflow.pyfunc.get_model_dependencies("models:/tests@champion")).read().split()
wanted, allowed = list(map(Requirement, lines)), set()
while wanted:
    need = wanted.pop()
    name = re.sub(r"[-_.]+", "-", need.name).lower()
    if name not in allowed and (not need.marker or need.marker.evaluate({"extra": ""})):
        allowed.add(name)
        try:
            wanted += map(Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:
            pass
others = {
    module
    for module, names in importlib.metadata.packages_distributions().items()
    if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & allowed
}
assert {"chromascape", "dvc", "skimage"} <= others and not {"numpy", "torch", "mlflow", "tqdm"} & others, others

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in others:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in list(sys.modules):  # those of the model, which shall be imported again, too
    if name.partition(".")[0] in others or name.startswith("chromascape"):
        del sys.modules[name]
sys.meta_path.insert(0, Missing())
model = mlflow.pyfunc.load_model("models:/tests@champion")
png = open("photo.png", "rb").read()
print(json.dumps(len(model.predict([png])[0])))
sys.meta_path.pop(0)

from chromascape import Colorizer

Colorizer.load()
print(json.dumps(Colorizer.load("models:/tests@champion").name))
client = mlflow.MlflowClient()
(run,) = client.search_runs(["1"])
open("later.txt", "w").close()
client.log_artifact(run.info.run_id, "later.txt")
"""


@pytest.fixture
def project(
    empty_store: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch, make_params: Callable[..., Params]
) -> Path:
    """A project with a run whose model is the champion of `tests`."""
    folder = workplace / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copy(empty_store, "mlflow.db")
    run_id = evaluated_run(make_params({"track.experiment": "tests"}))
    with open_registry("tests", "tests") as registry:
        version = registry.version_of(model_digest(MODEL), registry.client.get_run(run_id))
        registry.assign(version, lambda champion: Decision(True, "the first"))
    Image.fromarray(make_photo(0, width=70, height=90)).save("photo.png")
    Path("alone.py").write_text(ALONE, encoding="utf-8")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow has set it
    return folder


def later(folder: Path) -> int:
    return len(list((folder / "mlartifacts").rglob("later.txt")))


def test_mlflow_alone_serves_the_champion_of_a_moved_or_copied_project_with_its_packages_alone(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path was absolute: the champion was gone, and a copy wrote into the project that it was copied from."""
    copy, moved = project.parent / "copy", project.parent / "größer, moved"
    shutil.copytree(project, copy)
    monkeypatch.chdir(project.parent)
    project.rename(moved)
    done = run_python(["alone.py"], moved)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == '"unet"'
    assert later(moved) == 1 and later(copy) == 0 and not project.exists()


def test_a_store_of_an_older_version_is_brought_up_to_date_wherever_it_is(project: Path, workplace: Path) -> None:
    """It has absolute paths, perhaps of a place that the project has left."""
    columns = ", ".join(f"(SELECT max({column}) FROM {table})" for table, column in stores.LOCATIONS)

    def locations() -> list[str]:
        with closing(sqlite3.connect("mlflow.db")) as database:
            return list(database.execute(f"SELECT {columns}").fetchone())

    new = locations()
    assert all(place.startswith("file:mlartifacts") for place in new)
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        for table, column in stores.LOCATIONS:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, 'file:', 'file:///left/')")
    Path("mlartifacts").rename("elsewhere")
    stores.connect("tests")
    assert all(place.startswith("file:///left/mlartifacts") for place in locations())  # another checkout's, perhaps
    Path("elsewhere").rename("mlartifacts")
    stores.existing_client()
    assert locations() == new


def test_files_that_an_older_version_left_in_the_old_place_are_read_from_there(project: Path) -> None:
    """After a move it went on writing there."""
    left = project.parent / "left" / "mlartifacts"
    client = stores.existing_client()
    (run,) = client.search_runs(["1"])
    later = client.create_run("1").info.run_id
    shutil.copytree("mlartifacts", left)
    (left / later / "artifacts").mkdir(parents=True)
    (left / later / "artifacts" / "a.txt").write_text("there")
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        for table, column in stores.LOCATIONS:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, 'file:mlartifacts', '{left.as_uri()}')")
    client = stores.existing_client()
    assert client.get_experiment("1").artifact_location == "file:mlartifacts"
    assert client.get_run(run.info.run_id).info.artifact_uri.startswith("file:mlartifacts/")
    assert Path(client.download_artifacts(later, "a.txt")).read_text() == "there"


def test_through_a_server_the_files_are_those_that_it_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    served = repository("file:mlartifacts/1/run/artifacts", "http://127.0.0.1:9")
    assert served.artifact_uri == "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts"
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{tmp_path}/a b/mlflow.db")  # of `mlflow ui`
    own = repository("file:mlartifacts/1/run/artifacts", "http://127.0.0.1:9")
    assert Path(own.artifact_dir) == tmp_path / "a b" / "mlartifacts/1/run/artifacts"
    for other in ("file:elsewhere/mlartifacts", "file:mlartifacts-2/a", "file:///mlartifacts/a"):
        assert repository(other, "http://127.0.0.1:9").artifact_uri == other  # what others name so stays theirs


def test_mlflow_knows_the_plugin_by_itself() -> None:
    """Where this fails, the environment is older than pyproject.toml: install it again."""
    (plugin,) = entry_points(group="mlflow.artifact_repository", name="file")
    assert plugin.load() is repository
