"""The `chromascape` command, called in process on small photos."""

import errno
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
import yaml
from conftest import REPOSITORY, Clock, beyond_base, changed_params, make_photo, without
from PIL import Image
from torch import nn

from chromascape import __version__
from chromascape.cli import main
from chromascape.color.measures import colorfulness
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import save
from chromascape.files import sha256_of_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that gives every place some color."""
    torch.manual_seed(0)
    network = build_network("unet")
    nn.init.normal_(network.head.weight, std=0.3)
    nn.init.constant_(network.head.bias, 0.1)
    folder = tmp_path_factory.mktemp("model")
    save(folder, network.state_dict(), "unet", 64, {"faithful": 1.0, "vivid": 1.5})
    return folder


@pytest.fixture
def colorize(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `chromascape colorize ... --model MODEL` in an empty folder; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["colorize", *map(str, arguments), "--model", str(model)])


@pytest.fixture
def by(model: Path) -> str:
    return f" with the model in {model}"


def gray_photo(path: Path | str, seed: int = 0, width: int = 60, height: int = 50) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(make_photo(seed, width=width, height=height)).convert("L").save(path)
    return path


def files_in(folder: Path | str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def is_colored(path: Path | str, size: tuple[int, int] = (60, 50), kind: str = "PNG") -> bool:
    picture = Image.open(path)
    assert (picture.mode, picture.size, picture.format) == ("RGB", size, kind)
    return colorfulness(np.asarray(picture)) > 5


def test_one_photo_into_a_file(colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str) -> None:
    gray_photo("gray.png")
    assert colorize("gray.png", "-o", "new/color.png") == 0
    assert is_colored("new/color.png")
    assert files_in(".") == ["gray.png", "new/color.png"]
    assert capsys.readouterr().out == f"1 colorized into new/color.png{by}\n"


def test_one_photo_into_a_folder_keeps_its_name(colorize: Callable[..., int]) -> None:
    gray_photo("gray.png", width=67, height=31)
    assert colorize("gray.png", "-o", "out") == 0
    assert files_in("out") == ["gray.png"]
    assert is_colored("out/gray.png", (67, 31))


def test_several_photos_keep_their_stems_and_formats(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    kinds = {"a.png": "PNG", "b.jpg": "JPEG", "c.webp": "WEBP", "d.tiff": "TIFF", "e.JPEG": "JPEG", "f.tif": "TIFF"}
    for name in kinds:
        gray_photo(f"in/{name}")
    assert colorize(*(f"in/{name}" for name in kinds), "-o", "out") == 0
    assert files_in("out") == sorted(kinds)
    assert all(is_colored(f"out/{name}", kind=kind) for name, kind in kinds.items())
    assert capsys.readouterr().out == f"6 colorized into out{by}\n"


def test_where_nothing_was_trained_the_shipped_model_colorizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gray_photo("a.png", width=90, height=70)
    assert main(["colorize", "a.png"]) == 0
    assert is_colored("colorized/a.png", (90, 70))
    assert capsys.readouterr().out == "1 colorized into colorized with the model that comes with Chromascape\n"


def test_a_model_that_is_worse_than_the_shipped_one_is_told_so(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gray_photo("a.png")
    shutil.copytree(model, "models/colorizer")
    Path("metrics").mkdir()
    over = {"gain_db": -0.127, "ci95_db": [-0.25, -0.01], "win_rate": 0.4, "n_photos": 60, "n_scenes": 50}
    figures = {"model_sha256": sha256_of_file(model / "config.json"), "val": {"over_shipped": over}}
    Path("metrics/evaluate.json").write_text(json.dumps(figures), encoding="utf-8")
    assert main(["colorize", "a.png"]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"note: {Path('models/colorizer')}: worse than the shipped model: −0.13 dB PSNR")
    assert said.count("\n") == 1 and "60 validation photos (`--model shipped` uses that one)" in said
    assert main(["colorize", "a.png", "--model", "shipped", "-o", "shipped"]) == 0
    assert capsys.readouterr() == ("1 colorized into shipped with the model that comes with Chromascape\n", "")


def test_the_vivid_rendering_is_more_colorful(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    assert colorize("a.png", "-o", "faithful") == colorize("a.png", "-o", "vivid", "--vivid") == 0
    faithful, vivid = (np.asarray(Image.open(f"{folder}/a.png")) for folder in ("faithful", "vivid"))
    assert colorfulness(faithful) < colorfulness(vivid)


def test_style_is_the_same_as_vivid_and_saturation_a_factor(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    flags = {"one": ["--vivid"], "two": ["--style", "vivid"], "none": ["--saturation", "0"], "plain": []}
    for folder, more in flags.items():
        assert colorize("a.png", "-o", folder, *more) == 0
    one, two, none, plain = (np.asarray(Image.open(f"{folder}/a.png")) for folder in flags)
    np.testing.assert_array_equal(one, two)
    assert colorfulness(none) < 1 < colorfulness(plain) < colorfulness(one)


def test_compare_writes_gray_and_color_side_by_side(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    assert colorize("a.png", "-o", "out", "--compare") == 0
    pair = np.asarray(Image.open("out/a.png"))
    assert pair.shape == (50, 120, 3)
    assert colorfulness(pair[:, :60]) < 1 < colorfulness(pair[:, 60:])


def test_a_file_of_another_format_is_a_file(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    assert colorize("a.png", "-o", "b.bmp") == 0
    assert is_colored("b.bmp", kind="BMP")


def test_notes_are_printed_and_are_no_failures(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    Image.new("RGBA", (40, 30), (90, 90, 90, 100)).save("a.png")
    Path("in").mkdir()
    gray_photo("in/b.png")
    Path("in/link").symlink_to(".")
    assert colorize("a.png", "in", "-o", "out", "--recursive") == 0
    assert colorize("a.png", "-o", "c.jpg") == 0
    said = capsys.readouterr()
    assert "note: in/link: a link to a folder, which is not followed: give it as an input\n" in said.err
    assert "note: a.png: JPEG has no transparency: transparent parts become white\n" in said.err
    assert said.out == f"2 colorized into out{by}\n1 colorized into c.jpg{by}\n"


def test_a_closed_folder_is_a_failure(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Told of by the listing, which is simulated, as root may read everything."""
    gray_photo("in/a.png")
    Path("in/closed").mkdir()
    monkeypatch.setattr("chromascape.colorizing.plan.list_files", lambda folder: ["a.png", "closed"])
    assert colorize("in", "-o", "out", "--recursive") == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: in/closed: this folder can't be read: check its permissions\n")
    assert said.out == f"1 colorized into out{by}, 1 failed\n"


