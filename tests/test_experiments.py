"""The lists of experiments: every row is a valid params.yaml, and their figures become one table."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import REPOSITORY, changed_params, load_file
from registered import write_model

from chromascape.color.metrics import METRICS, Metric
from chromascape.colorizing.torch_network import load_network
from chromascape.errors import ChromascapeError
from chromascape.learning.checks import check_train
from chromascape.params import Params, read_yaml

LISTS = sorted(file for file in (REPOSITORY / "experiments").glob("*.yaml") if file.stem != "search")
experiments = load_file(REPOSITORY / "experiments" / "run.py")


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_row_is_a_valid_params_file(path: Path) -> None:
    plan = read_yaml(path)
    assert set(plan) - {"notes"} == {"title", "common", "rows"}
    seen = [Params.model_validate(changed_params(plan["common"] | (row or {}))) for row in plan["rows"].values()]
    for params in seen:
        check_train(params.train)
    assert all(seen.count(params) == 1 for params in seen)  # no row runs twice
    # Their photos are others than the sample's: a folder of theirs that is named as one of it is trained on.
    assert all(params.data.test_only == [] for params in seen)


def row(gain: float, paths: str = "abc", groups: str | None = None) -> Any:
    """Figures on val with this gain, and a table of photos whose PSNR is 20, 21 and 25 dB and so on plus the gain."""
    means = {"psnr_db": 22.0 + gain, "ssim": 0.93, "ciede2000": 10.0, "colorfulness": 20.0, "loss_mse_l1": 0.05}
    summary = {
        "n_photos": len(paths),
        "model": means,
        "gray": means | {"psnr_db": 22.0, "colorfulness": 0.0},
        "shipped": means | {"gain_over_gray_db": 1.5, "win_rate_over_gray": 0.5, "win_rate_over_gray_ciede2000": 0.5},
        "gain_over_gray_db": gain,
        "gain_over_gray_ci95_db": [gain - 0.5, gain + 0.5],
        "win_rate_over_gray": 0.75,
        "win_rate_over_gray_ciede2000": 0.5,
    }
    known = {"a": 20.0, "b": 21.0, "c": 25.0, "d": 40.0}
    table = pd.DataFrame({"path": [*paths], "group": [*(groups or paths)]})
    return summary, table.assign(**{"model.psnr_db": [known.get(path, 30.0) + gain for path in paths]})


def table_of(tables: dict[str, Any]) -> list[str]:
    return experiments._markdown("Title", ["train.lr=1"], tables).splitlines()


def test_the_table_has_gray_and_the_shipped_model_first_and_differences_from_the_first_row() -> None:
    lines = table_of({"one": row(1.0), "two": row(1.25)})
    assert lines[0] == "# Title"
    assert lines[2] == "Figures on the validation photos (val). All rows: train.lr=1."
    assert lines[4] == (
        "|  | n | PSNR, dB ↑ | SSIM ↑ | CIEDE2000 ↓ | colorfulness | MSE + L1 ↓ | gain over gray, dB (95 %) "
        "| beats gray, PSNR | CIEDE2000 |"
    )
    assert lines[5].count("|") == lines[4].count("|")
    assert lines[6] == "| gray input | 3 | 22.00 | 0.9300 | 10.00 | 0.0 | 0.0500 | 0 |  |  |"
    assert lines[7] == "| shipped model | 3 | 23.00 | 0.9300 | 10.00 | 20.0 | 0.0500 | +1.50 | 50 % | 50 % |"
    assert lines[8] == "| one | 3 | 23.00 | 0.9300 | 10.00 | 20.0 | 0.0500 | +1.00 (+0.50 to +1.50) | 75 % | 50 % |"
    assert lines[-1] == "- two: +0.25 (+0.25 to +0.25), n = 3"


@pytest.mark.parametrize(
    ("paths", "n"), [("abc", 3), ("cab", 3), ("ab", 2), ("ca", 2), ("dcba", 4)], ids=lambda value: str(value)
)
def test_photos_are_paired_by_path(paths: str, n: int) -> None:
    """Whatever their order, and where a row has fewer photos or others."""
    lines = table_of({"one": row(1.0, "abcd"), "two": row(1.25, paths)})
    assert lines[-1] == f"- two: +0.25 (+0.25 to +0.25), n = {n}"
    assert lines[9].startswith(f"| two | {n} |") and lines[8].startswith("| one | 4 |")


def test_photos_that_one_row_alone_has_are_left_out() -> None:
    assert table_of({"one": row(1.0), "two": row(1.25, "axyz")})[-1] == "- two: +0.25, n = 1"
    assert table_of({"one": row(1.0), "two": row(1.25, "xyz")})[-1] == "- two: no photo in common"


def test_differences_have_an_interval_over_groups() -> None:
    base, better = row(1.0), row(1.25, groups="AAB")
    better[1].loc[2, "model.psnr_db"] += 3
    assert table_of({"one": base, "two": better})[-1] == "- two: +1.25 (-15.69 to +18.19), n = 3"
    assert table_of({"one": base, "two": row(1.25, groups="AAA")})[-1] == "- two: +0.25, n = 3"


def test_a_row_without_an_interval_is_shown_without() -> None:
    summary, table = row(1.0, "a")
    summary["gain_over_gray_ci95_db"] = None
    assert "| +1.00 | 75 %" in table_of({"one": (summary, table)})[8]


def test_a_metric_of_the_table_is_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "new", Metric("new metric", ".3f", "higher", lambda truth, picture: 0.0, "made up"))
    one = row(1.0)
    one[0]["model"]["new"], one[0]["gray"]["new"], one[0]["shipped"]["new"] = 0.125, 0.25, 0.5
    lines = table_of({"one": one})
    assert "| new metric ↑ |" in lines[4] and "| 0.250 |" in lines[6] and "| 0.125 |" in lines[8]


def test_the_test_photos_are_not_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows are evaluated with `evaluate.split=val`, and only figures on the validation photos are read."""
    commands: list[list[str]] = []
    read: list[str] = []
    summary, photos = row(1.0)
    files = {
        "metrics/evaluate.json": json.dumps({"val": summary}),
        "reports/per_photo_val.csv": photos.to_csv(index=False),
    }

    def run(command: list[str], **_: Any) -> None:
        commands.append(command)

    def git(*arguments: str) -> str:
        if arguments[0] == "diff":
            return ""
        return "f" * 40 if arguments[0] == "rev-parse" or commands else ""  # the experiment is there once it has run

    monkeypatch.setattr(experiments.subprocess, "run", run)
    monkeypatch.setattr(experiments, "git", git)
    monkeypatch.setattr(experiments.dvc.api, "read", lambda path, rev: read.append(path) or files[path])
    (tmp_path / "list.yaml").write_text(
        'title: T\ncommon: {}\nrows:\n  one:\n    data.dir: "{data}-more"\n    train.lr: 0.5\nnotes: |\n  So it is.\n'
    )
    arguments = [str(tmp_path / "list.yaml"), "--data", str(tmp_path), "-o", str(tmp_path / "table.md")]
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    experiments.main()
    (command,) = commands
    assert command[:4] == ["dvc", "exp", "run", "--temp"] and command[-1] == "evaluate"
    assert "evaluate.split=val" in command
    assert command[-5:-1] == ["-S", f"data.dir={tmp_path}-more", "-S", "train.lr=0.5"]
    assert sorted(read) == sorted(files)
    written = (tmp_path / "table.md").read_text()
    assert "| one | 3 | 23.00 |" in written and written.endswith("\n\nSo it is.\n")


