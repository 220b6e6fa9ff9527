"""Decisions on figures by hand: in which order the gate asks, and what decides."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from registered import FIGURES

from chromascape.errors import ChromascapeError
from chromascape.judging.gate import beside_shipped, decide
from chromascape.params import Register
from chromascape.tracking.registry import Decision

SECTION = Register(min_scenes=4)
PAIR = {"gain_db": 0.25, "ci95_db": [0.1, 0.5], "win_rate": 0.6, "n_photos": 9, "n_scenes": 8}


def version(number: int, **tags: str) -> Any:
    return SimpleNamespace(version=str(number), tags=tags)


def not_measured(champion: Any, split: str) -> dict[str, Any]:
    pytest.fail("the champion was measured")


def judge(champion: Any = None, looks: int = 1, section: Register = SECTION, **changes: Any) -> Decision:
    return decide(2, champion, FIGURES | changes, section, looks, not_measured)


def against(val: dict[str, Any] | None, test: dict[str, Any] | None) -> Decision:
    return decide(4, version(3), FIGURES, SECTION, 2, lambda champion, split: {"val": val, "test": test}[split])


def over_shipped(low: float, high: float, n_scenes: int = 8) -> dict[str, Any]:
    """Figures of val with this interval of the difference from the shipped model."""
    over = {"gain_db": (low + high) / 2, "ci95_db": [low, high], "win_rate": 0.5, "n_photos": 9, "n_scenes": n_scenes}
    return FIGURES["val"] | {"over_shipped": over}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"gain_over_gray_db": 0.5}, ""),
        ({"gain_over_gray_db": 0.49}, r"\+0.49 dB .* on 4 test photos, less than register.min_gain_db = 0.5"),
        ({"gain_over_gray_ci95_db": [0.0, 3.0]}, r"95 % interval 0.00 to \+3.00.*reaches down to gray"),
        (
            {"gain_over_gray_ci95_db": None, "n_scenes": 1},
            "test photos show 1 scene, fewer than register.min_scenes = 4",
        ),
        ({"n_scenes": 3}, "the test photos show 3 scenes, fewer than register.min_scenes = 4"),
        ({"n_seen": {"model": 4}}, "trained on all 4 test photos"),
    ],
    ids=["good", "just", "small", "not shown", "one scene", "few scenes", "seen"],
)
def test_a_model_must_beat_gray_by_the_margin_on_photos_it_has_not_seen(changes: dict[str, Any], why: str) -> None:
    decision = judge(**changes)
    assert decision.promoted is not bool(why) and re.search(why or "there was no champion", decision.reason)
    assert "\n" not in decision.reason


@pytest.mark.parametrize(
    ("interval", "promoted", "said"),
    [
        ((0.1, 0.3), True, r"better than the shipped model: \+0.20 dB"),
        (
            (-0.4, 0.2),
            True,
            r"not shown to be better than the shipped model \(which `--model shipped` uses\): −0.10 dB",
        ),
        ((-0.2, 0.4), True, r"not shown to be better than the shipped model: \+0.10 dB"),
        ((-0.4, -0.1), False, r"worse than the shipped model .*−0.25 dB .*on the same 9 validation photos"),
    ],
)
def test_a_champion_beats_the_shipped_model_or_says_that_it_does_not(
    interval: tuple[float, float], promoted: bool, said: str
) -> None:
    """A fine-tune at 25.80 dB became champion in silence where the shipped model had 25.93."""
    decision = judge(val=over_shipped(*interval))
    assert decision.promoted is promoted and re.search(said, decision.reason)


def test_few_scenes_do_not_show_that_the_shipped_model_is_better() -> None:
    assert judge(val=over_shipped(-0.4, -0.1, n_scenes=3)).promoted


def test_without_photos_that_are_new_to_the_shipped_model_nothing_is_compared_with_it() -> None:
    decision = judge(val=FIGURES["val"] | {"over_shipped": None})
    assert decision.promoted and "which has seen all validation photos" in decision.reason
    assert beside_shipped(FIGURES).startswith("better than the shipped model: +0.20 dB")


@pytest.mark.parametrize(("interval", "promoted"), [([0.01, 0.5], True), ([0.0, 0.5], False), ([-0.2, 0.6], False)])
def test_only_an_interval_above_zero_on_val_and_then_on_test_dethrones(interval: list[float], promoted: bool) -> None:
    given = against(PAIR | {"ci95_db": interval}, PAIR)
    assert given.promoted is promoted and "the champion, version 3" in given.reason and "+0.25 dB" in given.reason
    assert ("not shown to be better" in given.reason) is not promoted
    assert given.against is not None and given.against["version"] == 3 and ("test" in given.against) is promoted
    then = against(PAIR, PAIR | {"ci95_db": interval})
    assert then.promoted is promoted
    assert ("better than the champion, version 3, by" in then.reason) and (", but not shown" in then.reason) != promoted


def test_a_challenger_that_val_turns_down_is_not_compared_on_test() -> None:
    asked = []

    def measure(champion: Any, split: str) -> dict[str, Any]:
        asked.append(split)
        return PAIR | {"ci95_db": [-0.1, 0.5]}

    assert not decide(4, version(3), FIGURES, SECTION, 1, measure).promoted
    assert asked == ["val"]


@pytest.mark.parametrize(("found", "scenes"), [(None, "0 scenes"), (PAIR | {"n_scenes": 3}, "3 scenes")])
def test_too_few_new_scenes_compare_nothing(found: dict[str, Any] | None, scenes: str) -> None:
    for val, test, kind in ((found, PAIR, "validation"), (PAIR, found, "test")):
        decision = against(val, test)
        assert not decision.promoted
        assert f"the {kind} photos on which neither was trained show {scenes}, fewer than" in decision.reason


def test_a_promotion_says_how_often_the_test_photos_were_looked_at() -> None:
    assert "trainings have been measured" not in judge(looks=1).reason
    assert "on 4 test photos, on which 7 trainings have been measured" in judge(looks=7).reason
    assert "on which 2 trainings have been measured" in against(PAIR, PAIR).reason


@pytest.mark.parametrize("champion", [None, version(1)], ids=["none", "one"])
def test_what_does_not_beat_gray_is_not_compared(champion: Any) -> None:
    decision = judge(champion, section=Register(min_gain_db=1.6, min_scenes=4))
    assert not decision.promoted and "register.min_gain_db = 1.6" in decision.reason


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"alias": "champion", "reason": "as it was"}, "as it was"),
        ({"alias": "challenger", "reason": "not shown to be better"}, "made champion by hand"),
        ({"alias": "champion", "reason": "as it was", "replaced": "by version 3"}, "made champion by hand"),
        ({}, "made champion by hand"),
    ],
)
def test_the_champion_stays_champion_with_its_own_reason(tags: dict[str, str], said: str) -> None:
    """After its alias was moved by hand, it was 'champion: not shown to be better than the champion'."""
    champion = version(2, **{f"chromascape.{name}": value for name, value in tags.items()})
    decision = judge(champion)
    assert decision.promoted and decision.reason == said


def test_a_champion_that_can_not_be_read_keeps_its_place() -> None:
    def refuse(champion: Any, split: str) -> dict[str, Any]:
        raise ChromascapeError("config.json: not the configuration of a Chromascape model (unknown network 'old')")

    decision = decide(2, version(1), FIGURES, SECTION, 1, refuse)
    assert not decision.promoted and "version 1, can't be measured: config.json" in decision.reason
    assert "unknown network 'old'" in decision.reason and "delete its alias" in decision.reason
