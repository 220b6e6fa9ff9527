"""Is a distribution over colors worth more than one color? `python experiments/distribution.py --lab data/lab`.

Two heads learn on the same features, those that the shipped network gives to its last layer: one gives a* and b*, by
MSE + L1 (regression); the other a probability for each bin of 10 × 10 units of the ab plane inside sRGB (Zhang et al.
2016), by MSE + L1 on its mean plus the cross entropy with soft targets, without rebalancing. The faithful rendering is
the mean, the vivid one the annealed mean; the regression's vivid one is a factor. All at a quarter of 192 pixels, on
the validation photos, beside gray. The features are frozen: what a network that was trained so from the start would
give may differ.
"""

import argparse
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color import lab, metrics
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.efficientnet import EfficientNetLite2UNet
from chromascape.colorizing.layers import conv_norm_relu, enlarge_quarter
from chromascape.colorizing.torch_network import load_network
from chromascape.learning.augment import to_side
from chromascape.learning.losses import build_loss
from chromascape.parallel import with_progress
from chromascape.photos.shards import Shards

SIDE, WIDTH = 192, 96  # pixels; channels of the features
STEP = 10.0  # units of a* and b*: side of a bin
NEIGHBOURS, SIGMA = 5, 5.0  # bins that a color is shared among, and how far, in units of ab
TEMPERATURES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8)
ROW = "| {:s} | {:s} | {:+.2f} | {:.0f} % | {:.0f} % |"


def main() -> None:
    """Train the heads and print a table."""
    parser = argparse.ArgumentParser(description="A distribution over colors against one color.")
    parser.add_argument("--lab", type=Path, required=True, help="folder of Lab shards, of the stage `preprocess`")
    parser.add_argument("--photos", type=int, default=800, help="to train on")
    parser.add_argument("--steps", type=int, default=600, help="of 16 photos")
    options = parser.parse_args()
    trunk = load_network(SHIPPED)[1].eval()
    train, val = Shards(options.lab, ["train"]), Shards(options.lab, ["val"])
    learned = features(trunk, train, options.photos)
    seen = features(trunk, val, len(val))
    truths = np.concatenate([to_side(val.read(np.array([row])), SIDE) for row in range(len(val))])
    grays = [picture(truth, np.zeros((2, SIDE, SIDE), np.float32)) for truth in truths]
    print("| head | vivid by | gain over gray, dB | beats gray | colorfulness |\n|---|---|---|---|---|")
    loss = build_loss({"mse": 1.0, "l1": 1.0})
    head = fitted(2, *learned, options.steps, lambda out, true: loss(128 / 255 + out, true))
    row = partial(told, truths, grays, seen[0])
    for factor in FACTORS:
        row(head, partial(torch.mul, 255 * factor), "regression", f"factor {factor}")
    bins = gamut_bins()
    for weight in (0.01, 0.1):
        head = fitted(len(bins), *learned, options.steps, distribution_loss(bins, weight))
        name = f"{len(bins)} bins, cross entropy × {weight}"
        for temperature in TEMPERATURES:
            row(head, partial(annealed_mean, bins, temperature), name, f"temperature {temperature}")


@torch.no_grad()
def features(trunk: nn.Module, photos: Shards, count: int) -> tuple[Tensor, Tensor]:
    """What the last layer sees of the first photos, (N, 96, 48, 48) in half precision, and scaled ab (N, 2, 48, 48)."""
    found: list[Tensor] = []
    hook = trunk.head.register_forward_hook(lambda layer, given, out: found.append(given[0].half()))  # type: ignore[union-attr]
    colors = []
    for row in with_progress(range(min(count, len(photos))), min(count, len(photos)), "features"):
        scaled = torch.from_numpy(to_side(photos.read(np.array([row])), SIDE)).float() / 255
        trunk(scaled[:, :1])
        colors.append(F.avg_pool2d(scaled[:, 1:], 4))
    hook.remove()
    return torch.cat(found), torch.cat(colors)


def fitted(outputs: int, seen: Tensor, true: Tensor, steps: int, loss: Callable[[Tensor, Tensor], Tensor]) -> nn.Module:
    """A head of a convolution and a last layer that starts at zero, trained with a rate that rises and falls."""
    torch.manual_seed(0)
    head = nn.Sequential(*conv_norm_relu(WIDTH, WIDTH), nn.Conv2d(WIDTH, outputs, 1))
    nn.init.zeros_(head[-1].weight)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=steps)
    chance = np.random.default_rng(0)
    for _ in with_progress(range(steps), steps, "steps"):
        rows = torch.from_numpy(chance.choice(len(seen), 16, replace=False))
        optimizer.zero_grad()
        loss(head(seen[rows].float()), true[rows]).backward()
        optimizer.step()
        schedule.step()
    return head.eval()