def test_names_of_photos_that_look_like_missing_values_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"metrics/evaluate.json": '{"val": {}}', "reports/per_photo_val.csv": "path,group,x\nNA,1e5,\n007,02,1.5\n"}
    monkeypatch.setattr(experiments.dvc.api, "read", lambda path, rev: files[path])
    table = experiments._read("commit")[1]
    assert table["path"].tolist() == ["NA", "007"] and table["group"].tolist() == ["1e5", "02"]
    assert table["x"].isna().tolist() == [True, False]


def test_settings_are_what_dvc_reads() -> None:
    settings = experiments.settings({"a.b": [1, "x"], "c": True, "d": "text", "e": 0.5})
    assert settings == ['a.b=[1, "x"]', "c=true", "d=text", "e=0.5"]


def test_a_blend_lies_between_two_models(tmp_path: Path) -> None:
    blend = load_file(REPOSITORY / "experiments/blend.py").blend
    for name, value in (("first", 0.2), ("second", 0.4)):
        write_model(tmp_path / name, value)
    blend(tmp_path / "first", tmp_path / "second", 0.25, tmp_path / "between")
    first, second, between = (load_network(tmp_path / name)[1].state_dict() for name in ("first", "second", "between"))
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, value in between.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, first[name].lerp(second[name], 0.25), atol=1e-3, rtol=1e-3)
    with pytest.raises(ChromascapeError, match="--share: 2 is not from 0 to 1"):
        blend(tmp_path / "first", tmp_path / "second", 2, tmp_path / "other")
