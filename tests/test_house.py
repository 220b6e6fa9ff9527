"""The shape of the code itself: sizes, the layers of packages, and what `dvc.yaml` says that a stage depends on."""

import ast
import re
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml
from code_deps import REPOSITORY, code_deps, corrected

from chromascape.imports import DECIDES_NOTHING, closure, direct, imported_names, module_name

PACKAGE = REPOSITORY / "src/chromascape"
SOURCES = sorted(file for folder in ("src", "stages", "experiments") for file in (REPOSITORY / folder).rglob("*.py"))
# From top to bottom: each may import those below it.
PACKAGES = ["cli", "health", "learning", "judging", "serving", "colorizing", "tracking", "photos", "color"]
SHARED = {
    "__init__", "params", "errors", "files", "imports", "parallel", "devices", "resume", "disk", "workers", "engine",
    "lockfile",
}  # fmt: skip
# Tests of what is not one module of the package.
WHOLE = {
    "test_browser",
    "test_cases",
    "test_page",
    "test_pipeline",
    "test_rerun",
    "test_search",
    "test_kills",
    "test_shared",
    "test_silent",
    "test_stages",
    "test_experiments",
    "test_compare",
    "test_container",
    "test_deploy",
    "test_fuzz",
    "test_house",
    "test_makefile",
    "test_outage",
    "test_workflows",
    "test_golden",
    "test_dvc_views",
    "test_docs",
    "test_using",
}
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users)/(?!me/)|\b[A-Z]:\\Users\\")  # /home/me is an example


def shown(file: Path) -> str:
    return file.relative_to(REPOSITORY).as_posix()


def layer(file: Path) -> str:
    """The package that holds a file of the library, or the name of a shared module."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    return [file for name in listed.split("\0") if name and (file := REPOSITORY / name).is_file()]


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function, from `def` to its end."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_no_module_has_over_300_lines_and_no_function_over_45() -> None:
    long = {shown(file): lines for file in SOURCES if (lines := len(file.read_text("utf-8").splitlines())) > 300}
    long |= {f"{shown(file)}: {name}": lines for file in SOURCES for name, lines in functions(file) if lines > 45}
    assert not long


def test_every_module_is_in_a_listed_package_or_shared() -> None:
    files = {layer(file) for file in PACKAGE.rglob("*.py")}
    assert files <= {*PACKAGES, *SHARED}, "list a new package in PACKAGES here and in CONTRIBUTING.md"
    assert {*PACKAGES, *SHARED} <= files


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: shown(file))
def test_a_package_imports_only_packages_below_it(file: Path) -> None:
    own = layer(file)
    below = {*PACKAGES[PACKAGES.index(own) :]} if own in PACKAGES else set()
    assert not {shown(other) for other in direct(file) if layer(other) not in SHARED | below}


def test_no_modules_import_each_other() -> None:
    """Also inside functions: a circle would make two modules one."""
    graph = {shown(file): [shown(other) for other in direct(file)] for file in PACKAGE.rglob("*.py")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("file", sorted((PACKAGE / "tracking").glob("*.py")), ids=lambda file: file.stem)
def test_tracking_imports_no_torch(file: Path) -> None:
    heavy = {
        shown(other)
        for other in {file, *closure(file, skip=())}
        for name in imported_names(other)
        if name.split(".")[0] in ("torch", "lightning_fabric")
    }
    assert not heavy


def test_params_stay_light() -> None:
    params = PACKAGE / "params.py"
    names = set().union(*(imported_names(file) for file in {params, *closure(params, skip=())}))
    assert not {name.split(".")[0] for name in names} & {"torch", "great_expectations", "mlflow", "dvc", "pandas"}
    assert {layer(file) for file in closure(params, skip=())} <= SHARED


def test_only_one_place_opens_pictures_and_one_starts_workers() -> None:
    text = {shown(file): file.read_text("utf-8") for file in SOURCES}
    opens = {name for name, code in text.items() if re.search(r"\bImage\.open\(", code)}
    workers = re.compile(r"joblib|multiprocessing|concurrent\.futures|ProcessPool|ThreadPool")
    assert opens == {"src/chromascape/photos/reading.py"}
    assert {name for name, code in text.items() if workers.search(code)} == {
        "src/chromascape/parallel.py",
        "src/chromascape/workers.py",
    }


def test_no_module_of_the_library_knows_dvc() -> None:
    assert not [
        shown(file) for file in PACKAGE.rglob("*.py") if {n.split(".")[0] for n in imported_names(file)} & {"dvc"}
    ]


def test_each_test_file_has_its_module() -> None:
    tests = REPOSITORY / "tests"
    lone = [
        shown(file)
        for file in sorted(tests.rglob("test_*.py"))
        if file.stem not in WHOLE
        and not (PACKAGE / file.relative_to(tests).parent / f"{file.stem.removeprefix('test_')}.py").is_file()
    ]
    assert not lone


def test_no_large_file_is_in_git() -> None:
    assert not [shown(file) for file in tracked() if file.stat().st_size > 20_000_000]


def test_nothing_names_a_path_of_some_machine() -> None:
    named = []
    for file in tracked():
        if not file.is_relative_to(REPOSITORY / "tests"):
            text = file.read_bytes().decode("utf-8", errors="ignore")
            named += [f"{shown(file)}:{1 + text[: m.start()].count(chr(10))}" for m in ABSOLUTE_PATH.finditer(text)]
    assert not named


def test_contributing_lists_the_packages_in_their_order_and_names_files_that_exist() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", text, re.MULTILINE)
    assert rows == PACKAGES
    table = text.split("## To add X, touch Y")[1].split("\n## ")[0]
    modules = set(re.findall(r"`(\w+/\w+\.py)`", table))
    assert len(modules) >= 6
    assert not [name for name in modules if not any((folder / name).is_file() for folder in (PACKAGE, REPOSITORY))]


def test_dvc_yaml_lists_the_code_that_decides_each_stage_and_no_other() -> None:
    """`python tests/code_deps.py` corrects dvc.yaml; the difference says which lines that changes."""
    text = (REPOSITORY / "dvc.yaml").read_text(encoding="utf-8")
    assert set(STAGES) == set(re.findall(r"cmd: python stages/(\w+)\.py", text))
    wrong = {}
    for name, stage in STAGES.items():
        listed = [dep for dep in stage["deps"] if isinstance(dep, str) and dep.startswith(("src/", "stages/"))]
        right = code_deps(REPOSITORY / f"stages/{name}.py")
        wrong |= {f"{name}: add {path}": "" for path in right if path not in listed}
        wrong |= {f"{name}: remove {path}": "" for path in listed if path not in right}
    assert not wrong, "\n".join(["run `python tests/code_deps.py`, which makes these changes to dvc.yaml:", *wrong])
    assert corrected(text) == text


def test_a_metric_or_a_change_of_tracking_reruns_no_stage_before_it_matters() -> None:
    """One more metric changes nothing before the evaluation, and no training waits for MLflow's sake."""
    late = ("src/chromascape/tracking", "src/chromascape/serving", "src/chromascape/cli.py", "src/chromascape/health")
    for name in ("sample", "validate", "preprocess", "train"):
        deps = code_deps(REPOSITORY / f"stages/{name}.py")
        assert not [path for path in deps if path.startswith(late)], name
        assert not {"src/chromascape/color", "src/chromascape/color/metrics.py"} & set(deps), name


