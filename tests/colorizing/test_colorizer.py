"""Weights saved and loaded, and photos of every size and mode colorized."""

import doctest
import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_photo
from PIL import Image
from torch import Tensor, nn

from chromascape.color import lab
from chromascape.color.measures import colorfulness
from chromascape.colorizing import colorizer as module
from chromascape.colorizing import fullsize
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.colorizing.onnx_network import OnnxNetwork
from chromascape.colorizing.torch_network import TorchNetwork, save
from chromascape.errors import ChromascapeError
from chromascape.photos import reading, source

SIZE = 64
RENDERINGS = {"faithful": 0.9, "vivid": 1.5}


class Constant(Network):
    """Predicts the same scaled color everywhere, and remembers what it saw."""

    def __init__(self, *color: float):
        super().__init__()
        self.color, self.seen = torch.tensor(color), []
        self.predicts = "rgb" if len(color) == 3 else "ab"

    def forward(self, lightness: Tensor) -> Tensor:
        self.seen.append(lightness)
        return self.color[None, :, None, None].expand(-1, -1, *lightness.shape[2:])


def lively_network(name: str = "unet") -> Network:
    """A network with random weights that predicts different colors at different places."""
    torch.manual_seed(0)
    network = build_network(name)
    if not name.startswith("assignment"):
        nn.init.normal_(network.head.weight, std=0.3)
    return network


def test_a_photo_is_padded_by_its_own_last_row_and_column() -> None:
    """Black beside it would be seen as a thing that is there."""
    network = Constant(0.5, 0.5)
    network.multiple = 32
    ramp = (
        np.linspace(10, 90, 70, dtype=np.float32)[None].repeat(65, axis=0)
        + np.arange(65, dtype=np.float32)[:, None] / 9
    )
    Colorizer(TorchNetwork(network), "constant", 65).network_ab(ramp)
    seen = network.seen[0][0, 0].numpy()
    assert seen.shape == (96, 96)
    np.testing.assert_allclose(seen[:65, :70], ramp / 100, atol=1e-5)
    assert np.array_equal(seen[:, 70:], seen[:, 69:70].repeat(26, axis=1))
    assert np.array_equal(seen[65:], seen[64:65].repeat(31, axis=0))


@pytest.fixture
def lively() -> Colorizer:
    return Colorizer(TorchNetwork(lively_network()), "unet", SIZE)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    save(folder, lively_network().state_dict(), "unet", SIZE, RENDERINGS)
    return folder


def gray_levels(picture: Image.Image | np.ndarray) -> np.ndarray:
    """L* of a picture, 0..100."""
    return lab.rgb_to_lab(np.asarray(picture))[..., 0]


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path, photo: np.ndarray, name: str) -> None:
    network = lively_network(name)
    save(tmp_path, network.state_dict(), name, SIZE, RENDERINGS)
    loaded = Colorizer.load(tmp_path, "cpu")
    assert (loaded.name, loaded.size) == (name, SIZE)
    before = Colorizer(TorchNetwork(network), name, SIZE, renderings=RENDERINGS)
    for rendering in ("faithful", "vivid"):
        expected = before.predict_ab(gray_levels(photo), rendering)
        # Kernels are stored in half precision: less than a level of 8 bits on average.
        assert np.abs(loaded.predict_ab(gray_levels(photo), rendering) - expected).mean() < 0.5
        assert expected.std() > 0
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config == {"chromascape": "0.1.0", "format": 2, "network": name, "input": "lightness"} | {
        "renderings": RENDERINGS,
        "size": SIZE,
        "weights_sha256": hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest(),
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_a_config_of_an_older_version_is_read_unless_it_averages_with_the_mirror_image(model: Path) -> None:
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"mirror_average": False}), encoding="utf-8")
    assert Colorizer.load(model, "cpu").size == SIZE
    (model / "config.json").write_text(json.dumps(config | {"mirror_average": True}), encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model, "cpu")
    assert "mirror_average" in str(caught.value) and "\n" not in str(caught.value)


