"""The static folder: what it holds, what it refuses to replace, and which runtime it takes."""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from chromascape.colorizing import fullsize, hint_files, hints
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.networks import build_network
from chromascape.colorizing.onnx_network import INPUT, OUTPUT
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.errors import ChromascapeError
from chromascape.serving import onnx_export, web_export
from chromascape.serving.onnx_export import OPSET
from chromascape.serving.web_export import RUNTIME_FILES, export_page

CONTENTS = {part.path: f"content of {name}".encode() for name, part in RUNTIME_FILES.items()}


def model(name: str = "unet") -> Colorizer:
    torch.manual_seed(0)
    return Colorizer(TorchNetwork(build_network(name)), name, 64)


@pytest.fixture(scope="module", autouse=True)
def any_graph() -> Iterator[None]:
    """A graph of one node in place of torch's exporter, which takes long: the page is what is looked at here."""
    sides = ["photos", 1, "height", "width"]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides) for name in (INPUT, OUTPUT)]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Sigmoid", [INPUT], [OUTPUT])], "any", ends[:1], ends[1:])
    made = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "as_onnx", lambda _: onnx.ModelProto.FromString(made.SerializeToString()))
        yield


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with small files, whose digests are the expected ones."""
    parts = {
        name: part._replace(sha256=hashlib.sha256(CONTENTS[part.path]).hexdigest())
        for name, part in RUNTIME_FILES.items()
    }
    monkeypatch.setattr(web_export, "RUNTIME_FILES", parts)
    return pack(tmp_path / "runtime.tgz", CONTENTS)


@pytest.mark.parametrize(
    ("script", "module", "names"),
    [("fullsize.js", fullsize, {"NOISE", "REDUCING_GAP"}), ("hints.js", hints, {"SIDE", "SIGMA", "EPSILON", "LAMBDA"}),
     ("hint_file.js", hints, {"MOST", "MOST_POINTS"}), ("hint_file.js", hint_files, {"VERSION", "MAX_BYTES"}),
     ("painting.js", fullsize, {"NARROW"})],
)  # fmt: skip
def test_the_page_computes_with_the_numbers_of_the_library(script: str, module: Any, names: set[str]) -> None:
    text = (web_export.PAGE / script).read_text(encoding="utf-8")
    found = {name: float(value.replace("_", "")) for name, value in re.findall(r"\b([A-Z_]+) = ([\d._e-]+)[,;]", text)}
    assert {name: found[name] for name in names} == {name: getattr(module, name) for name in names}


def pack(file: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def test_the_folder_holds_all_that_the_page_names(package: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    export_page(model(), folder, [package])
    files = {file.name for file in folder.iterdir() if file.is_file()}
    assert files >= {*RUNTIME_FILES, "index.html", "model.onnx", "model.json"}
    assert not [name for name in files if name.endswith(".mjs")], "a type that many hosts don't know"
    for name in files - {*RUNTIME_FILES, "model.onnx"}:
        text = (folder / name).read_text(encoding="utf-8")
        assert set(re.findall(r'(?:from |import\(?|src=|fetched\()"(?:\./)?([\w.]+)"', text)) <= files
        assert "http://" not in text and ("https://" not in text or name == "index.html"), (
            "nothing comes from elsewhere"
        )
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert about["multiple"] == 32
    assert about["bytes"] == {name: (folder / name).stat().st_size for name in ("ort.wasm", "model.onnx")}


def test_the_browser_keeps_all_files_of_one_version(package: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "same", tmp_path / "other"]
    for folder, size in zip(folders, (64, 64, 128), strict=True):
        colorizer = model()
        colorizer.size = size
        export_page(colorizer, folder, [package])
    scripts = [(folder / "sw.js").read_text(encoding="utf-8") for folder in folders]
    assert scripts[0] == scripts[1] != scripts[2]
    files = json.loads(re.search(r"const FILES = (\{.*?\});", scripts[0], re.S)[1])  # type: ignore[index]
    kept = {"index.html" if name == "./" else name for name in files}
    made = {file.relative_to(folders[0]).as_posix() for file in folders[0].rglob("*") if file.is_file()}
    assert kept == made - {"sw.js"}
    assert files["model.onnx"] == hashlib.sha256((folders[0] / "model.onnx").read_bytes()).hexdigest()


def test_a_folder_of_ours_is_replaced_and_another_one_stays(package: Path, tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    export_page(model(), ours, [package])
    (ours / "old").touch()
    export_page(model(), ours, [package])
    assert not (ours / "old").exists()
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(ChromascapeError, match="other: not written by an export"):
        export_page(model(), other, [package])
    assert (other / "thesis.txt").exists()


def test_packages_may_be_unpacked_and_stand_apart(package: Path, tmp_path: Path) -> None:
    first, *others = CONTENTS
    (tmp_path / "unpacked" / first).parent.mkdir(parents=True)
    (tmp_path / "unpacked" / first).write_bytes(CONTENTS[first])
    rest = pack(tmp_path / "rest.tgz", {name: CONTENTS[name] for name in others})
    export_page(model(), tmp_path / "page", [rest, tmp_path / "unpacked"])


def test_another_runtime_is_refused(package: Path, tmp_path: Path) -> None:
    first, *_ = CONTENTS
    changed = pack(tmp_path / "changed.tgz", CONTENTS | {first: b"something else"})
    partial = pack(tmp_path / "partial.tgz", {first: CONTENTS[first]})
    none = tmp_path / "none.tgz"
    none.write_bytes(b"no archive")
    for file in (changed, partial, none, tmp_path):
        with pytest.raises(ChromascapeError, match="is missing or differs from onnxruntime-web@"):
            export_page(model(), tmp_path / "page", [file])
        assert not (tmp_path / "page").exists()


def test_a_network_that_predicts_rgb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChromascapeError, match="predicts RGB"):
        export_page(model("assignment_rgb"), tmp_path / "page")


@pytest.mark.parametrize("there", [True, False])
def test_without_npm_or_the_network_the_way_out_is_named(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(web_export.shutil, "which", lambda _: "npm" if there else None)
    monkeypatch.setattr(web_export.subprocess, "run", fails)
    with pytest.raises(ChromascapeError, match="--runtime FILE"):
        export_page(model(), tmp_path / "page")
