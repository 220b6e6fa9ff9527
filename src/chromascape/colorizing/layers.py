"""The layers that networks share, and the attributes that every network has."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F


class Network(nn.Module):
    """Maps scaled L* (N, 1, H, W) in 0..1 to scaled color (N, C, H, W) in 0..1.

    Attributes:
        predicts: "ab" (C = 2, scaled ab, see `lab`) or "rgb" (C = 3, RGB / 255).
        inits: the weights that training can start from, see `train.init`. "imagenet" fills `self.encoder`,
            an EfficientNet-Lite.
        cell: side, in input pixels, of the cells in which it predicts colors.
        multiple: H and W must be multiples of this; `padding.predict` pads and cuts.
    """

    predicts: ClassVar[Literal["ab", "rgb"]] = "ab"
    inits: ClassVar[tuple[str, ...]] = ("scratch",)
    cell: ClassVar[int] = 4
    multiple: ClassVar[int] = 1


class GlobalMix(nn.Module):
    """Adds features of the whole photo (sunset, forest, snow) to every place (Iizuka et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.dense(x.mean(dim=(2, 3)))[:, :, None, None]


def conv_norm_relu(channels_in: int, channels: int, stride: int = 1) -> list[nn.Module]:
    """A 3 × 3 convolution, batch norm and ReLU; the sides are divided by `stride`."""
    return [
        nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]


def double(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W), each value four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def enlarge_quarter(quarter: Tensor) -> Tensor:
    """Scaled ab at a quarter of the side, (N, 2, H/4, W/4), as (N, 2, H, W) in 0..1."""
    return F.interpolate(quarter, scale_factor=4, mode="bilinear", align_corners=False).clamp(0, 1)
