"""Decisions on figures by hand."""

from typing import Any

import numpy as np
import pytest
from registered import FIGURES

from chromascape.judging.gate import compare, decide, short_of_gray


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"gain_over_gray_db": 0.5}, ""),
        ({"gain_over_gray_db": 0.49}, r"\+0.49 dB .* on 4 test photos, less than register.min_gain_db = 0.5"),
        ({"gain_over_gray_ci95_db": [0.0, 3.0]}, r"95 % interval 0.00 to \+3.00.*reaches down to gray"),
        ({"gain_over_gray_ci95_db": None}, "fewer than 2 scenes"),
        ({"n_seen": {"model": 1}}, "has seen 1 of the 4 test photos"),
        ({"split": "val"}, "evaluate.split"),
    ],
    ids=["good", "just", "small", "not shown", "one scene", "seen", "val"],
)
def test_a_model_must_beat_gray_by_the_margin_on_photos_it_has_not_seen(changes: dict[str, Any], why: str) -> None:
    import re

    said = short_of_gray(FIGURES | changes, 0.5)
    assert bool(said) == bool(why) and re.search(why, said)
    assert "\n" not in said


def test_photos_are_compared_in_pairs() -> None:
    """Photos differ by 20 dB; that the model is 0.3 dB closer on each shows in pairs alone."""
    champion = np.array([15.0, 22.0, 28.0, 35.0, 40.0])
    found = compare(champion + [0.3, 0.2, 0.4, 0.3, 0.3], champion, np.arange(5), 1000, 0)
    assert found["gain_db"] == pytest.approx(0.3) and found["win_rate"] == 1
    assert 0.2 <= found["ci95_db"][0] <= 0.3 <= found["ci95_db"][1] <= 0.4


def test_photos_of_one_scene_count_as_one() -> None:
    """Nine photos of a scene that gains, and one scene that loses: as single photos they would prove a gain."""
    differences = np.array([1.0] * 9 + [-1.0])
    apart = compare(differences, np.zeros(10), np.arange(10), 2000, 0)
    together = compare(differences, np.zeros(10), np.array([*"aaaaaaaaab"]), 2000, 0)
    assert apart["ci95_db"][0] > 0 > together["ci95_db"][0]
    assert compare(differences, np.zeros(10), np.array(["a"] * 10), 2000, 0)["ci95_db"] is None


@pytest.mark.parametrize(
    ("interval", "promoted"), [([0.01, 0.5], True), ([0.0, 0.5], False), ([-0.2, 0.6], False), (None, False)]
)
def test_only_an_interval_above_zero_dethrones(interval: list[float] | None, promoted: bool) -> None:
    against = {"gain_db": 0.25, "ci95_db": interval, "win_rate": 0.6, "version": 3, "n_seen": 0}
    given = decide(FIGURES, against)
    assert given.promoted is promoted and given.against == against
    assert "the champion, version 3" in given.reason and "+0.25 dB" in given.reason and "seen" not in given.reason
    assert ("not shown to be better" in given.reason) is not promoted


def test_that_the_champion_has_seen_test_photos_is_said() -> None:
    against = {"gain_db": -0.1, "ci95_db": [-0.2, 0.1], "win_rate": 0.6, "version": 3, "n_seen": 2}
    assert "of which the champion has seen 2" in decide(FIGURES, against).reason
