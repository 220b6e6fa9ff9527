"""The choice of the epoch: what is compared, and that a change of the metrics is noticed."""

import numpy as np
import pytest
import torch

from chromascape.color import lab
from chromascape.color.metrics import METRICS
from chromascape.errors import ChromascapeError
from chromascape.learning import choosing
from chromascape.learning.choosing import check_choice, code_of, cost, metrics_that_choose, sum_of_metric

RNG = np.random.default_rng(0)
QUANTISED = lab.quantise(lab.rgb_to_lab(RNG.integers(0, 256, (2, 16, 16, 3), np.uint8))).transpose(0, 3, 1, 2)


def test_the_lowest_cost_is_the_lowest_loss_or_the_better_metric() -> None:
    row = {"val_loss": 0.3, "val_psnr_db": 24.0, "val_ciede2000": 9.0}
    assert [cost(name, row) for name in ("loss", "psnr_db", "ciede2000")] == [0.3, -24.0, 9.0]
    assert "colorfulness" not in metrics_that_choose() and "ssim" in metrics_that_choose()


@pytest.mark.parametrize("name", ["psnr_db", "loss_mse_l1"])
def test_true_colors_have_the_best_metric_whether_given_as_ab_or_rgb(name: str) -> None:
    truth = lab.dequantise(QUANTISED.transpose(0, 2, 3, 1))
    ab = torch.from_numpy(QUANTISED[:, 1:].astype(np.float32) / 255)
    rgb = torch.from_numpy(np.ascontiguousarray(lab.lab_to_rgb(truth).transpose(0, 3, 1, 2)) / np.float32(255))
    gray = sum_of_metric(name, QUANTISED, torch.full_like(ab, 128 / 255))
    sign = 1 if METRICS[name].direction == "higher" else -1
    for colors in (ab, rgb):
        assert sign * sum_of_metric(name, QUANTISED, colors) > sign * gray
    both = [sum_of_metric(name, QUANTISED[[row]], ab[[row]]) for row in (0, 1)]
    assert sum(both) == pytest.approx(sum_of_metric(name, QUANTISED, ab))


def test_metrics_that_changed_since_they_chose_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    by_loss = {"chosen_by": "loss", "chosen_by_code": code_of("loss")}
    by_metric = {"chosen_by": "ssim", "chosen_by_code": code_of("ssim")}
    check_choice(by_loss)
    check_choice(by_metric)
    monkeypatch.setattr(choosing, "code", lambda file: {"color.metrics": "another"})
    check_choice(by_loss)  # one metric more changes nothing where none chooses
    with pytest.raises(ChromascapeError, match="changed since ssim chose the epoch: `dvc repro -f train`"):
        check_choice(by_metric)
