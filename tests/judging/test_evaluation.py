"""Figures of doubles that predict the truth or nothing, and the sums over photos computed by hand."""

import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Clock, write_lab
from hypothesis import given, settings
from hypothesis import strategies as st
from registered import table_of

from chromascape.color import lab
from chromascape.color.metrics import METRICS, Metric
from chromascape.colorizing.colorizer import scale_chroma
from chromascape.judging import evaluation, report
from chromascape.judging.evaluation import (
    fixed_rows,
    gain_histogram,
    mean_ab,
    pick_rows,
    predicted_rgb,
)
from chromascape.judging.figures import summarize
from chromascape.judging.predictions import PREDICTIONS
from chromascape.judging.summary import summary_lines
from chromascape.photos.shards import Shards

SIZE = 64
NONE = np.zeros(9, bool)  # of the photos were seen
# The test photos 5 to 8: two show one scene.
MANIFEST = pd.DataFrame({"path": [f"photo-{n:03}.png" for n in range(9)], "group": [*"abcdefghh"]})


def evaluate(
    colorizer: Any, shipped: Any, photos: Shards, train: Shards, manifest: pd.DataFrame = MANIFEST, jobs: int = 1
) -> pd.DataFrame:
    sets = {"test": photos}
    measured = partial(evaluation.predicted_here, colorizer, shipped, sets, lambda: mean_ab(train), jobs)
    return evaluation.evaluate(measured, sets, manifest)["test"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shards, Shards]:
    """Five training photos in three files and four test photos."""
    folder = tmp_path_factory.mktemp("shards")
    write_lab(folder, side=SIZE, shard_mb=2 * 3 * SIZE**2 / 1e6, train=5, test=4)
    train = Shards(folder / "lab", ["train"])
    assert len(train.arrays) == 3
    return train, Shards(folder / "lab", ["test"])


class Perfect:
    """A 'colorizer' that gives every photo its true colors, and in the vivid rendering more."""

    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return photo

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return scale_chroma(picture, 1.0 if rendering == "faithful" else 1.5)


class Gray:
    def network_lab(self, photo: np.ndarray) -> np.ndarray:
        return scale_chroma(photo, 0)

    def render(self, picture: np.ndarray, rendering: str) -> np.ndarray:
        return picture


