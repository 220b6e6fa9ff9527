"""How an outbox comes to MLflow: by a thread while a stage works, by the next stage, or by `chromascape deliver`.

Every entry can be delivered twice without a trace, because nobody knows whether a request without an answer was heard:
metrics have the time of their logging, files their names, models and runs a tag by which they are found again.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chromascape.files import atomic_folder, atomic_write
from chromascape.photos.reading import open_photo, to_rgb
from chromascape.photos.source import read_bytes
from chromascape.resume import repository_root
from chromascape.tracking import artifacts, outbox
from chromascape.tracking.endings import ENDED, NOTE
from chromascape.tracking.outbox import Box
from chromascape.tracking.server import without_credentials
from chromascape.tracking.store import connect, tracking_uri

PAUSE = 15.0  # seconds between two attempts to reach a store that failed
PATIENCE = 120.0  # seconds that a stage waits at its end for a store that is slow but takes one entry after the other
PATIENCE_KILLED = 10.0  # the same after Ctrl-C or SIGTERM, which others give half a minute
HUNG = 5.0  # seconds after which a store that failed is called one that hangs
KEY = "chromascape.outbox"  # the tag of runs and models that outboxes have made
# What MLflow says where an answer will not get better by asking again.
REFUSED = ("BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST")


@dataclass
class Target:
    """The run that a box is for: MLflow's client, the run's id, the box's folder and the entry's key."""

    client: Any
    run_id: str
    folder: Path
    key: str = ""


@dataclass
class Delivered:
    """What became of a box: the run's id, the entries that were delivered, and why not all (empty if all were)."""

    run_id: str
    entries: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""
    refused: bool = False  # by an answer, so that other boxes may go


def _status(to: Target, entry: dict[str, Any]) -> None:
    if entry["status"] == "RUNNING":
        to.client.update_run(to.run_id, status="RUNNING")
        return
    if entry["status"] == "FINISHED" and ENDED in to.client.get_run(to.run_id).data.tags:
        # Somebody took it for lost while its end waited.
        to.client.delete_tag(to.run_id, ENDED)
        to.client.set_tag(to.run_id, NOTE, entry["note"])
    to.client.set_terminated(to.run_id, entry["status"], end_time=entry["time"])


def _params(to: Target, entry: dict[str, Any]) -> None:
    from mlflow.entities import Param

    to.client.log_batch(to.run_id, params=[Param(name, value) for name, value in entry["values"].items()])


def _metrics(to: Target, entry: dict[str, Any]) -> None:
    from mlflow.entities import Metric

    to.client.log_batch(to.run_id, metrics=[Metric(*row) for row in entry["rows"]])


def _tags(to: Target, entry: dict[str, Any]) -> None:
    from mlflow.entities import RunTag

    to.client.log_batch(to.run_id, tags=[RunTag(name, value) for name, value in entry["values"].items()])


