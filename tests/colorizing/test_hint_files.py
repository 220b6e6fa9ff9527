"""Files with hints: what they may hold, and what each wrong one is told."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_photo
from PIL import Image

from chromascape.cli import main
from chromascape.colorizing import hint_files
from chromascape.colorizing.hint_files import MAX_BYTES, from_json, hints_of, read_hints
from chromascape.colorizing.hints import Hint, Painted
from chromascape.errors import ChromascapeError

GOOD = {"x": 0.4, "y": 0.2, "color": "#c26a2e"}


def text(*hints: Any, **others: Any) -> bytes:
    return json.dumps({"chromascape_hints": 1, "hints": list(hints)} | others).encode()


def test_hints_of_the_page_are_read() -> None:
    stroke = GOOD | {"path": [[0.5, 0.5], [1, 0]], "radius": 0.02}
    found = from_json(text(GOOD, stroke), "a")
    assert found == [Hint(0.4, 0.2, "#c26a2e"), Hint(0.4, 0.2, "#c26a2e", ((0.5, 0.5), (1, 0)), 0.02)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "a.json: no JSON: docs/using.md says how hints are written"),
        (b"[" * 100_000, "a.json: no JSON: docs/using.md says how hints are written"),
        (b"[]", "a.json: no hints: they begin with 'chromascape_hints': see docs/using.md"),
        (text(chromascape_hints=2), "a.json: hints of version 2, but this version of Chromascape reads 1"),
        (text(hints=7), "a.json: 'hints' must be a list of at most 1,000 hints"),
        (text(*[GOOD] * 1001), "a.json: 'hints' must be a list of at most 1,000 hints"),
        (text(7), "a.json: hint 1: must have x, y and color, and may have path and radius, and nothing else"),
        (text(GOOD | {"colour": "red"}), "a.json: hint 1: must have x, y and color, and may have path and radius"),
        (text(GOOD, GOOD | {"x": "0.4"}), "a.json: hint 2: x, y and radius must be numbers, and path a list of pairs"),
        (text(GOOD | {"x": True}), "a.json: hint 1: x, y and radius must be numbers"),
        (text(GOOD | {"path": [[1]]}), "a.json: hint 1: x, y and radius must be numbers, and path a list of pairs"),
        (text(GOOD | {"x": 7}), "a.json: hint 1: (7, 0.2) is outside the photo"),
        (text(GOOD | {"color": "redish"}), "a.json: hint 1: 'redish' is no color"),
        (text(GOOD | {"color": "rgb(300, 0, 0)"}), "a.json: hint 1: 'rgb(300, 0, 0)' is no color"),
        (text(GOOD | {"color": ["red"]}), "a.json: hint 1: ['red'] is no color"),
        (text(GOOD | {"color": "x" * 1_000_000}), "a.json: hint 1: 'xxxxxxxxxxxx...xxxxxxxxxxxxx' is no color"),
        (text(GOOD | {"x": int("9" * 400)}), "a.json: hint 1: x, y and radius must be numbers"),
        (text(GOOD, GOOD | {"path": [[0, 1]] * 99_999}), "a.json: at most 100,000 points of all hints together"),
        (text(GOOD | {"path": None}), "a.json: hint 1: x, y and radius must be numbers, and path a list of pairs"),
        (text(chromascape_hints="\ud800\n"), "a.json: hints of version '\\ud800\\n', but this version"),
        (b"", "a.json: the file is empty"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_bytes(data)
    with pytest.raises(ChromascapeError) as caught:
        read_hints(Path("a.json"), (30, 20))
    assert str(caught.value).startswith(message) and len(str(caught.value)) < 200


def test_a_mark_of_utf8_is_read_over() -> None:
    assert from_json(b"\xef\xbb\xbf" + text(GOOD), "a") == [Hint(0.4, 0.2, "#c26a2e")]


@pytest.mark.parametrize("name", ["a.json", "a.png"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None], name: str) -> None:
    make(tmp_path / name)
    with pytest.raises(ChromascapeError, match=rf"{name}: not a regular file"):
        read_hints(tmp_path / name, (30, 20))


def test_a_layer_of_another_size_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGBA", (90, 80)).save(tmp_path / "a.png")
    monkeypatch.setattr(hint_files, "decode", lambda _: pytest.fail("decoded"))
    with pytest.raises(ChromascapeError, match=r"a\.png: 90 × 80 pixels, but the photo has 30 × 20"):
        read_hints(tmp_path / "a.png", (30, 20))


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hint_files, "read_bytes", lambda _: pytest.fail("read"))
    file = tmp_path / "a.json"
    with file.open("wb") as stream:
        stream.truncate(2 * MAX_BYTES)
    with pytest.raises(ChromascapeError, match=r"a\.json: 10 MB, more than hints have"):
        read_hints(file, (30, 20))


def test_a_layer_fits_its_photo_and_has_transparency(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGBA", (30, 20)).save(file)
    found = read_hints(file, (30, 20))
    assert isinstance(found, Painted) and found.layer.mode == "RGBA"
    with pytest.raises(ChromascapeError, match=r"a\.png: 30 × 20 pixels, but the photo has 60 × 40: paint on a layer"):
        read_hints(file, (60, 40))
    Image.new("RGB", (30, 20)).save(file)
    with pytest.raises(ChromascapeError, match=r"a\.png: has no transparency: paint on a layer of its own"):
        read_hints(file, (30, 20))
    file.write_bytes(b"nothing")
    with pytest.raises(ChromascapeError, match=r"a\.png: not a picture: hints are a \.json file, or a PNG with paint"):
        read_hints(file, (30, 20))


def test_a_folder_of_hints_has_the_photos_names(tmp_path: Path) -> None:
    (tmp_path / "saved-hints.json").touch()  # as the page names them
    (tmp_path / "painted-hints.png").touch()
    assert hints_of(Path("saved.jpg"), tmp_path) == tmp_path / "saved-hints.json"
    assert hints_of(Path("painted.tif"), tmp_path) == tmp_path / "painted-hints.png"
    (tmp_path / "old-hints.json").touch()
    (tmp_path / "old.png").touch()
    (tmp_path / "old.json").touch()
    assert hints_of(Path("scans/old.jpg"), tmp_path) == tmp_path / "old.json"
    assert hints_of(Path("scans/new.jpg"), tmp_path) is None
    assert hints_of(Path("scans/new.jpg"), tmp_path / "old.json") == tmp_path / "old.json"
    assert hints_of(Path("scans/new.jpg"), None) is None


def test_the_command_line_takes_hints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("old.png", "new.png"):
        Image.fromarray(make_photo(1, 80, 60)).convert("L").save(name)
    Path("hints").mkdir()
    Path("hints/old.json").write_bytes(text(GOOD | {"radius": 0.3}))
    assert main(["colorize", "old.png", "new.png", "-o", "out", "--hints", "hints", "--model", "shipped"]) == 0
    assert capsys.readouterr().err == "note: new.png: no hints for it in hints\n"
    old, new = (Image.open(f"out/{name}.png").tobytes() for name in ("old", "new"))
    assert old != new
    assert main(["colorize", "old.png", "-o", "one.png", "--hints", "hints/old.json", "--model", "shipped"]) == 0
    assert Image.open("one.png").tobytes() == old
    capsys.readouterr()
    wrong = {"a.json": "no such file", "hints/old.json": "hints of one photo: for several name a folder of such files"}
    for file, problem in wrong.items():
        assert main(["colorize", "old.png", "new.png", "-o", "other", "--hints", file]) == 1
        assert capsys.readouterr().err == f"error: {file}: {problem}\n"
    Path("hints/old.json").write_bytes(b"{")
    assert main(["colorize", "old.png", "new.png", "-o", "more", "--hints", "hints", "--model", "shipped"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "error: old.png: hints/old.json: no JSON: docs/using.md says how hints are written",
        "note: new.png: no hints for it in hints",
    ]
    assert captured.out.startswith("1 colorized into more")


def test_numbers_that_json_does_not_know_are_no_places() -> None:
    for data in (b'{"chromascape_hints": 1, "hints": [{"x": NaN, "y": 0.2, "color": "red"}]}',
                 b'{"chromascape_hints": 1, "hints": [{"x": 0.1, "y": 1e999, "color": "red"}]}',
                 text(GOOD | {"radius": float("nan")})):  # fmt: skip
        with pytest.raises(ChromascapeError, match=r"^a: hint 1: .*(outside the photo|not a share)"):
            from_json(data, "a")


def test_any_values_are_hints_or_one_line() -> None:
    rng, good = random.Random(0), GOOD | {"path": [[0.5, 0.5]], "radius": 0.1}
    odd = [
        None, True, -1, 10**400, "", "none", "rgb(1,2,999)", "hsl(400,200%,300%)", "hsv(1,1%,999%)", [], [[0, 1]],
        [[0.1, 0.2, 0.3]], {}, "\ud800", "x" * 200, float("nan"), float("inf"),
    ]  # fmt: skip
    for _ in range(2000):
        entry = {key: rng.choice(odd) if rng.random() < 0.4 else value for key, value in good.items()}
        data = bytearray(text(entry) if rng.random() < 0.9 else text(hints=rng.choice(odd)))
        if rng.random() < 0.3:
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            from_json(bytes(data), "a")
        except ChromascapeError as error:
            assert str(error).startswith("a: ") and str(error).isprintable() and len(str(error)) < 250


def test_a_text_of_10_mb_is_not_parsed() -> None:
    with pytest.raises(ChromascapeError, match=r"^a: 10 MB, more than hints have \(at most 5 MB\)$"):
        from_json(b"[" * 10_000_000, "a")


def test_every_wrong_file_of_a_folder_run_is_one_line_and_the_rest_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("scans", "hints"):
        Path(folder).mkdir()
    wrong = {
        "a.json": text(GOOD | {"x": 3}), "b.json": text(GOOD | {"color": "redish"}), "c.json": text(*[GOOD] * 10_000),
        "d.json": b" " * 10_000_000, "e.json": text(chromascape_hints=9), "f.png": b"nothing", "g.png": None,
        "h.png": None, "i.json": text(GOOD), "j.json": text(GOOD | {"y": int("9" * 400)}),
        "k-hints.json": text(GOOD | {"color": "hsl(0, 100%, 500%)"}),
    }  # fmt: skip
    for file, data in wrong.items():
        Image.fromarray(make_photo(1, 80, 60)).convert("L").save(f"scans/{file[0]}.png")
        if data is not None:
            Path("hints", file).write_bytes(data)
    Image.new("RGB", (80, 60)).save("hints/g.png")
    Image.new("RGBA", (40, 30)).save("hints/h.png")
    assert main(["colorize", "scans", "-o", "out", "--hints", "hints", "--model", "shipped", "--jobs", "2"]) == 1
    captured = capsys.readouterr()
    said = [line.removeprefix("error: scans/") for line in captured.err.splitlines()]
    assert [line.partition(": hints/")[2][:40] for line in said] == [
        "a.json: hint 1: (3, 0.2) is outside the ", "b.json: hint 1: 'redish' is no color: wr",
        "c.json: 'hints' must be a list of at mos", "d.json: 10 MB, more than hints have (at ",
        "e.json: hints of version 9, but this ver", "f.png: not a picture: hints are a .json ",
        "g.png: has no transparency: paint on a l", "h.png: 40 × 30 pixels, but the photo has",
        "j.json: hint 1: x, y and radius must be ", "k-hints.json: hint 1: 'hsl(0, 100%, 500%",
    ]  # fmt: skip
    assert captured.out.startswith("1 colorized into out") and [file.name for file in Path("out").iterdir()] == [
        "i.png"
    ]


def test_hints_that_changed_make_the_picture_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(make_photo(1, 80, 60)).convert("L").save("old.png")
    Path("old.json").write_bytes(text(GOOD | {"radius": 0.3}))
    os.utime("old.json", (1, 1))

    def run(*more: str) -> tuple[bytes, str]:
        assert main(["colorize", "old.png", "--model", "shipped", *more]) == 0
        folder = "colorized-hints" if "--hints" in more else "colorized"
        return Path(folder, "old.png").read_bytes(), capsys.readouterr().out.split()[0]

    plain, _ = run()
    first, count = run("--hints", "old.json")
    assert first != plain and count == "1", "another folder than the plain picture's"
    assert run("--hints", "old.json") == (first, "0")
    Path("old.json").write_bytes(text(GOOD | {"color": "#3050c0", "radius": 0.3}))
    os.utime("old.json", (2e9, 2e9))
    second, count = run("--hints", "old.json")
    assert second != first and count == "1"
