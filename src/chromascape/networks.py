"""The networks. Each maps scaled L* (N, 1, H, W) in 0..1 to scaled color (N, C, H, W) in 0..1, for any H and W.

C is 2 (scaled ab, see `lab`) or 3 (RGB / 255). The numbers beside the layers are channels and the side relative to
the photo's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.lab import NEUTRAL_AB


class AssignmentNetwork(nn.Module):
    """The network that the project grew from: the first half of a ResNet-18, then three doublings.

    The trunk (He et al. 2016, through its second stage) has one input channel and starts from random weights. The
    sides must be multiples of 8; others are padded and cut.

    Args:
        out_channels: 2 for ab; 3 for RGB, the variant that the assignment improved on.
    """

    def __init__(self, out_channels: int = 2):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False),  # 64, 1/2
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),  # 64, 1/4
            ResidualBlock(64, 64),
            ResidualBlock(64, 64),
            ResidualBlock(64, 128, stride=2),  # 128, 1/8
            ResidualBlock(128, 128),
        )
        self.decoder = nn.Sequential(
            *conv_norm_relu(128, 128),
            nn.Upsample(scale_factor=2),  # 128, 1/4
            *conv_norm_relu(128, 64),
            *conv_norm_relu(64, 64),
            nn.Upsample(scale_factor=2),  # 64, 1/2
            *conv_norm_relu(64, 32),
            nn.Conv2d(32, out_channels, 3, padding=1),
            nn.Upsample(scale_factor=2),  # out_channels, 1
        )

    def forward(self, lightness: Tensor) -> Tensor:
        """(N, 1, H, W) in 0..1 to (N, out_channels, H, W) in 0..1."""
        height, width = lightness.shape[2:]
        colors = self.decoder(self.trunk(pad_to_multiple(lightness, 8)))
        return torch.sigmoid(colors[:, :, :height, :width])


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, channels_in: int, channels: int, stride: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        return F.relu(self.body(x) + self.shortcut(x))


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) that sees L* at full side and decodes ab at a quarter of it.

    Color at a quarter of the side loses nothing that a network could win (the true ab so reduced reaches 43 dB),
    and costs a sixteenth in the decoder. The 4 × 4 pixels of a cell come in as 16 channels: nothing of L* is lost,
    and the first convolutions, the most expensive ones of a U-Net, run on a sixteenth of the pixels. The last
    layer starts at zero, that is, at gray.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (64, 128, 192, 256)):
        super().__init__()
        a, b, c, d = widths
        self.down1 = nn.Sequential(*conv_norm_relu(16, a), *conv_norm_relu(a, a))  # a, 1/4
        self.down2 = nn.Sequential(*conv_norm_relu(a, b, stride=2), *conv_norm_relu(b, b))  # b, 1/8
        self.down3 = nn.Sequential(*conv_norm_relu(b, c, stride=2), *conv_norm_relu(c, c))  # c, 1/16
        self.down4 = nn.Sequential(*conv_norm_relu(c, d, stride=2), *conv_norm_relu(d, d))  # d, 1/32
        self.mix4 = GlobalMix(d)
        self.up3 = nn.Sequential(*conv_norm_relu(c + d, c))  # c, 1/16
        self.up2 = nn.Sequential(*conv_norm_relu(b + c, b))  # b, 1/8
        self.up1 = nn.Sequential(*conv_norm_relu(a + b, a))  # a, 1/4
        self.head = nn.Conv2d(a, 2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, lightness: Tensor) -> Tensor:
        """(N, 1, H, W) in 0..1 to scaled ab (N, 2, H, W) in 0..1."""
        height, width = lightness.shape[2:]
        x1 = self.down1(F.pixel_unshuffle(pad_to_multiple(lightness, 32) - 0.5, 4))
        x2 = self.down2(x1)
        x3 = self.down3(x2)
        x4 = self.mix4(self.down4(x3))
        y = self.up3(torch.cat([x3, double(x4)], dim=1))
        y = self.up2(torch.cat([x2, double(y)], dim=1))
        y = self.up1(torch.cat([x1, double(y)], dim=1))
        quarter = NEUTRAL_AB + self.head(y)
        full = F.interpolate(quarter, scale_factor=4, mode="bilinear", align_corners=False)
        return full[:, :, :height, :width].clamp(0, 1)


class GlobalMix(nn.Module):
    """Adds what the whole photo says to every place: is it a sunset, a forest, snow (Iizuka et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.dense(x.mean(dim=(2, 3)))[:, :, None, None]


def conv_norm_relu(channels_in: int, channels: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def build_network(name: str) -> nn.Module:
    """The network that params.yaml calls `name`, with random weights."""
    if name == "unet":
        return UNet()
    if name == "assignment":
        return AssignmentNetwork(out_channels=2)
    if name == "assignment_rgb":
        return AssignmentNetwork(out_channels=3)
    raise ValueError(f"unknown network {name!r}")


def predicts_rgb(name: str) -> bool:
    """Does this network predict RGB (3 channels) and not ab (2 channels)?"""
    return name == "assignment_rgb"
