"""Which stages a changed param makes DVC run again, with DVC's run cache on and no `-f`.

The run cache leaves keys named `size` and `nfiles` out of its hash, at any depth. A param of such a name would change
nothing: DVC would check the old outputs out as if they were the new ones. So each key of params.yaml is changed in
turn, and the hash that the run cache takes of each stage is compared.
"""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, changed_params
from dvc.repo import Repo
from dvc.stage.cache import _get_cache_hash
from s3 import S3

from chromascape.params import flatten

STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# The stages that read a key or section of params.yaml, by design. The longest name that matches a key counts.
READ_BY = {
    "data": ["validate", "train", "evaluate"],
    "data.dir": ["sample", "validate"],
    "data.test_only": ["validate", "evaluate"],
    "sample": ["sample"],
    "validate": ["validate", "evaluate"],
    "validate.near_duplicate_bits": ["validate", "train", "evaluate", "register"],
    "validate.policy": ["sample", "validate", "evaluate"],
    "preprocess": ["preprocess", "evaluate"],
    "preprocess.side": ["preprocess", "train", "evaluate"],
    "train": ["train", "evaluate"],
    "train.device": ["train", "evaluate", "register"],
    "evaluate": ["evaluate"],
    "register": ["register"],
    "track": [],  # where runs go
    "jobs": [],  # how many processes: no result depends on it
    "engine": [],  # whose they are: nor on this
}
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
    """Some other value of the same type; no stage runs on it, so it need not make sense."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return [*value, "more"] if isinstance(value, list) else f"{value}-changed"


def row_of(key: str) -> str:
    """The row of READ_BY for a key of params.yaml; empty if there is none."""
    return max((name for name in READ_BY if f"{key}.".startswith(f"{name}.")), key=len, default="")


def out_paths(stage: dict[str, Any]) -> list[str]:
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the params and outputs of the real stages, whose commands only record that they ran."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
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


def hashes(lock: dict[str, Any], params: dict[str, Any]) -> dict[str, str]:
    """The hash that DVC's run cache looks a stage up by, for each stage of a dvc.lock, with these params."""
    found = {}
    for name, entry in copy.deepcopy(lock).items():
        declared = entry.get("params", {}).get("params.yaml", {})
        for key in declared:
            value: Any = params
            for part in key.split("."):
                value = value[part]
            declared[key] = value
        found[name] = _get_cache_hash(entry, key=True)
    return found


@pytest.mark.no_cover  # all that runs is DVC's: being measured costs most of the time
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_changed_key_runs_the_stages_that_depend_on_it(repo: Path) -> None:
    start = changed_params({})
    assert sorted(stages_that_ran(repo, start)) == sorted(STAGES)
    lock = yaml.safe_load((repo / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    before, wrong = hashes(lock, start), {}
    for key, value in flatten(start).items():
        after = hashes(lock, changed_params({key: another(value)}))
        moved = [name for name in STAGES if after[name] != before[name]]
        if moved != READ_BY.get(row_of(key)):
            wrong[key] = moved
    assert wrong == {}
    assert {row_of(key) for key in flatten(start)} == {*READ_BY}, "a row that no key of params.yaml needs"

    # DVC itself, for a few keys of different stages at once.
    changed = changed_params({"preprocess.fit": "squash", "register.min_scenes": 7, "jobs": 3})
    assert sorted(stages_that_ran(repo, changed)) == ["evaluate", "preprocess", "register"]
    # The run cache was on: what ran once is not run again, except for `register`, whose result no file holds.
    assert stages_that_ran(repo, start) == ["register"]


@pytest.mark.scale
@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_object_that_is_added_changed_or_removed_runs_the_stage_again(repo: Path, s3: S3) -> None:
    """And what DVC asks for is what docs/scale.md says."""
    for number in range(12):
        s3.send("PUT", f"photos/in/{number % 3}/{number}.png", b"a photo")
    stage = {"cmd": f'"{sys.executable}" -I -S record.py validate', "deps": ["s3://photos/in"], "outs": ["out"]}
    stage["cmd"] += " out"
    (repo / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"validate": stage}}), encoding="utf-8")

    def ran() -> list[str]:
        s3.requests.clear()
        return stages_that_ran(repo, {})

    assert ran() == ["validate"]
    assert ran() == []
    assert s3.since() == {"HEAD": 3, "LIST": 3 + 3}
    s3.send("PUT", "photos/in/0/new.png", b"a photo")
    assert ran() == ["validate"]
    s3.send("PUT", "photos/in/0/new.png", b"a phot0")
    assert ran() == ["validate"]
    s3.send("DELETE", "photos/in/0/new.png")
    assert ran() == ["validate"]
    assert ran() == []
