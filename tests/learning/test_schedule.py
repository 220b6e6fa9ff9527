"""The learning rate over a training."""

import pytest

from chromascape.learning.schedule import lr_factor


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 9, 10, 1000])
def test_learning_rate_factors_at_the_ends(total: int) -> None:
    assert [lr_factor("constant", step, total) for step in (0, total // 2, total)] == [1, 1, 1]
    assert lr_factor("cosine", 0, total) == 1
    assert lr_factor("cosine", total, total) == pytest.approx(0, abs=1e-12)
    assert lr_factor("onecycle", 0, total) == pytest.approx(0.04)
    assert lr_factor("onecycle", total, total) == pytest.approx(0, abs=1e-12)
    assert all(0 <= lr_factor("onecycle", step, total) <= 1 for step in range(total + 1))


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.04), (10, 0.52), (20, 1.0), (60, 0.5), (100, 0.0), (101, 0.0)],  # warm-up ends at 20 of 100 steps
)
def test_onecycle_factors_computed_by_hand(step: int, factor: float) -> None:
    assert lr_factor("onecycle", step, 100) == pytest.approx(factor, abs=1e-12)
