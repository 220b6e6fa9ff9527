"""The exported file computes what torch computes, at every size, and says how it is used."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import make_photo, without
from numpy.typing import NDArray
from PIL import Image

from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.layers import Network
from chromascape.colorizing.networks import NETWORKS, build_network
from chromascape.colorizing.onnx_network import GRAPHS, METADATA, OnnxNetwork
from chromascape.colorizing.torch_network import TorchNetwork, save
from chromascape.errors import ChromascapeError
from chromascape.serving import onnx_export
from chromascape.serving.onnx_export import export


def lightness(height: int, width: int, photos: int = 1) -> NDArray[np.float32]:
    """Smooth random scaled L*: noise alone would stand for no photo."""
    noise = torch.rand(photos, 1, 6, 8, generator=torch.Generator().manual_seed(height + width))
    smooth = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic", align_corners=False)
    return np.asarray(smooth.clamp(0, 1))


def by_torch(colorizer: Colorizer, photo: NDArray[np.float32]) -> NDArray[np.float32]:
    assert isinstance(colorizer.network, TorchNetwork)
    return colorizer.network(photo)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Colorizer, Path]:
    """The shipped model by torch, and its file."""
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(Colorizer.load(), file)
    return Colorizer.load(SHIPPED, "cpu", by_torch=True), file


def test_a_model_of_the_network_that_ships_is_put_into_its_graph(
    shipped: tuple[Colorizer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fine-tuned ones, of the default params, take no half minute of torch's exporter either."""
    monkeypatch.setattr(onnx_export, "as_onnx", None)
    colorizer, file = shipped
    export(colorizer, tmp_path / "torch.onnx")
    one, other = (onnx.load(path) for path in (file, tmp_path / "torch.onnx"))
    weights = [{tensor.name: tensor for tensor in model.graph.initializer} for model in (one, other)]
    assert len(weights[0]) > 300 and weights[0] == weights[1] and one.metadata_props == other.metadata_props
    assert one.graph.node == other.graph.node


def test_the_model_that_ships_is_exported_without_torch_and_onnx(tmp_path: Path) -> None:
    code = without("torch", "onnx", "onnxscript") + "sys.exit(main(['export', 'model.onnx']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout.partition(",")[0]) == (0, "model.onnx: 12.5 MB"), done.stderr
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)


def test_files_name_no_path_of_the_machine_that_wrote_them(shipped: tuple[Colorizer, Path]) -> None:
    for file in (shipped[1], *GRAPHS.glob("*.onnx")):
        assert b"site-packages" not in file.read_bytes() and b"efficientnet.py" not in file.read_bytes()


@pytest.mark.parametrize("sides", [(192, 288), (64, 32), (320, 192), (192, 768)])
def test_it_agrees_with_torch_within_a_tenth_of_an_ab_unit_at_any_size(
    shipped: tuple[Colorizer, Path], sides: tuple[int, int]
) -> None:
    colorizer, file = shipped
    photo = lightness(*sides, photos=2)
    expected = by_torch(colorizer, photo)
    assert np.ptp(expected) > 0.05, "a network that predicts gray would agree with anything"
    assert np.abs(OnnxNetwork(file)(photo) - expected).max() * 255 < 0.1


