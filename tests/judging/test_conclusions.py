"""What the report says in words follows from the figures, baselines that win included."""

from typing import Any

import pytest

from chromascape.judging.conclusions import best, conclusion, details, number, signed

ROW = {"psnr_db": 24.0, "ssim": 0.93, "ciede2000": 9.0, "colorfulness": 20.0, "loss_mse_l1": 0.04}
WORSE = {"psnr_db": 22.0, "ssim": 0.91, "ciede2000": 10.0, "colorfulness": 0.0, "loss_mse_l1": 0.05}
FIGURES = {
    "n_photos": 7,
    "n_seen": {"model": 0, "vivid": 0, "shipped": 0},
    "model": ROW, "vivid": WORSE, "shipped": WORSE, "gray": WORSE, "mean_ab": WORSE,
    "gain_over_gray_db": 2.0, "gain_over_gray_ci95_db": [1.0, 3.0],
    "win_rate_over_gray": 0.75, "win_rate_over_gray_ciede2000": 0.5,
}  # fmt: skip


def figures(**changed: Any) -> dict[str, Any]:
    return FIGURES | changed


CLOSER, FURTHER = "the model is closer to the truth than gray", "the model is further from the truth than gray"
OPEN = "it is unclear whether the model is closer to the truth than gray"


@pytest.mark.parametrize(
    ("gain", "interval", "said", "amount"),
    [
        (2.0, [1, 3], CLOSER, "+2.00 dB PSNR (95 % interval +1.00 to +3.00)"),
        (2.0, None, CLOSER, "+2.00 dB PSNR"),
        (-2.0, [-3, -1], FURTHER, "−2.00 dB PSNR (95 % interval −3.00 to −1.00)"),
        (1.0, [-1, 3], OPEN, "+1.00 dB PSNR (95 % interval −1.00 to +3.00)"),
        (0.0, None, "the model is as far from the truth as gray", "0.00 dB PSNR"),
    ],
)
def test_the_sentence_on_top_claims_no_more_than_the_interval_allows(
    gain: float, interval: list[float] | None, said: str, amount: str
) -> None:
    found = conclusion(figures(gain_over_gray_db=gain, gain_over_gray_ci95_db=interval))
    assert found == f"On 7 test photos {said}: {amount}."


def test_photos_that_the_model_was_trained_on_are_counted_in_the_same_sentence() -> None:
    line = conclusion(figures(n_photos=1, n_seen={"model": 1, "vivid": 1, "shipped": 0}))
    assert line.startswith("On 1 test photo, 1 of which it was trained on or chosen by, the model is closer")


def test_where_nothing_beats_the_model_that_is_said() -> None:
    assert details(FIGURES) == [
        "It beats gray on 75 % of the photos by PSNR and on 50 % by CIEDE2000.",
        "Nothing that it is compared with is closer to the truth by any metric.",
    ]


def test_all_that_beats_the_model_is_named_with_the_metrics() -> None:
    found = details(figures(mean_ab=WORSE | {"ciede2000": 8.0}, gray=ROW | {"psnr_db": 25.0, "ssim": 0.95}))
    assert found[1:] == [
        "Gray, no color at all, is closer to the truth than the model by PSNR and SSIM.",
        "The mean training color is closer to the truth than the model by CIEDE2000.",
    ]


def test_the_best_row_is_the_best_whichever_it_is() -> None:
    found = best(figures(mean_ab=WORSE | {"ciede2000": 8.0}, shipped=ROW | {"psnr_db": 24.001}))
    assert found == {
        "psnr_db": {"model", "shipped"},  # equal in the digits that are shown
        "ssim": {"model", "shipped"},
        "ciede2000": {"mean_ab"},
        "loss_mse_l1": {"model", "shipped"},
    }


def test_numbers_have_a_true_minus_and_zeros_none() -> None:
    assert [number(value, ".1f") for value in (-0.04, -0.06, 0.0, 1.25)] == ["0.0", "−0.1", "0.0", "1.2"]
    assert [signed(value, 1) for value in (-0.04, 0.04, 0.06, -0.06)] == ["0.0", "0.0", "+0.1", "−0.1"]
