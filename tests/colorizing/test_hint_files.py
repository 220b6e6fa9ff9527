"""Files with hints: what they may hold, and what each wrong one is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import make_photo
from PIL import Image

from chromascape.cli import main
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
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_bytes(data)
    with pytest.raises(ChromascapeError) as caught:
        read_hints(Path("a.json"), (30, 20))
    assert str(caught.value).startswith(message)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
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