def test_perfect_colors_win_on_all_photos(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    table = evaluate(Perfect(), Gray(), test, train, jobs=1)
    assert table["path"].tolist() == ["photo-005.png", "photo-006.png", "photo-007.png", "photo-008.png"]
    assert (table["model.loss_mse_l1"] == 0).all()
    assert (table["model.psnr_db"] > 45).all()
    assert (table["model.ssim"] > 0.995).all()
    assert (table["model.ciede2000"] < 0.5).all()
    np.testing.assert_allclose(table["model.colorfulness"], table["truth.colorfulness"], rtol=0.02)
    assert (table["vivid.colorfulness"] > 1.2 * table["model.colorfulness"]).all()
    assert (table["vivid.psnr_db"] < table["model.psnr_db"]).all()
    np.testing.assert_array_equal(table["shipped.psnr_db"], table["gray.psnr_db"])
    figures = summarize(table, NONE[: len(table)], NONE[: len(table)])
    assert figures["vivid"]["win_rate_over_gray"] > 0.5 and figures["shipped"]["win_rate_over_gray"] == 0
    assert figures["vivid"]["gain_over_gray_db"] < figures["gain_over_gray_db"]
    assert figures["win_rate_over_gray"] == figures["win_rate_over_gray_ciede2000"] == 1.0
    assert figures["gain_over_gray_db"] > 20
    assert figures["gain_over_gray_ci95_db"][0] > 20


def test_gray_gains_exactly_nothing_and_wins_on_no_photo(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    table = evaluate(Gray(), Gray(), test, train, jobs=1)
    figures = summarize(table, NONE[: len(table)], NONE[: len(table)])
    assert figures["gain_over_gray_db"] == 0.0
    assert figures["gain_over_gray_ci95_db"] == [0.0, 0.0]
    assert figures["win_rate_over_gray"] == figures["win_rate_over_gray_ciede2000"] == 0.0
    assert figures["model"] == figures["gray"]
    assert figures["gray"]["colorfulness"] < 1 < 30 < figures["truth"]["colorfulness"]


def test_the_loss_of_gray_is_the_assignments(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    table = evaluate(Gray(), Gray(), test, train, jobs=1)
    error = test.read(np.arange(len(test)))[:, 1:] / 255 - 128 / 255
    by_hand = (error**2).mean(axis=(1, 2, 3)) + np.abs(error).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(table["gray.loss_mse_l1"], by_hand, rtol=1e-5)


def test_the_mean_color_of_many_photos_is_not_silent_in_a_log(shards: tuple[Shards, Shards], clock: Clock) -> None:
    slow = copy.copy(shards[0])
    slow.arrays = (clock.slow(lambda array: array, 20)(array) for array in shards[0].arrays)  # type: ignore[assignment]
    np.testing.assert_array_equal(mean_ab(slow), mean_ab(shards[0]))
    assert clock.lines == [(40, "mean color: 4 of 5 photos")]


def test_an_evaluation_of_many_photos_is_not_silent_in_a_log(
    shards: tuple[Shards, Shards], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(evaluation, "measure_photo", clock.slow(evaluation.measure_photo, 20))
    evaluate(Gray(), Gray(), shards[1], shards[0], jobs=1)
    times = [0, *(seconds for seconds, _ in clock.lines), clock.now]
    assert max(np.diff(times)) <= 40 and clock.lines[-1][1].startswith("evaluate: 4 of 4")


def test_mean_color_is_that_of_the_training_photos(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    ab = train.read(np.arange(len(train)))[:, 1:].astype(np.float64) - 128
    np.testing.assert_allclose(mean_ab(train), ab.mean(axis=(0, 2, 3)), rtol=1e-6)
    table = evaluate(Gray(), Gray(), test, train, jobs=1)
    error = test.read(np.arange(len(test)))[:, 1:] / 255 - (ab.mean(axis=(0, 2, 3))[:, None, None] + 128) / 255
    by_hand = (error**2).mean(axis=(1, 2, 3)) + np.abs(error).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(table["mean_ab.loss_mse_l1"], by_hand, rtol=1e-4)


def test_names_of_photos_that_are_not_utf8_are_kept(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    names = [b"caf\xe9.png".decode("utf-8", "surrogateescape"), *test.paths[1:]]
    renamed = copy.copy(test)
    renamed.paths = names
    manifest = pd.DataFrame({"path": pd.Series(names, dtype=object), "group": [*"stuv"]})
    table = evaluate(Gray(), Gray(), renamed, train, manifest)
    assert table["path"].tolist() == names and table["group"].tolist() == [*"stuv"]


@pytest.mark.scale
@pytest.mark.usefixtures("quick_workers")
def test_worker_processes_change_no_figure(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    alone = evaluate(Perfect(), Gray(), test, train, jobs=1)
    pd.testing.assert_frame_equal(evaluate(Perfect(), Gray(), test, train, jobs=2), alone, check_exact=True)


def test_table_has_every_prediction_and_metric(shards: tuple[Shards, Shards]) -> None:
    train, test = shards
    table = evaluate(Gray(), Gray(), test, train, jobs=1)
    expected = [f"{name}.{metric}" for name in PREDICTIONS for metric in METRICS]
    assert list(table.columns) == ["path", "group", *expected, "truth.colorfulness"]
    assert table["group"].tolist() == ["f", "g", "h", "h"]
    assert np.isfinite(table.drop(columns=["path", "group"]).to_numpy()).all()


def test_predicted_rgb_fits_srgb_and_keeps_lightness() -> None:
    lightness = np.tile(np.linspace(2, 98, 50, dtype=np.float32), (3, 1))
    ab = np.full((3, 50, 2), 120, np.float32)
    rgb = predicted_rgb(lab.join(lightness, ab))
    assert rgb.dtype == np.uint8 and rgb.shape == (3, 50, 3)
    assert np.abs(lab.rgb_to_lab(rgb)[..., 0] - lightness).max() < 1


def test_the_shipped_model_is_measured_in_its_faithful_rendering(shards: tuple[Shards, Shards]) -> None:
    table = evaluate(Gray(), Perfect(), shards[1], shards[0])
    assert (table["shipped.psnr_db"] > 45).all()  # its vivid rendering is 1.5 times too strong
    assert (table["shipped.loss_mse_l1"] == 0).all()
    swapped = evaluate(Perfect(), Gray(), shards[1], shards[0])
    np.testing.assert_array_equal(table["shipped.psnr_db"], swapped["model.psnr_db"])
    assert (swapped["vivid.psnr_db"] < 45).all()


def test_the_gray_row_is_without_color_and_the_mean_row_is_not(shards: tuple[Shards, Shards]) -> None:
    table = evaluate(Gray(), Gray(), shards[1], shards[0])
    assert (table["gray.colorfulness"] < 1).all()
    assert (table["mean_ab.colorfulness"] > table["gray.colorfulness"] + 1).all()


def test_a_metric_is_one_entry_of_the_table(
    shards: tuple[Shards, Shards], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A made-up one is in the table of each photo, in the JSON, in the report, and in the summary."""
    redness = Metric("redness", ".3f", "neither", lambda truth, picture: float(picture.rgb[..., 0].mean()), "mean red")
    darker = Metric("darker", ".1f", "lower", lambda truth, picture: 7.25, "constant")
    monkeypatch.setitem(METRICS, "redness", redness)
    monkeypatch.setitem(METRICS, "darker", darker)
    table = evaluate(Perfect(), Gray(), shards[1], shards[0])
    assert {"model.redness", "gray.redness", "truth.redness", "model.darker"} <= set(table.columns)
    assert "truth.darker" not in table
    figures = json.loads(json.dumps(summarize(table, NONE[: len(table)], NONE[: len(table)])))
    assert figures["mean_ab"]["darker"] == 7.25
    assert figures["truth"]["redness"] == pytest.approx(figures["model"]["redness"], abs=1)
    red = f"{figures['model']['redness']:.3f}"
    validation = {"n_accepted": 9, "n_files": 9, "n_rejected": 0, "by_split": {}, "rejected_by_reason": {}}
    curves = pd.DataFrame({name: [1.0] for name in ("epoch", "train_loss", "val_loss", "gray_val_loss")})
    page = report.render(figures, validation, curves, gain_histogram(table), {}, {"preprocess.side": SIZE}, {})
    assert '<th scope="col">darker ↓</th>' in page and f"<td>{red}</td>" in page and "mean red" in page
    heads, first, *_ = summary_lines(figures | {"val": figures})
    assert heads.split()[-2:] == ["redness", "darker"] and first.split()[-2:] == [red, "7.2"]


def test_histogram_computed_by_hand() -> None:
    histogram = gain_histogram(table_of([-0.75, -0.5, -0.1, 0.0, 0.49, 0.5, 1.2]))
    expected = pd.DataFrame({"gain_db": [-0.75, -0.25, 0.25, 0.75, 1.25], "photos": [1, 2, 2, 1, 1]})
    pd.testing.assert_frame_equal(histogram, expected, check_dtype=False, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(gains=st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_histogram_counts_every_photo_once(gains: list[float]) -> None:
    histogram = gain_histogram(pd.DataFrame({"model.psnr_db": gains, "gray.psnr_db": 0.0}))
    assert histogram["photos"].sum() == len(gains)
    np.testing.assert_allclose(np.diff(histogram["gain_db"]), 0.5)
    assert abs(histogram["gain_db"].iloc[0] - min(gains)) <= 0.25
    assert abs(histogram["gain_db"].iloc[-1] - max(gains)) <= 0.25


@pytest.mark.parametrize("width", [0.1, 0.3, 0.5, 2.0])
def test_histogram_loses_no_photo_on_the_edge_of_a_bin(width: float) -> None:
    for gain in np.arange(-320, 21) / 10:
        histogram = gain_histogram(pd.DataFrame({"model.psnr_db": [gain], "gray.psnr_db": 0.0}), width)
        assert histogram["photos"].sum() == 1, gain


def test_of_many_photos_each_group_has_its_own_by_gain_computed_by_hand() -> None:
    rows = pick_rows(table_of([0.0, 5.0, -2.0, 3.0, 1.0, 4.0, -1.0, 2.0, 6.0]), 2, seed=0)
    assert list(rows) == ["Random", "Best", "Median", "Worst"]
    assert rows["Random"] == fixed_rows(9, 2, seed=0)
    left = [row for row in [8, 1, 5, 3, 7, 4, 0, 6, 2] if row not in rows["Random"]]  # by gain
    assert rows["Best"] == left[:2] and rows["Median"] == left[2:4] and rows["Worst"] == [left[6], left[5]]


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 6), gains=st.lists(st.floats(-10, 10), min_size=1, max_size=40))
def test_no_photo_is_shown_twice_and_all_slots_are_filled(count: int, gains: list[float]) -> None:
    shown = [row for rows in pick_rows(table_of(gains), count, seed=3).values() for row in rows]
    assert len(shown) == len(set(shown)) == min(len(gains), 4 * count)
    assert set(fixed_rows(len(gains), count, seed=3)) <= set(shown)


def test_random_rows_follow_from_the_seed_alone_and_are_distinct() -> None:
    first = fixed_rows(30, 6, seed=1)
    assert first == fixed_rows(30, 6, seed=1) == sorted(set(first))
    assert len(first) == 6 and set(first) <= set(range(30))
    assert first != fixed_rows(30, 6, seed=2)
    tables = [table_of(list(np.arange(30.0))), table_of(list(-np.arange(30.0)))]
    assert [pick_rows(table, 6, seed=1)["Random"] for table in tables] == [first, first]


def test_few_photos_are_shown_in_one_group_by_gain() -> None:
    assert pick_rows(table_of([2.0, 1.0, 3.0]), 10, seed=0) == {"All": [2, 0, 1]}
    assert list(pick_rows(table_of([0.0] * 8), 2, seed=0)) == ["All"]


def test_ties_are_shown_in_the_order_of_the_table() -> None:
    assert pick_rows(table_of([1.0, 1.0, 1.0, 1.0]), 2, seed=0)["All"] == [0, 1, 2, 3]


def test_evaluation_writes_no_files(
    monkeypatch: pytest.MonkeyPatch, shards: tuple[Shards, Shards], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluate(Gray(), Gray(), shards[1], shards[0], jobs=1)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_evaluation_measures_only_what_is_left_and_ends_in_the_same_table(
    shards: tuple[Shards, Shards], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = {"test": shards[1]}

    def evaluated(kept: Path | None) -> pd.DataFrame:
        mean_color = lambda: evaluation.mean_ab(shards[0])  # noqa: E731
        measured = partial(evaluation.predicted_here, Perfect(), Gray(), sets, mean_color, 1)
        return evaluation.evaluate(measured, sets, MANIFEST, kept)["test"]  # type: ignore[arg-type]

    whole = evaluated(None)
    measured: list[int] = []
    measure = evaluation.measure_photo

    def fail_at_the_third(*arguments: Any) -> dict[str, float]:
        measured.append(1)
        if len(measured) == 3:
            raise RuntimeError("killed")
        return measure(*arguments)

    monkeypatch.setattr(evaluation, "measure_photo", fail_at_the_third)
    with pytest.raises(RuntimeError, match="killed"):
        evaluated(tmp_path)
    again = evaluated(tmp_path)
    assert len(measured) == 3 + 2  # two of four were kept
    pd.testing.assert_frame_equal(again, whole, check_exact=True)
    monkeypatch.setattr(evaluation, "mean_ab", lambda photos: pytest.fail("the training photos were read"))
    kept = evaluated(tmp_path)
    pd.testing.assert_frame_equal(kept, whole, check_exact=True)


def test_another_model_other_photos_or_another_manifest_are_another_evaluation(tmp_path: Path) -> None:
    model, lab_folder, manifest = tmp_path / "model", tmp_path / "lab", tmp_path / "manifest.csv"
    files = [model / "config.json", lab_folder / "index.json", manifest]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("one")
    found = [evaluation.evaluation_fingerprint(model, lab_folder, manifest, "cpu")]
    for file in files:
        file.write_text("another")
        found.append(evaluation.evaluation_fingerprint(model, lab_folder, manifest, "cpu"))
    assert len(set(found)) == 4
    assert evaluation.evaluation_fingerprint(model, lab_folder, manifest, "cpu") == found[-1]