def test_the_same_weights_are_saved_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save(tmp_path / name, lively_network().state_dict(), "unet", SIZE, RENDERINGS)
    for file in ("weights.safetensors", "config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("size", [(160, 144), (67, 131), (20, 30), (1, 1), (1, 40), (300, 9)])
def test_output_has_the_inputs_size_and_is_rgb(lively: Colorizer, size: tuple[int, int]) -> None:
    picture = Image.fromarray(make_photo(1, width=160, height=144)).resize(size)
    colored = lively.colorize(picture)
    assert colored.mode == "RGB" and colored.size == size


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16", "1", "CMYK"])
def test_photos_of_every_mode_keep_their_size_and_lightness(lively: Colorizer, photo: np.ndarray, mode: str) -> None:
    gray = Image.fromarray(photo).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    elif mode in ("L", "1"):
        picture = gray.convert(mode)
    else:
        picture = Image.fromarray(photo).convert(mode)
    assert picture.mode == mode
    colored = lively.colorize(picture)
    assert colored.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB") and colored.size == gray.size
    colored = colored.convert("RGB")
    expected = np.asarray(reading.to_rgb(picture.copy()))
    assert np.abs(gray_levels(colored) - gray_levels(expected)).max() < 1
    if mode != "1":  # black and white have no color
        assert colorfulness(np.asarray(colored)) > 5


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept_and_the_network_sees_it_on_white(photo: np.ndarray, mode: str) -> None:
    picture = Image.fromarray(photo).convert(mode)
    alpha = np.full((144, 160), 255, np.uint8)
    alpha[:40, :40], alpha[100:, 100:] = 0, 77
    picture.putalpha(Image.fromarray(alpha))
    picture.paste(0, (0, 0, 40, 40), None)
    network = Constant(0.6, 0.6)
    colored = Colorizer(TorchNetwork(network), "unet", 144).colorize(picture)
    expected = np.asarray(picture.getchannel("A"))
    assert set(np.unique(expected)) == {0, 77, 255}
    np.testing.assert_array_equal(np.asarray(colored.getchannel("A")), expected)
    seen = network.seen[0][0, 0].numpy()
    assert (seen[:40, :40] == 1).all() and seen[50:].mean() < 0.8


def test_gray_and_color_arrays_of_both_shapes(lively: Colorizer, photo: np.ndarray) -> None:
    gray = np.asarray(Image.fromarray(photo).convert("L"))
    from_gray, from_rgb = lively.colorize(gray), lively.colorize(np.stack([gray] * 3, axis=-1))
    assert from_gray.shape == (144, 160, 3) and from_gray.dtype == np.uint8
    # Three equal channels give L* by another sum: a level may be rounded the other way.
    assert np.abs(from_gray.astype(int) - from_rgb).max() <= 1
    np.testing.assert_array_equal(from_gray, np.asarray(lively.colorize(Image.fromarray(gray))))


@pytest.mark.parametrize(("dtype", "top"), [(np.uint16, 65535), (np.float32, 1), (np.float64, 1), (np.float16, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_other_types_give_the_same_colors_in_their_own_type(
    lively: Colorizer, photo: np.ndarray, dtype: Any, top: int, channels: int
) -> None:
    levels = photo if channels == 3 else photo[..., 1]
    deep = lively.colorize((levels / 255 * top).round(12 if top == 1 else 0).astype(dtype))
    assert deep.dtype == (dtype if top > 1 else np.float32) and deep.shape == photo.shape
    difference = np.asarray(deep, float) / top * 255 - lively.colorize(levels)
    assert np.abs(difference).mean() < 0.4 and np.abs(difference).max() < 2


def test_sixteen_bits_are_finer_than_eight(lively: Colorizer) -> None:
    """A slow gradient over four 8-bit levels stays a gradient."""
    gradient = np.broadcast_to(np.linspace(30_000, 31_000, 200).astype(np.uint16), (100, 200))
    green = lively.colorize(np.ascontiguousarray(gradient))[50, :, 1]
    assert len(np.unique(green)) > 100


def test_a_batch_gives_what_its_photos_give_alone(lively: Colorizer, photo: np.ndarray) -> None:
    image = Image.fromarray(photo[:100])
    first, second = lively.colorize_batch([photo, image], "vivid", saturation=0.5)
    np.testing.assert_array_equal(first, lively.colorize(photo, "vivid", 0.5))
    assert second.tobytes() == lively.colorize(image, "vivid", 0.5).tobytes()
    assert lively.colorize_batch([]) == []


def test_saturation_is_a_factor_on_the_colors(lively: Colorizer, photo: np.ndarray) -> None:
    full, half, none = (lab.rgb_to_lab(lively.colorize(photo, saturation=factor)) for factor in (1, 0.5, 0))
    assert np.abs(none[..., 1:]).max() < 1
    assert np.abs(half[..., 1:]).mean() == pytest.approx(np.abs(full[..., 1:]).mean() / 2, rel=0.1)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rendering": "loud"}, "rendering: 'loud' is none of faithful, vivid"),
        ({"saturation": -1}, "saturation: must be from 0 to 10"),
        ({"saturation": float("nan")}, "saturation: must be from 0 to 10"),
    ],
)
def test_wrong_options_are_named(lively: Colorizer, photo: np.ndarray, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ChromascapeError, match=named):
        lively.colorize(photo, **options)


def test_without_a_path_the_shipped_model_is_loaded_and_the_examples_run() -> None:
    from chromascape import Colorizer as lazily

    assert lazily is Colorizer
    assert Colorizer.load(device="cpu").name == Colorizer.load(module.SHIPPED, "cpu").name
    tried = doctest.testmod(module)
    assert tried.attempted >= 5 and tried.failed == 0


def test_the_package_itself_stays_light() -> None:
    code = "import sys, chromascape; print({'torch', 'numpy', 'PIL'} & set(sys.modules)); chromascape.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n"
    assert done.stderr.endswith("AttributeError: module 'chromascape' has no attribute 'nothing'\n")


def test_of_color_input_only_the_lightness_is_used(lively: Colorizer) -> None:
    """Two colors of about the same L* (53.2) come out about the same."""
    red, gray = (np.full((40, 40, 3), color, np.uint8) for color in ((255, 0, 0), (127, 127, 127)))
    difference = np.asarray(lively.colorize(red)).astype(int) - np.asarray(lively.colorize(gray))
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(
    ("array", "named"),
    [
        (np.full((4, 4, 3), 1.5, np.float32), "float32 from 1.5 to 1.5"),
        (np.full((4, 4), -0.5), "float64 from -0.5 to -0.5"),
        (np.full((4, 4), np.nan), "float64 from nan to nan"),
        (np.zeros((4, 4), np.int32), r"int32 \(4, 4\)"),
        (np.zeros((4, 4), bool), r"bool \(4, 4\)"),
        ("photo.jpg", "str"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 \(4, 4, 4\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"uint8 \(1, 4, 4, 3\)"),
        (np.zeros(4, np.uint8), r"uint8 \(4,\)"),
    ],
)
def test_other_arrays_are_refused_with_what_they_are(lively: Colorizer, array: np.ndarray, named: str) -> None:
    with pytest.raises(
        ChromascapeError, match=r"^expected \(H, W\) or \(H, W, 3\) of uint8, uint16, or floats .* " + named
    ):
        lively.colorize(array)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0, 3)])
