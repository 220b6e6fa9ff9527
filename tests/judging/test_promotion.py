"""In which order the gate asks, and what it does where the champion can't be measured."""

from types import SimpleNamespace
from typing import Any

import pytest
from registered import FIGURES

from chromascape.errors import ChromascapeError
from chromascape.judging.promotion import decide

PAIR = {"gain_db": 0.25, "ci95_db": [0.1, 0.5], "win_rate": 0.6, "n_seen": 0}


def version(number: int, **tags: str) -> Any:
    return SimpleNamespace(version=str(number), tags=tags)


def not_measured(champion: Any) -> dict[str, Any]:
    pytest.fail("the champion was measured")


def test_the_first_that_beats_gray_is_champion_and_nothing_is_measured() -> None:
    decision = decide(1, None, FIGURES, 0.5, not_measured)
    assert decision.promoted and "there was no champion" in decision.reason


@pytest.mark.parametrize("champion", [None, version(1)], ids=["none", "one"])
def test_what_does_not_beat_gray_is_not_compared(champion: Any) -> None:
    decision = decide(2, champion, FIGURES, 1.6, not_measured)
    assert not decision.promoted and "register.min_gain_db = 1.6" in decision.reason


def test_the_champion_stays_champion_with_its_reason() -> None:
    champion = version(2, **{"chromascape.reason": "as it was"})
    decision = decide(2, champion, FIGURES, 0.5, not_measured)
    assert decision.promoted and decision.reason == "as it was"


def test_a_model_that_beats_the_champion_takes_its_place() -> None:
    decision = decide(3, version(2), FIGURES, 0.5, lambda champion: PAIR)
    assert decision.promoted and "version 2" in decision.reason and decision.against == PAIR | {"version": 2}


def test_a_champion_that_can_not_be_read_keeps_its_place() -> None:
    def refuse(champion: Any) -> dict[str, Any]:
        raise ChromascapeError("config.json: not the configuration of a Chromascape model (unknown network 'old')")

    decision = decide(2, version(1), FIGURES, 0.5, refuse)
    assert not decision.promoted and "version 1, can't be measured: config.json" in decision.reason
    assert "unknown network 'old'" in decision.reason and "delete its alias" in decision.reason
