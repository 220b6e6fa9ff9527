"""Workflows and hooks can't run here: their syntax, and that they do what `make` and `.ci/run` do."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def workflow() -> dict[str, Any]:
    return dict(yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8")))


def commands(condition: str | None) -> list[str]:
    """Lines of the steps that run under a condition."""
    steps = workflow()["jobs"]["gate"]["steps"]
    return [line.strip() for step in steps if step.get("if") == condition for line in step.get("run", "").splitlines()]


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile, as one types them in the environment."""
    rule = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert rule, target
    return [line.strip().replace("$(BIN)/", "") for line in rule[1].splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_yaml_with_triggers_and_steps(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content[True] and content["permissions"] == {"contents": "read"}  # YAML 1.1 reads the key `on` as true
    for job in content["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_the_matrix_has_three_systems_and_all_pythons_that_we_support() -> None:
    matrix = workflow()["jobs"]["gate"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    low, high = re.findall(r"3\.(\d+)", PYPROJECT["project"]["requires-python"])
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_where_there_is_make_the_workflow_runs_what_the_gate_runs() -> None:
    gate = [
        line for line in (REPOSITORY / ".ci/run").read_text(encoding="utf-8").splitlines() if line.startswith("make")
    ]
    assert [line.removesuffix(" PYTHON=python") for line in commands("runner.os != 'Windows'")] == gate


def test_windows_gets_the_same_commands_by_hand() -> None:
    install = next(line for line in recipe(".venv/test.stamp") if "pip install" in line)
    assert commands("runner.os == 'Windows'")[1:] == [install, *recipe("lint"), *recipe("test")]


def test_torch_is_the_version_of_pyproject() -> None:
    named = [part for line in commands(None) for part in line.split() if part.startswith("torch==")]
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    assert set(named) == {name for extra in extras for name in extra if name.startswith("torch")} and len(named) == 1


def test_hooks_work_offline_and_run_what_make_lint_runs() -> None:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]  # nothing is downloaded
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks]
    assert entries == [re.sub(r" --check| \.$", "", line.removesuffix(" .")) for line in recipe("lint")]


NONE = {"name": "a", "version": "1", "vulns": []}
HOLE = NONE | {"vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
SKIPPED = {"name": "b", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answer", "code", "line"),
    [
        (json.dumps({"dependencies": [NONE]}), 0, "no known hole in 1 packages"),
        (json.dumps({"dependencies": [HOLE, SKIPPED]}), 1, "a 1: PYSEC-1, mended in 2"),
        (json.dumps({"dependencies": [NONE, SKIPPED]}), 2, "error: 1 of 2 packages not audited (b ...): the vuln"),
        ("", 2, "error: not audited: pip-audit needs the vulnerability database on pypi.org: no network"),
    ],
)
def test_an_audit_that_could_not_ask_is_not_taken_for_a_clean_one(
    tmp_path: Path, answer: str, code: int, line: str
) -> None:
    """pip-audit itself ends with 0 where it found no package in its database."""
    stub = f"import sys\nprint({answer!r})\nprint('no network', file=sys.stderr)\n"
    (tmp_path / "pip_audit.py").write_text(stub)
    command = [sys.executable, str(REPOSITORY / ".ci/audit.py")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert len(done.stdout.splitlines()) == 1 and done.stdout.startswith(line)
