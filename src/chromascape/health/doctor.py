"""The table of checks, and what `chromascape doctor` prints of them."""

from collections.abc import Callable
from typing import Any

from chromascape.errors import ChromascapeError, explain_os_error
from chromascape.health import Finding
from chromascape.health.leftovers import checkpoints, locks, outputs
from chromascape.health.machine import compiled, data, device, devices, disk, engine, experiments, precision, versions
from chromascape.health.mlflow_store import store
from chromascape.learning.checks import check_train
from chromascape.params import Params, load_params
from chromascape.photos.rules import check_policy

# To add a check: a function from the params to findings, named here. Those of the first table need no params.
ALWAYS: dict[str, Callable[[Params | None], list[Finding]]] = {
    "versions": versions,
    "kernel": compiled,
    "device": device,
    "locks": locks,
    "checkpoints": checkpoints,
    "outputs": outputs,
    "experiments": experiments,
}
WITH_PARAMS: dict[str, Callable[[Params], list[Finding]]] = {
    "train.devices": devices,
    "precision": precision,
    "data.dir": data,
    "disk": disk,
    "engine": engine,
    "MLflow": store,
}


def examine() -> list[Finding]:
    """The findings of every check; an error in one is a problem, and the others still run."""
    found, params = _params()
    for subject, check in ALWAYS.items():
        found += _run(subject, check, params)
    for subject, needs_params in WITH_PARAMS.items():
        found += _run(subject, needs_params, params) if params else []
    return found


def table(found: list[Finding]) -> str:
    """The findings as lines of three columns, and a last line that counts them."""
    width = max(len(finding.subject) for finding in found)
    lines = [f"{finding.level:<7}  {finding.subject:<{width}}  {finding.text}" for finding in found]
    counts = {level: sum(finding.level == level for finding in found) for level in ("problem", "note")}
    total = ", ".join(f"{count or 'no'} {level}{'s' * (count != 1)}" for level, count in counts.items())
    return "\n".join([*lines, total])


def _params() -> tuple[list[Finding], Params | None]:
    try:
        params = load_params()
        check_train(params.train)
        check_policy(params.validate_.policy)
    except ChromascapeError as error:
        return [Finding("problem", "params", str(error))], None
    return [Finding("ok", "params", "params.yaml is valid")], params


def _run(subject: str, check: Callable[[Any], list[Finding]], params: Params | None) -> list[Finding]:
    try:
        return check(params)
    except ChromascapeError as error:
        return [Finding("problem", subject, str(error).removeprefix(f"{subject}: "))]
    except OSError as error:
        return [Finding("problem", subject, explain_os_error(error))]
