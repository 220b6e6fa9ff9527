"""The table of losses, all on scaled color in 0..1: ab, or RGB where the network predicts RGB.

To add one, write its function and add a line to `LOSSES`; `train.loss` in params.yaml then takes its weight.

A loss takes the predicted and the true colors, (N, C, H, W) in float32, and returns a scalar, 0 for equal pictures.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def ssim_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - SSIM (Wang et al. 2004) of the predicted planes, 0..2; sides of at least 7 pixels. See `ssim`.

    Of a network that predicts ab it is the SSIM of a* and b* alone. The report's SSIM (`color.metrics.ssim`) is of the
    RGB picture, where lightness, which is the photo's own, makes most of it. So they have other values.
    """
    return 1 - ssim(predicted, true)


# The means of (predicted - true)² and |predicted - true| over all pixels and channels, and `ssim_loss`.
LOSSES: dict[str, Loss] = {"mse": F.mse_loss, "l1": F.l1_loss, "ssim": ssim_loss}


def build_loss(weights: Mapping[str, float]) -> Loss:
    """The weighted sum of the losses; those of weight 0 are not computed.

    Args:
        weights: names of the table and weights, 0 upwards; at least one above 0.
    """
    terms = [(weight, LOSSES[name]) for name, weight in weights.items() if weight]

    def loss(predicted: Tensor, true: Tensor) -> Tensor:
        return torch.stack([weight * term(predicted, true) for weight, term in terms]).sum()

    return loss


def ssim(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """Structural similarity (Wang et al. 2004) with a uniform window, mean over windows that lie inside.

    The formula is that of scikit-image's default, with its unbiased variances; torchmetrics divides by the window's
    area.

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
