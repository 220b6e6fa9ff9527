"""The names in params.yaml against the tables of networks and losses."""

from collections.abc import Callable
from typing import Any

import pytest
from conftest import REPOSITORY

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.networks import NETWORKS
from chromascape.colorizing.torch_network import load_network
from chromascape.errors import ChromascapeError, choices
from chromascape.learning.checks import check_train
from chromascape.learning.losses import LOSSES
from chromascape.params import Params, load_params

MakeParams = Callable[..., Params]


def test_the_repository_s_own_params_fit_the_tables() -> None:
    check_train(load_params(REPOSITORY / "params.yaml").train)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"train.network": "resnet"},
            f"train.network: must be {choices(NETWORKS)} (it is 'resnet')",
        ),
        ({"train.loss.ssmi": 0.1}, "train.loss.ssmi: unknown key; did you mean train.loss.ssim?"),
        ({"train.loss.fourier": 0.1}, f"train.loss.fourier: unknown key; there are {', '.join(LOSSES)}"),
        (
            {"train.choose_by": "psnr"},
            "train.choose_by: must be 'loss', 'psnr_db', 'ssim', 'ciede2000' or 'loss_mse_l1' (it is 'psnr')",
        ),
        (  # neither high nor low is better
            {"train.choose_by": "colorfulness"},
            "train.choose_by: must be 'loss', 'psnr_db', 'ssim', 'ciede2000' or 'loss_mse_l1' (it is 'colorfulness')",
        ),
        ({"train.loss": {"mse": 0}}, f"train.loss: at least one of {choices(LOSSES)} must be above 0"),
        (
            {"train.loss": dict.fromkeys(LOSSES, 0)},
            f"train.loss: at least one of {choices(LOSSES)} must be above 0",
        ),
        (
            {"train.network": "unet", "train.init": "shipped"},
            "train.init: must be 'scratch' with network unet (it is 'shipped', which fits 'efficientnet_lite2')",
        ),
        (
            {"train.network": "assignment", "train.init": "imagenet"},
            "train.init: must be 'scratch' with network assignment (it is 'imagenet', which fits 'efficientnet', "
            "'efficientnet_lite1' or 'efficientnet_lite2')",
        ),
        (
            {"train.network": "assignment_rgb", "train.init": "scratch", "train.distill": 0.5},
            "train.distill: must be 0 with network assignment_rgb, which does not predict a* and b*",
        ),
        (
            {"train.init": "imagenet", "train.freeze_norm": True},
            "train.freeze_norm: must be false with init imagenet, which has no statistics to keep",
        ),
    ],
    ids=str,
)
def test_a_name_that_does_not_fit_is_one_line(make_params: MakeParams, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ChromascapeError) as caught:
        check_train(make_params(changes).train)
    assert str(caught.value) == f"params.yaml: {expected}"


def test_all_slips_are_told_at_once(make_params: MakeParams) -> None:
    with pytest.raises(ChromascapeError) as caught:
        check_train(make_params({"train.network": "vgg", "train.loss": {"fourier": 1.0}, "train.choose_by": "x"}).train)
    assert all(f"train.{key}: " in str(caught.value) for key in ("network", "loss.fourier", "choose_by"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("init", ["scratch", "imagenet", "shipped"])
def test_a_network_starts_from_the_inits_that_its_class_names(make_params: MakeParams, network: str, init: str) -> None:
    params = make_params({"train.network": network, "train.init": init}).train
    if init in NETWORKS[network].inits:
        check_train(params)
    else:
        with pytest.raises(ChromascapeError, match=r"params\.yaml: train\.init: must be"):
            check_train(params)


def test_the_shipped_weights_fit_the_network_that_says_so() -> None:
    config, _ = load_network(SHIPPED)
    assert [name for name, network in NETWORKS.items() if "shipped" in network.inits] == [config["network"]]


def test_a_loss_that_is_added_needs_no_key_in_params_yaml(
    make_params: MakeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOSSES, "fourier", LOSSES["l1"])
    check_train(load_params(REPOSITORY / "params.yaml").train)
    params = make_params({"train.loss": {"fourier": 0.5}}).train
    check_train(params)
    assert params.loss == {"mse": 0, "l1": 0, "ssim": 0, "fourier": 0.5}