def test_empty_arrays_are_refused(lively: Colorizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ChromascapeError, match="uint8"):
        lively.colorize(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("color", [(1.0, 1.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.6, 0.4)])
def test_lightness_is_kept_for_colors_that_srgb_does_not_have(photo: np.ndarray, color: tuple[float, float]) -> None:
    """Clipping a color outside of sRGB would change its L* by up to tens of units."""
    gradient = np.repeat(np.arange(256, dtype=np.uint8)[None], 8, axis=0)
    colorizer = Colorizer(TorchNetwork(Constant(*color)), "unet", SIZE)
    for picture in (photo, gradient):
        colored = colorizer.colorize(picture)
        true = gray_levels(picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1))
        assert np.abs(gray_levels(colored) - true).max() < 1
        assert colorfulness(np.asarray(colored)) > 5


def test_hue_is_the_predicted_one() -> None:
    colored = Colorizer(TorchNetwork(Constant(0.7, 0.7)), "unet", SIZE).colorize(np.full((30, 30), 120, np.uint8))
    _, a, b = lab.rgb_to_lab(np.asarray(colored))[15, 15]
    assert np.degrees(np.arctan2(b, a)) == pytest.approx(45, abs=2)
    assert a == pytest.approx(0.7 * 255 - 128, abs=1)


