"""Padding photos to the multiple that a network needs, for NumPy and torch alike."""

from typing import Any

import numpy as np


def predict(network: Any, lightness: Any) -> Any:
    """Scaled colors (N, C, H, W) for scaled L* (N, 1, H, W) of any sides: of an array or a tensor, one of its kind.

    The photo's last row and column are repeated up to the network's multiple, and what is predicted there is cut off.
    This happens outside of `forward`, so that a network can be exported with free height and width.
    """
    height, width = lightness.shape[2:]
    if height % network.multiple or width % network.multiple:
        rows, columns = (np.minimum(np.arange(side + -side % network.multiple), side - 1) for side in (height, width))
        lightness = lightness[:, :, rows][:, :, :, columns]
    return network(lightness)[:, :, :height, :width]
