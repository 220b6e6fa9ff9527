"""What DVC shows of experiments: a table that fits a terminal, few figures, and plots that compare.

The stages' commands are replaced by a script that writes small files, different ones for another learning rate, so
that `dvc.yaml` as it is runs in seconds.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, changed_params, made_once
from dvc.repo import Repo
from test_experiments import experiments
from test_rerun import out_paths
from warm import run_python, warm_path

from chromascape.color.metrics import METRICS
from chromascape.judging import evaluation, figures
from chromascape.judging.predictions import PREDICTIONS
from chromascape.learning import results
from chromascape.photos import manifest

DVC = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))
# A run's width in a terminal: two experiments differ in a few params.
COLUMNS = 160
EXPERIMENTS = {"first": ["train.lr=0.0012"], "structure": ["train.lr=0.0034", "train.loss.ssim=0.25"]}
RECORD = """
import hashlib, json, sys
from pathlib import Path
import yaml
from PIL import Image

lr = yaml.safe_load(Path("params.yaml").read_text())["train"]["lr"]

def shifted(value):
    if isinstance(value, dict):  # gray's figures depend on no learning rate
        return {key: inner if key.startswith("gray") else shifted(inner) for key, inner in value.items()}
    return round(value + 100 * lr, 4) if isinstance(value, float) else value

config = f'{{"lr": {lr}}}'

for out in sys.argv[1:]:
    path, contents = Path(out), json.loads(Path("contents.json").read_text())
    path.parent.mkdir(parents=True, exist_ok=True)
    if out == "models/colorizer":
        path.mkdir()
        (path / "config.json").write_text(config)
        continue
    if out == "reports/photos":
        path.mkdir()
        for name in ("0af1ad0a3e98", "34a99716b78d"):
            Image.new("RGB", (32, 8), (int(50000 * lr), 0, 0)).save(path / f"{name}.jpg")
    elif out.endswith(".json"):
        values = shifted(contents.get(out, {}))
        if "model_sha256" in values:
            values["model_sha256"] = hashlib.sha256(config.encode()).hexdigest()
        path.write_text(json.dumps(values))
    else:
        path.write_text(contents.get(out, f"{out} {lr}"))
"""


def table(gains: list[float]) -> pd.DataFrame:
    """A per-photo table with these gains over gray, and figures as long as real ones."""
    values = {f"{name}.{metric}": 12.3456789 for name in [*PREDICTIONS, "truth"] for metric in METRICS}
    rows = pd.DataFrame([values] * len(gains)).assign(path="a.png", group="a")
    return rows.assign(**{"model.psnr_db": rows["gray.psnr_db"] + gains})


def contents() -> dict[str, Any]:
    """What the stages would write, by path: figures as the library makes them."""
    photos = table([-11.9, -1.2, 0.3, 4.6, 10.1])
    none = np.zeros(len(photos), bool)
    summary = {"photos": "0a1b2c3d", "n_left_out": 0, **figures.summarize(photos, none, none)}
    evaluated = {"split": "test", "model_sha256": "", **summary, "val": summary}
    curves = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.2, 0.1], "val_loss": [0.3, 0.2], "gray_val_loss": 0.25})
    train = {"train_loss": 0.1, "val_loss": 0.2123456, "gray_val_loss": 0.2512345, "best_epoch": 2}
    counts = {"n_files": 115, "n_accepted": 72, "n_rejected": 43, "by_mode": {"L": 18, "RGB": 75}} | {
        "by_split": {"train": 51, "val": 6, "test": 15},
        "rejected_by_reason": {"channels": 39, "mode": 39, "same_scene": 2},
    }
    return {
        "metrics/validate.json": counts,
        "metrics/train.json": train,
        "metrics/evaluate.json": evaluated,
        "metrics/headline/validate.json": manifest.headline(counts),
        "metrics/headline/train.json": results.headline(train),
        "metrics/headline/evaluate.json": figures.headline(evaluated),
        "metrics/curves.csv": curves.to_csv(index=False),
        "metrics/gains.csv": evaluation.gain_histogram(photos).to_csv(index=False),
    }


def dvc(folder: Path, *arguments: str) -> str:
    # Not measured for coverage: nothing of ours runs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "COVERAGE_"))}
    environment |= {"DVC_NO_ANALYTICS": "1", "COLUMNS": str(COLUMNS), "PATH": warm_path()}
    done = run_python(["-m", "dvc", *arguments], folder, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_repository(folder: Path) -> None:
    """The repository's own dvc.yaml and .dvc, the default params, and a stand-in for all that the stages run."""
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    for role in ("name", "email"):
        subprocess.run(["git", "config", f"user.{role}", "test@example.org"], cwd=folder, check=True)
    Repo.init(str(folder)).close()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvc/plots/histogram.json", ".gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    # Not the params of the repository: a fork has its own.
    (folder / "params.yaml").write_text(yaml.safe_dump(changed_params({}), sort_keys=False), encoding="utf-8")
    (folder / "record.py").write_text(RECORD, encoding="utf-8")
    (folder / "contents.json").write_text(json.dumps(contents()), encoding="utf-8")
    outs = {path for stage in DVC["stages"].values() for path in out_paths(stage)}
    for stage in DVC["stages"].values():
        for dep in {*stage["deps"]} - outs - {"${data.dir}"}:
            file = folder / dep if Path(dep).suffix else folder / dep / "__init__.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dep, encoding="utf-8")
    stages = {
        name: stage | {"cmd": f"python record.py {' '.join(out_paths(stage))}"} for name, stage in DVC["stages"].items()
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC | {"stages": stages}, sort_keys=False), encoding="utf-8")