@cache
def gamut_bins() -> Tensor:
    """Centres (K, 2) in units of a* and b* of the bins that some 8-bit RGB color falls into."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    return torch.from_numpy(np.unique(np.round(lab.rgb_to_lab(rgb)[0, :, 1:] / STEP) * STEP, axis=0)).float()


def distribution_loss(bins: Tensor, weight: float) -> Callable[[Tensor, Tensor], Tensor]:
    """MSE + L1 on the mean, and the cross entropy."""
    regression = build_loss({"mse": 1.0, "l1": 1.0})

    def loss(logits: Tensor, true: Tensor) -> Tensor:
        mean = (128 + annealed_mean(bins, 1.0, logits)) / 255
        return regression(mean, true) + weight * cross_entropy(bins, logits, true)

    return loss


def cross_entropy(bins: Tensor, logits: Tensor, true: Tensor) -> Tensor:
    """Of logits (N, K, H, W) with scaled ab (N, 2, H, W), each color shared among its nearest bins."""
    distances = torch.cdist((255 * true - 128).permute(0, 2, 3, 1).reshape(-1, 2), bins)
    nearest, index = distances.topk(NEIGHBOURS, largest=False)
    shares = torch.softmax(-(nearest**2) / (2 * SIGMA**2), dim=1)
    log = torch.log_softmax(logits, dim=1).permute(0, 2, 3, 1).reshape(-1, len(bins))
    return -(shares * log.gather(1, index)).sum(dim=1).mean()


def annealed_mean(bins: Tensor, temperature: float, logits: Tensor) -> Tensor:
    """The mean color (N, 2, H, W), in units of a* and b*, of a distribution that a temperature below 1 sharpens."""
    return torch.einsum("nkhw,kc->nchw", torch.softmax(logits / temperature, dim=1), bins)


class BinsHead(nn.Module):
    """A last layer that gives a probability for each bin, and of these the annealed mean."""

    bins: Tensor
    latest: Tensor  # logits of the last batch, for `bins_loss`: of the class, since a network with it is copied
    temperature = 1.0

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("bins", gamut_bins(), persistent=False)
        self.logits = nn.Conv2d(channels, len(gamut_bins()), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to a* and b* (N, 2, H, W), divided by 255."""
        BinsHead.latest = self.logits(x).float()
        return annealed_mean(self.bins, self.temperature, BinsHead.latest) / 255


class BinsUNet(EfficientNetLite2UNet):
    """`efficientnet_lite2` with a distribution over colors; its colors are the distribution's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.head = BinsHead(WIDTH)  # type: ignore[assignment]


def bins_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """The cross entropy of the last batch's distribution."""
    return cross_entropy(gamut_bins().to(true.device), BinsHead.latest, F.avg_pool2d(true, 4))


def told(
    truths: NDArray[np.uint8], grays: list[NDArray[np.uint8]], seen: Tensor, head: nn.Module,
    color: Callable[[Tensor], Tensor], name: str, vivid: str,
) -> None:  # fmt: skip
    """Print a row: mean gain over gray, share of photos better than gray, share of the truth's colorfulness."""
    gains, colorful, true_colorful = [], 0.0, 0.0
    for row, (quantised, gray) in enumerate(zip(truths, grays, strict=True)):
        with torch.inference_mode():
            ab = enlarge_quarter((128 + color(head(seen[row : row + 1].float()))) / 255)[0]
        made = picture(quantised, 255 * ab.numpy() - 128)
        truth = lab.lab_to_rgb(lab.dequantise(quantised.transpose(1, 2, 0)))
        gains.append(metrics.psnr_db(truth, made) - metrics.psnr_db(truth, gray))
        colorful += metrics.colorfulness(made)
        true_colorful += metrics.colorfulness(truth)
    wins = 100 * float(np.mean(np.array(gains) > 0))
    print(ROW.format(name, vivid, np.mean(gains), wins, 100 * colorful / true_colorful), flush=True)


def picture(quantised: NDArray[np.uint8], ab: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of the L* of a cached photo (3, H, W) and other colors (2, H, W)."""
    lightness = lab.dequantise(quantised.transpose(1, 2, 0))[..., 0]
    return lab.lab_to_rgb(lab.fit_to_srgb(lab.join(lightness, ab.transpose(1, 2, 0))))


if __name__ == "__main__":
    main()
