"""The networks. Each maps scaled L* (N, 1, H, W) in 0..1 to scaled color (N, C, H, W) in 0..1, for any H and W.

C is 2 (scaled ab, see `lab`) or 3 (RGB / 255). The numbers beside the layers are channels and the side relative to
the photo's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color.lab import NEUTRAL_AB


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
        return enlarge_quarter(NEUTRAL_AB + self.head(y), height, width)


class EfficientNetUNet(nn.Module):
    """A U-Net whose encoder is EfficientNet-Lite0, so that it can start from weights that know photos.

    The encoder (Tan and Le 2019, in its Lite variant: ReLU6, no squeeze-and-excitation) sees L* where it was trained
    on RGB; the decoder ends at a quarter of the side, as in `UNet`, and starts at gray.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite0()
        self.mix5 = GlobalMix(320)
        self.up4 = nn.Sequential(*conv_norm_relu(320 + 112, 192))  # 192, 1/16
        self.up3 = nn.Sequential(*conv_norm_relu(192 + 40, 128), *conv_norm_relu(128, 128))  # 128, 1/8
        self.up2 = nn.Sequential(*conv_norm_relu(128 + 24, 96), *conv_norm_relu(96, 96))  # 96, 1/4
        self.head = nn.Conv2d(96, 2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, lightness: Tensor) -> Tensor:
        """(N, 1, H, W) in 0..1 to scaled ab (N, 2, H, W) in 0..1."""
        height, width = lightness.shape[2:]
        x2, x3, x4, x5 = self.encoder(pad_to_multiple(lightness, 32))
        y = self.up4(torch.cat([x4, double(self.mix5(x5))], dim=1))
        y = self.up3(torch.cat([x3, double(y)], dim=1))
        y = self.up2(torch.cat([x2, double(y)], dim=1))
        return enlarge_quarter(NEUTRAL_AB + self.head(y), height, width)


class EfficientNetLite0(nn.Module):
    """The convolutions of EfficientNet-Lite0 without its classifier, for one channel.

    Its padding is TensorFlow's "same", as its published weights expect: strided convolutions on even sides pad one
    pixel more on the right and below.
    """

    # (expansion, kernel, stride, channels, repeats) of each stage
    STAGES = (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = SamePadConv(1, 32, 3, stride=2)  # 32, 1/2
        self.stem_norm = lite_norm(32)
        blocks: list[nn.Module] = []
        channels = 32
        for expansion, kernel, stride, width, repeats in self.STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedBottleneck(channels, width, expansion, kernel, stride if repeat == 0 else 1))
                channels = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, lightness: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 1, H, W) in 0..1 to features (N, 24, 1/4), (N, 40, 1/8), (N, 112, 1/16), (N, 320, 1/32)."""
        # As the published weights were trained: (level - 127) / 128 of 0..255. L* / 100 is close to sRGB's own gray.
        x = F.relu6(self.stem_norm(self.stem((lightness * 255 - 127) / 128)))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in (2, 4, 10, 15):  # the last blocks of their resolutions
                features.append(x)
        return features[0], features[1], features[2], features[3]


class InvertedBottleneck(nn.Module):
    """Expand, depthwise convolution, project, with a shortcut where the shape stays (Sandler et al. 2018)."""

    def __init__(self, channels_in: int, channels: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        wide = channels_in * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand = nn.Sequential(
                nn.Conv2d(channels_in, wide, 1, bias=False), lite_norm(wide), nn.ReLU6(inplace=True)
            )
        self.depthwise = SamePadConv(wide, wide, kernel, stride=stride, groups=wide)
        self.depthwise_norm = lite_norm(wide)
        self.project = nn.Conv2d(wide, channels, 1, bias=False)
        self.project_norm = lite_norm(channels)
        self.shortcut = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H / stride, W / stride)."""
        y = F.relu6(self.depthwise_norm(self.depthwise(self.expand(x))))
        y = self.project_norm(self.project(y))
        return x + y if self.shortcut else y


class SamePadConv(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "same" does on even sides."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, groups: int = 1):
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels_in, channels, kernel, stride=stride, padding=padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels_in, H, W) to (N, channels, H / stride, W / stride), H and W even where stride is 2."""
        if self.stride[0] == 2:
            before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            x = F.pad(x, (before, after, before, after))
        if x.device.type != "cpu" or self.groups == 1:
            return super().forward(x)
        # The CPU's bfloat16 gradients of depthwise convolutions take three to four times as long as float32's.
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def lite_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def enlarge_quarter(quarter: Tensor, height: int, width: int) -> Tensor:
    """Scaled ab (N, 2, h, w) of a padded photo at a quarter of its side to (N, 2, height, width), in 0..1."""
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
    if name == "efficientnet":
        return EfficientNetUNet()
    if name == "assignment":
        return AssignmentNetwork(out_channels=2)
    if name == "assignment_rgb":
        return AssignmentNetwork(out_channels=3)
    raise ValueError(f"unknown network {name!r}")


def predicts_rgb(name: str) -> bool:
    """Does this network predict RGB (3 channels) and not ab (2 channels)?"""
    return name == "assignment_rgb"
