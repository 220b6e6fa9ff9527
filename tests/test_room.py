"""Free disk and memory, with disks, memory and containers pretended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from chromascape import room
from chromascape.errors import ChromascapeError


def pretend_memory(monkeypatch: pytest.MonkeyPatch, available: int, total: int = 64 * 10**9) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available, total=total))


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lay Linux's files of control groups: lines of /proc/self/cgroup, and the content of files by path."""

    def lay(lines: str, files: dict[str, str]) -> None:
        (tmp_path / "membership").write_text(lines)
        for name, text in files.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(text)
        monkeypatch.setattr(room, "MEMBERSHIP", tmp_path / "membership")
        monkeypatch.setattr(room, "CGROUPS", tmp_path / "cgroup")

    return lay


def test_free_disk_is_that_of_the_disk_where_the_folder_will_be(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert abs(room.free_disk(tmp_path / "not" / "there" / "yet") - free) < 5e9  # others write meanwhile
    assert room.existing(tmp_path / "not" / "there") == tmp_path


def test_what_fits_passes_and_what_does_not_is_one_line_with_need_free_and_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_disk", lambda path: 3_000_000)
    room.check_disk(tmp_path, 3_000_000, "shards", "lower it")
    with pytest.raises(ChromascapeError) as caught:
        room.check_disk(tmp_path, 3_000_001_000, "shards", "lower it")
    line = f"{tmp_path}: no room for shards: they need about 3.0 GB and 3 MB are free on this disk: lower it"
    assert str(caught.value) == line


def test_memory_is_what_the_system_has_available(groups: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    groups("0::/\n", {})
    pretend_memory(monkeypatch, 5_000_000_000)
    assert room.free_memory() == 5_000_000_000
    room.check_memory(5_000_000_000, "training", "lower it")
    with pytest.raises(ChromascapeError, match=r"not enough memory for training: it needs about 6\.0 GB and 5\.0 GB"):
        room.check_memory(6_000_000_000, "training", "lower it")


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        (
            "0::/job/step\n",
            {
                "job/memory.max": "4000000000\n", "job/memory.current": "1500000000\n",
                "job/memory.stat": "anon 1\ninactive_file 500000000\n",
                "job/step/memory.max": "max\n", "job/step/memory.current": "7\n", "job/step/memory.stat": "",
            },
        ),
        (
            "4:memory:/on/the/host\n3:cpuset:/\n0::/\n",
            {
                "memory/memory.limit_in_bytes": "4000000000\n", "memory/memory.usage_in_bytes": "1500000000\n",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 500000000\n",
            },
        ),
    ],
    ids=["v2: of the outer group", "v1: of the container, whose path is the host's"],
)  # fmt: skip
def test_a_container_s_limit_counts_without_the_files_it_has_read(
    groups: Callable[..., None], monkeypatch: pytest.MonkeyPatch, lines: str, files: dict[str, str]
) -> None:
    groups(lines, files)
    pretend_memory(monkeypatch, 50 * 10**9)
    assert room.container_limits() == [(4_000_000_000, 1_000_000_000)]
    assert room.free_memory() == 3_000_000_000
    pretend_memory(monkeypatch, 1_000, total=3_000_000_000)  # a limit above the machine's memory is none
    assert room.container_limits() == [] and room.free_memory() == 1_000


def test_without_control_groups_there_are_no_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MEMBERSHIP", tmp_path / "nowhere")
    assert room.container_limits() == []


@pytest.mark.parametrize(
    ("count", "text"), [(-5, "0 MB"), (3_400_000, "3 MB"), (1.25e9, "1.2 GB"), (7.04e12, "7.0 TB")]
)
def test_bytes_are_shown_as_a_person_reads_them(count: float, text: str) -> None:
    assert room.shown_bytes(count) == text