def make_experiments(folder: Path) -> None:
    """A commit with its outputs, and two experiments on top of it; the workspace is as the second one left it."""
    folder.mkdir()
    write_repository(folder)
    dvc(folder, "repro")
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "start"], cwd=folder, check=True)
    for name, changes in EXPERIMENTS.items():
        dvc(folder, "exp", "run", "-n", name, *(part for change in changes for part in ("-S", change)))


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository of `make_experiments`."""
    made = made_once(tmp_path_factory, "experiments", make_experiments)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("views") / "repo"))


def header(shown: str) -> str:
    return next(line for line in shown.splitlines() if "Experiment" in line)


def test_each_stage_has_at_most_ten_headline_figures_and_they_stand_in_small_files() -> None:
    named = {next(iter(entry)) for stage in DVC["stages"].values() for entry in stage.get("metrics", [])}
    written = contents()
    assert len(named) == 3 and all(1 <= len(written[name]) <= 10 for name in named)
    keys = [key for name in named for key in written[name]]
    assert len(keys) == len(set(keys)), "DVC puts the path of the file before a key that two files have"


@pytest.mark.scale
def test_the_figures_stand_in_the_first_160_columns_of_exp_show(repo: Path) -> None:
    """All params and hashes follow to the right of them, where a pager cuts the lines."""
    shown = header(dvc(repo, "exp", "show"))
    keys = [key for name, values in contents().items() if "headline" in name for key in values]
    last_figure = max(shown.index(f" {key} ") + len(key) for key in keys)
    assert last_figure < COLUMNS and last_figure < shown.index(" data.dir")


def compare(folder: Path) -> str:
    """What `make compare` prints."""
    (recipe,) = re.findall(r"\$\(BIN\)/python (experiments/compare.py)", (REPOSITORY / "Makefile").read_text("utf-8"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "COVERAGE_"))}
    done = run_python([str(REPOSITORY / recipe)], folder, environment | {"DVC_NO_ANALYTICS": "1", "PATH": warm_path()})
    assert done.returncode == 0, done.stdout + done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= COLUMNS
    return done.stdout


@pytest.mark.scale
def test_make_compare_ranks_by_val_and_shows_what_differs(repo: Path) -> None:
    heading, _, heads, *rows = compare(repo).splitlines()
    assert heading == "On the 5 validation photos 0a1b2c3d, gain over gray in dB PSNR:"
    assert heads.split()[:2] == ["experiment", "gain"] and heads.split()[-2:] == ["train.loss.ssim", "train.lr"]
    assert all(metric.heading in heads for metric in METRICS.values())
    names = ["workspace", "structure", "first", "main", "shipped model", "gray input"]
    assert [re.split("  +", row)[0] for row in rows if row] == names
    assert "0.0034" in rows[1] and "+0.72 (5)" in rows[1]
    # Of params that were changed and not run, nothing is known; nor of a model that was trained and not measured.
    (repo / "params.yaml").write_text((repo / "params.yaml").read_text().replace("0.0034", "0.0099"))
    (waiting,) = [line for line in compare(repo).splitlines() if "workspace" in line]
    assert "not evaluated" in waiting and "0.0099" in waiting and "+" not in waiting


@pytest.mark.scale
def test_make_compare_shows_what_waits(repo: Path, tmp_path: Path) -> None:
    """MLflow knows no run of it."""
    copy = Path(shutil.copytree(repo, tmp_path / "copy"))
    dvc(copy, "exp", "run", "--queue", "-n", "gamic-plot", "-S", "train.lr=0.0056")
    shown = compare(copy)
    (waiting,) = [line for line in shown.splitlines() if "gamic-plot" in line]
    assert "queued" in waiting and "0.0056" in waiting and shown.count("queued") == 1


@pytest.mark.scale
def test_metrics_diff_prints_at_most_twenty_rows(repo: Path) -> None:
    lines = dvc(repo, "metrics", "diff").strip().splitlines()
    assert "gain_over_gray_db" in "".join(lines) and 2 <= len(lines) <= 21
    assert 1 <= len(dvc(repo, "metrics", "diff", "--all").strip().splitlines()) - 1 <= 20


@pytest.mark.scale
def test_plots_are_losses_gains_and_photos_and_nothing_else(repo: Path) -> None:
    shown = json.loads(dvc(repo, "plots", "diff", "first", "structure", "--json"))
    photos = {"reports/photos/0af1ad0a3e98.jpg", "reports/photos/34a99716b78d.jpg"}
    assert set(shown["data"]) == {"Loss by epoch", "Gain over gray", *photos} and not shown.get("errors")
    losses = shown["data"]["Loss by epoch"][0]["content"]
    fields = {(row["rev"], row["field"]) for row in losses["data"]["values"]}
    names = ("train_loss", "val_loss", "gray_val_loss")
    assert fields == {(rev, name) for rev in ("first", "structure") for name in names}
    for name in photos:  # one entry a revision, which DVC and VS Code lay side by side
        pictures = shown["data"][name]
        assert [(entry["type"], *entry["revisions"]) for entry in pictures] == [
            ("image", "first"),
            ("image", "structure"),
        ]
        first, second = (Path(entry["url"].removeprefix("file://")).read_bytes() for entry in pictures)
        assert first != second


@pytest.mark.scale
def test_the_gain_histogram_is_in_numeric_order(repo: Path) -> None:
    """CSV's values reach the chart as texts: sorted as such, -0.25 stands before -11.75 and 10.25 before 4.75."""
    spec = json.loads(dvc(repo, "plots", "diff", "first", "--json"))["data"]["Gain over gray"][0]["content"]
    x, values = spec["encoding"]["x"], spec["data"]["values"]
    assert all(isinstance(row["gain_db"], str) for row in values)
    made = {step["as"]: step["calculate"] for step in spec["transform"]}
    assert made[x["field"]] == "toNumber(datum['gain_db'])" and x["sort"] == "ascending"
    assert made[spec["encoding"]["y"]["field"]] == "toNumber(datum['photos'])"
    gains = [float(row["gain_db"]) for row in values if row["rev"] == values[0]["rev"]]
    assert gains == sorted(gains) and [str(gain) for gain in gains] != sorted(map(str, gains))


