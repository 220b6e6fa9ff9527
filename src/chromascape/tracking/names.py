"""Names of runs and models: network, photos, and what differs from the defaults."""

import re
from pathlib import Path
from typing import Any

from chromascape.params import Params, flatten, non_default

SHOWN = 4  # differences in a name; the tag chromascape.changed_params lists all
# Named anyway, or without effect on figures.
LEFT_OUT = (
    "data.dir", "train.network", "track.experiment", "jobs", "engine.name", "engine.scheduler", "engine.chunk"
)  # fmt: skip


def changes(params: Params) -> dict[str, Any]:
    """The params that differ from the defaults, except those that a name has anyway or that change no figure.

    Keys are dotted, without `train.`. Params of the training come first, otherwise in the order of params.yaml.
    """
    differing = non_default(flatten(params))
    order = sorted(differing, key=lambda key: not key.startswith("train."))
    return {key.removeprefix("train."): differing[key] for key in order if key not in LEFT_OUT}


def run_name(params: Params, changed: dict[str, Any], experiment: str = "") -> str:
    """A name such as `lr=0.001 [happy-owl, queue] efficientnet_lite2 sample`.

    Differences come first, because MLflow's page cuts names off, in charts after some twenty characters.

    Args:
        changed: as `changes`.
        experiment: the name of the DVC experiment, and where DVC runs it unless in the workspace.
    """
    parts = [f"{key}={value}" for key, value in list(changed.items())[:SHOWN]]
    parts += [f"+{len(changed) - SHOWN} more"] * (len(changed) > SHOWN)
    parts += [f"[{experiment}]"] * bool(experiment)
    return " ".join([*parts, params.train.network, _data_name(params)])[:250]


def model_name(params: Params) -> str:
    """A name such as `efficientnet_lite2-sample`, without characters that MLflow refuses."""
    return re.sub(r"[^\w-]+", "-", f"{params.train.network}-{_data_name(params)}")


def description(params: Params) -> str:
    """What was trained, in a sentence."""
    train = params.train
    return f"{train.network} on {_data_name(params)}, {train.epochs} epochs from {train.init}."


def _data_name(params: Params) -> str:
    return Path(params.data.dir).name or "photos"