def test_gray_prediction_gives_the_gray_photo(photo: np.ndarray) -> None:
    gray = np.asarray(Image.fromarray(photo).convert("L"))
    colored = np.asarray(Colorizer(TorchNetwork(build_network("unet")), "unet", SIZE).colorize(gray))
    assert np.abs(colored.astype(int) - gray[..., None]).max() <= 1


def test_rgb_network_gives_the_ab_of_its_colors() -> None:
    orange = np.array([255, 128, 0], np.uint8)
    colorizer = Colorizer(TorchNetwork(Constant(*orange / 255)), "assignment_rgb", SIZE)
    ab = colorizer.predict_ab(np.full((30, 50), 60.0))
    assert ab.shape == (30, 50, 2)
    np.testing.assert_allclose(ab, np.broadcast_to(lab.rgb_to_lab(orange)[1:], ab.shape), atol=0.01)


@pytest.mark.parametrize(
    ("height", "width", "seen"),
    [
        (100, 200, (64, 128)),
        (32, 48, (64, 96)),
        (64, 64, (64, 64)),
        (10, 1000, (3, 256)),  # not more than four times the working size
        (5000, 1, (256, 1)),
    ],
)
def test_the_network_sees_the_photo_at_its_working_size(height: int, width: int, seen: tuple[int, int]) -> None:
    network = Constant(0.5, 0.5)
    ab = Colorizer(TorchNetwork(network), "unet", SIZE).predict_ab(np.full((height, width), 50.0))
    assert network.seen[0].shape == (1, 1, *seen)
    assert float(network.seen[0].mean()) == pytest.approx(0.5)
    assert ab.shape == (height, width, 2) and ab.dtype == np.float32


def test_the_network_sees_sides_that_are_its_multiples(photo: np.ndarray) -> None:
    network = Constant(0.5, 0.5)
    network.multiple = 32
    ab = Colorizer(TorchNetwork(network), "unet", 70).predict_ab(gray_levels(photo))
    assert [tuple(seen.shape) for seen in network.seen] == [(1, 1, 96, 96)]  # of 70 × 78
    assert ab.shape == (*photo.shape[:2], 2)


@pytest.mark.parametrize(("value", "expected"), [(1.0, 127.0), (0.0, -128.0), (128 / 255, 0.0)])
def test_predicted_ab_is_clamped(value: float, expected: float) -> None:
    ab = Colorizer(TorchNetwork(Constant(value, value)), "unet", SIZE).predict_ab(np.full((20, 20), 50.0))
    np.testing.assert_allclose(ab, expected, atol=1e-5)


def test_a_photo_turned_by_exif_comes_out_upright(lively: Colorizer, photo: np.ndarray) -> None:
    upright = Image.fromarray(photo)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: turn it clockwise to see it
    stream = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stream, "PNG", exif=exif)
    colored = lively.colorize(reading.open_photo(stream.getvalue()))
    assert colored.size == upright.size
    np.testing.assert_array_equal(np.asarray(colored), np.asarray(lively.colorize(upright)))


