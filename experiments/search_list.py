"""The list of a search: which params, and in which ranges."""

from pathlib import Path
from typing import Any

import optuna

from chromascape.errors import ChromascapeError, did_you_mean
from chromascape.params import Params, flatten, load_params, read_yaml


def read_plan(path: Path) -> dict[str, Any]:
    """The list, checked.

    Raises:
        ChromascapeError: a key is missing or unknown, a param is unknown, or a range is none.
    """
    plan, known = read_yaml(path), flatten(Params())
    if not isinstance(plan, dict) or set(plan) != {"title", "trials", "common", "params"}:
        raise ChromascapeError(f"{path}: must have title, trials, common and params, and nothing else")
    if not isinstance(plan["trials"], int) or plan["trials"] < 1:
        raise ChromascapeError(f"{path}: trials must be a whole number of at least 1")
    for part in ("common", "params"):
        if not isinstance(plan[part], dict):
            raise ChromascapeError(f"{path}: {part} must have params by their names, or be {{}}")
    for name in [*plan["common"], *plan["params"]]:
        if name not in known and not name.startswith("train.loss."):
            raise ChromascapeError(f"{path}: no param {name}{did_you_mean(name, known)}")
    for name, range_ in plan["params"].items():
        keys = set(range_) if isinstance(range_, dict) else set()
        if keys != {"choices"} and not {"low", "high"} <= keys <= {"low", "high", "log", "step"}:
            raise ChromascapeError(f"{path}: {name} must have low and high, and may have log or step, or have choices")
        try:
            first = range_["low"] if "low" in range_ else range_["choices"][0]
            suggest(optuna.trial.FixedTrial({name: first}), {name: range_})
        except (ValueError, TypeError, IndexError) as error:
            raise ChromascapeError(f"{path}: {name}: {error}") from None
    return plan


def suggest(trial: Any, params: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A value for each param."""
    values = {}
    for name, range_ in params.items():
        if "choices" in range_:
            values[name] = trial.suggest_categorical(name, range_["choices"])
        elif all(isinstance(range_[end], int) for end in ("low", "high")):
            values[name] = trial.suggest_int(name, **range_)
        else:
            values[name] = trial.suggest_float(name, **range_)
    return values


def first_values(plan: dict[str, Any]) -> dict[str, Any]:
    """Those of params.yaml and `common`, as far as they are in the ranges."""
    values = flatten(load_params()) | plan["common"]
    inside = {}
    for name, range_ in plan["params"].items():
        value = values.get(name, 0)  # a loss that params.yaml lacks has the weight 0
        if "choices" in range_:
            fits = value in range_["choices"]
        else:
            fits = isinstance(value, (int, float)) and range_["low"] <= value <= range_["high"]
        if fits:
            inside[name] = value
    return inside