@pytest.mark.parametrize(
    ("module", "stage"),
    [("photos/inspection.py", "validate"), ("photos/shards.py", "preprocess"), ("learning/training.py", "train")],
)
def test_what_drops_checkpoints_reruns_the_stage_as_well(module: str, stage: str) -> None:
    deps = [REPOSITORY / path for path in code_deps(REPOSITORY / f"stages/{stage}.py")]
    decisive = {PACKAGE / module, *closure(PACKAGE / module)}
    assert not {shown(file) for file in decisive if not any(file.is_relative_to(dep) for dep in deps)}
    assert len(decisive) > 8


def test_what_decides_nothing_exists() -> None:
    modules = {module_name(file) for file in SOURCES}
    assert DECIDES_NOTHING.keys() <= modules


def write_tree(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_the_closure_follows_all_ways_of_importing(tmp_path: Path) -> None:
    files = {
        "stages/run.py": "from _help import go\nimport json, numpy\n",
        "stages/_help.py": "def go():\n    from house.attic import box\n",
        "stages/other.py": "",
        "src/house/__init__.py": "from house.porch import bell\n",
        "src/house/porch.py": "",
        "src/house/attic/__init__.py": "",
        "src/house/attic/box.py": "from house import cellar\nfrom house.attic import key, lamp as light\n",
        "src/house/attic/lamp.py": "if t.TYPE_CHECKING:\n    import house.hidden\n",
        "src/house/attic/key.py": "try:\n    import house.roof.tile\nexcept ImportError:\n    pass\n",
        "src/house/cellar.py": "",
        "src/house/hidden.py": "",
        "src/house/roof/__init__.py": "",
        "src/house/roof/tile.py": "",
    }
    write_tree(tmp_path, files)
    script, root = tmp_path / "stages/run.py", tmp_path.resolve()
    found = {file.relative_to(root).as_posix() for file in closure(script)}
    assert found == set(files) - {"stages/run.py", "stages/other.py", "src/house/hidden.py"}


def test_what_is_skipped_is_not_followed(tmp_path: Path) -> None:
    files = {
        "stages/run.py": "import house.work\nimport house.talk\nimport house.talker\n",
        "src/house/__init__.py": "",
        "src/house/work.py": "from house.talk.loud import shout\n",
        "src/house/talk/__init__.py": "",
        "src/house/talk/loud.py": "import house.voice\n",
        "src/house/talker.py": "",
        "src/house/voice.py": "",
    }
    write_tree(tmp_path, files)
    found = {file.name for file in closure(tmp_path / "stages/run.py", skip=["house.talk"])}
    assert found == {"__init__.py", "work.py", "talker.py"}