def test_a_photo_that_is_cut_short_is_a_photo_error(lively: Colorizer, photo: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "PNG")
    with pytest.raises(source.PhotoError) as caught:
        lively.colorize(reading.open_photo(stream.getvalue()[:3000]))
    assert caught.value.reason == "damaged"


@pytest.mark.parametrize("pixels", [1, 1000, 160 * 143])
def test_strips_give_the_same_picture_as_one_piece(
    monkeypatch: pytest.MonkeyPatch, lively: Colorizer, photo: np.ndarray, pixels: int
) -> None:
    whole = np.asarray(lively.colorize(photo))
    monkeypatch.setattr(fullsize, "READ_PIXELS", pixels)
    monkeypatch.setattr(fullsize, "TILE_PIXELS", pixels)
    levels = np.asarray(lively.colorize(photo)).astype(int) - whole
    # Sums of tiles of other shapes are rounded otherwise.
    assert np.abs(levels).max() <= 1 and (levels != 0).mean() < 1e-3


def test_colorizing_twice_gives_the_same_bytes(lively: Colorizer, photo: np.ndarray) -> None:
    assert lively.colorize(photo).tobytes() == lively.colorize(photo).tobytes()


def test_a_missing_folder_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(tmp_path / "nowhere")
    file = tmp_path / "nowhere" / "config.json"
    assert str(caught.value) == f"{file}: no such file: name a folder with a trained model, or train one"


def test_missing_weights_name_the_file_and_the_way_out(model: Path) -> None:
    (model / "weights.safetensors").unlink()
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(str(model))
    assert str(caught.value) == f"{model / 'weights.safetensors'}: no such file: run `dvc repro` to train a model"


GOOD = {"format": 2, "network": "unet", "size": SIZE, "renderings": RENDERINGS, "input": "lightness"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "not the configuration"),
        ("[1, 2]", "not the configuration"),
        ("null", "not the configuration"),
        (b"\xff\xfe\x00", "not the configuration"),
        ({}, "format"),
        ({"format": 2, "network": "unet"}, "size"),
        ({"format": 2, "size": SIZE}, "network"),
        (GOOD | {"network": "resnet"}, "unknown network 'resnet'"),
        (GOOD | {"network": ["unet"]}, "unknown network"),
        (GOOD | {"size": 0}, "size"),
        (GOOD | {"renderings": {"faithful": 1.0}}, "vivid"),
        (GOOD | {"renderings": {"faithful": -1.0, "vivid": 1.0}}, "renderings"),
        (GOOD | {"renderings": {"faithful": 1.0, "vivid": float("nan")}}, "renderings"),
        (GOOD | {"input": "green"}, "input"),
        (GOOD | {"mirror_average": 1}, "mirror_average"),
        (GOOD | {"renderings": None}, "not the configuration"),
        (GOOD | {"size": 100_000}, "size"),
        (GOOD | {"size": "large"}, "not the configuration"),
        (GOOD | {"size": "64"}, "not the configuration"),
        (GOOD | {"size": None}, "not the configuration"),
        (GOOD | {"size": float("nan")}, "not the configuration"),
        (GOOD | {"size": float("inf")}, "not the configuration"),
    ],
    ids=str,
)
def test_a_wrong_config_is_one_line_that_names_the_file(model: Path, content: Any, named: str) -> None:
    data = content if isinstance(content, bytes) else (
        content if isinstance(content, str) else json.dumps(content)
    ).encode()  # fmt: skip
    (model / "config.json").write_bytes(data)
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model)
    assert str(caught.value).startswith(f"{model / 'config.json'}: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [1, 3, 0, "1", None])
def test_another_format_number_is_named(model: Path, number: Any) -> None:
    (model / "config.json").write_text(json.dumps(GOOD | {"format": number}), encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model)
    expected = f"format {number!r}, but this version of Chromascape reads format 2"
    assert str(caught.value) == f"{model / 'config.json'}: {expected}"


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "damage",
    [cut, lambda data: b"", lambda data: b"\0" * 100, lambda data: data[:100], lambda data: b"\xff" * 8 + data[8:]],
    ids=["cut", "empty", "zeros", "header", "length"],
)
def test_corrupt_weights_name_the_file(model: Path, damage: Callable[[bytes], bytes]) -> None:
    file = model / "weights.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model)
    assert str(caught.value).startswith(f"{file}: no weights for network unet: ")
    assert "\n" not in str(caught.value)


