"""The lists of experiments: every row is a valid params.yaml, and their figures become one table."""

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import REPOSITORY, changed_params

from chromascape.learning.checks import check_train
from chromascape.params import Params, read_yaml

LISTS = sorted((REPOSITORY / "experiments").glob("*.yaml"))
spec = importlib.util.spec_from_file_location("experiments_run", REPOSITORY / "experiments" / "run.py")
assert spec and spec.loader
experiments = importlib.util.module_from_spec(spec)
spec.loader.exec_module(experiments)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_row_is_a_valid_params_file(path: Path) -> None:
    plan = read_yaml(path)
    assert set(plan) == {"title", "common", "rows"}
    seen = [Params.model_validate(changed_params(plan["common"] | (row or {}))) for row in plan["rows"].values()]
    for params in seen:
        check_train(params.train)
    assert all(seen.count(params) == 1 for params in seen)  # no row runs twice


def figures(gain: float) -> tuple[dict[str, Any], pd.DataFrame]:
    row = {"psnr_db": 22.0 + gain, "ssim": 0.93, "ciede2000": 10.0, "colorfulness": 20.0}
    summary = {
        "n_photos": 3,
        "model": row,
        "gray": row | {"psnr_db": 22.0, "colorfulness": 0.0},
        "gain_over_gray_db": gain,
        "gain_over_gray_ci95_db": [gain - 0.5, gain + 0.5],
        "win_rate_over_gray": 0.75,
        "win_rate_over_gray_ciede2000": 0.5,
    }
    return summary, pd.DataFrame({"model.psnr_db": [20 + gain, 21 + gain, 25 + gain]})


def test_the_table_has_gray_first_and_differences_from_the_first_row() -> None:
    text = experiments._markdown("Title", ["train.lr=1"], {"one": figures(1.0), "two": figures(1.25)})
    lines = text.splitlines()
    assert lines[0] == "# Title" and lines[2] == "3 held-out photos. All rows: train.lr=1."
    assert lines[6] == "| gray | 22.00 | 0.9300 | 10.00 | 0.0 | 0 |  |  |"
    assert lines[7] == "| one | 23.00 | 0.9300 | 10.00 | 20.0 | +1.00 (+0.50 to +1.50) | 75 % | 50 % |"
    assert lines[-1] == "- two: +0.25 (+0.25 to +0.25)"


def test_settings_are_what_dvc_reads() -> None:
    settings = experiments._settings({"a.b": [1, "x"], "c": True, "d": "text", "e": 0.5})
    assert settings == ['a.b=[1, "x"]', "c=true", "d=text", "e=0.5"]
