"""Files in, files out: what each keeps, and what is reported if it can't."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import memory
import numpy as np
import pytest
import torch
from conftest import REPOSITORY, make_photo, png
from PIL import ExifTags, Image
from torch import nn
from warm import unmeasured, warm_path

from chromascape.cli import main
from chromascape.color import lab
from chromascape.color.measures import colorfulness
from chromascape.colorizing import batch
from chromascape.colorizing.batch import Options, colorize_file, colorize_files
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.hints import Hint, Painted
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.torch_network import TorchNetwork, save
from chromascape.errors import ChromascapeError
from chromascape.photos import reading
from chromascape.photos.source import PhotoError
from chromascape.photos.writing import prepare

ODD = Path(__file__).resolve().parents[3] / "shared/photos/odd"


@pytest.fixture(scope="module")
def colorizer() -> Colorizer:
    torch.manual_seed(0)
    network = build_network("unet")
    nn.init.normal_(network.head.weight, std=0.3)
    return Colorizer(TorchNetwork(network), "unet", 64)


def gray(path: Path, **options: Any) -> Path:
    Image.fromarray(make_photo(1, 90, 70)).convert("L").save(path, **options)
    return path


def camera_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Model] = 6, "Box"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1931:05:01 12:00:00"
    return exif


@pytest.mark.parametrize("target", ["b.jpg", "b.png", "b.webp", "b.tif", "b.avif"])
def test_turned_photos_keep_resolution_and_capture_data(tmp_path: Path, colorizer: Colorizer, target: str) -> None:
    source = gray(tmp_path / "a.jpg", exif=camera_exif(), dpi=(300, 150))
    assert colorize_file(colorizer, source, tmp_path / target) == []
    image = Image.open(tmp_path / target)
    assert image.size == (70, 90)
    exif = image.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1 and exif[ExifTags.Base.Model] == "Box"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "1931:05:01 12:00:00"
    if target not in ("b.webp", "b.avif"):
        assert tuple(image.info["dpi"]) == pytest.approx((150, 300), abs=0.1)
    upright = np.rot90(np.asarray(Image.open(source)), -1)
    lightness = lab.rgb_to_lab(np.asarray(image.convert("RGB")))[..., 0]
    assert np.abs(lightness - lab.lightness(upright)).mean() < 1.5
    assert colorfulness(np.asarray(image.convert("RGB"))) > 3


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_stays_or_is_told_of(tmp_path: Path, colorizer: Colorizer, mode: str) -> None:
    picture = Image.fromarray(make_photo(1, 90, 70)).convert(mode)
    picture.putalpha(Image.linear_gradient("L").resize((90, 70)))
    picture.save(tmp_path / "a.png")
    for target in ("b.png", "b.webp", "b.tif"):
        assert colorize_file(colorizer, tmp_path / "a.png", tmp_path / target) == []
        alpha = np.asarray(Image.open(tmp_path / target).getchannel("A"))
        np.testing.assert_array_equal(alpha, np.asarray(picture.getchannel("A")))
    told = colorize_file(colorizer, tmp_path / "a.png", tmp_path / "b.jpg")
    assert told == ["JPEG has no transparency: transparent parts become white"]
    assert np.asarray(Image.open(tmp_path / "b.jpg"))[0].mean() > 250


@pytest.mark.parametrize("target", ["b.png", "b.tif"])
def test_gray_of_16_bits_becomes_color_of_16_bits(tmp_path: Path, colorizer: Colorizer, target: str) -> None:
    values = np.arange(70 * 90, dtype=np.uint16).reshape(70, 90) * 10
    Image.fromarray(values).save(tmp_path / "a.png")
    assert colorize_file(colorizer, tmp_path / "a.png", tmp_path / target) == []
    assert reading.bit_depth(reading.open_photo((tmp_path / target).read_bytes())) == 16
    colored = np.asarray(Image.open(tmp_path / target))
    assert np.abs(lab.lightness(colored) - lab.lightness(values)).max() < 1
    told = colorize_file(colorizer, tmp_path / "a.png", tmp_path / "b.jpg")
    assert told == ["JPEG has 8 bits per channel, the photo 16"]


def test_beside_its_gray(tmp_path: Path, colorizer: Colorizer) -> None:
    source = gray(tmp_path / "a.png")
    colorize_file(colorizer, source, tmp_path / "b.png", Options("vivid", 1.0, True))
    colorize_file(colorizer, source, tmp_path / "c.png", Options("vivid"))
    pair, color = np.asarray(Image.open(tmp_path / "b.png")), np.asarray(Image.open(tmp_path / "c.png"))
    assert pair.shape == (70, 180, 3)
    np.testing.assert_array_equal(pair[:, 90:], color)
    assert np.abs(pair[:, :90].astype(int) - np.asarray(Image.open(source))[..., None]).max() <= 2


def test_only_the_first_of_several_pictures_is_colorized_and_this_is_told(tmp_path: Path, colorizer: Colorizer) -> None:
    pages = [Image.fromarray(make_photo(seed, 40, 30)) for seed in (1, 2)]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    told = colorize_file(colorizer, tmp_path / "a.gif", tmp_path / "b.png")
    assert told == ["has several pictures: only the first is colorized"]


def test_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (9_000, 10)).save(tmp_path / "half.png")
    with pytest.raises(PhotoError, match=r"^18000 × 10, but WEBP has at most 16,383"):
        colorize_file(colorizer, tmp_path / "half.png", tmp_path / "b.webp", Options(compare=True))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, 8, 0, b""))
    (tmp_path / "wide.png").write_bytes(png(18_000, 10, 8, 0, b""))
    with pytest.raises(
        PhotoError, match=r"^3,600,000,000 pixels, more than the limit of 178,000,000: make a smaller copy$"
    ):
        colorize_file(colorizer, tmp_path / "bomb.png", tmp_path / "b.png")
    with pytest.raises(PhotoError, match=r"^18000 × 10, but WEBP has at most 16,383"):
        colorize_file(colorizer, tmp_path / "wide.png", tmp_path / "b.webp")


def test_names_as_long_as_a_disk_takes_them(tmp_path: Path, colorizer: Colorizer) -> None:
    pairs = [(gray(tmp_path / "a.png"), tmp_path / (name + ".png")) for name in ("n" * 251, "m" + "n" * 250, "ö" * 125)]
    assert not any(outcome.error for outcome in colorize_files(colorizer, pairs, Options(), jobs=2))
    assert all(target.exists() for _, target in pairs)


def test_jobs_change_nothing_and_a_bad_photo_stops_nothing(tmp_path: Path, colorizer: Colorizer) -> None:
    sources = [gray(tmp_path / f"{number}.png") for number in range(6)]
    sources[2].write_bytes(b"")
    for jobs in (1, 3):
        pairs = [(source, tmp_path / f"out{jobs}" / source.name) for source in sources]
        outcomes = list(colorize_files(colorizer, pairs, Options(), jobs))
        assert [outcome.source for outcome in outcomes] == sources
        assert [outcome.error for outcome in outcomes] == ["", "", "the file is empty", "", "", ""]
    for number in (0, 1, 3, 4, 5):
        assert (tmp_path / f"out1/{number}.png").read_bytes() == (tmp_path / f"out3/{number}.png").read_bytes()


@pytest.mark.parametrize("options", [Options(), Options(compare=True, hints=Path("hints.json"))])
def test_the_pixels_of_color_are_freed_once_they_are_read(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch, options: Options
) -> None:
    """Else they would stay beside the picture that is put together."""
    monkeypatch.chdir(tmp_path)
    Path("hints.json").write_text('{"chromascape_hints": 1, "hints": [{"x": 0.5, "y": 0.5, "color": "red"}]}')
    Image.fromarray(make_photo(1, 90, 70)).save("a.jpg", exif=camera_exif())
    read = []
    monkeypatch.setattr(batch, "prepare", lambda *given: (read.append(prepare(*given)), read[-1])[1])
    colorize_file(colorizer, Path("a.jpg"), Path("b.jpg"), options)
    assert Image.open("b.jpg").size == (70 * (1 + options.compare), 90)
    with pytest.raises(ValueError, match="closed image"):
        read[0].pixels.image.getpixel((0, 0))


def test_several_photos_have_hints_of_their_own(colorizer: Colorizer) -> None:
    photos = [np.asarray(Image.fromarray(make_photo(seed, 40 + seed, 30)).convert("L")) for seed in (1, 2, 3)]
    red, painted = [Hint(0.5, 0.5, "red", (), 0.2)], Painted(Image.new("RGBA", (43, 30), "#3050c0"))
    found = colorizer.colorize_batch(photos, "vivid", hints=[red, None, painted])
    for photo, picture, own in zip(photos, found, (red, (), painted), strict=True):
        np.testing.assert_array_equal(picture, colorizer.colorize(photo, "vivid", hints=own))
    assert (found[0] != colorizer.colorize(photos[0], "vivid")).any()
    for wrong in ([red], [], red[0], "abcd"):
        with pytest.raises(ChromascapeError, match=r"^hints: expected one entry for each of 3 photos, None for one w"):
            colorizer.colorize_batch(photos, hints=wrong)


def test_colors_of_another_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    wood, storm = (REPOSITORY / f"data/landscapes/{name}.jpg" for name in ("aitzgorri", "storm"))
    for file, name in ((wood, "a.png"), (storm, "b.png")):
        Image.open(file).convert("L").resize((160, 100)).save(name)
    shutil.copy(wood, "other.jpg")
    assert main(["colorize", "a.png", "b.png", "--like", "other.jpg", "--model", "shipped"]) == 1
    captured = capsys.readouterr()
    assert (
        captured.err == "error: b.png: other.jpg: does not look alike, its colors would be wrong: name another photo\n"
    )
    assert captured.out.startswith("1 colorized into colorized-like with")
    expected = Colorizer.load().colorize(Image.open("a.png"), like=Image.open("other.jpg"))
    np.testing.assert_array_equal(np.asarray(Image.open("colorized-like/a.png")), np.asarray(expected))
    Path("no.jpg").write_bytes(b"nothing")
    for like, problem in (("a.png", "has no colors to take: name a color photo"), ("no.jpg", "in none of the formats"),
                          ("missing.jpg", "No such file")):  # fmt: skip
        assert main(["colorize", "a.png", "-o", "out", "--like", like, "--model", "shipped"]) == 1
        assert capsys.readouterr().err.startswith(f"error: {like}: {problem}")


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "not enough memory for a photo of this size"), (RuntimeError("a\nb"), "a b")],
)
def test_what_a_writer_raises_is_one_line(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("chromascape.colorizing.batch.write", fail)
    (outcome,) = colorize_files(colorizer, [(gray(tmp_path / "a.png"), tmp_path / "out/b.png")], Options(), 1)
    assert outcome.error.startswith(said) and "\n" not in outcome.error
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_no_half_written_file(tmp_path: Path, colorizer: Colorizer, jobs: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    save(model, colorizer.network.module.state_dict(), "unet", 64, {"faithful": 1.0, "vivid": 1.0})
    (tmp_path / "in").mkdir()
    photo = Image.fromarray(make_photo(1, 90, 70)).resize((900, 700))
    for number in range(60):
        photo.save(tmp_path / f"in/{number:02}.png", compress_level=0)
    process = subprocess.Popen(
        ["chromascape", "colorize", "in", "-o", "out", "--jobs", jobs, "--model", "model"],
        cwd=tmp_path, env=os.environ | {"PATH": warm_path()}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while time.monotonic() < end and len(list((tmp_path / "out").glob("*.png"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and said.endswith("stopped\n") and "Traceback" not in said
    made = sorted((tmp_path / "out").iterdir())
    assert 2 <= len(made) < 60 and all(path.suffix == ".png" for path in made)
    for path in made:
        Image.open(path).load()


EXPECTED = {  # of each hostile file: mode and size of what is made of it
    "animated-gif-named-jpg.jpg": ("RGB", (384, 288)), "eighteen-megapixel.jpg": ("RGB", (5184, 3456)),
    "exif-orientation-6.jpg": ("RGB", (294, 392)), "mode-1.png": ("RGB", (512, 512)),
    "mode-I16.png": ("RGB", (3072, 2048)), "mode-L.jpg": ("RGB", (640, 453)), "mode-LA.png": ("RGBA", (1920, 1200)),
    "mode-P.png": ("RGB", (512, 512)), "png-named-jpg.jpg": ("RGB", (600, 300)), "rgb.tif": ("RGB", (500, 500)),
    "rgba-png-named-jpg.jpg": ("RGB", (284, 177)),
}  # fmt: skip

MEASURED = f"""
import json
from chromascape.cli import main
{inspect.getsource(memory)}
code = main(["colorize", sys.argv[1], "-o", "out", *sys.argv[2:]])
print(json.dumps([code, peak_bytes() // 1024]))
"""


@pytest.mark.skipif(not ODD.is_dir(), reason="the folder of odd photos is not here")
def test_odd_photos_come_out_right_or_with_a_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(ODD)],
        cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    *said, measured = done.stdout.splitlines()
    code, kilobytes = json.loads(measured)
    said = [line for line in said if not line.startswith("colorize: ")]  # progress, on a machine that is slow
    assert code == 1 and said == ["11 colorized into out with the model that comes with Chromascape, 1 failed"]
    assert kilobytes < 1_500_000
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "not-an-image-ascii.jpg: in none of the formats" in errors[0]
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(EXPECTED)
    for name, (mode, size) in EXPECTED.items():
        image = Image.open(tmp_path / "out" / name)
        assert (image.mode, image.size) == (mode, size), name
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        before = lab.rgb_to_lab(np.asarray(reading.to_rgb(reading.open_photo((ODD / name).read_bytes()))))[::3, ::3]
        if name not in ("mode-LA.png", "mode-L.jpg"):  # mode-L's own tone curve is not honoured by `to_rgb`
            after = lab.rgb_to_lab(np.asarray(image.convert("RGB")))[::3, ::3]
            assert np.abs(after[..., 0] - before[..., 0]).mean() < 1.5, name


@pytest.mark.scale
@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no peak")
def test_50_megapixels_take_less_than_1_gb(tmp_path: Path) -> None:
    picture = Image.fromarray(make_photo(1, 600, 400)).resize((8_400, 6_000))
    picture.save(tmp_path / "large.jpg", quality=80)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "large.jpg"],
        cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, peak = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert (
        peak / (1e6 if sys.platform != "darwin" else 1e9) < 0.9
    )  # GB: each pixel counts, and 100 megapixels take less than 2
    assert reading.open_photo((tmp_path / "out/large.jpg").read_bytes()).size == (8_400, 6_000)


def test_a_photo_is_decoded_once_and_encoded_once(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("_getdecoder", "_getencoder"):
        made = getattr(Image, name)
        monkeypatch.setattr(
            Image, name, lambda mode, codec, *rest, made=made: (calls.append(codec), made(mode, codec, *rest))[1]
        )
    Image.fromarray(make_photo(1, 300, 200)).save(tmp_path / "a.jpg", exif=camera_exif())
    calls.clear()
    colorize_file(colorizer, tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert calls.count("jpeg") == 2, "one decoder, one encoder"
