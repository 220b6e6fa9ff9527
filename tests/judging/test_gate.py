"""Decisions on figures by hand: in which order the gate asks, and what decides."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from registered import FIGURES

from chromascape.errors import ChromascapeError
from chromascape.judging.gate import compare, decide

PAIR = {"gain_db": 0.25, "ci95_db": [0.1, 0.5], "win_rate": 0.6, "n_seen": 0}


def version(number: int, **tags: str) -> Any:
    return SimpleNamespace(version=str(number), tags=tags)


def not_measured(champion: Any) -> dict[str, Any]:
    pytest.fail("the champion was measured")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"gain_over_gray_db": 0.5}, ""),
        ({"gain_over_gray_db": 0.49}, r"\+0.49 dB .* on 4 test photos, less than register.min_gain_db = 0.5"),
        ({"gain_over_gray_ci95_db": [0.0, 3.0]}, r"95 % interval 0.00 to \+3.00.*reaches down to gray"),
        ({"gain_over_gray_ci95_db": None}, "fewer than 2 scenes"),
        ({"n_seen": {"model": 1}}, "trained on or chosen by 1 of the 4 test photos"),
        ({"split": "val"}, "evaluate.split"),
    ],
    ids=["good", "just", "small", "not shown", "one scene", "seen", "val"],
)
def test_a_model_must_beat_gray_by_the_margin_on_photos_it_has_not_seen(changes: dict[str, Any], why: str) -> None:
    decision = decide(1, None, FIGURES | changes, 0.5, not_measured)
    assert decision.promoted is not bool(why) and re.search(why or "there was no champion", decision.reason)
    assert "\n" not in decision.reason


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
    given = decide(4, version(3), FIGURES, 0.5, lambda champion: PAIR | {"ci95_db": interval})
    assert given.promoted is promoted and given.against == PAIR | {"ci95_db": interval, "version": 3}
    assert "the champion, version 3" in given.reason and "+0.25 dB" in given.reason and "seen" not in given.reason
    assert ("not shown to be better" in given.reason) is not promoted


def test_that_the_champion_has_seen_test_photos_is_said() -> None:
    decision = decide(4, version(3), FIGURES, 0.5, lambda champion: PAIR | {"n_seen": 2})
    assert "of which the champion has seen 2" in decision.reason


@pytest.mark.parametrize("champion", [None, version(1)], ids=["none", "one"])
def test_what_does_not_beat_gray_is_not_compared(champion: Any) -> None:
    decision = decide(2, champion, FIGURES, 1.6, not_measured)
    assert not decision.promoted and "register.min_gain_db = 1.6" in decision.reason


def test_the_champion_stays_champion_with_its_reason() -> None:
    champion = version(2, **{"chromascape.reason": "as it was"})
    decision = decide(2, champion, FIGURES, 0.5, not_measured)
    assert decision.promoted and decision.reason == "as it was"


def test_a_champion_that_can_not_be_read_keeps_its_place() -> None:
    def refuse(champion: Any) -> dict[str, Any]:
        raise ChromascapeError("config.json: not the configuration of a Chromascape model (unknown network 'old')")

    decision = decide(2, version(1), FIGURES, 0.5, refuse)
    assert not decision.promoted and "version 1, can't be measured: config.json" in decision.reason
    assert "unknown network 'old'" in decision.reason and "delete its alias" in decision.reason
