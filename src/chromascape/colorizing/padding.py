"""Padding photos to the multiple that a network needs, for arrays of NumPy and tensors of torch."""

from typing import Any

import numpy as np


def predict(network: Any, lightness: Any) -> Any:
    """Scaled colors (N, C, H, W) for scaled L* (N, 1, H, W) of any sides, an array for an array, a tensor for a tensor.

    The photo's last row and column are repeated up to the network's multiple, and what is predicted there is cut off.
    This happens outside of `forward`, so that a network can be exported with free height and width.
    """
    height, width = lightness.shape[2:]
    below, right = -height % network.multiple, -width % network.multiple
    if not below and not right:
        return network(lightness)
    if isinstance(lightness, np.ndarray):
        padded: Any = np.pad(lightness, ((0, 0), (0, 0), (0, below), (0, right)), mode="edge")
    else:
        from torch.nn.functional import pad  # here: who only colorizes may lack torch

        padded = pad(lightness, (0, right, 0, below), mode="replicate")
    return network(padded)[:, :, :height, :width]
