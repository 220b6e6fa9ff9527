"""The report's charts: what they show, also of a single epoch."""

import re

import pandas as pd

from chromascape.judging.charts import curves_svg, histogram_svg

CURVES = pd.DataFrame(
    {"epoch": [1, 2], "train_loss": [0.09, 0.05], "val_loss": [0.08, 0.06], "gray_val_loss": [0.07, 0.07]}
)


def test_curves_are_named() -> None:
    for label in ("train", "validation", "gray, validation", "epoch", "loss"):
        assert f">{label}</text>" in curves_svg(CURVES)


def test_one_epoch_draws_bars_with_their_values() -> None:
    """It drew two dots in one place, and no line of gray."""
    svg = curves_svg(CURVES.tail(1))
    for label in ("0.0500", "0.0600", "0.0700", "epoch 2", "train", "validation", "gray, validation"):
        assert f">{label}</text>" in svg
    bars = re.findall(r'<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) [\d.]+ \nL [\d.]+ ([\d.]+) ', svg)
    heights = sorted(abs(float(bottom) - float(top)) for _, bottom, _, top in bars if float(bottom) != float(top))
    assert len(bars) >= 2 and heights[-1] > 50


def test_gains_and_losses_have_their_colors() -> None:
    svg = histogram_svg(pd.DataFrame({"gain_db": [-0.25, 0.25, 0.75, 1.25], "photos": [1, 2, 3, 1]}))
    for label in ("gain over gray, dB PSNR", "photos"):
        assert f">{label}</text>" in svg
    assert len(re.findall(r"fill: #c8662b", svg)) == 1 and len(re.findall(r"fill: #3b6ea8", svg)) == 3


def test_drawn_twice_they_are_the_same_to_the_byte() -> None:
    assert curves_svg(CURVES) == curves_svg(CURVES)
