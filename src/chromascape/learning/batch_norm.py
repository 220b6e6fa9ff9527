"""Batch norm over the photos of all processes of a training, so that their number does not change the statistics.

On a GPU it is torch's `SyncBatchNorm`, which computes on GPUs alone; on a CPU it is the layer here. Names and shapes of
the weights are those of torch's `BatchNorm2d`, so a checkpoint fits any number of processes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIMENSIONS = (0, 2, 3)  # all but the channels


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose mean and variance in training are of the photos of all processes, as many as each has."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; in training all processes have to call it."""
        if not self.training:
            return super().forward(x)
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            share = float(self.momentum or 0.0)
            self.running_mean.lerp_(mean, share)  # type: ignore[union-attr]
            self.running_var.lerp_(var * (count / (count - 1)), share)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr, operator]
        return y  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """x normalised by its statistics over all processes, these statistics, and the number of values behind them.

    Both directions add up sums of each channel over the processes, once, in float64: a variance from a sum of squares
    would lose digits in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, float]:
        own_var, own_mean = (values.double() for values in torch.var_mean(x.float(), DIMENSIONS, correction=0))
        own = x.numel() / x.shape[1]
        count, mean, square = _over_all(own_mean.new_tensor([own]), own * own_mean, own * (own_var + own_mean**2))
        mean, square = mean / count, square / count
        var = (square - mean**2).clamp(min=0)
        ctx.count = float(count)
        ctx.save_for_backward(x, weight, mean.float(), (var + eps).rsqrt().float())
        y = F.batch_norm(x, mean.float(), var.float(), weight, bias, eps=eps)
        return y, mean.float(), var.float(), ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale = ctx.saved_tensors
        wide, centred = grad.float(), x.float() - mean[:, None, None]
        of_bias, of_var = wide.sum(DIMENSIONS), (wide * centred).sum(DIMENSIONS)
        shift, slope = (sums / ctx.count for sums in _over_all(of_bias.double(), of_var.double()))
        slope = slope * scale**2
        inner = wide - shift.float()[:, None, None] - centred * slope.float()[:, None, None]
        of_x = (weight * scale)[:, None, None] * inner
        # DDP adds up those of weight and bias over the processes, as it does for all parameters.
        return of_x.to(x.dtype), of_var * scale, of_bias, None


def _over_all(*parts: Tensor) -> list[Tensor]:
    """Vectors, each added up over all processes."""
    from torch.distributed import all_reduce  # here: a training of one process does without

    sums = torch.cat(parts)
    all_reduce(sums)
    return list(sums.split([len(part) for part in parts]))


def synchronised(network: nn.Module, device: str) -> nn.Module:
    """The network with its batch norms over all processes; its weights stay, its layers are new."""
    if device == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-any-return]
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm2d):
                synced = SyncedBatchNorm2d(layer.num_features, layer.eps, layer.momentum)
                synced.load_state_dict(layer.state_dict())
                setattr(parent, name, synced)
    return network
