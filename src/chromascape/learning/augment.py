"""Random changes of training photos that leave their colors true: mirroring and cropping."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F


def augment(
    quantised: NDArray[np.uint8], flip: bool, crop: float, side: int, generator: torch.Generator
) -> NDArray[np.uint8]:
    """Photos at random mirrored and cropped, at the side to train on.

    Args:
        quantised: Lab (N, 3, H, W).
        flip: mirror each with a probability of one half.
        crop: smallest share of a photo's area to cut out, 0..1; 1 keeps the whole photo.
        side: of the result in pixels.
        generator: of the random numbers; five are drawn a photo, whatever is switched on.
    Returns:
        (N, 3, side, side).
    """
    return np.stack([_augment(photo, flip, crop, side, generator) for photo in quantised])


def _augment(
    photo: NDArray[np.uint8], flip: bool, crop: float, side: int, generator: torch.Generator
) -> NDArray[np.uint8]:
    """One photo (3, H, W) as (3, side, side): a random resized crop (Szegedy et al. 2015)."""
    mirror, share, ratio, down, right = torch.rand(5, generator=generator).tolist()
    if flip and mirror < 0.5:
        photo = photo[:, :, ::-1]
    if crop < 1:
        share = crop + (1 - crop) * share
        ratio = (3 / 4) ** (2 * ratio - 1)  # width to height, 3:4 to 4:3
        height = min(1.0, (share / ratio) ** 0.5) * photo.shape[1]
        width = min(1.0, (share * ratio) ** 0.5) * photo.shape[2]
        top, left = int(down * (photo.shape[1] - height)), int(right * (photo.shape[2] - width))
        photo = photo[:, top : top + round(height), left : left + round(width)]
    return to_side(photo[None], side)[0]


def to_side(quantised: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Lab (N, 3, H, W) as squares, (N, 3, side, side)."""
    if quantised.shape[2:] == (side, side):
        return quantised
    tensor = torch.from_numpy(np.ascontiguousarray(quantised))
    return F.interpolate(tensor, size=(side, side), mode="bilinear", antialias=True).numpy()
