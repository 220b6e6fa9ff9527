"""Every command of docs/using.md runs, and so does its Python."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import REPOSITORY, make_photo
from PIL import Image, ImageChops

from chromascape.cli import main
from chromascape.colorizing.colorizer import SHIPPED

PAGE = (REPOSITORY / "docs/using.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page's examples speak of."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("old.jpg", "other.tif", "scans/a.jpg", "scans/b.jpg", "scans/deep/c.png")):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(make_photo(number, 80, 60)).convert("L").save(name)
    Image.fromarray(make_photo(0, 80, 60)).save("other.jpg")  # the scene of old.jpg
    Path("mymodel").symlink_to(SHIPPED)
    (json,) = blocks("json")
    Path("hints").mkdir()
    for file in ("old.json", "hints/a.json"):
        Path(file).write_text(json)
    paint = Image.new("RGBA", (80, 60))
    paint.paste("#c26a2e", (10, 10, 40, 40))
    paint.save("old-hints.png")


def test_every_command_runs_and_makes_what_it_says() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 16
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "chromascape" and main([*arguments, "--overwrite"]) == 0, line
    made = {path.as_posix() for path in [*Path("colorized").rglob("*.*"), *Path("out").rglob("*.*"), Path("new.png")]}
    assert made == {
        "colorized/old.jpg", "new.png", "out/old.jpg", "out/other.tif",
        "out/some/a.jpg", "out/some/b.jpg",
        "out/tree/a.jpg", "out/tree/b.jpg", "out/tree/deep/c.png", "out/vivid/old.jpg", "out/calm/old.jpg",
        "out/hinted/a.jpg", "out/hinted/b.jpg", "out/pairs/old.jpg", "out/quick/a.jpg", "out/quick/b.jpg",
        "out/mine/old.jpg",
    }  # fmt: skip
    assert Image.open("out/pairs/old.jpg").size == (160, 60)
    for file in ("mine.png", "colorized-hints/old.jpg", "out/hinted/a.jpg", "new.jpg"):
        plain = Image.open("out/tree/a.jpg" if file.endswith("a.jpg") else "colorized/old.jpg")
        assert ImageChops.difference(Image.open(file), plain).getbbox(), f"hints show in {file}"


def test_its_python_runs() -> None:
    (code,) = blocks("python")
    found: dict[str, object] = {}
    exec(code, found)
    assert Image.open("python.jpg").size == (80, 60)
    assert found["colors"].dtype == "float32" and found["colors"].shape == (480, 640, 3)  # type: ignore[attr-defined]
