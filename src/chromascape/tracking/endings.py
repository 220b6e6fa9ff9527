"""How a run ended, where the page can show it: also of runs whose process was killed before it could say so."""

import os
import platform
from typing import Any

from chromascape.files import is_alive

PROCESS, ENDED, NOTE = "chromascape.process", "chromascape.ended", "mlflow.note.content"


def process_tag() -> dict[str, str]:
    """Which process writes to a run: machine and number."""
    return {PROCESS: f"{platform.node()} {os.getpid()}"}


def ending_tags(status: str, note: str) -> dict[str, str]:
    """Tag and description of a run that did not end well.

    Args:
        status: FAILED or KILLED.
        note: what the run is described as.
    """
    return {ENDED: status.lower(), NOTE: f"**{status.capitalize()}.** {note}"}


def end_lost(client: Any, experiment: str, waiting: set[str]) -> None:
    """Mark runs of this machine as killed whose process is gone: MLflow calls them running for ever.

    Args:
        waiting: ids of runs whose end may wait in an outbox.
    """
    for run in lost_runs(client, experiment):
        if run.info.run_id not in waiting:
            for name, value in ending_tags("KILLED", run.data.tags.get(NOTE, "")).items():
                client.set_tag(run.info.run_id, name, value)
            client.set_terminated(run.info.run_id, "KILLED")


def running(client: Any, experiment: str) -> list[Any]:
    """The runs that MLflow calls running."""
    return list(client.search_runs([experiment], "attributes.status = 'RUNNING'"))


def lost_runs(client: Any, experiment: str) -> list[Any]:
    """Those of them that a process of this machine wrote to which is gone."""
    return [run for run in running(client, experiment) if _is_lost(run)]


def _is_lost(run: Any) -> bool:
    machine, _, number = run.data.tags.get(PROCESS, "").rpartition(" ")
    return machine == platform.node() and number.isdecimal() and not is_alive(int(number))