def test_colorizing_loads_nothing_that_it_does_not_need(model: Path, tmp_path: Path) -> None:
    """Each package would be waited for at the first photo, and so would what takes longest of Python's own."""
    gray_photo(tmp_path / "a.png")
    code = f"""
import sys
there = set(sys.modules)
from chromascape.cli import main
def loaded():
    found = {{name for name in sys.modules if name not in there}}
    packages = {{name.partition(".")[0] for name in found}} - sys.stdlib_module_names - {{"org"}}
    slow = {{"ssl", "email", "http.client", "importlib.metadata", "asyncio", "multiprocessing", "sqlite3"}} & found
    print(*sorted(packages | slow))
assert main(["colorize", "a.png", "-o", "shipped"]) == 0
loaded()
assert main(["colorize", "a.png", "-o", "mine", "--model", {str(model)!r}]) == 0
loaded()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[1::2] == ["PIL chromascape numpy onnxruntime safetensors"] * 2


def test_what_a_base_install_lacks_is_one_line_that_names_the_extra(model: Path, tmp_path: Path) -> None:
    gray_photo(tmp_path / "a.png")
    commands = {
        ("check",): f"the package filelock is missing: pip install -e '{REPOSITORY}[pipeline]'",
        ("doctor",): f"the package psutil is missing: pip install -e '{REPOSITORY}[pipeline]'",
        ("serve",): f"the package uvicorn is missing: pip install -e '{REPOSITORY}[serve]'",
        ("colorize", "a.png", "--device", "cuda"): f"{SHIPPED}: device cuda needs the package torch: "
        f"pip install -e '{REPOSITORY}[torch]'",
        ("colorize", "a.png", "--model", "models:/chromascape/1"): "models:/chromascape/1: needs filelock: "
        f"pip install -e '{REPOSITORY}[pipeline]'",
        ("colorize", "a.png", "--device", "gpu"): "device: no device 'gpu'; choose one of auto, cuda, mps, cpu",
        ("colorize", "a.png", "--model", "elsewhere"): "elsewhere/config.json: no such file: name a folder with a "
        "trained model, or train one",
    }
    code = without(*beyond_base())
    code += f"print([main(list(command)) for command in {list(commands)!r}])"
    code += f"; main(['colorize', 'a.png', '-o', 'b.png', '--model', {str(model)!r}])"  # a trained model needs no torch
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr.splitlines() == [f"error: {line}" for line in commands.values()]
    assert done.stdout == f"{[1] * len(commands)}\n1 colorized into b.png with the model in {model}\n"


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.ppm", "a.jp2"])
def test_formats_that_are_not_written_become_png(colorize: Callable[..., int], name: str) -> None:
    gray_photo(name)
    assert colorize(name, "-o", "out") == 0
    assert files_in("out") == ["a.png"]
    assert is_colored("out/a.png")


def test_a_folder_takes_its_photos_and_leaves_the_rest(colorize: Callable[..., int]) -> None:
    for name in ("a.png", "b.jpg", "sub/c.png"):
        gray_photo(f"in/{name}")
    Path("in/notes.txt").write_text("no photo")
    assert colorize("in", "-o", "out") == 0
    assert files_in("out") == ["a.png", "b.jpg"]


def test_recursive_keeps_the_tree(colorize: Callable[..., int]) -> None:
    for name in ("a.png", "x/a.png", "x/y/b.bmp"):
        gray_photo(f"in/{name}")
    assert colorize("in", "-o", "out", "--recursive") == 0
    assert files_in("out") == ["a.png", "x/a.png", "x/y/b.png"]
    assert is_colored("out/x/y/b.png")


def test_folders_and_files_together(colorize: Callable[..., int]) -> None:
    gray_photo("in/a.png")
    gray_photo("b.png")
    assert colorize("in", "b.png", "-o", "out") == 0
    assert files_in("out") == ["a.png", "b.png"]


def test_a_folder_named_like_a_photo_is_a_folder(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    gray_photo("b.png")
    Path("out.png").mkdir()
    assert colorize("a.png", "b.png", "-o", "out.png") == 0
    assert files_in("out.png") == ["a.png", "b.png"]


def test_outputs_that_exist_are_skipped_and_overwrite_replaces_them(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    for name in ("a.png", "b.png"):
        gray_photo(f"in/{name}")
    Path("out").mkdir()
    Path("out/a.png").write_text("mine")
    assert colorize("in", "-o", "out") == 0
    said = f"1 colorized into out{by}, 1 skipped because the output exists (--overwrite replaces it)\n"
    assert capsys.readouterr().out == said
    assert Path("out/a.png").read_text() == "mine"
    assert colorize("in", "-o", "out", "--overwrite") == 0
    assert capsys.readouterr().out == f"2 colorized into out{by}\n"
    assert is_colored("out/a.png")


def test_colorizing_again_gives_the_same_bytes(colorize: Callable[..., int]) -> None:
    gray_photo("a.png")
    for output in ("one.png", "two.png"):
        assert colorize("a.png", "-o", output) == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_bad_photos_are_reported_and_the_rest_go_on(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    for name in ("a.png", "z.png"):
        gray_photo(f"in/{name}")
    whole = gray_photo("whole.png").read_bytes()
    Path("in/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("in/empty.jpg").write_bytes(b"")
    Path("in/text.png").write_text("no photo")
    assert colorize("in", "-o", "out") == 1
    said = capsys.readouterr()
    assert files_in("out") == ["a.png", "z.png"]
    assert said.out == f"2 colorized into out{by}, 3 failed\n"
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in lines] == ["in/cut.png", "in/empty.jpg", "in/text.png"]
    assert lines[1] == "error: in/empty.jpg: the file is empty"
    assert "in none of the formats" in lines[2]


def test_a_folder_of_many_photos_is_not_silent_in_a_log(
    colorize: Callable[..., int], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for number in range(4):
        gray_photo(f"in/{number}.png")
    monkeypatch.setattr(Colorizer, "strips", clock.slow(Colorizer.strips, 25))
    assert colorize("in", "-o", "out") == 0
    assert clock.lines == [(50, "colorize: 2 of 4 photos"), (100, "colorize: 4 of 4 photos")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_reported_and_not_waited_for(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.png")
    assert colorize("pipe.png", "-o", "out") == 1
    assert "error: pipe.png: not a regular file" in capsys.readouterr().err


def test_a_full_disk_is_one_line_and_leaves_no_piece(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    gray_photo("a.png")

    def full(self: Image.Image, file: IO[bytes], *_: Any, **__: Any) -> None:
        file.write(b"half a pho")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert colorize("a.png", "-o", "out") == 1
    said = capsys.readouterr()
    assert "error: a.png: " in said.err and "No space left on device; free some space on this disk" in said.err
    assert said.out == f"0 colorized into out{by}, 1 failed\n"
    assert files_in("out") == []


def test_a_photo_that_its_format_cannot_hold_is_reported(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """WebP ends at 16,383 pixels; Pillow then raises no OSError."""
    gray_photo("wide.png", width=16_500, height=2)
    assert colorize("wide.png", "-o", "wide.webp") == 1
    assert "error: wide.png: " in capsys.readouterr().err
    assert files_in(".") == ["wide.png"]


def errors(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_missing_input_is_named_before_anything_is_done(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    gray_photo("a.png")
    assert colorize("a.png", "nowhere.png", "-o", "out") == 1
    assert errors(capsys) == "error: nowhere.png: no such file\n"
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("flags", "hint"), [([], "; --recursive includes its subfolders"), (["--recursive"], "")], ids=["flat", "recursive"]
)
def test_a_folder_without_photos_is_named(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], flags: list[str], hint: str
) -> None:
    Path("in/sub").mkdir(parents=True)
    Path("in/notes.txt").write_text("no photo")
    assert colorize("in", "-o", "out", *flags) == 1
    assert errors(capsys) == f"error: in: no photos in this folder{hint}\n"


def test_two_inputs_that_would_become_one_file_stop_no_other(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], by: str
) -> None:
    for name in ("z/b.bmp", "z/b.png", "z/c.png"):
        gray_photo(name)
    assert colorize("z", "-o", "out") == 1
    said = capsys.readouterr()
    assert said.err == "error: z/b.bmp: would become out/b.png, as z/b.png does: colorize it into another folder\n"
    assert said.out == f"2 colorized into out{by}, 1 failed\n" and files_in("out") == ["b.png", "c.png"]


def test_without_a_named_output_another_style_is_not_taken_for_done(colorize: Callable[..., int]) -> None:
    """The first lines of the README, one after the other."""
    gray_photo("a.png")
    for flags in ([], ["--vivid"], ["--saturation", "0.7", "--compare"]):
        assert colorize("a.png", *flags) == 0
    assert files_in(".") == ["a.png", "colorized-0.7-compare/a.png", "colorized-vivid/a.png", "colorized/a.png"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_in_any_bytes_are_printed_in_any_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = os.fsdecode(b"caf\xe9-\xd0\x96")
    gray_photo(f"{odd}.png")
    said = {}
    for encoding in ("ascii", "utf-8", "latin-1"):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        assert main(["colorize", f"{odd}.png", "-o", f"{encoding}-{odd}"]) == 0
        assert main(["colorize", f"{odd}.jpg"]) == 1
        for stream in streams:
            stream.flush()
        said[encoding] = [stream.buffer.getvalue().decode(encoding).split(" with")[0] for stream in streams]  # type: ignore[attr-defined]
    assert said == {
        "ascii": ["1 colorized into ascii-caf\\xe9-\\u0416", "error: caf\\xe9-\\u0416.jpg: no such file\n"],
        "utf-8": ["1 colorized into utf-8-caf\\xe9-Ж", "error: caf\\xe9-Ж.jpg: no such file\n"],
        "latin-1": ["1 colorized into latin-1-caf\\xe9-\\u0416", "error: caf\\xe9-\\u0416.jpg: no such file\n"],
    }


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc"), RuntimeError("bad allocation: std::bad_alloc")])
def test_too_little_memory_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    monkeypatch.chdir(tmp_path)
    gray_photo("a.png")

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("onnxruntime.InferenceSession", fail)
    assert main(["colorize", "a.png"]) == 1
    assert re.fullmatch(r"error: .*: not enough memory for this model: close other programs\n", errors(capsys))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Colorizer, "strips", fail)
    assert main(["colorize", "a.png"]) == 1
    assert "error: a.png: not enough memory for a photo of this size: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["in/a.png", "-o", "in"],
        ["in/a.png", "-o", "in/a.png"],
        ["in", "-o", "in"],
        ["in/a.png", "-o", "in/../in/a.png"],
        ["in/a.png", "-o", "link"],
    ],
    ids=" ".join,
)
def test_a_photo_is_never_replaced_by_its_own_colors(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    before = gray_photo("in/a.png").read_bytes()
    Path("link").symlink_to("in")
    assert colorize(*arguments, "--overwrite") == 1
    said = "error: in/a.png: would be replaced by its own colors: choose another output folder\n"
    assert errors(capsys) == said
    assert Path("in/a.png").read_bytes() == before


def test_a_photo_is_never_replaced_by_the_colors_of_another_input(colorize: Callable[..., int]) -> None:
    before = gray_photo("out/sub/a.png", seed=1).read_bytes()
    gray_photo("in/sub/a.png", seed=2)
    assert colorize("in", "out/sub/a.png", "-o", "out", "--recursive", "--overwrite") == 1
    assert Path("out/sub/a.png").read_bytes() == before


def test_outputs_inside_the_input_folder_are_not_taken_as_photos(colorize: Callable[..., int]) -> None:
    gray_photo("in/a.png")
    for _ in range(2):
        assert colorize("in", "-o", "in/out", "--recursive") == 0
    assert files_in("in") == ["a.png", "out/a.png"]


@pytest.mark.parametrize("inputs", [["a.png", "b.png"], ["in"]], ids=["photos", "folder"])
def test_a_file_is_no_place_for_several_photos(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], inputs: list[str]
) -> None:
    for name in ("a.png", "b.png", "in/c.png"):
        gray_photo(name)
    assert colorize(*inputs, "-o", "out.png") == 1
    assert errors(capsys) == "error: out.png: name a folder for more than one photo\n"


def test_a_missing_model_names_the_file_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    gray_photo("a.png")
    assert main(["colorize", "a.png", "-o", "out", "--model", "elsewhere"]) == 1
    place = Path("elsewhere/config.json")
    said = f"error: {place}: no such file: name a folder with a trained model, or train one\n"
    assert errors(capsys) == said
    assert not Path("out").exists()


def test_a_missing_device_is_named(
    colorize: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gray_photo("a.png")
    assert colorize("a.png", "-o", "out", "--device", "cuda") == 1
    assert "device: cuda is not available here" in errors(capsys)
    assert colorize("a.png", "-o", "out", "--device", "tpu") == 1
    assert "device: no device 'tpu'; choose one of auto, cuda, mps, cpu" in errors(capsys)
    assert colorize("a.png", "-o", "out", "--device", "cpu") == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "x"), "error: x: Permission denied; check the permissions"),
        (KeyboardInterrupt(), "stopped"),
    ],
    ids=["permission", "interrupt"],
)
def test_what_goes_wrong_outside_is_one_line(
    colorize: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    said: str,
) -> None:
    def fail(*_: Any) -> Colorizer:
        raise error

    gray_photo("a.png")
    monkeypatch.setattr(Colorizer, "load", fail)
    assert colorize("a.png", "-o", "out") == 1
    err = errors(capsys)
    assert err.startswith(said) and err.count("\n") == 1


def test_errors_of_the_program_itself_are_not_hidden(
    colorize: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Colorizer:
        raise OSError("a message without a number")

    gray_photo("a.png")
    monkeypatch.setattr(Colorizer, "load", fail)
    with pytest.raises(OSError, match="a message without a number"):
        colorize("a.png", "-o", "out")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "COMMAND"),
        (["colorize"], "IN"),
        (["paint"], "'paint'"),
        (["colorize", "a.png", "-o", "out", "--fast"], "--fast"),
        (["colorize", "a.png", "--saturation", "nan"], "--saturation: must be from 0 to 10 (it is nan)"),
        (["colorize", "a.png", "--saturation", "much"], "--saturation: must be a number (it is much)"),
        (["colorize", "a.png", "--jobs", "0"], "--jobs: must be from 1 to 256 (it is 0)"),
        (["colorize", "a.png", "--style", "loud"], "--style: invalid choice: 'loud'"),
        (["serve", "--port", "99999"], "--port: must be from 0 to 65535 (it is 99999)"),
    ],
    ids=["none", "no input", "unknown command", "unknown flag", "nan", "text", "no jobs", "unknown style", "no port"],
)
def test_a_wrong_command_line_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], f"chromascape {__version__}\n"),
        (["--help"], "usage: chromascape [-h] [--version] COMMAND"),
        (["colorize", "--help"], "a file for one photo (its suffix sets the format), else a folder;"),
        (["summary", "--help"], "Print the figures in metrics/evaluate.json"),
        (["export", "--help"], "Write the model as an ONNX file, which ONNX Runtime computes anywhere"),
    ],
    ids=" ".join,
)
def test_version_and_help_import_nothing_heavy(tmp_path: Path, arguments: list[str], said: str) -> None:
    code = f"""
