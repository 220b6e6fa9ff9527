"""What runs and models are called: by network, photos and what differs from the committed params.yaml."""

import re
from pathlib import Path
from typing import Any

import yaml

from chromascape.params import Params, flatten, flatten_values

SHOWN = 4  # differences in a name; the tag chromascape.changed_params has all
NAMED_ALREADY = ("data.dir", "train.network", "track.experiment", "jobs")  # or without any effect on figures


def changes(params: Params, committed: str) -> dict[str, Any]:
    """The params that differ from the defaults, as dotted keys without `train.`, in the order of params.yaml.

    Args:
        committed: the text of params.yaml at git's HEAD; where there is none, nothing is known to differ.
    """
    try:
        defaults = flatten_values(yaml.safe_load(committed) or {})
    except (yaml.YAMLError, AttributeError):
        return {}
    return {
        key.removeprefix("train."): value
        for key, value in flatten(params).items()
        if key in defaults and not _same(value, defaults[key]) and key not in NAMED_ALREADY
    }


def run_name(params: Params, changed: dict[str, Any], experiment: str = "") -> str:
    """Such as `lr=0.001 [happy-owl] efficientnet sample`, with the name of DVC's experiment.

    What differs comes first: MLflow's page cuts off the end of names, in charts after some twenty characters.
    """
    parts = [f"{key}={value}" for key, value in list(changed.items())[:SHOWN]]
    parts += [f"+{len(changed) - SHOWN} more"] * (len(changed) > SHOWN)
    parts += [f"[{experiment}]"] * bool(experiment)
    return " ".join([*parts, params.train.network, _data_name(params)])[:250]


def model_name(params: Params) -> str:
    """Such as `efficientnet-sample`, without the characters that MLflow refuses in a model's name."""
    return re.sub(r"[^\w-]+", "-", f"{params.train.network}-{_data_name(params)}")


def description(params: Params) -> str:
    """What was trained, in a sentence."""
    train = params.train
    return f"{train.network} on {_data_name(params)}, {train.epochs} epochs from {train.init}."


def _data_name(params: Params) -> str:
    return Path(params.data.dir).name or "photos"


def _same(value: Any, default: Any) -> bool:
    """Whether they are equal, 200 and 200.0 too, and 1e-3, which YAML 1.1 takes for text."""
    if isinstance(value, float) and isinstance(default, str):
        try:
            return value == float(default)
        except ValueError:
            return False
    return bool(value == default) or str(value) == str(default)
