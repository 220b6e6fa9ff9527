"""Batch norm over all processes, in one that is a group of its own; test_ranks.py has two."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as group
from torch import Tensor, nn

from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.learning import batch_norm
from chromascape.learning.batch_norm import SyncedBatchNorm2d, synchronised


@pytest.fixture
def one_process() -> Iterator[None]:
    group.init_process_group("gloo", store=group.HashStore(), rank=0, world_size=1)
    yield
    group.destroy_process_group()


def both(momentum: float = 0.1) -> tuple[nn.BatchNorm2d, SyncedBatchNorm2d]:
    torch.manual_seed(1)
    theirs = nn.BatchNorm2d(3, eps=1e-3, momentum=momentum)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = SyncedBatchNorm2d(3, eps=1e-3, momentum=momentum)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def through(layer: nn.Module, x: Tensor, kind: torch.dtype) -> list[Tensor]:
    """What a layer answers, its gradients, and its state after three batches."""
    found = []
    for shift in (0.0, 1.0, 10.0):
        given = (x + shift).to(kind).requires_grad_()
        layer.zero_grad()
        y = layer(given)
        (y.float() * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        found += [y, given.grad, *(one.grad for one in layer.parameters())]  # type: ignore[list-item]
    return [*found, *layer.state_dict().values()]


@pytest.mark.parametrize(("kind", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)], ids=str)
def test_of_one_process_it_is_torch_s(one_process: None, kind: torch.dtype, near: float) -> None:
    theirs, ours = both()
    x = torch.randn(4, 3, 5, 6).contiguous(memory_format=torch.channels_last)
    for own, other in zip(through(ours, x, kind), through(theirs, x, kind), strict=True):
        assert own.dtype == other.dtype and own.shape == other.shape
        assert torch.allclose(
            own.float(), other.float(), rtol=near, atol=near * float(other.detach().float().abs().max())
        )


def test_halves_of_a_batch_have_the_statistics_and_gradients_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sums of the other half are taken from a second call, as if two processes worked one after the other."""
    theirs, ours = both()
    x = torch.randn(5, 3, 4, 4)
    weights = torch.randn(5, 3, 4, 4)
    whole = x.clone().requires_grad_()
    (theirs(whole) * weights).sum().backward()
    parts = [x[:2].clone().requires_grad_(), x[2:].clone().requires_grad_()]
    sums: dict[tuple[str, int], Tensor] = {}

    def half(at: int, added: bool) -> None:
        calls = iter(["forward", "backward"])

        def exchange(*given: Tensor) -> list[Tensor]:
            name, own = next(calls), torch.cat(given)
            sums[name, at] = own.clone()
            total = own + sums[name, 1 - at] if added else own
            return list(total.split([len(part) for part in given]))

        monkeypatch.setattr(batch_norm, "_over_all", exchange)
        ours.train().load_state_dict(theirs.state_dict())
        (ours(parts[at]) * weights[[slice(2), slice(2, 5)][at]]).sum().backward()

    for added in (False, True, True):  # the sums backward need those forward of both
        for at in (0, 1):
            parts[at].grad = None
            half(at, added)
    found = torch.cat([parts[0].grad, parts[1].grad])  # type: ignore[list-item]
    assert torch.allclose(found, whole.grad, rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_keeps_its_weights_and_all_its_norms_are_over_all_processes(name: str) -> None:
    network = build_network(name)
    before: dict[str, Any] = {key: value.clone() for key, value in network.state_dict().items()}
    after = synchronised(network, "cpu").state_dict()
    assert list(after) == list(before) and all(torch.equal(after[key], value) for key, value in before.items())
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and all(isinstance(layer, SyncedBatchNorm2d) for layer in norms)
    on_gpu = synchronised(build_network(name), "cuda").modules()
    assert len([layer for layer in on_gpu if isinstance(layer, nn.SyncBatchNorm)]) == len(norms)
