"""A real Dask scheduler with worker processes: what they give, what kills them, and what is said then."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from conftest import REPOSITORY, changed_params, make_photo, save, write_photos
from hostile import hostile
from hostile_photos import hostile_inspect, slowly
from registered import write_model
from warm import unmeasured

from chromascape import engine, parallel
from chromascape.engine import Cluster, opened
from chromascape.errors import ChromascapeError
from chromascape.health import machine
from chromascape.judging.evaluation import evaluate_splits
from chromascape.parallel import in_parallel
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
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        host = ("--host", "127.0.0.1", "--nthreads", "1", "--local-directory", folder)
        started = [start("worker", address, *host, *options, **environment) for _ in range(count)]
        try:
            yield
        finally:
            for process in started:
                for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
                    child.kill()
                process.kill()
                process.wait()


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
        families = [psutil.Process(self.numbers[address]) for address in busy]
        process = max(families, key=lambda each: len(each.children(recursive=True)))
        self.killed = [process, *process.children(recursive=True)]
        process.kill()

    def orphans(self) -> list[psutil.Process]:
        """The worker's processes that still work."""
        return [child for child in self.killed[1:] if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


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
    changes = {"validate.seconds": 4, "validate.min_accepted": 3, "data.test_only": [], "data.split.train": 0.5}
    params = Params.model_validate(changed_params(changes | {"data.split.val": 0.25, "data.split.test": 0.25}))
    with workers(scheduler.scheduler, 3, "--no-nanny"):
        for name in ("local", "cluster"):
            (tmp_path / name).mkdir()
        local = outputs(tmp_path / "local", Path("photos"), params, 2)
        with opened(scheduler, 1) as cluster:
            assert isinstance(cluster, Cluster)
            until(lambda: len(cluster._client.nthreads()) == 3)
            assert list(cluster.refusals().values()) == [""] * 3
            killing = KillsOne(cluster, monkeypatch, after=4)
            found = outputs(tmp_path / "cluster", Path("photos"), params, cluster)
            assert len(cluster._client.nthreads()) == 2 and len(killing.killed) >= 2
            until(lambda: not killing.orphans())
    assert found.keys() == local.keys() and len(found) > 5
    assert [name for name in found if found[name] != local[name]] == []
    table = pd.read_csv(tmp_path / "cluster/manifest.csv", index_col="path")
    assert table.loc[["crash.png", "hang.png"], "reasons"].tolist() == ["crashed", "too_slow"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The params that name a scheduler with one worker, a thread of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None, silence_logs=False
    ) as cluster:
        yield Engine(name="dask", scheduler=cluster.scheduler_address, chunk=2)
    engine.release()


def test_results_come_in_order_and_arguments_are_taken_little_ahead(quick: Engine, tmp_path: Path) -> None:
    taken: list[int] = []

    def tasks() -> Iterator[tuple[Any, ...]]:
        for number in (0, 1, 2, 4, 7, 9, 10, 11, 12, 13):
            taken.append(number)
            yield number, tmp_path

    with opened(quick, 2) as cluster:
        results = in_parallel(hostile, tasks(), cluster, 10, "double")
        assert next(results) == 0 and len(taken) <= 2 * (engine.AHEAD + 1)
        assert list(results) == [2, 4, 8, 14, 18, 20, 22, 24, 26]


def test_what_a_task_raises_is_raised_here_and_a_lost_one_has_its_stand_in(quick: Engine, tmp_path: Path) -> None:
    with opened(quick, 1) as cluster:
        with pytest.raises(TimeoutError, match="a slow disk"):
            list(in_parallel(hostile, [(1, tmp_path), (6, tmp_path)], cluster, 2, "hostile"))
        with pytest.raises(ChromascapeError, match=r"preprocess: a worker died .* lower jobs \(1\)"):
            list(in_parallel(hostile, [(5, tmp_path)], cluster, 1, "preprocess"))
        found = in_parallel(hostile, [(5, tmp_path), (2, tmp_path)], cluster, 2, "x", 30.0, lambda *values: values[0])
        assert list(found) == [5, 4]


def test_what_is_not_wanted_any_more_is_cancelled(quick: Engine, tmp_path: Path) -> None:
    with opened(quick, 1) as cluster:
        assert isinstance(cluster, Cluster)
        results = in_parallel(slowly, ((number, tmp_path) for number in range(20)), cluster, 20, "slow")
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]  # as an exception in its loop does
        until(lambda: not cluster._client.futures)
        time.sleep(1.5)
    assert len(list(tmp_path.glob("begun-*"))) <= 4  # the chunk that had begun, and not a third


