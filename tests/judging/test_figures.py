"""Sums over photos computed by hand, and which photos count."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from registered import table_of

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.training_photos import hashes_of, read_seen, write_seen
from chromascape.files import sha256_of_file
from chromascape.judging import figures as figures_of
from chromascape.judging.figures import difference, headline, held_out_tables
from chromascape.params import Params


def summarize(table: pd.DataFrame, by_model: Any = False, by_shipped: Any = False) -> dict[str, Any]:
    masks = (np.broadcast_to(np.asarray(mask, bool), len(table)) for mask in (by_model, by_shipped))
    return figures_of.summarize(table, *masks)


def test_summary_has_exactly_the_keys_that_other_tools_rely_on() -> None:
    figures = summarize(table_of([1.0, -1.0]))
    named = {"n_photos", "model", "gray", "mean_ab", "truth", "gain_over_gray_db", "gain_over_gray_ci95_db"}
    named |= {"vivid", "shipped", "win_rate_over_gray", "win_rate_over_gray_ciede2000", "held_out", "n_seen"}
    assert set(figures) == named | {"n_scenes", "over_shipped"}
    for name in ("model", "gray", "mean_ab"):
        assert set(figures[name]) == {"psnr_db", "ssim", "ciede2000", "colorfulness", "loss_mse_l1"}
    assert set(figures["truth"]) == {"colorfulness"}


def test_summary_computed_by_hand() -> None:
    table = table_of([3.0, 0.0, -1.0, 2.0])
    table["gray.ciede2000"] = [5.0, 5.0, 5.0, 5.0]
    table["model.ciede2000"] = [4.0, 5.0, 6.0, 7.0]
    figures = summarize(table)
    assert figures["n_photos"] == 4 and figures["n_scenes"] == 4 and figures["held_out"] is True
    assert figures["gain_over_gray_db"] == pytest.approx(1.0)
    assert figures["win_rate_over_gray"] == 0.5  # a tie is no win
    assert figures["win_rate_over_gray_ciede2000"] == 0.25
    assert figures["gray"]["psnr_db"] == pytest.approx(21.5)
    assert figures["model"]["psnr_db"] == pytest.approx(22.5)
    assert figures["model"]["ciede2000"] == pytest.approx(5.5)
    assert figures["mean_ab"]["ssim"] == pytest.approx(511.5)
    assert figures["truth"]["colorfulness"] == pytest.approx(41.5)
    # Deviations 2, -1, -2, 1: the error of the mean is the root of 10 / 3 / 4; t for 3 degrees of freedom is 3.1824.
    reach = 3.182446 * (10 / 12) ** 0.5
    assert figures["gain_over_gray_ci95_db"] == pytest.approx([1 - reach, 1 + reach])
    assert isinstance(figures["n_photos"], int) and isinstance(figures["gain_over_gray_ci95_db"], list)


def test_vivid_and_shipped_win_where_they_are_closer_than_gray() -> None:
    table = table_of([1.0, 1.0, 1.0, 1.0])
    gray = table["gray.psnr_db"]
    table["vivid.psnr_db"], table["shipped.psnr_db"] = gray + [1, 0, -1, -2], gray + [1, 2, 3, -1]
    table["gray.ciede2000"] = [5.0, 5.0, 5.0, 5.0]
    table["vivid.ciede2000"], table["shipped.ciede2000"] = [4.0, 4.0, 4.0, 6.0], [5.0, 6.0, 6.0, 4.0]
    figures = summarize(table)
    wins = [[figures[name][key] for name in ("vivid", "shipped")] for key in (
        "win_rate_over_gray", "win_rate_over_gray_ciede2000", "gain_over_gray_db",
    )]  # fmt: skip
    assert wins == [[0.25, 0.75], [0.75, 0.25], [-0.5, 1.25]]


def test_intervals_count_groups_of_photos() -> None:
    """Forty photos of two scenes say no more about other scenes than two photos do."""
    gains = [0.0] * 20 + [4.0] * 20
    alone, grouped = summarize(table_of(gains)), summarize(table_of(gains, group=["one"] * 20 + ["two"] * 20))
    low, high = grouped["gain_over_gray_ci95_db"]
    assert low < -20 and high > 20 and grouped["n_scenes"] == 2
    assert alone["gain_over_gray_ci95_db"][0] > 1 and alone["gain_over_gray_ci95_db"][1] < 3
    assert alone["gain_over_gray_db"] == grouped["gain_over_gray_db"] == 2.0
    assert summarize(table_of(gains, group="one"))["gain_over_gray_ci95_db"] is None
    assert summarize(table_of([1.0]))["gain_over_gray_ci95_db"] is None


def test_figures_are_held_out_where_the_trained_model_has_seen_no_photo() -> None:
    figures = summarize(table_of([1.0, 2.0, 3.0]), [True, False, False], [True, True, False])
    assert figures["n_seen"] == {"model": 1, "vivid": 1, "shipped": 2} and figures["held_out"] is False
    assert summarize(table_of([1.0]), by_shipped=[True])["held_out"] is True  # the trained model's figures are


def test_the_shipped_model_is_compared_with_on_photos_that_are_new_to_it() -> None:
    table = table_of([1.0, 1.0, 1.0])
    table["shipped.psnr_db"] = table["model.psnr_db"] + [9.0, 0.5, 0.25]
    over = summarize(table, by_shipped=[True, False, False])["over_shipped"]
    assert (over["gain_db"], over["n_photos"], over["n_scenes"], over["win_rate"]) == (-0.375, 2, 2, 0)
    assert summarize(table, by_shipped=True)["over_shipped"] is None


def test_photos_are_compared_in_pairs() -> None:
    """Photos differ by 20 dB; that the model is 0.3 dB closer on each shows in pairs alone."""
    other = pd.Series([15.0, 22.0, 28.0, 35.0, 40.0])
    found = difference(other + [0.3, 0.2, 0.4, 0.3, 0.3], other, pd.Series([*"abcde"]))
    assert found and found["gain_db"] == pytest.approx(0.3) and found["win_rate"] == 1
    assert 0.2 <= found["ci95_db"][0] <= 0.3 <= found["ci95_db"][1] <= 0.4


def test_photos_of_one_scene_count_as_one() -> None:
    """Nine photos of a scene that gains, and one scene that loses: as single photos they would prove a gain."""
    gained, none = pd.Series([1.0] * 9 + [-1.0]), pd.Series([0.0] * 10)
    apart, together, one = (
        difference(gained, none, pd.Series([*names])) for names in ("abcdefghij", "aaaaaaaaab", "a" * 10)
    )
    assert apart and together and one
    assert apart["ci95_db"][0] > 0 > together["ci95_db"][0]
    assert one["ci95_db"] is None and one["n_scenes"] == 1


def test_headline_has_the_models_figures_beside_grays_and_the_shipped_models() -> None:
    figures = summarize(table_of([1.0, -0.5, 0.5]))
    figures |= {
        "split": "test",
        "val": {"gain_over_gray_db": 0.77777, "n_photos": 9, "shipped": {"gain_over_gray_db": 2}},
    }
    on_val = {"val_photos": 9, "val_gain_db": 0.7778, "shipped_val_gain": 2}
    on_test = {"gain_over_gray_db": 0.3333, "win_rate": 0.6667, "psnr_db": 21.3333, "gray_psnr": 21.0}
    on_test |= {"ssim": round(figures["model"]["ssim"], 4), "gray_ssim": round(figures["gray"]["ssim"], 4)}
    assert headline(figures) == on_val | on_test and on_test["ssim"] != on_test["gray_ssim"]
    # `dvc metrics diff` set figures on val beside those on test under one name.
    assert headline(figures | {"split": "val"}) == on_val


def write_model(folder: Path, trained_on: pd.DataFrame, chose: pd.DataFrame) -> Path:
    write_seen(folder, *(hashes_of(table, ("train", "val", "test")) for table in (trained_on, chose)))
    (folder / "config.json").write_text("{}")
    return folder


def test_figures_of_a_split_stand_on_top_with_those_of_val_below(
    tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    shipped = read_seen(SHIPPED)
    paths = [f"{row}.png" for row in range(2)]
    manifest = pd.DataFrame({"path": [*paths, "t.png"], "verdict": "accepted", "split": ["val", "val", "test"]})
    manifest["sha256"] = [shipped[0, :32].tobytes().hex(), "1" * 64, "2" * 64]  # the first was seen
    manifest["phash"] = ["0" * 16, "5" * 16, shipped[1, 32:].tobytes().hex()]  # the last is a near copy
    model, params = write_model(tmp_path, manifest[:0], manifest[:2]), make_params()
    tables = {"val": table_of([1.0, 2.0]), "test": table_of([3.0], path="t.png")}
    figures = figures_of.summarize_splits(tables, "test", manifest, model, params)
    assert (figures["split"], figures["n_photos"], figures["gain_over_gray_db"]) == ("test", 1, 3.0)
    assert (figures["val"]["n_photos"], figures["val"]["gain_over_gray_db"]) == (2, 1.5)
    assert figures["n_seen"] == {"model": 0, "vivid": 0, "shipped": 1} and figures["held_out"] is True
    # Val chose the epoch, so the model has seen it.
    assert figures["val"]["n_seen"] == {"model": 2, "vivid": 2, "shipped": 1} and not figures["val"]["held_out"]
    assert figures["model_sha256"] == sha256_of_file(model / "config.json")
    alone = figures_of.summarize_splits({"val": tables["val"]}, "val", manifest, model, params)
    assert alone["split"] == "val" and alone["n_photos"] == 2 and alone["val"] == figures["val"]


def test_one_photo_that_the_model_was_trained_on_is_left_out_and_counted(
    tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    """One of 10,000 made all figures optimistic, and the gate refused the model."""
    table = table_of([9.0, 1.0, 2.0])
    manifest = pd.DataFrame({"path": table["path"], "verdict": "accepted", "split": "test"})
    manifest["sha256"], manifest["phash"] = [c * 64 for c in "abc"], ["0" * 16, "0f" * 8, "f" * 16]
    bits = make_params().validate_.near_duplicate_bits
    model = write_model(tmp_path, manifest[:1], manifest[:0])
    tables = held_out_tables({"test": table}, manifest, model, bits)
    assert tables["test"]["path"].tolist() == ["1.png", "2.png"]
    figures = figures_of.summarize_splits(tables | {"val": table}, "test", manifest, model, make_params())
    assert (figures["n_left_out"], figures["n_photos"], figures["gain_over_gray_db"]) == (1, 2, 1.5)
    assert figures["held_out"] is True and figures["photos"] != figures["val"]["photos"]
    # Where it was trained on all, as with train.photos=all, nothing else is left to measure, which the figures say.
    model = write_model(tmp_path, manifest, manifest[:0])
    assert len(held_out_tables({"test": table}, manifest, model, bits)["test"]) == 3
    # What only chose the epoch is left out of test, where another split may have had it in val, but not of val.
    model = write_model(tmp_path, manifest[:0], manifest[:1])
    found = held_out_tables({"test": table, "val": table}, manifest, model, bits)
    assert {split: len(rows) for split, rows in found.items()} == {"test": 2, "val": 3}


def test_the_same_photos_at_the_same_size_have_the_same_id(make_params: Callable[..., Params]) -> None:
    table = table_of([1.0, 2.0])
    manifest = pd.DataFrame({"path": table["path"], "sha256": ["a" * 64, "b" * 64]})
    found = figures_of.photos_id(table, manifest, make_params())
    assert figures_of.photos_id(table[::-1], manifest, make_params({"train.lr": 0.5})) == found and len(found) == 8
    others = [
        figures_of.photos_id(table[:1], manifest, make_params()),
        figures_of.photos_id(table, manifest, make_params({"preprocess.side": 128})),
        figures_of.photos_id(table, manifest.assign(sha256=["a" * 64, "c" * 64]), make_params()),
    ]
    assert len({found, *others}) == 4
