"""How a run ended, where the page can show it: also of runs whose process was killed before it could say so."""

import os
import platform
from typing import Any

from chromascape.files import is_alive

PROCESS, ENDED, NOTE = "chromascape.process", "chromascape.ended", "mlflow.note.content"


def process_tag() -> dict[str, str]:
    """Which process writes to a run: machine and number."""
    return {PROCESS: f"{platform.node()} {os.getpid()}"}


def tell_ending(client: Any, run_id: str, status: str) -> None:
    """Tag and description of a run that did not end well.

    Args:
        client: MLflow's.
        run_id: of a run that has ended or is about to.
        status: FAILED or KILLED.
    """
    note = client.get_run(run_id).data.tags.get(NOTE, "")
    client.set_tag(run_id, ENDED, status.lower())
    client.set_tag(run_id, NOTE, f"**{status.capitalize()}.** {note}")


def end_lost(client: Any, experiment: str) -> None:
    """Mark runs of this machine as killed whose process is gone: MLflow calls them running for ever."""
    for run in lost_runs(client, experiment):
        tell_ending(client, run.info.run_id, "KILLED")
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
