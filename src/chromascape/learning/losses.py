"""The training loss: a weighted sum of MSE, L1 and 1 - SSIM on scaled color, all in 0..1."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_loss(predicted: Tensor, true: Tensor, weights: Mapping[str, float]) -> Tensor:
    """`mse` · MSE + `l1` · mean |error| + `ssim` · (1 - SSIM); terms of weight 0 are not computed.

    Args:
        predicted, true: (N, C, H, W), scaled to 0..1 (see `lab`).
    Returns:
        Scalar, 0 upwards. Times 255 an L1 of it alone is in units of a* and b*.
    """
    predicted = predicted.float()
    total = predicted.new_zeros(())
    if weights["mse"]:
        total = total + weights["mse"] * F.mse_loss(predicted, true)
    if weights["l1"]:
        total = total + weights["l1"] * F.l1_loss(predicted, true)
    if weights["ssim"]:
        total = total + weights["ssim"] * (1 - ssim(predicted, true))
    return total


def ssim(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """Structural similarity (Wang et al. 2004) with a uniform window, mean over windows that lie inside.

    Args:
        x, y: (N, C, H, W) in 0..1, sides of at least `window` pixels.
    Returns:
        Scalar in -1..1; 1 for equal pictures. Agrees with scikit-image's default.
    """
    c1, c2 = 0.01**2, 0.03**2

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, stride=1)

    unbiased = window**2 / (window**2 - 1)
    mean_x, mean_y = mean(x), mean(y)
    var_x = unbiased * (mean(x * x) - mean_x**2)
    var_y = unbiased * (mean(y * y) - mean_y**2)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return torch.mean(similarity.clamp(max=1))  # rounding of nearly flat pictures may exceed it
