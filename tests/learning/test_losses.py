"""The training loss against values computed by hand and by scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor

from chromascape.learning.losses import LOSSES, build_loss, ssim

# The assignment's three attempts: MSE alone, MSE + 0.1 L1 (its choice), and both with SSIM.
ATTEMPTS = [
    {"mse": 1.0, "l1": 0.0, "ssim": 0.0},
    {"mse": 1.0, "l1": 0.1, "ssim": 0.0},
    {"mse": 1.0, "l1": 0.1, "ssim": 1.0},
]


def pair(seed: int, shape: tuple[int, ...] = (2, 2, 16, 19), noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator)
    return x, (x + noise * torch.randn(shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"mse": 1, "l1": 0, "ssim": 0}, 0.025),  # (0 + 0.09 + 0.01 + 0) / 4
        ({"mse": 0, "l1": 1, "ssim": 0}, 0.1),  # (0 + 0.3 + 0.1 + 0) / 4
        ({"mse": 2, "l1": 0.5, "ssim": 0}, 0.1),
    ],
)
def test_loss_computed_by_hand(weights: dict[str, float], expected: float) -> None:
    predicted = torch.tensor([0.5, 0.8, 0.4, 0.1]).reshape(1, 1, 2, 2)
    true = torch.tensor([0.5, 0.5, 0.5, 0.1]).reshape(1, 1, 2, 2)
    assert float(build_loss(weights)(predicted, true)) == pytest.approx(expected, abs=1e-7)


def test_ssim_of_flat_pictures_computed_by_hand() -> None:
    x, y = torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 8, 8), 0.6)
    by_hand = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert float(ssim(x, y)) == pytest.approx(by_hand, abs=5e-4)
    loss = build_loss({"mse": 0, "l1": 0, "ssim": 3})(x, y)
    assert float(loss) == pytest.approx(3 * (1 - by_hand), abs=2e-3)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("shape", [(1, 2, 16, 19), (3, 3, 7, 7), (2, 1, 9, 30)])
def test_ssim_agrees_with_scikit_image(shape: tuple[int, ...], noise: float) -> None:
    x, y = pair(5, shape, noise)
    theirs = [
        structural_similarity(a.numpy(), b.numpy(), data_range=1, channel_axis=0)
        for a, b in zip(x.double(), y.double(), strict=True)
    ]
    assert float(ssim(x, y)) == pytest.approx(np.mean(theirs), abs=1e-4)


def test_ssim_of_equal_pictures_is_one_and_of_their_negative_below_zero() -> None:
    x, _ = pair(1)
    assert float(ssim(x, x)) == pytest.approx(1, abs=1e-6)
    assert float(ssim(x, 1 - x)) < 0


@pytest.mark.parametrize("zero", LOSSES)
def test_terms_of_weight_zero_are_not_computed(zero: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError("computed")

    monkeypatch.setitem(LOSSES, zero, refuse)
    x, y = pair(2)
    weights = dict.fromkeys(LOSSES, 1.0)
    with pytest.raises(AssertionError, match="computed"):
        build_loss(weights)(x, y)
    assert float(build_loss(weights | {zero: 0.0})(x, y)) > 0


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_is_zero_for_equal_pictures_alone(name: str) -> None:
    x, y = pair(4)
    assert float(LOSSES[name](x, x)) == pytest.approx(0, abs=1e-6)
    assert float(LOSSES[name](x, y)) > 1e-3
    assert LOSSES[name](x, y).shape == ()


def test_the_loss_is_the_sum_of_the_table_s_times_their_weights() -> None:
    x, y = pair(6)
    expected = sum(0.5 * n * float(loss(x, y)) for n, loss in enumerate(LOSSES.values(), start=1))
    weights = {name: 0.5 * n for n, name in enumerate(LOSSES, start=1)}
    assert float(build_loss(weights)(x, y)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("weights", ATTEMPTS)
def test_loss_has_gradients_that_lower_it(weights: dict[str, float]) -> None:
    x, y = pair(3)
    x.requires_grad_(True)
    before = build_loss(weights)(x, y)
    before.backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    with torch.no_grad():
        assert float(build_loss(weights)(x - 1e-2 * x.grad, y)) < before.item()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**20), noise=st.floats(0, 1), attempt=st.sampled_from(ATTEMPTS))
def test_total_never_falls_below_zero(seed: int, noise: float, attempt: dict[str, float]) -> None:
    """The assignment's third attempt did: it added a negative SSIM."""
    x, y = pair(seed, (1, 2, 12, 12), noise)
    assert float(build_loss(attempt)(x, y)) >= 0
    assert float(build_loss(attempt)(x, x)) == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**20), light=st.floats(0, 0.999), noise=st.sampled_from([0, 1e-5, 1e-4, 1e-3]))
def test_total_never_falls_below_zero_on_nearly_flat_pictures(seed: int, light: float, noise: float) -> None:
    """There a variance is the small difference of two large means, and what is lost in float32 could show."""
    generator = torch.Generator().manual_seed(seed)
    x = light + (1 - light) * 0.01 * torch.rand((1, 2, 12, 12), generator=generator)
    y = x + noise * torch.rand(x.shape, generator=generator)
    assert float(build_loss(ATTEMPTS[2])(x, y)) >= 0
    assert float(ssim(x, y)) <= 1
