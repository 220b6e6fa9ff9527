"""The learning rate over a training."""

import math


def lr_factor(schedule: str, step: int, total: int, warm_up: float = 0.2, start: float = 0.04) -> float:
    """Learning rate at a step (from 0) of `total`, relative to its peak, 0..1.

    constant stays at 1; cosine falls from 1 to 0 (Loshchilov and Hutter 2017); onecycle rises from `start` during the
    first `warm_up` of the steps and then falls to 0, both as half a cosine (Smith and Topin 2018).

    A formula for torch's LambdaLR instead of torch's own schedules: OneCycleLR divides by zero in runs of a few steps,
    CosineAnnealingLR computes each rate from the one before, and a resumed training needs the rate of any step.
    """
    if schedule == "constant":
        return 1.0
    peak = warm_up * total if schedule == "onecycle" else 0.0
    if step < peak:
        return start + (1 - start) * (1 - math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * min(1.0, (step - peak) / (total - peak)))) / 2