def test_a_worker_that_would_give_other_results_is_refused(quick: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    true = engine.description()
    assert engine.refusal(true) == "" and true["numpy"] != "none" and len(true["code"]) == 12
    monkeypatch.setattr(engine, "description", lambda: true | {"numpy": "1.0"})
    refused = engine.refusal(true)
    assert refused == f"has numpy 1.0, not {true['numpy']}: install the same there, or results may differ"
    with opened(quick, 1) as cluster:
        assert isinstance(cluster, Cluster)
        monkeypatch.setattr(cluster, "_described", true)
        with pytest.raises(ChromascapeError, match=r"^worker tcp://\S+ on \S+: has numpy 1\.0, not "):
            list(in_parallel(hostile, [(1, Path())], cluster, 1, "double"))


def test_a_daemonic_worker_says_what_it_needs(scheduler: Engine) -> None:
    """Dask's nanny makes workers daemonic, unless it is told not to."""
    asked = pytest.raises(ChromascapeError, match=r"may not start processes: .*--no-nanny.*__DAEMON=False")
    with workers(scheduler.scheduler, 1), opened(scheduler, 1) as cluster, asked:
        list(in_parallel(hostile, [(1, Path())], cluster, 1, "double"))


def test_all_workers_lost_is_one_line(
    scheduler: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker of a nanny that was told not to make it daemonic."""
    with workers(scheduler.scheduler, 1, DASK_DISTRIBUTED__WORKER__DAEMON="False"), opened(scheduler, 1) as cluster:
        assert isinstance(cluster, Cluster)
        results = in_parallel(slowly, ((number, tmp_path) for number in range(30)), cluster, 30, "slow")
        assert next(results) == 0
        monkeypatch.setattr(engine, "PATIENCE", 0.3)
        for number in processes_of(cluster).values():
            nanny = psutil.Process(number).parent()
            assert nanny and "worker" in nanny.cmdline()
            nanny.kill()
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        with pytest.raises(ChromascapeError, match="has no workers: start some with `dask worker tcp://"):
            list(results)
    assert "has no workers: waiting 0.3 seconds for some" in capsys.readouterr().err


def test_without_workers_it_waits_and_says_so(
    quick: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.3)
    refused = pytest.raises(ChromascapeError, match=r"^engine.scheduler: tcp://\S+ has no workers")
    with opened(quick, 1) as cluster, refused:
        assert isinstance(cluster, Cluster)
        cluster._client.retire_workers()
        list(in_parallel(hostile, [(1, Path())], cluster, 1, "double"))
    assert capsys.readouterr().err.count("waiting 0.3 seconds") == 1


def test_a_worker_that_does_not_see_the_photos_rejects_none(
    quick: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(tmp_path / "photos", 3)
    params = Params.model_validate(changed_params({}))
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    refused = pytest.raises(ChromascapeError, match=r"worker .*data.dir: .*photos has no photo-000.png here: every")
    with opened(quick, 1) as cluster, refused:
        inspection.inspect_folder(tmp_path / "photos", params.validate_, cluster)


def test_what_can_not_work_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECTING", 0.5)
    nowhere = Engine(name="dask", scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(ChromascapeError) as caught, opened(nowhere, 1):
        pass
    assert str(caught.value).startswith(f"engine.scheduler: {nowhere.scheduler} does not answer (")
    assert "\n" not in str(caught.value) and "engine.name: local" in str(caught.value)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ChromascapeError, match=r"^engine.name: dask needs the package distributed: pip install .*dask"):
        Cluster(nowhere, 1)
    with opened(Engine(), 3) as jobs:
        assert jobs == 3


def test_doctor_asks_the_workers(quick: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    params = Params().model_copy(update={"engine": quick})
    (found,) = machine.engine(params)
    assert found.level == "ok" and "1 worker(s)" in found.text
    monkeypatch.setattr(engine, "refusal", lambda described: "has another")
    (found,) = machine.engine(params)
    assert found.level == "problem" and found.text.endswith("has another")
    assert machine.engine(Params()) == []
