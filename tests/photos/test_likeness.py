"""Likeness: one scene photographed twice is found among others, and names that run on are told."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from chromascape.photos import likeness
from chromascape.photos.likeness import LEAST, describe, most_alike, running_names, running_note


def scene(seed: int, shift: int = 0, light: float = 1.0) -> Image.Image:
    """A made-up landscape: sky, a jagged ridge and a foreground, each of its own color; `shift` moves the camera."""
    random = np.random.default_rng(seed)
    ridge = np.interp(np.arange(200), np.arange(0, 201, 20), random.uniform(20, 90, 11))[shift : shift + 120]
    colors, down = random.integers(30, 230, (3, 3)), np.arange(100)[:, None]
    ground = ridge.mean() + 15 + 0 * ridge
    kind = (down > ridge).astype(int) + ((down > ridge) & (down > ground))
    return Image.fromarray(np.clip(colors[kind] * light, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def described() -> pd.Series:
    """Forty scenes, and three of them (3, 14, 25) once more: from a step aside, or later in the day."""
    again = [scene(3, shift=4), scene(14, light=0.7), scene(25, shift=3, light=0.85)]
    return pd.Series([describe(photo) for photo in [*map(scene, range(40)), *again]])


SPLITS = pd.Series(["train"] * 40 + ["val", "test", "test"])


def test_a_scene_that_was_photographed_twice_is_found_across_splits(described: pd.Series) -> None:
    pairs = most_alike(described, SPLITS, 12)
    assert {pair[:2] for pair in pairs[:3]} == {(3, 40), (14, 41), (25, 42)}
    likeness = [pair[2] for pair in pairs]
    assert likeness == sorted(likeness, reverse=True) and all(LEAST <= value <= 1.0001 for value in likeness)
    assert len(most_alike(described, SPLITS, 1)) == 1


def test_pairs_within_a_split_and_sets_without_a_held_out_photo_have_none(described: pd.Series) -> None:
    for splits in (["train"] * 43, ["test"] * 43):
        assert most_alike(described, pd.Series(splits), 12) == []
    assert most_alike(described[:0], SPLITS[:0], 12) == []


def test_the_order_of_the_photos_changes_no_bit(described: pd.Series) -> None:
    order = np.random.default_rng(0).permutation(len(described))
    found = most_alike(described.iloc[order], SPLITS.iloc[order], 12)
    there = {(*sorted((int(order[one]), int(order[other]))), likeness) for one, other, likeness in found}
    assert there == set(most_alike(described, SPLITS, 12))


def test_of_very_many_held_out_photos_some_are_compared_whatever_their_order(
    described: pd.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {pair[:2] for pair in most_alike(described, SPLITS, 12)}
    found = set()
    for most in range(1, 4):
        monkeypatch.setattr(likeness, "MOST", most)
        pairs = {pair[:2] for pair in most_alike(described, SPLITS, 12)}
        order = np.arange(len(described))[::-1]
        turned = most_alike(described.iloc[order], SPLITS.iloc[order], 12)
        assert {tuple(sorted(order[list(pair[:2])].tolist())) for pair in turned} == pairs
        assert pairs <= every and len(pairs) <= most
        found |= pairs
    assert found


def test_fog_is_not_like_all_other_fog() -> None:
    fogs = [np.clip(np.random.default_rng(n).normal(180, 3, (64, 64, 3)), 0, 255).astype(np.uint8) for n in range(6)]
    fogs = [np.asarray(Image.fromarray(fog).resize((8, 8)).resize((64, 64))) for fog in fogs]
    described = pd.Series([describe(Image.fromarray(fog)) for fog in fogs])
    assert most_alike(described, pd.Series(["train", "val"] * 3), 12) == []


@pytest.mark.parametrize(
    ("names", "running"),
    [
        (["0423.jpg", "0424.jpg", "0999.jpg"], [(0, 1)]),
        (["IMG_0423.JPG", "IMG_0424 (2).JPG", "IMG_0425.png"], []),
        (["a/9.jpg", "a/10.png", "b/11.jpg"], [(0, 1)]),
        (["00000041_(3).jpg", "00000042_(3).jpg", "00000043_(4).jpg"], [(0, 1)]),
        (["walk 1/7.jpg", "walk 2/7.jpg"], []),  # in different folders
        (["80057f7263ffd842.jpg", "80103727676777bc.jpg"], []),
        (["20210503_101112", "20210503_101113"], [(0, 1)]),
        (["2.jpg", "1.jpg", "3.jpg"], [(0, 2), (1, 0)]),
    ],
    ids=str,
)
def test_names_run_on_where_one_number_counts_up_in_a_folder(names: list[str], running: list[Any]) -> None:
    assert running_names(pd.Series(names), pd.Series(range(len(names)))) == running
    assert running_names(pd.Series(names), pd.Series(["one scene"] * len(names))) == []


def manifest(names: list[str], timed: int = 0) -> pd.DataFrame:
    """Accepted photos of a scene each, the first `timed` of them with an EXIF time."""
    rows = [{"path": name, "verdict": "accepted", "group": name, "camera": "x", "taken": 1e9} for name in names]
    table = pd.DataFrame(rows)
    table.loc[timed:, "taken"] = np.nan
    return table


def test_running_names_without_times_are_told_with_an_example() -> None:
    numbered = [f"{number:04}.jpg" for number in range(423, 443)]
    note = running_note(manifest(numbered))
    assert note.startswith("no photo has an EXIF time") and "20 file names run on (0423.jpg, 0424.jpg)" in note
    assert running_note(manifest(numbered, 5)).startswith("15 of 20 photos have no EXIF time")
    assert running_note(manifest(numbered, 20)) == ""  # bursts are found by their times
    assert running_note(manifest([f"{name}-{number * number}" for number, name in enumerate("abcdefgh")])) == ""
    few = [*numbered[:2], *(f"{number * 7}-{number * 3}.jpg" for number in range(100, 140))]
    assert running_note(manifest(few)) == ""  # two names of 42 may run on by chance
    rejected = manifest(numbered).assign(verdict="rejected")
    assert running_note(rejected) == ""