def test_weights_with_one_flipped_bit_are_refused_by_their_checksum(model: Path) -> None:
    """They are weights all the same: nothing but the checksum can tell."""
    file = model / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model, "cpu")
    said = f"{file}: its checksum differs from the one in config.json, so it was altered: train again by `dvc repro"
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)
    config = json.loads((model / "config.json").read_text())
    del config["weights_sha256"]  # as older versions wrote it
    (model / "config.json").write_text(json.dumps(config))
    Colorizer.load(model, "cpu")


def test_a_pickle_named_as_weights_is_refused_and_not_run(model: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    file = model / "weights.safetensors"
    file.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(ChromascapeError, match="a pickle under this name"):
        Colorizer.load(model)
    torch.save({"trap": Trap(sprung)}, file)
    with pytest.raises(ChromascapeError, match="a pickle under this name"):
        Colorizer.load(model)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))  # noqa: S301, shows that the trap works
    assert sprung.exists()


def test_weights_of_another_network_are_refused(model: Path) -> None:
    (model / "config.json").write_text(json.dumps(GOOD | {"network": "assignment"}), encoding="utf-8")
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(model)
    assert str(caught.value).startswith(f"{model / 'weights.safetensors'}: no weights for network assignment: ")


def test_a_missing_device_is_named(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ChromascapeError, match="device: cuda is not available here"):
        Colorizer.load(model, "cuda")


def test_renderings_differ_by_their_factor_alone(photo: np.ndarray) -> None:
    model = Colorizer(TorchNetwork(lively_network()), "unet", SIZE, renderings={"faithful": 0.5, "vivid": 1.0})
    lightness = gray_levels(photo)
    np.testing.assert_allclose(2 * model.predict_ab(lightness), model.predict_ab(lightness, "vivid"), rtol=1e-6)
    faithful, vivid = (np.asarray(model.colorize(photo, rendering)) for rendering in ("faithful", "vivid"))
    assert colorfulness(faithful) < colorfulness(vivid)
    assert np.abs(gray_levels(faithful) - gray_levels(vivid)).mean() < 0.5


def test_the_vivid_ab_stays_in_range() -> None:
    model = Colorizer(TorchNetwork(Constant(1.0, 0.0)), "unet", SIZE, renderings={"faithful": 1.0, "vivid": 3.0})
    ab = model.predict_ab(np.full((70, 80), 50, np.float32), "vivid")
    assert np.unique(ab[..., 0]).tolist() == [127] and np.unique(ab[..., 1]).tolist() == [-128]


