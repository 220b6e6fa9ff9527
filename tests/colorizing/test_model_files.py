"""Weights and configurations from others: refused in one line, before memory is taken for what they declare."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from chromascape.colorizing import model_files
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.torch_network import load_network
from chromascape.errors import ChromascapeError

SETTINGS = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "weights.safetensors"):
        shutil.copy(SHIPPED / name, folder / name)
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ChromascapeError) as caught:
        Colorizer.load(folder, "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (tensors(b"{}", length=2**63), "its header is too large"),
        (tensors({"a": entry([2**41], 0, 2**43)}), "incomplete"),  # 8 TB
        (tensors({"a": entry([2**60], 0, 2**62)}), "overflow"),
        (tensors({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4)), "invalid offset"),
        (tensors({"a": entry([1], 4, 8)}, bytes(8)), "invalid offset"),
        (tensors({"a": entry([-1, -4], 0, 16)}, bytes(16)), "invalid JSON in header"),
        (tensors({"a": entry([1], 0, 4, "Q9")}, bytes(4)), "invalid JSON in header"),
        (tensors({"a": 3}), "invalid JSON in header"),
        (tensors(b"[" * 100_000), "invalid JSON in header"),
        (tensors([1]), "invalid JSON in header"),
        (tensors({"a": entry([1], 0, 4)}, bytes(4)), "it lacks "),
    ],
    ids=[
        "length",
        "8 TB",
        "overflow",
        "overlap",
        "gap",
        "negative",
        "dtype",
        "entry",
        "deep",
        "list",
        "others",
    ],
)
def test_a_header_that_lies_is_refused(
    model: Path, content: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chromascape.colorizing.torch_network.from_bytes", lambda data: pytest.fail("was read"))
    (model / "weights.safetensors").write_bytes(content)
    line = refused(model)
    assert line.startswith(f"{model / 'weights.safetensors'}: no weights for network ") and problem in line


def test_a_file_of_terabytes_is_refused_by_its_size(model: Path) -> None:
    os.truncate(model / "weights.safetensors", 8_000_000_000_000)  # takes no room on the disk
    assert line_has(refused(model), "8000.0 GB")


def line_has(line: str, part: str) -> bool:
    return part in line


def test_weights_that_are_not_numbers_and_of_another_shape_are_refused(model: Path) -> None:
    file = model / "weights.safetensors"
    weights = load_file(file)
    name = next(name for name, value in weights.items() if value.ndim == 4)
    save_file(weights | {name: torch.full_like(weights[name], float("nan"))}, file)
    assert "weights that are not numbers" in refused(model)
    save_file(weights | {name: weights[name][..., :0].clone()}, file)
    assert f"{name!r} has the shape" in refused(model)


@pytest.mark.parametrize("name", ["weights.pt", "model.PTH", "x.pkl", "pytorch_model.bin"])
def test_a_pickle_is_refused_by_its_name_with_the_way_out(model: Path, name: str) -> None:
    (model / "weights.safetensors").rename(model / name)
    assert refused(model).startswith(f"{model / name}: a pickle, which can run any program when it is read: ask its ")


def test_a_pickle_under_another_name_is_refused_by_its_content(model: Path, tmp_path: Path) -> None:
    file = model / "weights.safetensors"
    for write in (lambda: file.write_bytes(pickle.dumps({"a": 1})), lambda: torch.save({"a": torch.ones(1)}, file)):
        write()
        assert refused(model).startswith(f"{file}: a pickle under this name")
    single = tmp_path / "model.any"
    torch.save({"a": torch.ones(1)}, single)
    assert refused(single).startswith(f"{single}: a pickle under this name")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[" * 90_000, "nested too deeply"),
        (b'{"a": "' + b"x" * 200_000 + b'"}', "more than 100,000 bytes"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe", "can't decode"),
    ],
    ids=["deep", "large", "list", "bytes"],
)
def test_a_hostile_config_is_refused(model: Path, content: bytes, problem: str) -> None:
    (model / "config.json").write_bytes(content)
    line = refused(model)
    assert (
        line.startswith(f"{model / 'config.json'}: not the configuration of a Chromascape model (") and problem in line
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"renderings": {"faithful": "1.0", "vivid": 1.2}}, "renderings.faithful must be a number from 0 to 10"),
        ({"renderings": {"faithful": 1.0, "vivid": True}}, "renderings.vivid must be a number from 0 to 10"),
        ({"renderings": {"faithful": float("nan"), "vivid": 1}}, "renderings.faithful must be a number"),
        ({"renderings": {"faithful": [1.0], "vivid": 1}}, "renderings.faithful must be a number"),
        ({"renderings": [1, 1]}, ""),
        ({"renderings": {"faithful": 1}}, "'vivid'"),
        ({"size": "192"}, "size must be an integer from 64 to 2048, but is '192'"),
        ({"size": 192.0}, "size must be an integer"),
        ({"size": True}, "size must be an integer"),
        ({"input": "L"}, "input must be 'lightness' or 'luma', but is 'L'"),
        ({"network": ["unet"]}, "unknown network ['unet']"),
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_one_line_that_names_its_key(
    model: Path, changes: dict[str, Any], problem: str
) -> None:
    """A factor in quotes was taken, and multiplied with the colors of the first photo."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps(config | changes))
    assert f"not the configuration of a Chromascape model ({problem}" in refused(model)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_pipes_and_devices_are_not_read(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    assert "not a regular file" in refused(model)
    (model / name).unlink()
    (model / name).symlink_to("/dev/zero")
    assert "not a regular file" in refused(model)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KEYS = ["format", "network", "input", "size", "renderings"]


@SETTINGS
@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_config_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    good = json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(good | changes))
    with pytest.raises(ChromascapeError) as caught:  # there are no weights beside it
        load_network(folder)
    assert "\n" not in str(caught.value)


ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "F16", 7, None]),
        "shape": st.lists(st.integers(-2, 5) | st.just(2**62), max_size=3),
        "data_offsets": st.lists(st.integers(-1, 24), max_size=3),
    }
)


@SETTINGS
@given(
    st.dictionaries(st.sampled_from("abc"), ENTRIES | VALUES), st.integers(0, 24), st.none() | st.integers(0, 2**64 - 1)
)
def test_any_header_is_taken_only_if_it_fills_the_file(
    tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any], count: int, length: int | None
) -> None:
    file = tmp_path_factory.mktemp("weights") / "x.safetensors"
    file.write_bytes(tensors(header, bytes(count), length))
    try:
        model_files.check_tensors(file)
    except (ValueError, ChromascapeError):
        return
    assert sum(int(np.prod(value.shape)) * value.element_size() for value in load_file(file).values()) == count


def test_a_file_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("no model")
    with pytest.raises(ChromascapeError, match=r"params\.yaml: not a model: name a folder with one, an \.onnx file or"):
        Colorizer.load(file)
