"""The names of networks, losses and metrics in params.yaml, compared with their tables before any work begins."""

from chromascape.colorizing.networks import NETWORKS
from chromascape.errors import ChromascapeError, choices, did_you_mean
from chromascape.learning.choosing import LOSS, metrics_that_choose
from chromascape.learning.losses import LOSSES
from chromascape.params import Train


def check_train(params: Train) -> None:
    """Check the names of `train` against their tables, and what needs another key against that key.

    Raises:
        ChromascapeError: a name is in no table, all weights are 0, the network can't start from these weights or
            predicts other colors than the model that is distilled, or a batch has fewer photos than there are
            processes; one line with all that is wrong.
    """
    problems = _network_problems(params) + _loss_problems(params.loss)
    if params.choose_by not in (known := [LOSS, *metrics_that_choose()]):
        problems.append(f"train.choose_by: must be {choices(known)} (it is {params.choose_by!r})")
    if params.distill and params.network in NETWORKS and NETWORKS[params.network].predicts != "ab":
        problems.append(f"train.distill: must be 0 with network {params.network}, which does not predict a* and b*")
    if params.freeze_norm and params.init != "shipped":
        problems.append(f"train.freeze_norm: must be false with init {params.init}, which has no statistics to keep")
    if params.devices > params.batch_size:
        most = params.batch_size
        problems.append(f"train.devices: must be at most train.batch_size, {most} (it is {params.devices})")
    if problems:
        raise ChromascapeError(f"params.yaml: {'; '.join(problems)}")


def _network_problems(params: Train) -> list[str]:
    if params.network not in NETWORKS:
        return [f"train.network: must be {choices(NETWORKS)} (it is {params.network!r})"]
    inits = NETWORKS[params.network].inits
    if params.init not in inits:
        fitting = [name for name, network in NETWORKS.items() if params.init in network.inits]
        return [
            f"train.init: must be {choices(inits)} with network {params.network} (it is {params.init!r}, "
            f"which fits {choices(fitting)})"
        ]
    return []


def _loss_problems(weights: dict[str, float]) -> list[str]:
    problems = []
    for name in weights:
        if name not in LOSSES:
            hint = did_you_mean(name, LOSSES, "train.loss.") or f"; there are {', '.join(LOSSES)}"
            problems.append(f"train.loss.{name}: unknown key{hint}")
    if not problems and not any(weights.values()):
        problems.append(f"train.loss: at least one of {choices(LOSSES)} must be above 0")
    return problems
