"""U-Nets whose encoder, an EfficientNet-Lite, can start from ImageNet weights.

Comments beside layers give the number of channels and the side relative to the photo's.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chromascape.color.lab import NEUTRAL_AB
from chromascape.colorizing.layers import GlobalMix, Network, conv_norm_relu, double, enlarge_quarter


class EfficientNetUNet(Network):
    """A U-Net with EfficientNet-Lite0 as its encoder.

    The encoder (Tan and Le 2019, in its Lite variant: ReLU6, no squeeze-and-excitation) takes L*, though ImageNet's
    weights were trained on RGB. The decoder ends at a quarter of the side, as in `UNet`, and starts at gray.
    """

    inits: ClassVar[tuple[str, ...]] = ("scratch", "imagenet")
    multiple = 32
    lite = 0  # number of the encoder's variant

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(self.lite)
        c2, c3, c4, c5 = self.encoder.widths
        self.mix5 = GlobalMix(c5)
        self.up4 = nn.Sequential(*conv_norm_relu(c5 + c4, 192))  # 192, 1/16
        self.up3 = nn.Sequential(*conv_norm_relu(192 + c3, 128), *conv_norm_relu(128, 128))  # 128, 1/8
        self.up2 = nn.Sequential(*conv_norm_relu(128 + c2, 96), *conv_norm_relu(96, 96))  # 96, 1/4
        self.head = nn.Conv2d(96, 2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, lightness: Tensor) -> Tensor:
        """(N, 1, H, W) in 0..1 to scaled ab (N, 2, H, W) in 0..1."""
        x2, x3, x4, x5 = self.encoder(lightness)
        y = self.up4(torch.cat([x4, double(self.mix5(x5))], dim=1))
        y = self.up3(torch.cat([x3, double(y)], dim=1))
        y = self.up2(torch.cat([x2, double(y)], dim=1))
        return enlarge_quarter(NEUTRAL_AB + self.head(y))


class EfficientNetLite1UNet(EfficientNetUNet):
    """The same with EfficientNet-Lite1, which is deeper."""

    lite = 1


class EfficientNetLite2UNet(EfficientNetUNet):
    """The same with EfficientNet-Lite2, which is deeper and wider; the network of the model that ships."""

    inits = ("scratch", "imagenet", "shipped")
    lite = 2


class EfficientNetLite(nn.Module):
    """The convolutions of EfficientNet-Lite0, 1 or 2 without the classifier, for one channel.

    It pads as TensorFlow's "same" does, as the published weights expect: strided convolutions on even sides pad one
    pixel more on the right and below.
    """

    # (expansion, kernel, stride) of each stage, the channels and the repeats of each stage in Lite0, Lite1 and Lite2
    STAGES = ((1, 3, 1), (6, 3, 2), (6, 5, 2), (6, 3, 2), (6, 5, 1), (6, 5, 2), (6, 3, 1))
    CHANNELS = ((16, 24, 40, 80, 112, 192, 320), (16, 24, 40, 80, 112, 192, 320), (16, 24, 48, 88, 120, 208, 352))
    REPEATS = ((1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1), (1, 3, 3, 4, 4, 5, 1))
    TAKEN = (1, 2, 4, 6)  # the last stages of their resolutions

    def __init__(self, lite: int = 0) -> None:
        super().__init__()
        self.lite = lite
        self.widths = tuple(self.CHANNELS[lite][stage] for stage in self.TAKEN)
        self.stem = SamePadConv(1, 32, 3, stride=2)  # 32, 1/2
        self.stem_norm = lite_norm(32)
        blocks: list[nn.Module] = []
        channels, ends = 32, []
        for (expansion, kernel, stride), width, repeats in zip(
            self.STAGES, self.CHANNELS[lite], self.REPEATS[lite], strict=True
        ):
            for repeat in range(repeats):
                blocks.append(InvertedBottleneck(channels, width, expansion, kernel, stride if repeat == 0 else 1))
                channels = width
            ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.taken = [ends[stage] for stage in self.TAKEN]

    def forward(self, lightness: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(N, 1, H, W) in 0..1 to features of `widths` channels at 1/4, 1/8, 1/16 and 1/32 of the side."""
        # As the published weights were trained: (level - 127) / 128 of 0..255. L* / 100 is close to sRGB's own gray.
        x = F.relu6(self.stem_norm(self.stem((lightness * 255 - 127) / 128)))
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taken:
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
    """Batch norm with the constants that the published weights were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
