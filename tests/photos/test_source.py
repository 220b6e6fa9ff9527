"""Folders of photos: what can not be used is named."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import write_photos

from chromascape.errors import ChromascapeError
from chromascape.params import Params
from chromascape.photos import inspection, source


@pytest.fixture
def validate(make_params: Callable[..., Params]) -> Any:
    return make_params({"validate.seconds": 0}).validate_  # so that one job reads in this process


def test_a_missing_folder_is_named(tmp_path: Path, validate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with pytest.raises(ChromascapeError) as caught:
        inspection.inspect_folder(tmp_path / "no", validate, 1)
    assert str(caught.value) == f"data.dir: {tmp_path / 'no'} does not exist: write the path of your photos"


def test_a_tilde_is_explained() -> None:
    with pytest.raises(ChromascapeError) as caught:
        source.check_folder(Path("~/no/such/photos"))
    expected = "data.dir: ~/no/such/photos does not exist ('~' is not expanded: write the whole path)"
    assert str(caught.value).startswith(expected)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("x")
    with pytest.raises(ChromascapeError) as caught:
        source.check_folder(tmp_path / "x.zip")
    expected = f"data.dir: {tmp_path / 'x.zip'} is a file: write the folder that holds the photos"
    assert str(caught.value) == expected


def test_an_empty_folder_is_named(tmp_path: Path, validate: Any) -> None:
    (tmp_path / "inside").mkdir()
    with pytest.raises(ChromascapeError) as caught:
        inspection.inspect_folder(tmp_path, validate, 1)
    expected = f"data.dir: {tmp_path} is empty: put your photos there or point data.dir elsewhere"
    assert str(caught.value) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_folder_without_permission_is_named(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(mode)
    try:
        with pytest.raises(ChromascapeError) as caught:
            source.check_folder(folder)
    finally:
        folder.chmod(0o700)
    assert str(caught.value) == f"data.dir: {folder} can't be read: check its permissions"


def test_a_folder_that_the_system_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ChromascapeError) as caught:
        source.check_folder(tmp_path)
    assert str(caught.value) == f"data.dir: {tmp_path} can't be read: check its permissions"


def test_an_experiment_in_a_temporary_copy_is_told_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / "photos").mkdir(parents=True)
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    with pytest.raises(ChromascapeError) as caught:
        source.check_folder(Path("photos"))
    line = str(caught.value)
    assert line.startswith("data.dir: photos does not exist: this experiment runs in a temporary copy")
    assert line.endswith(f"write data.dir: {tmp_path / 'repository' / 'photos'}")
    with pytest.raises(ChromascapeError, match=r"no-such does not exist: write the path of your photos$"):
        source.check_folder(Path("no-such"))


def test_only_a_relative_folder_outside_the_repository_gets_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / "data").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    assert source.relative_note(Path("data")) == ""
    assert source.relative_note(tmp_path / "photos") == ""
    note = source.relative_note(Path("../photos"))
    assert note.startswith("note: data.dir: ../photos is relative and outside the repository.")
    assert note.endswith(f"write {tmp_path / 'photos'} for those\n")


def untrackable(folder: Path) -> str:
    with pytest.raises(ChromascapeError) as caught:
        source.check_trackable(folder)
    line = str(caught.value)
    assert line.startswith("data.dir: DVC can't track ") and f" of the files in {folder}: " in line
    assert line.endswith(": remove, rename or repair them") and "\n" not in line
    line.encode("utf-8")  # so that it can be printed
    return line


def test_photos_texts_and_links_are_trackable(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 1)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "link.png").symlink_to("in/photo-000.png")
    (tmp_path / "folder").symlink_to("in", target_is_directory=True)
    assert source.check_trackable(tmp_path) == 4


def test_a_dvcignore_among_the_photos_is_untrackable(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", 1)
    (tmp_path / "in" / ".dvcignore").write_text("*.txt")
    assert "'in/.dvcignore' (DVC allows this file only in the repository's root)" in untrackable(tmp_path)


def link_to_pipe(path: Path) -> None:
    os.mkfifo(path.parent.parent / "pipe")
    path.symlink_to("../pipe")


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (os.mkfifo, "'x.png' (not a regular file)"),
        (lambda path: path.symlink_to("nowhere"), "'x.png' (broken link)"),
        (lambda path: path.symlink_to(path.name), "'x.png' (broken link)"),
        (link_to_pipe, "'x.png' (not a regular file)"),
        (make_socket, "'x.png' (not a regular file)"),
    ],
    ids=["pipe", "broken link", "link to itself", "link to a pipe", "socket"],
)
def test_what_dvc_stops_at_is_named(tmp_path: Path, make: Callable[[Path], None], problem: str) -> None:
    folder = tmp_path / "photos"
    write_photos(folder, 1)
    make(folder / "x.png")
    assert f"1 of the files in {folder}: {problem}" in untrackable(folder)


def test_a_name_that_is_not_utf8_is_untrackable(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xff.png")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert r"'\udcff.png' (its name is not UTF-8)" in untrackable(tmp_path)


def test_of_many_untrackable_files_three_are_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").symlink_to("nowhere")
    line = untrackable(tmp_path)
    assert "can't track 5 of the files" in line
    assert line.count("(broken link)") == 3


def test_a_file_without_permission_is_untrackable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, 1)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "'photo-000.png' (no permission to read it)" in untrackable(tmp_path)


@pytest.mark.parametrize(
    ("mode", "problem"),
    [(0o000, "'in' (folder that can't be listed)"), (0o444, "'in/photo-000.png' (Permission denied)")],
)
def test_a_closed_folder_inside_is_untrackable(mode: int, problem: str) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        folder = Path(place)
        write_photos(folder / "in", 1)
        folder.chmod(0o755)
        (folder / "in").chmod(mode)
        root = os.geteuid() == 0  # root may read everything
        if root:
            os.seteuid(65534)
        try:
            assert problem in untrackable(folder)
        finally:
            if root:
                os.seteuid(0)
            (folder / "in").chmod(0o700)