import sys
from chromascape.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    heavy = {{"torch", "numpy", "PIL", "mlflow", "pandas", "tqdm"}} & set(sys.modules)
    print(sorted(heavy), end.code, file=sys.stderr)
"""
    environment = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert said in done.stdout
    assert done.stderr == "[] 0\n"


def test_run_as_a_module_it_is_the_same_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chromascape.cli", "summary"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "error: metrics/evaluate.json: no such file: run `dvc repro` first\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Go to a new project whose data.dir is `photos`, with some params changed; returns that folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(**changes: Any) -> Path:
        values = changed_params({"data.dir": "photos"} | changes)
        Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        Path("photos").mkdir()
        return Path("photos")

    return make


def test_check_says_how_many_files_there_are(project: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = project()
    (folder / "in").mkdir()
    for name in ("a.jpg", "in/b.jpg", "notes.txt"):
        (folder / name).touch()
    assert main(["check"]) == 0
    assert capsys.readouterr() == ("data.dir: 3 files, 0 MB in photos, all trackable by DVC\n", "")


def test_check_of_a_fresh_clone_knows_that_the_sample_is_still_to_come(
    project: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    project(**{"data.dir": "data/sample"})
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "data.dir: data/sample, which the first stage creates\n"
    Path("data/sample").mkdir(parents=True)
    os.mkfifo("data/sample/pipe")
    assert main(["check"]) == 1


def test_check_names_a_pipe_among_ten_thousand_files_in_a_second_or_two(project: Callable[..., Path]) -> None:
    folder = project()
    for number in range(100):
        (folder / f"{number}").mkdir()
        for inside in range(100):
            (folder / f"{number}" / f"{inside}.jpg").touch()
    os.mkfifo(folder / "50" / "x.jpg")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "chromascape.cli", "check"], capture_output=True, text=True, check=False, timeout=60
    )
    seconds = time.monotonic() - start
    expected = "error: data.dir: DVC can't track 1 of the files in photos: '50/x.jpg' (not a regular file): "
    assert done.stderr == expected + "remove, rename or repair them\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert seconds < 8  # about 1 where nothing else runs


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"data.dir": "nowhere"}, "data.dir: nowhere does not exist: write the path of your photos"),
        ({"validate.policy.cmyk": "x"}, "params.yaml: validate.policy.cmyk: must be 'reject' or 'convert' (it is 'x')"),
        ({"train.epoch": 1}, "params.yaml: train.epoch: unknown key; did you mean train.epochs?"),
    ],
)
def test_check_names_a_slip_in_params(
    project: Callable[..., Path], capsys: pytest.CaptureFixture[str], changes: dict[str, Any], line: str
) -> None:
    project(**changes)
    assert main(["check"]) == 1
    assert errors(capsys) == f"error: {line}\n"


def test_check_outside_of_a_project_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 1
    assert errors(capsys) == "error: params.yaml: no such file; run this in the project's folder\n"


def test_check_asks_the_tracking_server(
    project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        start = time.monotonic()
        assert main(["check"]) == 1
    assert time.monotonic() - start < 8
    line = errors(capsys)
    assert line.startswith("error: ") and line.count("\n") == 1 and "MLFLOW_TRACKING_URI" in line and address in line


def test_make_run_checks_before_dvc_hashes() -> None:
    lines = (REPOSITORY / "Makefile").read_text(encoding="utf-8").splitlines()
    assert lines.index("\t$(BIN)/chromascape check") + 1 == lines.index("\t$(BIN)/dvc repro")


FIGURES = {
    "n_photos": 7,
    "n_seen": {"model": 0, "vivid": 0, "shipped": 0},
    "held_out": True,
    "model": {"psnr_db": 23.951, "ssim": 0.91842, "ciede2000": 10.342, "colorfulness": 6.72, "loss_mse_l1": 0.04},
    "vivid": {"psnr_db": 23.451, "ssim": 0.91642, "ciede2000": 10.942, "colorfulness": 9.72, "loss_mse_l1": 0.05},
    "shipped": {"psnr_db": 24.451, "ssim": 0.92642, "ciede2000": 9.942, "colorfulness": 12.34, "loss_mse_l1": 0.03},
    "gray": {"psnr_db": 23.827, "ssim": 0.91227, "ciede2000": 10.286, "colorfulness": 0.03, "loss_mse_l1": 0.06},
    "mean_ab": {"psnr_db": 24.236, "ssim": 0.91196, "ciede2000": 10.374, "colorfulness": 7.07, "loss_mse_l1": 0.07},
    "gain_over_gray_db": 0.123,
    "gain_over_gray_ci95_db": [-0.9026, 0.9329],
    "win_rate_over_gray": 4 / 7,
}


@pytest.fixture
def summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """The lines of `chromascape summary` for these figures with some keys changed."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def run(**changes: Any) -> list[str]:
        Path("metrics").mkdir(exist_ok=True)
        Path("metrics/evaluate.json").write_text(
            json.dumps(FIGURES | {"val": {"over_shipped": None}} | changes), "utf-8"
        )
        assert main(["summary"]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_summary_shows_the_model_beside_gray(summary: Callable[..., list[str]], tmp_path: Path) -> None:
    lines = summary()
    assert lines[0].split() == ["PSNR,", "dB", "SSIM", "CIEDE2000", "colorfulness", "MSE", "+", "L1"]
    assert lines[1].split() == ["model", "23.95", "0.9184", "10.34", "6.7", "0.0400"]
    assert lines[2].split() == ["model,", "vivid", "23.45", "0.9164", "10.94", "9.7", "0.0500"]
    assert lines[3].split() == ["shipped", "model", "24.45", "0.9264", "9.94", "12.3", "0.0300"]
    assert lines[4].split() == ["gray", "input", "23.83", "0.9123", "10.29", "0.0", "0.0600"]
    assert lines[5].split() == ["mean", "training", "color", "24.24", "0.9120", "10.37", "7.1", "0.0700"]
    assert len({len(line) for line in lines[:6]}) == 1
    interval = "(95 % interval -0.90 to +0.93)"
    assert lines[6] == f"gain over gray +0.12 dB {interval} on 7 test photos, better than gray on 57 %"
    assert lines[7:] == [
        f"report   {tmp_path.resolve() / 'reports' / 'index.html'}",
        "MLflow   make ui, then:",
        "runs     http://127.0.0.1:5000",
    ]


def test_summary_links_to_the_port_that_make_ui_is_given(
    summary: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8123")
    assert summary()[8:] == ["MLflow   make ui PORT=8123, then:", "runs     http://127.0.0.1:8123"]


def test_summary_names_the_server_that_has_the_runs(
    summary: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make ui` would serve another page."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@host/mlflow/")
    assert summary()[8:] == ["MLflow   https://host/mlflow", "runs     https://host/mlflow"]


def test_summary_without_an_interval_leaves_it_out(summary: Callable[..., list[str]]) -> None:
    line = summary(gain_over_gray_ci95_db=None, gain_over_gray_db=-0.5)[6]
    assert line == "gain over gray -0.50 dB on 7 test photos, better than gray on 57 %"


def test_summary_gives_no_zero_a_minus(summary: Callable[..., list[str]]) -> None:
    line = summary(gain_over_gray_ci95_db=[-0.004, 0.5], gain_over_gray_db=-0.001)[6]
    assert line.startswith("gain over gray +0.00 dB (95 % interval +0.00 to +0.50) on")


def test_summary_says_of_which_photos_a_model_has_seen(summary: Callable[..., list[str]]) -> None:
    assert "seen" not in "".join(summary())
    lines = summary(held_out=False, n_seen={"model": 2, "vivid": 2, "shipped": 5})
    assert [line.partition("  ")[0] for line in lines[1:6]] == [
        "model (has seen 2 of 7)", "model, vivid (has seen 2 of 7)", "shipped model (has seen 5 of 7)", "gray input",
        "mean training color",
    ]  # fmt: skip
    assert len({len(line) for line in lines[:6]}) == 1
    assert lines[7:9] == [
        "The model was trained on or chosen by 2 of these 7 photos, so its figures are optimistic.",
        "The shipped model was trained on or chosen by 5 of these 7 photos, so its figures are optimistic.",
    ]


def test_summary_without_figures_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["summary"]) == 1
    assert errors(capsys) == "error: metrics/evaluate.json: no such file: run `dvc repro` first\n"


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"], ids=["empty", "cut", "no figures", "a list"])
def test_summary_of_damaged_figures_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    Path("metrics/evaluate.json").write_text(content, encoding="utf-8")
    assert main(["summary"]) == 1
    assert errors(capsys).startswith("error: metrics/evaluate.json: ")