def test_the_model_that_ships_colorizes_and_is_small(photo: np.ndarray) -> None:
    model = Colorizer.load(module.SHIPPED, "cpu")
    assert model.name == "efficientnet_lite2"
    assert colorfulness(np.asarray(model.colorize(photo))) > 1
    assert (module.SHIPPED / "weights.safetensors").stat().st_size < 20e6
    assert "gray" in (module.SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_measured_picture_keeps_the_photos_lightness(lively: Colorizer, photo: np.ndarray) -> None:
    true = lab.rgb_to_lab(photo)
    picture = lively.network_lab(true)
    np.testing.assert_array_equal(picture[..., 0], true[..., 0])
    np.testing.assert_array_equal(picture[..., 1:], lively.predict_ab(true[..., 0]))


def test_a_network_that_predicts_rgb_is_measured_by_its_own_picture(photo: np.ndarray) -> None:
    model = Colorizer(TorchNetwork(Constant(1.0, 0.0, 0.0)), "assignment_rgb", SIZE)
    picture = model.network_lab(lab.rgb_to_lab(photo))
    np.testing.assert_allclose(
        picture, np.broadcast_to(lab.rgb_to_lab(np.uint8([255, 0, 0])), picture.shape), atol=1e-3
    )


def test_with_luma_the_network_sees_it_and_the_picture_is_made_of_it(photo: np.ndarray) -> None:
    import skimage.color

    network = Constant(0.6, 0.5)
    model = Colorizer(TorchNetwork(network), "assignment", SIZE, luma=True)
    expected = 100 * skimage.color.rgb2gray(photo)
    picture = model.network_lab(lab.rgb_to_lab(photo))
    np.testing.assert_allclose(picture[..., 0], expected, atol=0.5)
    assert float(network.seen[0].mean()) == pytest.approx(expected.mean() / 100, abs=0.01)
    out = gray_levels(model.colorize(photo))
    assert np.abs(out - expected).mean() < np.abs(out - gray_levels(photo)).mean()


def test_both_engines_agree_on_the_weights_that_ship(photo: np.ndarray) -> None:
    by_torch, lightness = Colorizer.load(module.SHIPPED, "cpu", by_torch=True), gray_levels(photo)
    quick = Colorizer.load(module.SHIPPED)
    assert isinstance(quick.network, OnnxNetwork) and isinstance(by_torch.network, TorchNetwork)
    assert (quick.name, quick.size, quick.renderings) == (by_torch.name, by_torch.size, by_torch.renderings)
    for sides in (photo.shape[:2], (100, 37)):
        expected = by_torch.predict_ab(lightness[: sides[0], : sides[1]])
        assert np.abs(quick.predict_ab(lightness[: sides[0], : sides[1]]) - expected).max() < 0.01
        assert np.abs(expected).max() > 1


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_an_onnx_file_is_for_the_cpu(tmp_path: Path, device: str) -> None:
    with pytest.raises(ChromascapeError, match=r"^device: .*model\.onnx is computed on the CPU alone: choose auto or"):
        Colorizer.load(tmp_path / "model.onnx", device)


def test_altered_weights_are_refused_without_torch_too(tmp_path: Path) -> None:
    folder = shutil.copytree(module.SHIPPED, tmp_path / "weights")
    file = folder / "weights.safetensors"
    assert isinstance(Colorizer.load(folder).network, OnnxNetwork)
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ChromascapeError, match=r"its checksum differs from the one in config\.json"):
        Colorizer.load(folder)
    file.write_bytes(data[:-3])
    with pytest.raises(ChromascapeError, match=r"weights.safetensors: no weights for network efficientnet_lite2: "):
        Colorizer.load(folder)


def test_the_threads_of_onnx_runtime_move_no_color_that_can_be_seen(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        colorizer = Colorizer.load(module.SHIPPED)
        assert isinstance(colorizer.network, OnnxNetwork)
        assert colorizer.network.session.get_session_options().intra_op_num_threads == int(threads)
        found.append(colorizer.predict_ab(gray_levels(photo)))
    assert float(np.abs(found[0] - found[1]).max()) < 1e-3 and float(np.abs(found[0]).max()) > 1


def test_the_threads_of_a_prediction_move_no_color_that_can_be_seen(photo: np.ndarray) -> None:
    """The sums are in another order: docs/reliability.md says how far."""
    colorizer, lightness = Colorizer.load(module.SHIPPED, "cpu", by_torch=True), photo[..., 0].astype(np.float32) / 2.55
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = colorizer.predict_ab(lightness)
        torch.set_num_threads(2)
        two = colorizer.predict_ab(lightness)
    finally:
        torch.set_num_threads(before)
    assert float(np.abs(one - two).max()) < 1e-3 and float(np.abs(one).max()) > 1
