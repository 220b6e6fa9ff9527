"""The networks: shapes, ranges, sizes and costs."""

import copy
from functools import cache

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from chromascape.colorizing.colorizer import SHIPPED
from chromascape.colorizing.layers import Network
from chromascape.colorizing.model_files import read_config
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.colorizing.padding import predict

CHANNELS = {name: 3 if network.predicts == "rgb" else 2 for name, network in NETWORKS.items()}
SIZES = [(64, 64), (67, 131), (131, 67), (1, 1), (1, 70), (33, 8)]


def awake_network(name: str) -> Network:
    """A network whose norms have seen photos and whose last layer is not zero, in eval mode; a copy for each caller."""
    return copy.deepcopy(_awake_network(name))


@cache
def _awake_network(name: str) -> Network:
    torch.manual_seed(0)
    network = build_network(name)
    if hasattr(network, "head"):
        nn.init.normal_(network.head.weight, std=0.1)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CHANNELS)
def test_output_has_the_photos_size_and_lies_in_0_to_1(name: str, size: tuple[int, int]) -> None:
    colors = predict(awake_network(name), torch.rand(2, 1, *size))
    assert colors.shape == (2, CHANNELS[name], *size)
    assert float(colors.min()) >= 0 and float(colors.max()) <= 1
    if min(size) > 1:
        assert float(colors.std()) > 0


@torch.no_grad()
@pytest.mark.parametrize("name", ["unet", "efficientnet"])
def test_ours_are_clamped_to_0_to_1_however_large_their_heads_get(name: str) -> None:
    network = awake_network(name)
    nn.init.normal_(network.head.weight, std=100.0)
    photo = torch.rand(1, 1, 64, 64)
    one = network(photo)
    network.head.weight.neg_()  # weights may push all colors to one side: these push them to the other
    colors = torch.cat([one, network(photo)])
    assert float(colors.min()) == 0 and float(colors.max()) == 1


def test_only_one_network_predicts_rgb() -> None:
    assert [name for name, network in NETWORKS.items() if network.predicts == "rgb"] == ["assignment_rgb"]


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_forward_takes_the_smallest_side_that_its_multiple_allows(name: str) -> None:
    multiple = NETWORKS[name].multiple
    assert build_network(name).eval()(torch.rand(1, 1, multiple, 3 * multiple)).shape[2:] == (multiple, 3 * multiple)


@torch.no_grad()
@pytest.mark.parametrize("name", ["unet", "efficientnet"])
def test_ours_start_at_exactly_gray(name: str) -> None:
    colors = build_network(name).train()(torch.rand(2, 1, 96, 64))
    torch.testing.assert_close(colors, torch.full_like(colors, 128 / 255), rtol=0, atol=0)
    assert float(colors[0, 0, 0, 0]) == pytest.approx(0.5019608, abs=5e-8)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("assignment", 954_434),
        ("assignment_rgb", 954_723),
        ("unet", 3_240_834),
        ("efficientnet", 4_540_674),
        ("efficientnet_lite1", 5_305_346),
        ("efficientnet_lite2", 6_061_186),
    ],
)
def test_parameter_counts(name: str, count: int) -> None:
    assert sum(parameter.numel() for parameter in build_network(name).parameters()) == count


@torch.no_grad()
def test_ours_cost_less_than_6_gflop() -> None:
    def gflop(name: str, side: int) -> float:
        with FlopCounterMode(display=False) as counter:
            build_network(name).eval()(torch.rand(1, 1, side, side))
        return float(counter.get_total_flops()) / 1e9

    costs = {name: gflop(name, 256) for name in ("unet", "efficientnet", "efficientnet_lite2", "assignment")}
    assert 1 < costs["unet"] < costs["assignment"] < 6
    assert 1 < costs["efficientnet"] < costs["assignment"] < costs["efficientnet_lite2"] < 6
    # As the model that ships sees a photo: its card says 2.5.
    config = read_config(SHIPPED)
    assert gflop(config["network"], config["size"]) == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize("name", CHANNELS)
def test_gradients_reach_every_parameter_after_one_step(name: str) -> None:
    torch.manual_seed(1)
    network = build_network(name)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    lightness, target = torch.rand(4, 1, 64, 64), torch.rand(4, CHANNELS[name], 64, 64)
    for _ in range(2):  # unet's head is zero before the first step and lets no gradient through
        optimizer.zero_grad()
        nn.functional.mse_loss(network(lightness), target).backward()
        optimizer.step()
    untouched = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert untouched == []


@torch.no_grad()
@pytest.mark.parametrize("name", CHANNELS)
def test_photos_of_a_batch_do_not_see_each_other_in_eval_mode(name: str) -> None:
    network = awake_network(name)
    lightness = torch.rand(2, 1, 96, 64)
    together = network(lightness)
    apart = torch.cat([network(lightness[:1]), network(lightness[1:])])
    torch.testing.assert_close(together, apart, rtol=0, atol=2e-6)
    assert not torch.allclose(together[0], together[1], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("name", CHANNELS)
def test_predicting_changes_no_weights(name: str) -> None:
    network = awake_network(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(torch.rand(2, 1, 64, 64))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
