"""What runs shall hold, on the disk until MLflow has taken it: an outbox for each stage that writes to a run.

A stage never speaks to MLflow while it works. It appends what the run shall hold to a journal, synced line by line, and
a thread of `tracking.delivery` brings that to MLflow in the same order. So a server that is slow, refuses or dies costs
a training neither time nor figures, and a kill at any moment costs nothing that was logged: the journal stays, and the
next stage that uses the same store, or `chromascape deliver`, goes on with it where it ended. There is one path for
good times and bad ones, so the one for bad times can't rust. (A whole local store that is copied over later would need
a mapping of runs, and would have to be merged with a run of which the server has the first half.)

`.outbox/` lies in the root of the repository, which temporary copies of experiments don't take with them. A box is
`journal.jsonl` and `files/`, and goes when all of it was delivered. Journals are JSON, and hold no password of the
store's address. Lines are: first `{"box": …}`, which run of which store; then `{"entry": {"number": …, "kind": …}}` and
`{"delivered": number}`. A line that a kill has torn was not promised to anybody, and is passed over.
"""

import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

HOME = ".outbox"
JOURNAL = "journal.jsonl"
KINDS = {  # of entries, as they are counted in words: one, several
    "status": ("state", "states"),
    "params": ("set of params", "sets of params"),
    "metrics": ("set of metrics", "sets of metrics"),
    "tags": ("set of tags", "sets of tags"),
    "dataset": ("dataset", "datasets"),
    "file": ("file", "files"),
    "picture": ("picture", "pictures"),
    "model": ("model", "models"),
}


class Box:
    """The outbox of one stage.

    Attributes:
        folder: of its own, in `.outbox/`; names sort by time.
        address: which run it is for: `store` (without user and password), `experiment` (its name), `run_id` (empty
            where the run could not be made yet), `run` (tags and start_time of such a one) and `key`, a tag's value by
            which that run is found again.
        left: entries that MLflow does not have, the oldest first; each has its number.
    """

    def __init__(self, folder: Path, address: dict[str, Any]):
        self.folder, self.address = folder, address
        self.left: list[dict[str, Any]] = []
        self._count = 0

    def add(self, kind: str, **values: Any) -> None:
        """Promise to deliver an entry, as soon as the disk has it.

        Raises:
            OSError: the disk does not take it; it will be delivered by this process or not at all.
        """
        self._count += 1
        entry = {"number": self._count, "kind": kind, **values}
        self.left.append(entry)
        self._append({"entry": entry})

    def mark(self, entry: dict[str, Any]) -> None:
        """Note that an entry was delivered."""
        self.left.remove(entry)
        with suppress(OSError):  # it would be delivered again, which changes nothing
            self._append({"delivered": entry["number"]})

    def place(self, name: str) -> Path:
        """A path in the box for a new file or folder of that name."""
        return self.folder / "files" / uuid.uuid4().hex / name

    def _append(self, line: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = not (self.folder / JOURNAL).exists()
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as file:
            for values in [{"box": self.address}, line] if new else [line]:
                # Each on a line of its own, also behind one that a kill has torn.
                file.write("\n" + json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())


def new_box(root: Path, address: dict[str, Any]) -> Box:
    """An empty box; nothing is written before its first entry."""
    name = f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}"
    return Box(root / HOME / name, {"key": name, **address})


def boxes(root: Path) -> list[Box]:
    """All boxes on the disk in the order of their age; a folder without a readable journal is none."""
    folders = sorted(path for path in (root / HOME).glob("*") if (path / JOURNAL).is_file())
    return [box for folder in folders if (box := read_box(folder))]


def read_box(folder: Path) -> Box | None:
    """A box as its journal tells; None where there is none."""
    try:
        lines = (folder / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    values = [value for line in lines if isinstance(value := _parsed(line), dict)]
    address = next((value["box"] for value in values if "box" in value), None)
    if not address:
        return None
    box = Box(folder, address)
    delivered = {value["delivered"] for value in values if "delivered" in value}
    box.left = [value["entry"] for value in values if "entry" in value and value["entry"]["number"] not in delivered]
    return box


@contextmanager
def owned(folder: Path) -> Iterator[bool]:
    """Whether this process may deliver the box: no other one writes to it or delivers it.

    The system gives the lock of a killed process back.
    """
    lock = FileLock(f"{folder}.lock", timeout=0)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError:  # a disk that is full or read-only: nobody else can have it either
        yield True
        return
    try:
        yield True
    finally:
        if not folder.exists():
            with suppress(OSError):  # Windows removes no open file
                Path(lock.lock_file).unlink()
        lock.release()


def remove(box: Box) -> None:
    """Remove a box of which everything was delivered."""
    shutil.rmtree(box.folder, ignore_errors=True)


def in_words(entries: list[dict[str, Any]]) -> str:
    """Such as `3 sets of metrics, 1 model`."""
    counts = Counter(entry["kind"] for entry in entries)
    return ", ".join(f"{count} {KINDS.get(kind, (kind, kind))[count > 1]}" for kind, count in counts.items())


def waiting_note(root: Path) -> str:
    """A line on what waits for MLflow and how to deliver it; empty where nothing waits."""
    left = [box for box in boxes(root) if box.left]
    if not left:
        return ""
    stores = ", ".join(sorted({str(box.address["store"]) for box in left}))
    what = in_words([entry for box in left for entry in box.left])
    return f"waiting for {stores}: {what}; `chromascape deliver` brings it there once it answers"


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
