"""Is a distribution over colors worth more than one color? `python experiments/distribution.py --lab data/lab`.

Two heads learn on the same features, those that the shipped network gives to its last layer: one gives a* and b*, by
MSE + L1 (regression); the other a probability for each bin of 10 × 10 units of the ab plane inside sRGB (Zhang et al.
2016), by MSE + L1 on its mean plus the cross entropy with soft targets, without rebalancing. The faithful rendering is
the mean, the vivid one the annealed mean; the regression's vivid one is a factor. All on the validation photos, beside
gray.

With `--epochs N`, not heads alone but two whole networks are trained for so many epochs from the encoder's ImageNet
weights, with the params of a list's rows (`--recipe`), and nothing but the last layer and the loss differs.
"""

import argparse
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color import lab, metrics
from chromascape.color.lab import NEUTRAL_AB
from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.efficientnet import EfficientNetUNet
from chromascape.colorizing.layers import Network, conv_norm_relu, enlarge_quarter
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.colorizing.torch_network import load_network
from chromascape.learning.augment import to_side
from chromascape.learning.losses import LOSSES, build_loss
from chromascape.learning.training import train
from chromascape.parallel import with_progress
from chromascape.params import load_params, read_yaml
from chromascape.photos.shards import Shards

SIDE, WIDTH = 192, 96  # pixels; channels of the features
STEP = 10.0  # units of a* and b*: side of a bin
NEIGHBOURS, SIGMA = 5, 5.0  # bins that a color is shared among, and how far, in units of ab
TEMPERATURES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2)
FACTORS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8)
WEIGHT = 0.05  # of the cross entropy in a whole network's loss
Predict = Callable[[int], Tensor]  # a* and b* (2, H, W) of a validation photo, by its number
ROW = "| {:s} | {:s} | {:+.2f} | {:.0f} % | {:.0f} % |"


def main() -> None:
    """Train the heads, or the networks, and print a table."""
    parser = argparse.ArgumentParser(description="A distribution over colors against one color.")
    parser.add_argument("--lab", type=Path, required=True, help="folder of Lab shards, of the stage `preprocess`")
    parser.add_argument("--photos", type=int, default=800, help="to train the heads on")
    parser.add_argument("--steps", type=int, default=600, help="of the heads, of 16 photos")
    parser.add_argument("--epochs", type=int, help="train whole networks, for so many epochs")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipe.yaml"), help="list of params")
    options = parser.parse_args()
    train_photos, val = Shards(options.lab, ["train"]), Shards(options.lab, ["val"])
    print("| trained | vivid by | gain over gray, dB | beats gray | colorfulness |\n|---|---|---|---|---|")
    if options.epochs:
        compare_networks(train_photos, val, recipe(options.recipe) | {"epochs": options.epochs})
    else:
        compare_heads(train_photos, val, options.photos, options.steps)


def compare_heads(train_photos: Shards, val: Shards, photos: int, steps: int) -> None:
    """A head of each kind on the shipped network's features."""
    trunk = load_network(SHIPPED)[1].eval()
    learned, (seen, _) = features(trunk, train_photos, photos), features(trunk, val, len(val))
    row = partial(told, Truths(val, SIDE))

    def colored(head: nn.Module, color: Callable[[Tensor], Tensor]) -> Predict:
        return lambda number: (
            255 * enlarge_quarter((128 + color(head(seen[number : number + 1].float()))) / 255)[0] - 128
        )

    loss = build_loss({"mse": 1.0, "l1": 1.0})
    head = fitted(2, *learned, steps, lambda out, true: loss(NEUTRAL_AB + out, true))
    for factor in FACTORS:
        row(colored(head, partial(torch.mul, 255 * factor)), "regression", f"factor {factor}")
    bins = gamut_bins()
    for weight in (0.01, 0.1):
        head = fitted(len(bins), *learned, steps, distribution_loss(bins, weight))
        name = f"{len(bins)} bins, cross entropy × {weight}"
        for temperature in TEMPERATURES:
            row(colored(head, partial(annealed_mean, bins, temperature)), name, f"temperature {temperature}")


def recipe(file: Path) -> dict[str, Any]:
    """The params of `train` that all rows of a list have, `loss.ssim` and the like as a table of all losses."""
    plan = read_yaml(file)["common"]
    section = {key.removeprefix("train."): value for key, value in plan.items() if key.startswith("train.")}
    loss = {name: section.pop(f"loss.{name}", default) for name, default in load_params().train.loss.items()}
    return section | {"loss": loss}


def compare_networks(train_photos: Shards, val: Shards, common: dict[str, Any]) -> None:
    """A network of each kind, through the product's own training."""
    NETWORKS["bins"], LOSSES["bins"] = BinsUNet, bins_loss
    BinsUNet.lite = cast(type[EfficientNetUNet], NETWORKS[common["network"]]).lite
    truths = Truths(val, common["working_size"])
    row = partial(told, truths)

    def trained(network: str, loss: dict[str, float]) -> Network:
        params = load_params().train.model_copy(update=common | {"network": network, "loss": loss})
        module = build_network(network)
        module.load_state_dict(train(train_photos, val, params).weights)
        return module.eval()

    def colored(module: Network, factor: float) -> Predict:
        return lambda number: factor * (255 * module(truths.lightness(number))[0] - 128)

    regression = common["loss"]
    module = trained(common["network"], regression)
    for factor in FACTORS:
        row(colored(module, factor), "regression", f"factor {factor}")
    module = trained("bins", regression | {"bins": WEIGHT})
    for temperature in TEMPERATURES:
        BinsHead.temperature = temperature
        row(colored(module, 1.0), f"{len(gamut_bins())} bins, cross entropy × {WEIGHT}", f"temperature {temperature}")


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
def told(truths: Truths, predict: Predict, name: str, vivid: str) -> None:
    """Print a row: mean gain over gray, share of photos better than gray, share of the truth's colorfulness."""
    made = [truths.picture(row, predict(row).numpy()) for row in range(len(truths.rgb))]
    pairs = zip(truths.rgb, made, truths.gray_db, strict=True)
    gains = np.array([metrics.psnr_db(truth, picture) - gray for truth, picture, gray in pairs])
    colorful = sum(map(metrics.colorfulness, made)) / sum(truths.colorful)
    print(ROW.format(name, vivid, gains.mean(), 100 * np.mean(gains > 0), 100 * colorful), flush=True)


if __name__ == "__main__":
    main()
