"""Workflows and hooks can't run here: their syntax, and that they do what `make` and `.ci/run` do."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY

from chromascape import __version__

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
    pip = re.search(r"^PIP := (.*)$", MAKEFILE, re.MULTILINE)
    assert pip
    return [line.strip().replace("$(BIN)/", "").replace("$(PIP)", pip[1]) for line in rule[1].splitlines()]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_yaml_with_triggers_and_steps(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content[True] and content["permissions"] == {"contents": "read"}  # YAML 1.1 reads the key `on` as true
    for name in re.findall(r"python (\.ci/\w+\.py)", path.read_text(encoding="utf-8")):
        assert (REPOSITORY / name).is_file()
    for job in content["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_the_matrix_has_three_systems_and_all_pythons_that_we_support() -> None:
    matrix = workflow()["jobs"]["gate"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    low, high = re.findall(r"3\.(\d+)", PYPROJECT["project"]["requires-python"])
    assert matrix["python"] == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_where_there_is_make_the_workflow_runs_what_the_gate_runs() -> None:
    lines = (REPOSITORY / ".ci/run").read_text(encoding="utf-8").splitlines()
    targets = [word for line in lines if line.startswith("make ") for word in line.partition("#")[0].split()[1:]]
    gate = [f"make {target}" for target in targets if target != "-j2"]
    assert [line.removesuffix(" PYTHON=python") for line in commands("runner.os != 'Windows'")] == gate


def test_windows_gets_the_same_commands_by_hand() -> None:
    install = next(line for line in recipe(".venv/test.stamp") if "pip install" in line)
    assert commands("runner.os == 'Windows'")[1:] == [install, *recipe("lint"), *recipe("docs"), *recipe("test")]


def test_versions_stand_in_constraints_txt_alone() -> None:
    """`make upgrade` renews them there. Pinned elsewhere are packages that are data."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = [name for extra in (PYPROJECT["project"]["dependencies"], *extras.values()) for name in extra]
    assert sum(name.startswith("torch") for name in requirements) == 1
    assert not [
        name for name in requirements if re.search(r"==\d", name) and "model" not in name and "data" not in name
    ]
    assert not re.search(r"==\d", "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS))
    assert """install "$(grep '^torch==' constraints.txt)" --index-url""" in "".join(commands(None))


def test_the_tests_have_every_extra_but_the_audit_s() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    (own,) = [name for name in extras["dev"] if name.startswith("chromascape[")]
    listed = own.removeprefix("chromascape[").removesuffix("]").split(",")
    assert {*listed, "torch", "audit", "dev"} == {*extras}  # torch comes with the pipeline


def test_every_package_that_is_named_is_pinned() -> None:
    def name(text: str) -> str:
        return re.split(r"[=<>\[ ]", text, maxsplit=1)[0].lower().replace("_", "-")

    project = PYPROJECT["project"]
    named = {
        name(text) for extra in (project["dependencies"], *project["optional-dependencies"].values()) for text in extra
    }
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert not named - {name(line) for line in lines} - {"chromascape"}


def program(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", REPOSITORY / ".ci" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that a release and an upgrade write."""
    for name in ("pyproject.toml", "constraints.txt", "CHANGELOG.md", "CITATION.cff", "src/chromascape/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_package_changelog_and_citation_name_one_version(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert program("version").main([f"v{__version__}"]) == 0
    assert capsys.readouterr().out.startswith("### ")


def test_a_release_is_dated_and_its_tag_is_checked(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    version = program("version")
    unreleased = Path("CHANGELOG.md").read_text("utf-8").split("## [Unreleased]")[1].split("\n## [")[0]
    version.prepare("7.8.9", "2030-01-02")
    assert version.main(["v7.8.9"]) == 0
    assert capsys.readouterr().out.strip() == unreleased.strip()
    assert "## [Unreleased]\n\n## [7.8.9] - 2030-01-02\n" in Path("CHANGELOG.md").read_text("utf-8")
    assert "version: 7.8.9\ndate-released: 2030-01-02\n" in Path("CITATION.cff").read_text("utf-8")
    assert version.main(["v7.8.8"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    with pytest.raises(SystemExit, match=r"error: v1: write a version such as 1\.2\.0"):
        version.prepare("v1", "2030-01-02")


def test_an_upgrade_pins_what_pip_resolves_for_the_lowest_python(
    capsys: pytest.CaptureFixture[str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = program("upgrade")
    asked: list[list[str]] = []

    def pip(command: list[str], **_: Any) -> Any:
        asked.append(command)
        found = {"zlib": "2", "Torch": "3.0+cpu", "new_one": "1", "chromascape": "0.1.0", "pip": "99"}
        report = {"install": [{"metadata": {"name": name, "version": text}} for name, text in found.items()]}
        return SimpleNamespace(returncode=0, stdout=json.dumps(report))

    Path("constraints.txt").write_text("# a note\nold==1\nTorch==2.13.0\nzlib==2\n")
    monkeypatch.setattr(upgrade.subprocess, "run", pip)
    monkeypatch.setattr(upgrade.sys, "version_info", (3, 11, 9))
    assert upgrade.main() == 0
    assert Path("constraints.txt").read_text() == "# a note\nnew_one==1\nTorch==3.0\nzlib==2\n"
    assert capsys.readouterr().out.splitlines()[:3] == [
        "new_one: new -> 1", "old: 1 -> no longer needed", "Torch: 2.13.0 -> 3.0",
    ]  # fmt: skip
    ((*_, wanted),) = asked
    assert {"pipeline", "serve", "dev", "audit"} <= set(wanted.removeprefix(".[").removesuffix("]").split(","))
    monkeypatch.setattr(upgrade.sys, "version_info", (3, 12, 1))
    assert upgrade.main() == 2 and "PYTHON=python3.11" in capsys.readouterr().out
    assert len(asked) == 1


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
