"""The gate asked of a registry that is a double: in which order, and what when it changes meanwhile."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from registered import FIGURES

from chromascape.errors import ChromascapeError
from chromascape.judging import comparison
from chromascape.judging.promotion import settle
from chromascape.params import Params

PAIR = {"gain_db": 0.25, "ci95_db": [0.1, 0.5], "win_rate": 0.6, "n_seen": 0}


def version(number: int, **tags: str) -> Any:
    return SimpleNamespace(version=str(number), tags=tags)


class Registry:
    """Champions one after another, as if other processes made them."""

    def __init__(self, *champions: Any):
        self.champions = list(champions)
        self.settled: list[tuple[bool, str]] = []

    def champion(self) -> Any:
        return self.champions[0]

    def weights(self, champion: Any) -> Path:
        return Path(f"weights-{champion.version}")

    def settle(self, version: Any, before: Any, promoted: bool, reason: str) -> bool:
        if len(self.champions) > 1:
            self.champions.pop(0)
            return False
        self.settled.append((promoted, reason))
        return True


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose champions were measured; each is beaten."""
    folders: list[Path] = []

    def read(folder: Path, params: Params) -> tuple[Any, Any]:
        folders.append(folder)
        return None, None

    monkeypatch.setattr(comparison, "read_champion", read)
    monkeypatch.setattr(comparison, "against_champion", lambda *_: PAIR)
    return folders


def test_the_first_that_beats_gray_is_champion_and_nothing_is_measured(
    make_params: Callable[..., Params], measured: list[Path]
) -> None:
    registry = Registry(None)
    verdict = settle(registry, version(1), FIGURES, make_params())  # type: ignore[arg-type]
    assert verdict.promoted and "there was no champion" in verdict.reason and not measured
    assert registry.settled == [(True, verdict.reason)]


def test_what_does_not_beat_gray_is_not_compared(make_params: Callable[..., Params], measured: list[Path]) -> None:
    params = make_params({"register.min_gain_db": 1.6})
    verdict = settle(Registry(version(1)), version(2), FIGURES, params)  # type: ignore[arg-type]
    assert not verdict.promoted and "register.min_gain_db = 1.6" in verdict.reason and not measured


def test_the_champion_stays_champion_with_its_reason(make_params: Callable[..., Params], measured: list[Path]) -> None:
    champion = version(2, **{"chromascape.reason": "as it was"})
    verdict = settle(Registry(champion), version(2), FIGURES, make_params())  # type: ignore[arg-type]
    assert verdict.promoted and verdict.reason == "as it was" and not measured


def test_a_champion_that_came_meanwhile_is_compared_with_too(
    make_params: Callable[..., Params], measured: list[Path]
) -> None:
    registry = Registry(None, version(1), version(2))
    verdict = settle(registry, version(3), FIGURES, make_params())  # type: ignore[arg-type]
    assert measured == [Path("weights-1"), Path("weights-2")] and len(registry.settled) == 1
    assert verdict.against == PAIR | {"version": 2} and "version 2" in verdict.reason


def test_a_champion_that_can_not_be_read_keeps_its_place(
    make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ChromascapeError("config.json: not the configuration of a Chromascape model (unknown network 'old')")

    monkeypatch.setattr(comparison, "read_champion", refuse)
    verdict = settle(Registry(version(1)), version(2), FIGURES, make_params())  # type: ignore[arg-type]
    assert not verdict.promoted and "version 1, can't be measured: config.json" in verdict.reason
    assert "unknown network 'old'" in verdict.reason and "delete its alias" in verdict.reason
