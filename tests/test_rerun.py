"""A changed param makes the stages that depend on it run again, with DVC's run cache on and no `-f`.

DVC's run cache leaves keys of some names out of its hash (`size`, `nfiles`): such a param would change nothing, and
the old outputs would be checked out as if they were the new ones. The stages' commands are replaced by a script that
notes that it ran, so that every key can be tried.
"""

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, changed_params
from dvc.repo import Repo
from dvc.utils.serialize import _yaml as dvc_yaml

from chromascape.params import flatten

STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
NO_STAGE = ("track.", "jobs")  # where runs go, and how many processes: neither changes a result
RECORD = """
import sys
from pathlib import Path

stage, *outs = sys.argv[1:]
with Path("ran.txt").open("a") as log:
    log.write(stage + "\\n")
for out in outs:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(stage)
"""


def another(value: Any) -> Any:
    """Some other value of the same type; the stages' commands are stand-ins, so it need not make sense."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return [*value, "more"] if isinstance(value, list) else f"{value}-changed"


def declared(key: str) -> list[str]:
    """The stages of dvc.yaml that declare this key, or a section that it lies in."""
    return [
        name
        for name, stage in STAGES.items()
        if any(key == param or key.startswith(f"{param}.") for param in stage.get("params", []))
    ]


def out_paths(stage: dict[str, Any]) -> list[str]:
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


def remembered(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A parser that parses each text once: DVC reads params.yaml some thirty times a run, slowly."""
    known: dict[str, Any] = {}

    def parsed(text: str, path: str, typ: str = "safe") -> Any:
        if typ != "safe":
            return parse(text, path, typ)
        if text not in known:
            known[text] = parse(text, path, typ)
        return copy.deepcopy(known[text])

    return parsed


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the params and outputs of the real stages, whose commands only note that they ran."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setattr(dvc_yaml, "parse_yaml", remembered(dvc_yaml.parse_yaml))
    subprocess.run(["git", "init", "-q"], check=True)
    Repo.init(str(tmp_path)).close()
    (tmp_path / "record.py").write_text(RECORD, encoding="utf-8")
    stages = {
        name: {
            "cmd": f'"{sys.executable}" -I -S record.py {name} {" ".join(out_paths(stage))}',
            **{kind: stage[kind] for kind in ("params", "outs", "metrics", "plots") if kind in stage},
        }
        for name, stage in STAGES.items()
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
    return tmp_path


def stages_that_ran(folder: Path, params: dict[str, Any]) -> list[str]:
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    log = folder / "ran.txt"
    log.unlink(missing_ok=True)
    with Repo(str(folder)) as dvc:
        dvc.reproduce()
    return log.read_text(encoding="utf-8").split() if log.exists() else []


@pytest.mark.no_cover  # all that runs is DVC's: being measured costs most of the time
@pytest.mark.scale  # long, so among the first
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_changed_key_runs_the_stages_that_depend_on_it(repo: Path) -> None:
    start = flatten(changed_params({}))
    assert sorted(stages_that_ran(repo, changed_params({}))) == sorted(STAGES)
    changes: dict[str, Any] = {}
    wrong = {}
    for key, value in start.items():
        changes[key] = another(value)
        ran = stages_that_ran(repo, changed_params(changes))
        if sorted(ran) != sorted(declared(key)) or (not ran and not key.startswith(NO_STAGE)):
            wrong[key] = ran
    assert wrong == {}
    # The run cache was on all along: what ran once is not run again, but for what registers in a store of its own.
    assert stages_that_ran(repo, changed_params({})) == ["register"]
