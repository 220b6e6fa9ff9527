"""The table of all files, as a CSV and counted."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import make_photo, save, table_of, write_photos
from PIL import Image

from chromascape.params import Params, Split
from chromascape.photos import inspection, source
from chromascape.photos.manifest import COLUMNS, INTEGERS, read_manifest, summarize, write_manifest
from chromascape.photos.splits import add_groups


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    """Equal tables, whatever the missing values are called."""
    assert list(left.columns) == list(right.columns)
    assert len(left) == len(right)
    for column in left:
        for here, there in zip(left[column], right[column], strict=True):
            missing = pd.isna(here) or here == ""
            assert (pd.isna(there) or there == "") if missing else here == there, column


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params({"validate.seconds": 0}).validate_  # so that one job reads in this process


def full_table(names: list[str]) -> pd.DataFrame:
    table = table_of([(name, source.sha256(name.encode("utf-8", "surrogateescape")), "0" * 16) for name in names])
    table["verdict"], table["reasons"], table["group"] = "accepted", "", "0123456789ab"
    for column in INTEGERS:
        table[column] = pd.Series([1] * len(names), dtype="Int64")
    table.loc[0, INTEGERS] = pd.NA
    table["colorfulness"] = 1 / 3
    table["split"] = "train"
    table.loc[0, ["split", "phash"]] = None
    table["extension_matches"] = pd.Series([None] + [True] * (len(names) - 1), dtype="boolean")
    return table


AWKWARD = ["a,b.png", "new\nline.png", 'quo"te.png', "emoji 🏔.png", "é ä 山.png", "NA", "nan", "123", "1e5", " lead"]
AWKWARD += [
    "trail ",
    "carriage\rreturn.png",
    "both\r\n.png",
    "tab\t.png",
    "\ufeffbom",
    os.fsdecode(b"\xff\xfe.png"),
    "'",
    "#",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_survives_the_csv(tmp_path: Path, name: str) -> None:
    table = full_table(["plain.png", name])
    write_manifest(table, tmp_path / "data" / "manifest.csv")
    same(table[COLUMNS], read_manifest(tmp_path / "data" / "manifest.csv"))


def test_the_csv_comes_back_as_it_was_and_is_written_the_same_again(tmp_path: Path, validate: Any) -> None:
    write_photos(tmp_path / "photos", 3)
    (tmp_path / "photos" / "a,\n🏔.txt").write_text("x")
    save(tmp_path / "photos" / "gray.png", Image.fromarray(make_photo(9)).convert("L"))
    table = inspection.inspect_folder(tmp_path / "photos", validate, 1)
    add_groups(table, table["problem"].isna(), 4, Split(train=0.8, val=0.1, test=0.1))
    table["camera"], table["taken"] = ["NA", "Canon, EOS", None, "ü", "1"], [0.1, 1.7e9 + 0.07, np.nan, -2.5, 0]
    table["verdict"], table["reasons"] = "accepted", ""
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    write_manifest(table, first)
    back = read_manifest(first)
    same(table[COLUMNS], back)
    assert str(back["width"].dtype) == "Int64"
    write_manifest(back, second)
    assert first.read_bytes() == second.read_bytes()
    with first.open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == COLUMNS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.csv", "2.csv", "photos"]


def test_summarize_counts_files_by_verdict_reason_mode_and_split() -> None:
    table = full_table([f"{number}.png" for number in range(6)])
    table["verdict"] = ["accepted"] * 3 + ["rejected"] * 3
    table["reasons"] = ["", "", "", "channels;mode", "mode", "exact_duplicate"]
    table["mode"] = ["RGB", "RGB", "RGB", "L", "LAB", None]
    table["split"] = ["train", "train", "test", None, None, None]
    table["group"] = ["a", "a", "b", "c", "d", "b"]
    for column, value in {"left": 0, "top": 0, "right": 10, "bottom": 10, "width": 10, "height": 10}.items():
        table[column] = pd.Series([value] * 6, dtype="Int64")
    table.loc[1, "top"] = 2
    table.loc[5, ["left", "width"]] = pd.NA
    assert summarize(table) == {
        "n_files": 6,
        "n_accepted": 3,
        "n_rejected": 3,
        "n_letterboxed": 1,
        "n_duplicate_groups": 2,
        "rejected_by_reason": {"channels": 1, "exact_duplicate": 1, "mode": 2},
        "by_mode": {"L": 1, "LAB": 1, "RGB": 3},
        "by_split": {"test": 1, "train": 2},
    }


def test_summarize_counts_the_same_after_the_csv(tmp_path: Path) -> None:
    table = full_table(["a.png", "b.png"])
    table["reasons"] = ["", "mode"]
    table["verdict"] = ["accepted", "rejected"]
    write_manifest(table, tmp_path / "m.csv")
    assert summarize(read_manifest(tmp_path / "m.csv")) == summarize(table)


def test_numbers_come_back_to_the_last_bit(tmp_path: Path) -> None:
    table = full_table([f"{number}.png" for number in range(500)])
    table["taken"] = np.random.default_rng(0).uniform(0, 2e9, 500)
    write_manifest(table, tmp_path / "m.csv")
    assert read_manifest(tmp_path / "m.csv")["taken"].tolist() == table["taken"].tolist()
