"""Random changes of training photos that leave their colors true: mirroring, cropping, the damage of old photos."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from chromascape.photos.damage import DAMAGES, changed

Chances = list[list[float]]
MOST = 3  # damages on one photo
SCAN = ("blur", "fading", "vignette", "grain", "jpeg")  # what old prints that were scanned have together
SCANS = 0.4  # the share of the damaged photos that get just these


def draw(count: int, generator: torch.Generator) -> Chances:
    """The random numbers for `count` photos: five each, 0..1, whatever is switched on."""
    return [torch.rand(5, generator=generator).tolist() for _ in range(count)]


def augment(quantised: NDArray[np.uint8], flip: bool, crop: float, side: int, chances: Chances) -> NDArray[np.uint8]:
    """Photos mirrored and cropped at random, at the side to train on.

    Args:
        quantised: Lab (N, 3, H, W).
        flip: mirror each with a probability of one half.
        crop: smallest share of a photo's area to cut out, 0..1; 1 keeps the whole photo.
        side: of the result in pixels.
        chances: of each photo, from `draw`.
    Returns:
        (N, 3, side, side).
    """
    pairs = zip(quantised, chances, strict=True)
    return np.stack([_augment(photo, flip, crop, side, *numbers) for photo, numbers in pairs])


def _augment(
    photo: NDArray[np.uint8], flip: bool, crop: float, side: int,
    mirror: float, share: float, ratio: float, down: float, right: float,
) -> NDArray[np.uint8]:  # fmt: skip
    """One photo (3, H, W) as (3, side, side): a random resized crop (Szegedy et al. 2015)."""
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


def damage(quantised: NDArray[np.uint8], share: float, chances: Chances) -> NDArray[np.uint8]:
    """Apply one to three damages, or those of an old scan, at random strengths to a share of the photos.

    The damage depends only on the photo's own chances, so threads and resuming don't change it, and the generator
    that drew the chances draws nothing more for it.

    Args:
        quantised: Lab (N, 3, H, W).
        share: of the photos that are damaged, 0..1.
        chances: of each photo, from `draw`.
    Returns:
        (N, 3, H, W) with the same a* and b*.
    """
    return np.stack([_damaged(photo, share, numbers) for photo, numbers in zip(quantised, chances, strict=True)])


def _damaged(photo: NDArray[np.uint8], share: float, numbers: list[float]) -> NDArray[np.uint8]:
    # `torch.rand` gives multiples of 2**-24: as integers they seed a generator of the photo's own.
    random = np.random.default_rng([int(number * 2**24) for number in numbers])
    if random.random() >= share:
        return photo
    chosen = np.sort(random.permutation(len(DAMAGES))[: random.integers(1, MOST + 1)])
    names = SCAN if random.random() < SCANS else [list(DAMAGES)[at] for at in chosen]
    return changed(photo, [(name, _strength(name, random.random())) for name in names], random)


def _strength(name: str, share: float) -> float:
    """The strength at a share of the range: 0 is the weakest, 1 the strongest."""
    return DAMAGES[name].weakest + share * (DAMAGES[name].strongest - DAMAGES[name].weakest)