def _dataset(to: Target, entry: dict[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tags = [InputTag("mlflow.data.context", entry["context"])]
    to.client.log_inputs(to.run_id, datasets=[DatasetInput(Dataset(**entry["values"]), tags)])


def _file(to: Target, entry: dict[str, Any]) -> None:
    to.client.log_artifact(to.run_id, str(to.folder / entry["file"]), entry["under"] or None)


def _picture(to: Target, entry: dict[str, Any]) -> None:
    start = f"images/{entry['picture'].replace('/', '~')}+step+0+timestamp+{entry['time']}+"
    if any(known.path.startswith(start) for known in to.client.list_artifacts(to.run_id, "images")):
        return
    picture = to_rgb(open_photo(read_bytes(to.folder / entry["file"])))
    to.client.log_image(to.run_id, artifacts.quilt(picture), key=entry["picture"], step=0, timestamp=entry["time"])


def _model(to: Target, entry: dict[str, Any]) -> None:
    artifacts.log_model(to.client, to.run_id, to.folder / entry["file"], entry, {KEY: to.key})


APPLY: dict[str, Callable[[Target, dict[str, Any]], None]] = {
    "status": _status,
    "params": _params,
    "metrics": _metrics,
    "tags": _tags,
    "dataset": _dataset,
    "file": _file,
    "picture": _picture,
    "model": _model,
}


def deliver_box(box: Box) -> Delivered:
    """Bring what is left of a box to MLflow, in its order, up to the first failure."""
    import mlflow

    done = Delivered(box.address["run_id"])
    try:
        mlflow.set_tracking_uri(tracking_uri())
        client = mlflow.MlflowClient()
        done.run_id = done.run_id or _made_run(client, box)
        box.address["run_id"] = done.run_id
        while box.left:
            entry = box.left[0]
            key = f"{box.address['key']}/{entry['number']}"
            APPLY[entry["kind"]](Target(client, done.run_id, box.folder, key), entry)
            box.mark(entry)
            done.entries.append(entry)
    except Exception as error:  # whatever it is: what is left stays
        done.problem = reason(error)
        done.refused = getattr(error, "error_code", "") in REFUSED or isinstance(
            error, KeyError | ValueError | TypeError
        )
    return done


def deliver_waiting() -> list[Delivered]:
    """Deliver all boxes for this store that nobody else has, the oldest first; what has gone is removed.

    The boxes of a run keep their order: where one fails those behind it wait. Where the store fails all others wait.
    """
    done: list[Delivered] = []
    for box in outbox.boxes(repository_root()):
        if box.address["store"] != without_credentials(tracking_uri()):
            continue
        run_id = box.address["run_id"]
        if run_id and any(earlier.problem and earlier.run_id == run_id for earlier in done):
            continue
        with outbox.owned(box.folder) as ours:
            fresh = outbox.read_box(box.folder) if ours else None  # another process may just have delivered it
            if fresh is None:
                continue
            done.append(deliver_box(fresh))
            if not done[-1].problem:
                outbox.remove(fresh)
        if done[-1].problem and not done[-1].refused:
            break
    return done


class Courier:
    """The box of the stage that runs, and the thread that delivers it; what it is given never fails."""

    def __init__(self, address: dict[str, Any], after: str):
        self.box = outbox.new_box(repository_root(), address)
        self._after = after  # what a failure means, for the first warning
        self._failing = self._closing = self._told_disk = False
        self._changed = threading.Condition()
        self._held = ExitStack()
        self._held.enter_context(outbox.owned(self.box.folder))
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, kind: str, **values: Any) -> None:
        """Have an entry delivered."""
        with self._changed:
            try:
                self.box.add(kind, **values)
            except OSError as error:
                self.tell_disk(error)
            self._changed.notify()

    def keep(self, name: str, write: Callable[[Path], object], folder: bool = False) -> str:
        """Have a file or folder laid in the box; returns its path there, empty where the disk does not take it."""
        place = self.box.place(name)
        try:
            with atomic_folder(place) if folder else atomic_write(place) as path:
                write(path)
        except OSError as error:
            self.tell_disk(error)
            return ""
        return place.relative_to(self.box.folder).as_posix()

    def tell_disk(self, error: OSError) -> None:
        """Say once that the box takes nothing."""
        if not self._told_disk:
            tell(f"warning: {self.box.folder}: {reason(error)}: what MLflow does not take in this run will be missing")
        self._told_disk = True

    def close(self, seconds: float = PATIENCE) -> bool:
        """Deliver what is left and end; whether MLflow has everything.

        It is tried until the next failure, or until the seconds have passed.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        end = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(0.05)
        left = self.box.left
        if left:
            tell(
                f"warning: MLflow has not taken {outbox.in_words(left)} of this run: they wait in {self.box.folder}; "
                "`chromascape deliver` delivers them once it answers, or the next stage that uses it"
            )
        else:
            outbox.remove(self.box)
            if self._failing:
                tell("MLflow answers again and has everything")
        self._held.close()
        return not left

    def _work(self) -> None:
        """Deliver, wait where that fails, until there is nothing left to do at the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self.box.left)
                last, began = self._closing, time.monotonic()
            problem = self._attempt() if self.box.left else ""
            hung = self._closing and time.monotonic() - began > HUNG  # nobody waits for a second time
            if (last or hung) and (problem or not self.box.left):
                return
            if problem:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, PAUSE)

    def _attempt(self) -> str:
        """Why not all of this run was delivered, its older boxes first; empty where all was."""
        run_id = self.box.address["run_id"]
        older = [done.problem for done in deliver_waiting() if done.problem and done.run_id == run_id != ""]
        problem = older[0] if older else deliver_box(self.box).problem
        if problem and not self._failing:
            tell(f"warning: MLflow failed ({problem}): {self._after}")
            self._failing = True
        return problem


def reason(error: Exception) -> str:
    """An error as a part of a line, without the secrets of the server's address."""
    text = without_credentials(" ".join(str(error).split())) or "no reason given"
    return f"{type(error).__name__}: {text[:200]}"


def tell(line: str) -> None:
    """A line on stderr that breaks no progress bar."""
    tqdm.write(line, file=sys.stderr)


def _made_run(client: Any, box: Box) -> str:
    """The run that the box makes, or has made before without hearing of it."""
    experiment = connect(box.address["experiment"])
    known = client.search_runs([experiment], f"tags.`{KEY}` = '{box.address['key']}'")
    if known:
        return str(known[0].info.run_id)
    run = box.address["run"]
    tags = {**run["tags"], KEY: box.address["key"]}
    return str(client.create_run(experiment, start_time=run["start_time"], tags=tags).info.run_id)