@pytest.mark.scale
def test_plots_that_dvc_writes_are_ignored_by_git(repo: Path) -> None:
    page = dvc(repo, "plots", "show").strip()
    assert page.endswith("dvc_plots/index.html")
    ignored = subprocess.run(["git", "status", "--porcelain"], cwd=repo, check=True, capture_output=True, text=True)
    assert "dvc_plots" not in ignored.stdout


@pytest.mark.scale
def test_dvc_push_works_without_any_setting_and_brings_outputs_back(repo: Path, tmp_path: Path) -> None:
    """DVC ends a `dvc repro` with the hint 'Use `dvc push`', which ended in 'no remote specified'."""
    copy = Path(shutil.copytree(repo, tmp_path / "copy"))
    assert "pushed" in dvc(copy, "push")
    status = subprocess.run(["git", "status", "--porcelain"], cwd=copy, check=True, capture_output=True, text=True)
    assert (copy / ".dvc/remote").is_dir() and ".dvc" not in status.stdout
    shutil.rmtree(copy / ".dvc/cache")
    (copy / "data/manifest.csv").unlink()
    dvc(copy, "pull", "validate")
    assert (copy / "data/manifest.csv").is_file()


def test_what_dvc_repro_writes_is_no_change_by_hand(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make run` rewrites dvc.lock and the figures in git: experiments/run.py works after it."""
    monkeypatch.chdir(repo)
    differ = subprocess.run(["git", "diff", "--name-only"], capture_output=True, text=True, check=True).stdout.split()
    assert {"dvc.lock", "metrics/headline/evaluate.json", "params.yaml"} <= set(differ)
    assert experiments.changed() == ["params.yaml"]  # by the last experiment
    (repo / "a ü.py").touch()
    subprocess.run(["git", "add", "a ü.py"], check=True)
    try:
        assert experiments.changed() == ["a ü.py", "params.yaml"]
    finally:
        subprocess.run(["git", "rm", "--quiet", "--force", "a ü.py"], check=True)
