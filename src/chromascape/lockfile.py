"""What `dvc.lock` says of the stages that have run."""

from pathlib import Path
from typing import Any

from chromascape.errors import ChromascapeError
from chromascape.params import read_yaml


def locked_stages() -> dict[str, dict[str, Any]]:
    """The stages of `dvc.lock` by name, each with `deps`, `outs` and `params`; DVC writes it stage by stage.

    Raises:
        ChromascapeError: there is no dvc.lock here, or it is damaged.
    """
    lock = read_yaml(Path("dvc.lock"))
    stages = lock.get("stages") if isinstance(lock, dict) else None
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise ChromascapeError("dvc.lock: damaged: `git checkout dvc.lock`")
    return stages
