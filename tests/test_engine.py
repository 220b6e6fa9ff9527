"""A real Dask scheduler with worker processes: what they give, what kills them, and what is said then."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from conftest import REPOSITORY, changed_params, make_photo, save, write_photos
from hostile_photos import hostile_inspect
from registered import write_model
from warm import unmeasured

from chromascape import parallel
from chromascape.engine import Cluster, opened
from chromascape.judging.evaluation import evaluate_splits
from chromascape.params import Engine, Params
from chromascape.photos import inspection
from chromascape.photos.manifest import write_manifest
from chromascape.photos.shards import write_shards
from chromascape.photos.validation import validate_folder

pytestmark = [pytest.mark.scale, pytest.mark.usefixtures("quick_workers")]
pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dask]'")
DEADLINE = 30  # seconds


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def start(*arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("src", "tests"))
    env = unmeasured() | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "2"} | environment
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scheduler() -> Iterator[Engine]:
    """A scheduler without workers, and the params that name it."""
    port = free_port()
    process = start("scheduler", "--host", "127.0.0.1", "--port", str(port))
    yield Engine(name="dask", scheduler=f"tcp://127.0.0.1:{port}", chunk=3)
    process.kill()
    process.wait()


@contextmanager
def workers(address: str, count: int, *options: str, **environment: str) -> Iterator[None]:
    """So many workers for a while."""
    host = ("--host", "127.0.0.1", "--nthreads", "1", "--local-directory", os.environ["TMPDIR"])
    started = [start("worker", address, *host, *options, **environment) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
                child.kill()
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def processes_of(cluster: Cluster) -> dict[str, int]:
    """The number of each worker's process, by its address."""
    found: dict[str, int] = cluster._client.run(os.getpid)
    return found


class KillsOne:
    """Kills a worker that is at work, with -9, once some photos are done."""

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, after: int):
        self.cluster, self.after, self.numbers = cluster, after, processes_of(cluster)
        self.killed: list[psutil.Process] = []
        add = parallel.ProgressBar.add

        def counted(bar: Any, count: int) -> None:
            add(bar, count)
            if bar._done >= self.after and not self.killed:
                self.kill()

        monkeypatch.setattr(parallel.ProgressBar, "add", counted)

    def kill(self) -> None:
        busy = [address for address, keys in self.cluster._client.processing().items() if keys]
        process = psutil.Process(self.numbers[busy[-1]])
        self.killed = [process, *process.children(recursive=True)]
        process.kill()


def outputs(folder: Path, photos: Path, params: Params, jobs: Any) -> dict[str, bytes]:
    """The files that validate, preprocess and evaluate write of these photos, by name."""
    manifest, _ = validate_folder(photos, params.data, params.validate_, folder / "docs", jobs)
    write_manifest(manifest, folder / "manifest.csv")
    write_shards(folder / "lab", photos, manifest, 64, "crop", 0.1, jobs)
    tables = evaluate_splits(
        photos.parent / "model", "cpu", folder / "lab", manifest, ["test", "val"], jobs, None, "test"
    )
    for split, table in tables.items():
        table.to_csv(folder / f"{split}.csv")
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in [folder / "manifest.csv", *folder.glob("lab/*"), *folder.glob("*.csv")]
    }


def test_a_cluster_gives_the_same_bytes_though_a_worker_is_killed_and_photos_hang_or_crash(
    tmp_path: Path, scheduler: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 24)
    for name in ("crash.png", "hang.png"):
        save(photos / name, make_photo(7))
    write_model(tmp_path / "model", 0.3)
    monkeypatch.setattr(inspection, "inspect", hostile_inspect)
    monkeypatch.chdir(tmp_path)  # where the workers are not
    changes = {"validate.seconds": 2, "validate.min_accepted": 3, "data.test_only": [], "data.split.train": 0.5}
    params = Params.model_validate(changed_params(changes | {"data.split.val": 0.25, "data.split.test": 0.25}))
    with workers(scheduler.scheduler, 3, "--no-nanny"):
        for name in ("local", "cluster"):
            (tmp_path / name).mkdir()
        local = outputs(tmp_path / "local", Path("photos"), params, 2)
        with opened(scheduler, 1) as cluster:
            assert isinstance(cluster, Cluster)
            until(lambda: len(cluster._client.nthreads()) == 3)
            assert cluster.workers() == [""] * 3
            killing = KillsOne(cluster, monkeypatch, after=4)
            found = outputs(tmp_path / "cluster", Path("photos"), params, cluster)
            assert len(cluster._client.nthreads()) == 2 and len(killing.killed) >= 2
            until(lambda: not any(process.is_running() for process in killing.killed[1:]))
    assert found.keys() == local.keys() and len(found) > 5
    assert [name for name in found if found[name] != local[name]] == []
    table = pd.read_csv(tmp_path / "cluster/manifest.csv", index_col="path")
    assert table["reasons"].dropna().to_dict() == {"crash.png": "crashed", "hang.png": "too_slow"}
