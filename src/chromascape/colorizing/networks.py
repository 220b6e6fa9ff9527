"""The table of networks: to add one, write its class and name it here.

Comments beside layers give the number of channels and the side relative to the photo's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color.lab import NEUTRAL_AB
from chromascape.colorizing.efficientnet import EfficientNetLite1UNet, EfficientNetLite2UNet, EfficientNetUNet
from chromascape.colorizing.layers import GlobalMix, Network, conv_norm_relu, double, enlarge_quarter


class AssignmentNetwork(Network):
    """The baseline that the project grew from: the first half of a ResNet-18, then three doublings.

    The trunk (He et al. 2016, through its second stage) has one input channel and starts from random weights.
    """

    cell = 2
    multiple = 8

    def __init__(self) -> None:
        super().__init__()
        out_channels = 3 if self.predicts == "rgb" else 2
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
        return torch.sigmoid(self.decoder(self.trunk(lightness)))


class AssignmentRgbNetwork(AssignmentNetwork):
    """The variant of the baseline that predicts RGB."""

    predicts = "rgb"


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


class UNet(Network):
    """A U-Net (Ronneberger et al. 2015) that sees L* at full side and decodes ab at a quarter of it.

    Color at a quarter of the side loses little (the true ab, reduced so, reaches 43 dB) and makes the decoder 16 times
    cheaper. The 4 × 4 pixels of a cell are 16 input channels: no L* is lost, and the first convolutions, the
    most expensive of a U-Net, run on a sixteenth of the pixels. The last layer starts at zero, which is gray.
    """

    multiple = 32

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
        x1 = self.down1(F.pixel_unshuffle(lightness - 0.5, 4))
        x2 = self.down2(x1)
        x3 = self.down3(x2)
        x4 = self.mix4(self.down4(x3))
        y = self.up3(torch.cat([x3, double(x4)], dim=1))
        y = self.up2(torch.cat([x2, double(y)], dim=1))
        y = self.up1(torch.cat([x1, double(y)], dim=1))
        return enlarge_quarter(NEUTRAL_AB + self.head(y))


NETWORKS: dict[str, type[Network]] = {
    "unet": UNet,
    "efficientnet": EfficientNetUNet,
    "efficientnet_lite1": EfficientNetLite1UNet,
    "efficientnet_lite2": EfficientNetLite2UNet,
    "assignment": AssignmentNetwork,
    "assignment_rgb": AssignmentRgbNetwork,
}


def build_network(name: str) -> Network:
    """The network that the table calls `name`, with random weights."""
    return NETWORKS[name]()
