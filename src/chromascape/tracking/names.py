"""What runs and models are called: by network, photos and what differs from the defaults."""

import re
from pathlib import Path
from typing import Any

from chromascape.params import Params, flatten, non_default

SHOWN = 4  # differences in a name; the tag chromascape.changed_params has all
NAMED_ALREADY = ("data.dir", "train.network", "track.experiment", "jobs")  # or without any effect on figures


def changes(params: Params) -> dict[str, Any]:
    """The params that differ from the defaults, without what a name says anyway and what changes no figure.

    Keys are dotted and without `train.`; those of the recipe stand first, else the order is that of params.yaml.
    """
    differing = non_default(flatten(params))
    order = sorted(differing, key=lambda key: not key.startswith("train."))
    return {key.removeprefix("train."): differing[key] for key in order if key not in NAMED_ALREADY}


def run_name(params: Params, changed: dict[str, Any], experiment: str = "") -> str:
    """Such as `lr=0.001 [happy-owl, queue] efficientnet_lite2 sample`.

    What differs comes first: MLflow's page cuts off the end of names, in charts after some twenty characters.

    Args:
        changed: as `changes`.
        experiment: the name of DVC's experiment, and where DVC runs it if that is not the workspace.
    """
    parts = [f"{key}={value}" for key, value in list(changed.items())[:SHOWN]]
    parts += [f"+{len(changed) - SHOWN} more"] * (len(changed) > SHOWN)
    parts += [f"[{experiment}]"] * bool(experiment)
    return " ".join([*parts, params.train.network, _data_name(params)])[:250]


def model_name(params: Params) -> str:
    """Such as `efficientnet_lite2-sample`, without the characters that MLflow refuses in a model's name."""
    return re.sub(r"[^\w-]+", "-", f"{params.train.network}-{_data_name(params)}")


def description(params: Params) -> str:
    """What was trained, in a sentence."""
    train = params.train
    return f"{train.network} on {_data_name(params)}, {train.epochs} epochs from {train.init}."


def _data_name(params: Params) -> str:
    return Path(params.data.dir).name or "photos"
