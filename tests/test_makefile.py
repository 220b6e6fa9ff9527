"""`make` in a folder whose name has spaces and umlauts: each target starts the programs of that folder's .venv."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

PROGRAMS = ["python", "dvc", "chromascape", "mlflow", "pytest", "ruff", "mypy", "sphinx-build"]
# Writes down what it is, what it was given, where it runs, and which `python` it would start.
# Through a shell: the first line of a script may hold no path with a space.
STUB = f"""#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
import json, os, shutil, sys
entry = [os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd(), shutil.which("python"), os.environ.get("PORT")]
with open("log.jsonl", "a", encoding="utf-8") as log:
    log.write(json.dumps(entry) + "\\n")
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the Makefile with an environment of stubs that is older than pyproject.toml, as after a pull."""
    folder = tmp_path / "a folder ü" / "with 'quotes'"
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def make(folder: Path, *arguments: str, **variables: str) -> list[tuple[str, list[str]]]:
    """The programs that `make` started, with their arguments; each in the folder, with its environment's python."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "MAKEFLAGS")}
    command = ["make", f"PYTHON={sys.executable}", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=inherited | variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    for _, _, place, python, _ in calls:
        assert Path(place) == folder.resolve()
        assert Path(python) == folder / ".venv" / "bin" / "python"
    return [(name, given) for name, given, *_ in calls]


def test_run_installs_into_its_own_environment_then_runs_the_pipeline(folder: Path) -> None:
    pip, *rest = make(folder, "run")
    assert pip[0] == "python" and pip[1][:3] == ["-m", "pip", "install"] and pip[1][-1] == ".[pipeline,sample]"
    assert ("dvc", ["repro"]) in rest and rest[-1] == ("chromascape", ["summary"])
    assert not list(folder.parent.parent.glob("[!a]*"))  # nothing laid at half a path


def test_an_environment_that_is_up_to_date_is_not_installed_again(folder: Path) -> None:
    make(folder, "run")
    (folder / "log.jsonl").unlink()
    assert "python" not in [name for name, _ in make(folder, "run")]


def test_test_and_lint_install_what_they_need(folder: Path) -> None:
    calls = make(folder, "lint", "docs", "test")
    assert [given[-1] for name, given in calls if name == "python"] == [".[dev]"]  # once, also for `make run`
    assert [name for name, _ in calls if name != "python"] == ["ruff", "ruff", "mypy", "sphinx-build", "pytest"]
    (folder / "log.jsonl").unlink()
    assert "python" not in [name for name, _ in make(folder, "run")]


@pytest.mark.parametrize(
    ("arguments", "port", "variables", "store"),
    [
        ([], "5000", {}, "sqlite:///mlflow.db"),
        (["PORT=8123"], "8123", {}, "sqlite:///mlflow.db"),
        ([], "5000", {"MLFLOW_TRACKING_URI": "sqlite:///my runs/ü.db"}, "sqlite:///my runs/ü.db"),
    ],
)
def test_ui_reads_the_runs_of_this_folder(
    folder: Path, arguments: list[str], port: str, variables: dict[str, str], store: str
) -> None:
    *_, printed, (name, given) = make(folder, "ui", *arguments, **variables)
    assert printed == ("python", ["-m", "chromascape.tracking.page"])  # the links, before it waits
    *_, links, _ = (json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines())
    assert links[-1] == port
    assert name == "mlflow"
    assert given == ["ui", "--host", "127.0.0.1", "--port", port, "--backend-store-uri", store]


def test_ui_says_which_port_to_try_where_mlflow_fails(folder: Path) -> None:
    (folder / ".venv" / "run.stamp").touch()
    (folder / ".venv" / "bin" / "mlflow").write_text("#!/bin/sh\necho 'address already in use' >&2\nexit 3\n")
    inherited = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", f"PYTHON={sys.executable}", "PORT=5002", "ui"]
    done = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "address already in use" in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line == "error: no page at port 5002, see above; where another program has it: make ui PORT=5001"


def test_an_unfit_python_is_refused_in_one_line(folder: Path) -> None:
    (folder / ".venv" / "bin" / "python").unlink()
    old = folder / "old python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    # Without what a make that runs the tests hands down: it would have this one say which folder it enters.
    inherited = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", f"PYTHON={old}", "run"]
    done = subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout.splitlines() == [
        f"error: Python 3.11 to 3.13 is needed, {old} is another: make PYTHON=python3.11"
    ]
