"""Looks after the processes of a training: what ends one of them ends all, and is said once, by process 0.

A process that waits for others in a collective operation does not look around, on a GPU not even when they are gone. So
a thread does, every half second, through the store that all processes share.
"""

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from chromascape.errors import ChromascapeError
from chromascape.resume import short, tell

POLL = 0.5  # seconds between two looks
PATIENCE = 5.0  # seconds to wait for the reason of a broken connection
GRACE = 20.0  # seconds in which process 0 should notice by itself that it can't go on
RESUMES = "`dvc repro` resumes from the last checkpoint"
# Keys: why one can't go on; one was asked to stop; process 0 can't go on; it is done.
ERROR, STOP, END, DONE = "error", "stop", "end", "done"
NETWORK = ("gloo", "nccl", "connection", "socket", "peer", "timed out", "timeout", "broken pipe")


class Watch:
    """The eyes of one process of a training."""

    def __init__(self, rank: int, count: int, store: Any, others: Sequence[Any]):
        """`store`: torch's, which all processes share; `others`: those that this one has started, from process 1."""
        self.rank, self.count, self.store, self.others = rank, count, store, others
        self._done, self._asked = threading.Event(), False
        self._before: dict[signal.Signals, Any] = {}
        self._thread = threading.Thread(target=self._work, args=[store.clone()], daemon=True)

    def __enter__(self) -> Self:
        if self.rank and threading.current_thread() is threading.main_thread():
            # The step goes on: process 0 ends all of them after it, and after its checkpoint.
            self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind and self.rank == 0:
            with suppress(RuntimeError):  # where the store is a launcher's, and gone
                self.store.set(END, "")
        self._done.set()
        self._thread.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait_for_all(self, seconds: float) -> None:
        """Wait until all processes have come so far.

        Raises:
            ChromascapeError: one has ended, or is not there in time.
        """
        self.store.set(f"here/{self.rank}", "")
        limit = time.monotonic() + seconds
        while missing := [rank for rank in range(self.count) if not self.store.check([f"here/{rank}"])]:
            if problem := self.problem(self.store):
                raise ChromascapeError(problem)
            if time.monotonic() > limit:
                raise ChromascapeError(
                    f"train.devices: process {missing[0]} of {self.count} is not there after {seconds:g} seconds"
                )
            time.sleep(0.05)

    def wait_for_first(self) -> None:
        """Wait until process 0 is done, too."""
        if self.rank == 0:
            self.store.set(DONE, "")
            return
        while not self.store.check([DONE]):  # without a store, the thread ends this process
            time.sleep(0.05)

    def problem(self, store: Any) -> str:
        """Why this training can't go on, as another process said or as its end shows; empty if it can."""
        if store.check([ERROR]):
            return str(store.get(ERROR).decode())
        codes = {rank: code for rank, other in enumerate(self.others, 1) if (code := other.poll())}
        if not codes:
            return ""
        # One that lost another gives up or aborts, so that one which was killed otherwise is the cause.
        rank, code = min(codes.items(), key=lambda ended: (ended[1] > 0, ended[1] == -signal.SIGABRT))
        how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
        remedy = "if memory is short, lower train.batch_size; " if code == -signal.SIGKILL else ""
        return f"train.devices: process {rank} of {self.count} {how}: {remedy}{RESUMES}"

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell process 0 what ends this one; there, raise what has ended another one, in place of what follows from it.

        Raises:
            ChromascapeError: another process can't go on.
            SystemExit: this one can't, and process 0 knows.
        """
        try:
            yield
        except ChromascapeError as error:
            self._publish(str(error))
            raise
        except (RuntimeError, ValueError) as error:  # torch's for networks are RuntimeErrors
            if problem := self._reason(error):
                if self.rank:
                    sys.exit(1)
                raise ChromascapeError(problem) from None
            self._publish(f"process {self.rank} of {self.count}: {type(error).__name__}: {short(error)}")
            raise

    def _publish(self, text: str) -> None:
        """Tell process 0 why this one can't go on; it says so, and this one says no more."""
        if self.rank:
            with suppress(RuntimeError):
                self.store.compare_set(ERROR, "", text)  # the first one stays
            sys.exit(1)

    def _reason(self, error: Exception) -> str:
        """What has ended another process, if an error comes from that; empty if it is this one's own."""
        if not any(word in str(error).lower() for word in NETWORK):
            return ""
        limit = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < limit:
                if self.rank and self.store.check([END]):
                    sys.exit(1)
                if problem := self.problem(self.store):
                    return problem
                time.sleep(0.05)
        except RuntimeError:  # the store has ended with process 0, which has said why
            sys.exit(1)
        return f"train.devices: the connection to another process broke ({short(error)}): {RESUMES}"

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _work(self, store: Any) -> None:
        """Until the end: ask process 0 to stop if this one was asked, and leave where the main thread does not."""
        since = 0.0
        while not self._done.wait(POLL):
            try:
                if self._asked:
                    store.set(STOP, "")
                if self.rank:
                    if store.check([END]):
                        os._exit(1)
                    continue
                if store.check([STOP]):
                    store.delete_key(STOP)
                    _thread.interrupt_main(signal.SIGTERM)
                problem = self.problem(store)
            except RuntimeError:  # no store: process 0 was killed
                if self.rank:
                    os._exit(1)
                return
            since = since or time.monotonic() if problem else 0.0
            if problem and time.monotonic() - since > GRACE:
                tell(f"error: {problem}")
                for other in self.others:
                    other.kill()
                os._exit(1)