def test_the_file_is_small_and_whole(shipped: tuple[Colorizer, Path]) -> None:
    _, file = shipped
    assert file.stat().st_size < 13_000_000
    assert [other.name for other in file.parent.iterdir()] == ["model.onnx"], "no weights beside it"
    model = onnx.load(file, load_external_data=False)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_it_colorizes_on_the_command_line_where_there_is_no_torch(
    shipped: tuple[Colorizer, Path], tmp_path: Path
) -> None:
    colorizer, file = shipped
    photo = Image.fromarray(make_photo(1, 80, 60)).convert("L")
    photo.save(tmp_path / "a.png")
    code = (
        without("torch", "pydantic") + f"sys.exit(main(['colorize', 'a.png', '-o', 'b.png', '--model', {str(file)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (0, f"1 colorized into b.png with the model in {file}\n"), done.stderr
    expected, found = (
        np.asarray(picture, int) for picture in (colorizer.colorize(photo), Image.open(tmp_path / "b.png"))
    )
    assert np.abs(found - expected).max() <= 1 and np.ptp(expected, axis=-1).max() > 5


def test_the_metadata_says_how_it_is_used(shipped: tuple[Colorizer, Path]) -> None:
    colorizer, file = shipped
    config = OnnxNetwork(file).config
    assert config["renderings"] == colorizer.renderings
    assert (config["size"], config["multiple"], config["predicts"]) == (colorizer.size, 32, "ab")


@torch.no_grad()
def biased_network(name: str) -> Network:
    """A network with random weights, whose last norm adds 200.06 and whose last layer subtracts that again.

    The nearest float16 is 200.0: rounding biases would change colors, rounding kernels does not.
    """
    torch.manual_seed(0)
    network = build_network(name)
    norm = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)][-1]
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    assert norm.bias is not None and last.bias is not None
    norm.weight.fill_(20)
    norm.bias.fill_(200.06)
    last.weight.normal_(std=0.02)
    last.weight.copy_(last.weight.half().float())
    last.bias.copy_(-last.weight.sum(dim=(2, 3)) @ norm.bias)
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_of_every_network_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    """A graph of another network, or of an older one, has other weights or gives other colors."""
    network = biased_network(name)
    save(tmp_path, network.state_dict(), name, 64, {"faithful": 1.0, "vivid": 1.0})
    without_torch, with_torch = Colorizer.load(tmp_path), Colorizer.load(tmp_path, "cpu", by_torch=True)
    assert isinstance(without_torch.network, OnnxNetwork) and isinstance(with_torch.network, TorchNetwork)
    facts = [(c.network.predicts, c.network.cell, c.network.multiple) for c in (without_torch, with_torch)]
    assert facts[0] == facts[1]
    for sides in ((64, 96), (160, 32)):
        photo = lightness(*sides)
        expected = by_torch(with_torch, photo)
        assert np.ptp(expected, axis=(2, 3)).min() > 0.002, "a constant network would agree with anything"
        assert np.abs(without_torch.network(photo) - expected).max() * 255 < 0.1


def test_a_network_without_a_graph_goes_through_torchs_exporter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colorizer = Colorizer(TorchNetwork(biased_network("unet")), "unet", 64)
    monkeypatch.setattr(onnx_export, "graph_of", lambda name: None)
    export(colorizer, tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"))
    photo = lightness(64, 96)
    assert np.abs(OnnxNetwork(tmp_path / "model.onnx")(photo) - by_torch(colorizer, photo)).max() * 255 < 0.1


def test_an_exported_file_is_exported_again_as_it_is(shipped: tuple[Colorizer, Path], tmp_path: Path) -> None:
    export(Colorizer.load(shipped[1]), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == shipped[1].read_bytes()


def test_what_the_exporter_of_torch_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(onnx_export, "graph_of", lambda name: None)
    with pytest.raises(ChromascapeError, match=r"the package onnxscript is missing: pip install -e '.*\[export\]'"):
        export(Colorizer(TorchNetwork(build_network("unet")), "unet", 64), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def damaged(file: Path, target: Path, **changes: object) -> Path:
    """The model with other metadata."""
    model = onnx.load(file)
    config = json.loads(model.metadata_props[0].value) | changes
    onnx.helper.set_model_props(model, {METADATA: json.dumps(config)})
    onnx.save(model, target)
    return target


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"format": 9}, "format 9"), ({"size": 10**9}, "size"), ({"multiple": "8"}, "multiple"),
     ({"renderings": {"faithful": 1}}, "vivid"), ({"predicts": "xyz"}, "predicts"), ({"input": "xyz"}, "input"),
     ({"cell": 0}, "cell")],
)  # fmt: skip
def test_other_metadata_is_refused_in_a_line(
    shipped: tuple[Colorizer, Path], tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    file = damaged(shipped[1], tmp_path / "other.onnx", **changes)
    with pytest.raises(ChromascapeError, match=said) as error:
        OnnxNetwork(file)
    assert str(error.value).startswith(f"{file}: ")


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"onnx", bytes(1000)])
def test_other_files_are_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(ChromascapeError) as error:
        OnnxNetwork(file)
    assert "\n" not in str(error.value) and str(file) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError, match=r"none\.onnx: no such file"):
        OnnxNetwork(tmp_path / "none.onnx")
