"""Which photo becomes which file."""

import os
from pathlib import Path

import pytest

from chromascape.colorizing.plan import make_plan
from chromascape.errors import ChromascapeError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def planned(*inputs: str, output: str = "out", recursive: bool = False) -> dict[str, str]:
    pairs = make_plan(list(inputs), Path(output), recursive).pairs
    return {source.as_posix(): target.as_posix() for source, target in pairs}


@pytest.mark.parametrize("output", ["b.bmp", "b.PNG", "new/b.avif", "b.jpe", "b.jp2", "b.ppm", "b.tif"])
def test_an_output_with_a_pictures_suffix_is_a_file(output: str) -> None:
    touch("a.png")
    assert planned("a.png", output=output) == {"a.png": output}


@pytest.mark.parametrize("output", ["out", "out.2024", "photos.old", "a.b/c"])
def test_any_other_output_is_a_folder(output: str) -> None:
    touch("a.bmp", "b.JPG")
    assert planned("a.bmp", "b.JPG", output=output) == {"a.bmp": f"{output}/a.png", "b.JPG": f"{output}/b.JPG"}


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("b.gif", "b.gif: .gif can't be written; choose one of .avif, .bmp"),
        ("notes", "notes: is a file but"),
    ],
)
def test_outputs_that_cannot_be(output: str, said: str) -> None:
    touch("a.png", "notes")
    with pytest.raises(ChromascapeError, match=f"^{said}"):
        planned("a.png", output=output)


def test_patterns_are_matched_where_a_shell_does_not() -> None:
    touch("in/a.png", "in/b.jpg", "in/notes.txt", "in/deep/c.png", "in/d.png/e.png")
    assert planned("in/*.png") == {"in/a.png": "out/a.png"}
    assert list(planned("in/*")) == ["in/a.png", "in/b.jpg"]
    assert list(planned("in/**/*.png")) == ["in/a.png", "in/d.png/e.png", "in/deep/c.png"]
    with pytest.raises(ChromascapeError, match=r"^in/\*\.webp: no photo matches$"):
        planned("in/*.webp")


def test_a_file_named_like_a_pattern_is_a_file() -> None:
    touch("a[1].png", "a1.png")
    assert list(planned("a[1].png")) == ["a[1].png"]


def test_named_twice_it_is_colorized_once() -> None:
    touch("a.png", "b.png")
    assert list(planned("a.png", "*.png")) == ["a.png", "b.png"]


def test_a_broken_link_is_named() -> None:
    Path("a.png").symlink_to("gone.png")
    with pytest.raises(ChromascapeError, match=r"^a.png: no such file: a broken link$"):
        planned("a.png")


def test_a_folder_that_cannot_be_read_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not called empty; permissions are simulated, as root may read everything."""
    touch("in/a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ChromascapeError, match=r"^in: this folder can't be read: check its permissions$"):
        planned("in")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything")
def test_closed_folders_inside_are_told() -> None:
    touch("in/a.png", "in/closed/b.png")
    Path("in/closed").chmod(0)
    try:
        plan = make_plan(["in"], Path("out"), True)
    finally:
        Path("in/closed").chmod(0o700)
    assert plan.closed == [Path("in/closed")] and len(plan.pairs) == 1


def test_folders_inside_that_are_links_are_told_and_those_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("in/a.png", "elsewhere/b.png", "in/closed/c.png")
    Path("in/link").symlink_to(Path("elsewhere").resolve())
    listed = ["a.png", "closed", "link"]
    monkeypatch.setattr("chromascape.colorizing.plan.list_files", lambda folder: listed)
    plan = make_plan(["in"], Path("out"), True)
    assert plan.links == [Path("in/link")] and plan.closed == [Path("in/closed")]
    assert [source for source, _ in plan.pairs] == [Path("in/a.png")]


def test_names_that_differ_only_by_a_kept_suffix_stay_apart() -> None:
    touch("in/a.png", "in/a.jpg", "in/a.jpeg")
    assert sorted(planned("in").values()) == ["out/a.jpeg", "out/a.jpg", "out/a.png"]
    touch("in/a.gif")
    with pytest.raises(ChromascapeError, match=r"in/a.png and in/a.gif would both become out/a.png"):
        planned("in")
