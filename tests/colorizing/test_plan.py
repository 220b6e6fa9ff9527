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
    pairs = make_plan(list(inputs), output, recursive).pairs
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
        ("b.gif", "b.gif: .gif can't be written; choose one of .avif, .bmp, .*, or b.gif/ for a folder$"),
        ("notes", "notes: is a file but"),
        ("", "-o '': name a file or a folder; pictures are not written to standard output$"),
        ("-", "-o '-': name a file or a folder"),
        *((f"b{suffix}", f"b{suffix}: {suffix.lower()} can't be written") for suffix in (
            ".heic", ".JXL", ".pdf", ".jpgg", ".pngg", ".tifff", ".jp", ".svg", ".xyz", ".colorized",
        )),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be(output: str, said: str) -> None:
    touch("a.png", "notes")
    with pytest.raises(ChromascapeError, match=f"^{said}"):
        planned("a.png", output=output)
    assert not [path for path in Path().iterdir() if path.is_dir()]


@pytest.mark.parametrize("output", ["b.heic", "b.jpgg", "b.pdf"])
def test_a_pictures_name_is_no_folder_for_several(output: str) -> None:
    touch("a.png", "b.png")
    with pytest.raises(ChromascapeError, match=f"^{output}: .* can't be written"):
        planned("a.png", "b.png", output=output)


@pytest.mark.parametrize("output", ["new.jpg/", "b.xyz/", "out.2024", "out. old photos"])
def test_one_photo_goes_into_what_is_said_to_be_a_folder(output: str) -> None:
    touch("a.png")
    assert planned("a.png", output=output) == {"a.png": f"{output.rstrip('/')}/a.png"}


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


def test_brackets_of_folders_that_are_there_are_no_pattern() -> None:
    touch("scans [1931]/a.png", "scans [1931]/b.jpg", "c[1]d/e[2]/f.png", "c1d/e2/f.png")
    assert list(planned("scans [1931]/*.png")) == ["scans [1931]/a.png"]
    assert list(planned(str(Path("scans [1931]/*").absolute()))) == [
        str(Path("scans [1931]", name).absolute()) for name in ("a.png", "b.jpg")
    ]
    assert list(planned("c[1]d/**/*.png")) == ["c[1]d/e[2]/f.png"]
    assert list(planned("c?d/*/f.png")) == ["c1d/e2/f.png"]


def test_an_empty_name_is_not_the_current_folder() -> None:
    touch("a.png")
    with pytest.raises(ChromascapeError, match=r"^an input has an empty name: name a photo"):
        planned("")


def test_what_macos_writes_beside_photos_is_skipped_and_told() -> None:
    touch("in/a.png", "in/._real.png", "bare/x.txt")
    for name in ("in/._a.png", "in/._b.jpg", "bare/._a.png"):
        Path(name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    plan = make_plan(["in"], "out", False)
    assert [source.as_posix() for source, _ in plan.pairs] == ["in/._real.png", "in/a.png"]
    assert plan.notes == [f"{Path(name)}: what macOS knows of a file, not a photo: skipped" for name in
                          ("in/._a.png", "in/._b.jpg")]  # fmt: skip
    assert list(planned("in/._*.*")) == ["in/._real.png"]
    with pytest.raises(ChromascapeError, match=r"^bare: no photos in this folder"):
        planned("bare")


def test_named_twice_it_is_colorized_once() -> None:
    touch("a.png", "b.png")
    assert list(planned("a.png", "*.png")) == ["a.png", "b.png"]
    plan = make_plan(["a.png", str(Path("a.png").absolute()), "."], "out", False)
    assert [source.name for source, _ in plan.pairs] == ["a.png", "b.png"] and not plan.errors


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
        plan = make_plan(["in"], "out", True)
    finally:
        Path("in/closed").chmod(0o700)
    assert plan.errors == [f"{Path('in/closed')}: this folder can't be read: check its permissions"]
    assert len(plan.pairs) == 1


def test_folders_inside_that_are_links_are_told_and_those_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("in/a.png", "elsewhere/b.png", "in/closed/c.png")
    Path("in/link").symlink_to(Path("elsewhere").resolve())
    listed = ["a.png", "closed", "link"]
    monkeypatch.setattr("chromascape.colorizing.plan.list_files", lambda folder: listed)
    plan = make_plan(["in"], "out", True)
    assert plan.errors == [f"{Path('in/closed')}: this folder can't be read: check its permissions"]
    assert plan.notes == [f"{Path('in/link')}: a link to a folder, which is not followed: give it as an input"]
    assert [source for source, _ in plan.pairs] == [Path("in/a.png")]


def test_names_that_differ_only_by_a_kept_suffix_stay_apart() -> None:
    touch("in/a.png", "in/a.jpg", "in/a.jpeg")
    assert sorted(planned("in").values()) == ["out/a.jpeg", "out/a.jpg", "out/a.png"]


def test_a_clash_of_names_leaves_out_one_photo_alone() -> None:
    touch("in/a.png", "in/a.gif", "in/b.png", "other/b.png")
    plan = make_plan(["in", "other"], "out", False)
    assert [(str(source), str(target)) for source, target in plan.pairs] == [
        (str(Path("in/a.png")), str(Path("out/a.png"))), (str(Path("in/b.png")), str(Path("out/b.png"))),
    ]  # fmt: skip
    assert plan.errors == [
        f"{Path(source)}: would become {Path(target)}, as {Path(first)} does: colorize it into another folder"
        for source, target, first in (
            ("other/b.png", "out/b.png", "in/b.png"), ("in/a.gif", "out/a.png", "in/a.png"),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(("inputs", "output"), [(["a.png", "s3://bucket/in"], "out"), (["a.png"], "s3://bucket/out")])
def test_object_storage_is_refused_in_one_line(inputs: list[str], output: str) -> None:
    touch("a.png")
    with pytest.raises(ChromascapeError, match=r"^s3://bucket/.*: colorize takes files of this machine only: copy the"):
        make_plan(inputs, output, False)
