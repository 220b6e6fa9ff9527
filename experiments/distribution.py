"""Is a distribution over colors worth more than one color? `python experiments/distribution.py --lab data/lab`.

Two networks are trained from the encoder's ImageNet weights, with the params that the rows of a list have in common.
One gives a* and b* (regression); the other a probability for each bin of 10 × 10 units of the ab plane inside sRGB
(Zhang et al. 2016), by the same loss on its mean plus the cross entropy with soft targets, without rebalancing, which
shifts the mean. The faithful rendering is the mean, the vivid one the annealed mean; the regression's vivid one is a
factor. All on the validation photos, beside gray.
"""

import argparse
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color import lab, metrics
from chromascape.colorizing.efficientnet import EfficientNetUNet
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.learning.augment import to_side
from chromascape.learning.losses import LOSSES
from chromascape.learning.training import train
from chromascape.params import load_params, read_yaml
from chromascape.photos.shards import Shards

WIDTH = 96  # channels that the last layer sees
STEP = 10.0  # units of a* and b*: side of a bin
NEIGHBOURS, SIGMA = 5, 5.0  # bins that a color is shared among, and how far, in units of ab
TEMPERATURES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8)
WEIGHT = 0.05  # of the cross entropy in the loss
ROW = "| {:s} | {:s} | {:+.2f} | {:.0f} % | {:.0f} % |"


def main() -> None:
    """Train the networks and print a table."""
    parser = argparse.ArgumentParser(description="A distribution over colors against one color.")
    parser.add_argument("--lab", type=Path, required=True, help="folder of Lab shards, of the stage `preprocess`")
    default = Path(__file__).with_name("recipe.yaml")
    parser.add_argument("--recipe", type=Path, default=default, help="list of params, of an EfficientNet")
    options = parser.parse_args()
    train_photos, val, common = Shards(options.lab, ["train"]), Shards(options.lab, ["val"]), recipe(options.recipe)
    NETWORKS["bins"], LOSSES["bins"] = BinsUNet, bins_loss
    BinsUNet.lite = cast(type[EfficientNetUNet], NETWORKS[common["network"]]).lite
    row = partial(told, Truths(val, common["working_size"]))

    def trained(network: str, loss: dict[str, float]) -> Network:
        params = load_params().train.model_copy(update=common | {"network": network, "loss": loss})
        module = build_network(network)
        module.load_state_dict(train(train_photos, val, params).weights)
        return module.eval()

    print("| trained | vivid by | gain over gray, dB | beats gray | colorfulness |\n|---|---|---|---|---|")
    module = trained(common["network"], common["loss"])
    for factor in FACTORS:
        row(module, factor, "regression", f"factor {factor}")
    module = trained("bins", common["loss"] | {"bins": WEIGHT})
    for temperature in TEMPERATURES:
        BinsHead.temperature = temperature
        row(module, 1.0, f"{len(gamut_bins())} bins, cross entropy × {WEIGHT}", f"temperature {temperature}")


def recipe(file: Path) -> dict[str, Any]:
    """The params of `train` that all rows of a list have, `loss.ssim` and the like as a table of all losses."""
    plan = read_yaml(file)["common"]
    section = {key.removeprefix("train."): value for key, value in plan.items() if key.startswith("train.")}
    loss = {name: section.pop(f"loss.{name}", default) for name, default in load_params().train.loss.items()}
    return section | {"loss": loss}


@cache
def gamut_bins() -> Tensor:
    """Centres (K, 2) in units of a* and b* of the bins that some 8-bit RGB color falls into."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    return torch.from_numpy(np.unique(np.round(lab.rgb_to_lab(rgb)[0, :, 1:] / STEP) * STEP, axis=0)).float()


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
    latest: Tensor | None = None  # logits of the last batch, for `bins_loss`; of the class: networks are copied
    temperature = 1.0

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("bins", gamut_bins(), persistent=False)
        self.logits = nn.Conv2d(channels, len(gamut_bins()), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to a* and b* (N, 2, H, W), divided by 255."""
        BinsHead.latest = logits = self.logits(x).float()
        return annealed_mean(self.bins, self.temperature, logits) / 255


class BinsUNet(EfficientNetUNet):
    """One of the EfficientNet U-Nets with a distribution over colors; its colors are the distribution's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.head = BinsHead(WIDTH)  # type: ignore[assignment]


def bins_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """The cross entropy of the last batch's distribution; 0 for the gray photo, which has none."""
    if BinsHead.latest is None:
        return predicted.new_zeros(())
    return cross_entropy(gamut_bins().to(true.device), BinsHead.latest, F.avg_pool2d(true, 4))


class Truths:
    """The validation photos at the size that networks see, and what PSNR and colorfulness their gray and they have."""

    def __init__(self, photos: Shards, side: int):
        self.quantised = [to_side(photos.read(np.array([row])), side)[0] for row in range(len(photos))]
        self.rgb = [lab.lab_to_rgb(lab.dequantise(photo.transpose(1, 2, 0))) for photo in self.quantised]
        self.colorful = [metrics.colorfulness(rgb) for rgb in self.rgb]
        none = np.zeros((2, side, side), np.float32)
        self.gray_db = [metrics.psnr_db(rgb, self.picture(row, none)) for row, rgb in enumerate(self.rgb)]

    def lightness(self, row: int) -> Tensor:
        """Scaled L* (1, 1, side, side) of a photo."""
        return torch.from_numpy(self.quantised[row][None, :1]).float() / 255

    def picture(self, row: int, ab: NDArray[np.float32]) -> NDArray[np.uint8]:
        """RGB (side, side, 3) of a photo's L* and other colors (2, side, side)."""
        lightness = lab.dequantise(self.quantised[row].transpose(1, 2, 0))[..., 0]
        return lab.lab_to_rgb(lab.fit_to_srgb(lab.join(lightness, ab.transpose(1, 2, 0))))


@torch.inference_mode()
def told(truths: Truths, module: Network, factor: float, name: str, vivid: str) -> None:
    """Print a row: mean gain over gray, share of photos better than gray, share of the truth's colorfulness."""
    colors = (factor * (255 * module(truths.lightness(row))[0] - 128) for row in range(len(truths.rgb)))
    made = [truths.picture(row, ab.numpy()) for row, ab in enumerate(colors)]
    pairs = zip(truths.rgb, made, truths.gray_db, strict=True)
    gains = np.array([metrics.psnr_db(truth, picture) - gray for truth, picture, gray in pairs])
    colorful = sum(map(metrics.colorfulness, made)) / sum(truths.colorful)
    print(ROW.format(name, vivid, gains.mean(), 100 * np.mean(gains > 0), 100 * colorful), flush=True)


if __name__ == "__main__":
    main()
