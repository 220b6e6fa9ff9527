"""`make compare` on rows made by hand; what it reads of real experiments is in test_dvc_views."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY, load_file

from chromascape.color.metrics import METRICS, Metric
from chromascape.judging.predictions import PREDICTIONS

experiments = load_file(REPOSITORY / "experiments" / "compare.py")


def figures(gain: float, photos: str = "aaaaaaaa", n_photos: int = 15, split: str = "test") -> dict[str, Any]:
    means: dict[str, Any] = {name: dict.fromkeys(METRICS, 20.0) for name in PREDICTIONS}
    means["shipped"]["gain_over_gray_db"] = 2.0
    val = means | {"photos": photos, "n_photos": n_photos, "gain_over_gray_db": gain}
    return {"split": split, "gain_over_gray_db": gain + 1, "n_photos": 9, "val": val}


def row(name: str, gain: float | None = None, state: str = "", lr: float = 0.1, **of: Any) -> Any:
    found = None if gain is None else figures(gain, **of)
    return experiments.Row(name, state, {"train.lr": lr, "jobs": 0}, found)


def test_rows_of_one_set_of_photos_stand_together_by_gain_with_the_shipped_model_among_them() -> None:
    rows = [row("few", 4.11), row("b", 1.5, lr=0.2, photos="bbbbbbbb", n_photos=60)]
    rows += [row("a", 2.45, photos="bbbbbbbb", n_photos=60, split="val"), row("next", state="queued")]
    lines = experiments.table(rows)
    assert [line.split("  ")[0] for line in lines if line] == [
        "On the 60 validation photos bbbbbbbb, gain over gray in dB PSNR:",
        "experiment", "a", "shipped model", "b", "gray input",
        "On the 15 validation photos aaaaaaaa, gain over gray in dB PSNR:",
        "experiment", "few", "shipped model", "gray input",
        "without figures", "next",
    ]  # fmt: skip
    a, b, waiting = lines[3].split(), lines[5].split(), lines[-1].split()
    assert a[1] == "+2.45" and a[-1] == "0.1" and "(9)" not in a  # its test photos were not measured
    assert b[1] == "+1.50" and b[-3:] == ["+2.50", "(9)", "0.2"] and waiting == ["next", "queued", "0.1"]


def test_a_metric_of_the_table_is_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment from before it was added has none."""
    before = row("before", 1.0)
    monkeypatch.setitem(METRICS, "own", Metric("own metric", ".1f", "higher", lambda truth, picture: 7.0, "constant"))
    after = row("after", 2.0)
    heads, first, *_ = experiments.table([before, after])[2:]
    assert "own metric ↑" in heads and "20.0" in first


def shown(rev: str, **of: Any) -> dict[str, Any]:
    data = {"params": {"params.yaml": {"data": {"train": {"lr": 0.1}}}}} | of
    return {"rev": rev, "name": None, "data": data, "experiments": None}


def test_what_runs_or_waits_shows_no_figures_of_what_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC shows those of the last experiment, in the workspace, or of the commit, in a temporary copy."""
    monkeypatch.chdir(tmp_path)
    config = b"{}"
    its = figures(1.0) | {"model_sha256": hashlib.sha256(config).hexdigest()}
    files = {"figures": json.dumps(its).encode(), "config": config, "other": b"[]"}
    for name, model in {"model": "config", "newer": "other"}.items():
        files[name] = json.dumps([{"relpath": "config.json", "md5": model}]).encode()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    repo = SimpleNamespace(cache=SimpleNamespace(local=SimpleNamespace(oid_to_path=lambda name: str(tmp_path / name))))
    outs = {"outs": {"metrics/evaluate.json": {"hash": "figures"}, "models/colorizer": {"hash": "model"}}}
    newer = {"outs": outs["outs"] | {"models/colorizer": {"hash": "newer"}}}
    commit = shown("0123456789abcdef", **outs)
    states = {"here": ("running", "workspace"), "copy": ("running", "tempdir"), "next": ("queued", "dvc-task")}
    entries = [
        {"name": name, "revs": [shown("workspace", **outs)], "executor": {"state": state, "name": place}}
        for name, (state, place) in states.items()
    ]
    done = [
        {"name": name, "revs": [shown("1", **of)], "executor": None}
        for name, of in {"done": outs, "half": newer}.items()
    ]
    found = experiments.read_rows([shown("workspace"), commit | {"experiments": [*entries, *done]}], repo)
    assert {row.name: (row.state, row.figures is not None) for row in found} == {
        "workspace": ("running", False),
        "012345678": ("", True),
        "here": ("running", False),
        "copy": ("running", False),
        "next": ("queued", False),
        "done": ("", True),
        "half": ("", False),  # trained anew, not measured
    }
