"""The processes that train together, each on its part of every batch: `train.devices` of them, or a launcher's.

Process 0 is the stage itself: it alone writes and says something. The others run the same script, told by the variables
of torchrun who they are. Where torchrun (or SLURM, or Kubernetes with it) has set them, no process is started here.

What ends one process ends all: process 0 says it in one line. An error of another one reaches it through the store,
which is also how they met; that one was killed, the broken connection tells.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from chromascape.devices import pick_device
from chromascape.errors import ChromascapeError
from chromascape.learning.watch import Watch
from chromascape.parallel import cores
from chromascape.params import Train
from chromascape.resume import tell

LOOPBACK = {"linux": "lo", "darwin": "lo0"}  # the network interface by which processes of one machine talk
JOIN = timedelta(minutes=10)  # for all processes to import torch and to find each other
TIMEOUT = timedelta(minutes=10)  # of any exchange: GPUs wait for so long for a process that hangs
VARIABLES = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: the number of this one, from 0.
        count: of all processes.
        local: the number of this one among those of its machine, from 0.
        here: of processes on its machine.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    here: int = 1

    def own(self, photos: int) -> slice:
        """This process's part of a batch of so many photos; the parts differ by one photo at most."""
        each, more = divmod(photos, self.count)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def weight(self, photos: int) -> float:
        """What the mean loss of its part counts, so that the mean of all processes is the mean of the batch."""
        own = self.own(photos)
        return (own.stop - own.start) * self.count / photos

    def sum(self, values: Tensor) -> Tensor:
        """The values, added up over all processes: in all of them the same."""
        if self.count > 1:
            from torch.distributed import all_reduce

            all_reduce(values)
        return values

    def from_first(self, data: bytes) -> bytes:
        """The bytes of process 0, in all processes."""
        from torch.distributed import broadcast

        size = torch.tensor([len(data)])
        broadcast(size, 0)
        buffer = torch.empty(int(size), dtype=torch.uint8)
        if self.rank == 0:
            buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        broadcast(buffer, 0)
        return buffer.numpy().tobytes()

    def check_batch(self, photos: int) -> None:
        """Raises ChromascapeError if the smallest batch has fewer photos than there are processes."""
        if photos < self.count:
            raise ChromascapeError(
                f"train.devices: {self.count} processes for batches of {photos} photos, which have to be one each "
                "at least: start fewer, or raise train.batch_size"
            )


ALONE = Ranks()


def launched() -> bool:
    """Whether a launcher, or process 0 of this machine, has started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def helps() -> bool:
    """Whether this process is one of several and not their first: it computes, and writes nothing."""
    return launched() and os.environ.get("RANK", "0") != "0"


def threads_of_one() -> int:
    """Threads of a training of one process here; torchrun gives each of several on a machine one alone."""
    several = launched() and os.environ.get("LOCAL_WORLD_SIZE", "1") != "1"
    return cores() if several else torch.get_num_threads()


def check_devices(params: Train) -> None:
    """Raises ChromascapeError if this machine has fewer GPUs than the processes that `train.devices` starts here."""
    device = pick_device(params.device, "train.device")
    wanted = _from_launcher().here if launched() else params.devices
    gpus = {"cuda": torch.cuda.device_count, "mps": lambda: 1}.get(device, lambda: wanted)()
    if wanted > gpus:
        plural = "s" if gpus > 1 else ""
        raise ChromascapeError(
            f"train.devices: {wanted} processes, but this machine has {gpus} GPU{plural}: {gpus} at most"
        )


@contextmanager
def joined(params: Train, command: Sequence[str]) -> Iterator[Ranks]:
    """The processes of a training, which work together until the block ends; one process alone starts nothing.

    The others stay until the block of process 0 ends: a launcher that starts all again needs all of them.

    Args:
        command: runs the same training in another process: Python and its script.
    Raises:
        ChromascapeError: GPUs are lacking, another process failed, or not all have come.
        SystemExit: in another process than 0, if it can't go on; process 0 says why.
    """
    if not launched() and params.devices == 1:
        yield ALONE
        return
    check_devices(params)
    import torch.distributed as group

    ranks = _from_launcher() if launched() else Ranks(0, params.devices, 0, params.devices)
    with ExitStack() as stack:
        store, others = _meet_launched() if launched() else _start(ranks.count, command, stack)
        watch = stack.enter_context(Watch(ranks.rank, ranks.count, store, others))
        with watch.explained():
            watch.wait_for_all(JOIN.total_seconds())
            cuda = pick_device(params.device, "train.device") == "cuda"
            if cuda:
                torch.cuda.set_device(ranks.local)
            group.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo",
                store=group.PrefixStore("group", store), rank=ranks.rank, world_size=ranks.count, timeout=TIMEOUT,
            )  # fmt: skip
            if ranks.rank == 0:
                tell(f"{ranks.count} processes train together, over {'NCCL' if cuda else 'gloo'}")
            yield ranks
            watch.wait_for_first()
        group.destroy_process_group()  # after a failure it may wait for those that are gone


def _from_launcher() -> Ranks:
    """Which process this is, by the variables of its launcher."""
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing:
        raise ChromascapeError(f"WORLD_SIZE is set but {', '.join(missing)} is not: start the training by torchrun")
    try:
        return Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))
    except ValueError:
        raise ChromascapeError("RANK, WORLD_SIZE, LOCAL_RANK or LOCAL_WORLD_SIZE is no number: see torchrun") from None


def _meet_launched() -> tuple[Any, list[Any]]:
    """The store of the processes that a launcher has started."""
    from torch.distributed import PrefixStore, rendezvous

    try:
        store, _, _ = next(rendezvous("env://", timeout=JOIN))
    except RuntimeError as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ChromascapeError(
            f"MASTER_ADDR: no process of this training answers at {address} ({str(error).splitlines()[0][:150]})"
        ) from None
    return PrefixStore(f"chromascape/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store), []


def _start(count: int, command: Sequence[str], stack: ExitStack) -> tuple[Any, list[Any]]:
    """Start the other processes on this machine; the store and they, which end with the stack.

    The store listens on the loopback interface alone, and so does gloo.
    """
    from torch.distributed import PrefixStore, TCPStore

    threads = torch.get_num_threads()
    each = max(1, threads // count)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    store = TCPStore("127.0.0.1", port, None, True, JOIN, False, master_listen_fd=listening.detach())
    theirs: dict[str, Any] = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "OMP_NUM_THREADS": each}
    # What breaks is process 0's to say, not torch's.
    theirs |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if sys.platform in LOOPBACK:
        theirs["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
        before = os.environ.get("GLOO_SOCKET_IFNAME")
        os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
        stack.callback(_set, "GLOO_SOCKET_IFNAME", before)
    torch.set_num_threads(each)
    stack.callback(torch.set_num_threads, threads)
    others = []
    for rank in range(1, count):
        variables = theirs | {"RANK": rank, "LOCAL_RANK": rank}
        # A session of its own: Ctrl-C is for process 0, which ends the others after the step and the checkpoint.
        others.append(
            subprocess.Popen(
                command, env=os.environ | {name: str(value) for name, value in variables.items()},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )
        )  # fmt: skip
        stack.callback(_end, others[-1])
    return PrefixStore("chromascape/0", store), others


def _set(name: str, value: str | None) -> None:
    """Set a variable of the environment, or remove it."""
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def _end(other: "subprocess.Popen[bytes]") -> None:
    """End a process that has nothing to write."""
    other.kill()
    other.wait()
