"""A model's files, checked before they are trusted: anybody may have made them.

Sizes and headers are checked before memory is taken for what they declare.
"""

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from chromascape.errors import ChromascapeError

FORMAT = 2  # of the folder that `torch_network.save` writes; raise it when older code can no longer read it
CONFIG, WEIGHTS = "config.json", "weights.safetensors"  # the files of that folder
MAX_CONFIG_BYTES = 100_000
MAX_HEADER_BYTES = 1_000_000
MAX_TENSOR_FILE_BYTES = 2_000_000_000
PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"}
# The first bytes of a pickle, and of the zip that torch.save writes.
PICKLED = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
REMEDY = "ask its maker for the weights as safetensors, or train a model"

Shapes = Mapping[str, tuple[int, ...]]


def read_config(folder: Path) -> dict[str, Any]:
    """The checked configuration of the model in a folder; its weights are not read.

    Raises:
        ChromascapeError: the file is missing, damaged or of another format, or the folder has pickles for weights.
    """
    _refuse_pickles(folder)
    file = folder / CONFIG
    try:
        return check_config(file, _read_json_object(file), FORMAT)
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: name a folder with a trained model, or train one") from None
    except NotADirectoryError:
        raise ChromascapeError(
            f"{folder}: not a model: name a folder with one, an .onnx file or models:/NAME@ALIAS"
        ) from None
    except ValueError as error:
        raise wrong_config(file, error) from None


def check_config(file: Path, config: dict[str, Any], version: int) -> dict[str, Any]:
    """The configuration, once all that a colorizer reads is known to be present and in range.

    Args:
        file: a config.json, or an ONNX file with the configuration in its metadata; named in errors.
        version: the format number that this code reads.
    Raises:
        ChromascapeError: a value is missing or out of range.
    """
    try:
        if type(config["format"]) is not int or config["format"] != version:
            raise ChromascapeError(
                f"{file}: format {config['format']!r}, but this version of Chromascape reads format {version}"
            )
        if type(config["network"]) is not str:
            raise ValueError(f"unknown network {config['network']!r}")
        if type(config["size"]) is not int or not 64 <= config["size"] <= 2048:
            raise ValueError(f"size must be an integer from 64 to 2048, but is {str(config['size'])[:40]!r}")
        if config["input"] not in ("lightness", "luma"):
            raise ValueError(f"input must be 'lightness' or 'luma', but is {str(config['input'])[:40]!r}")
        if config.get("mirror_average", False) is not False:  # older versions wrote it
            raise ValueError("mirror_average is no longer supported")
        for name in ("faithful", "vivid"):
            factor = config["renderings"][name]
            if type(factor) not in (int, float) or not 0 <= factor <= 10:
                raise ValueError(f"renderings.{name} must be a number from 0 to 10, but is {str(factor)[:40]!r}")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise wrong_config(file, error) from None
    return config


def wrong_config(file: Path, problem: object) -> ChromascapeError:
    """The error for a configuration that no version of Chromascape wrote."""
    return ChromascapeError(f"{file}: not the configuration of a Chromascape model ({problem})")


def check_checksum(file: Path, data: bytes, config: dict[str, Any]) -> None:
    """Compare weights with the checksum in their configuration; older versions wrote none.

    Raises:
        ChromascapeError: the weights were altered.
    """
    if config.get("weights_sha256", checksum := hashlib.sha256(data).hexdigest()) != checksum:
        raise ChromascapeError(
            f"{file}: its checksum differs from the one in config.json, so it was altered: train again by "
            "`dvc repro -f train`, or copy the model again from its source"
        )


def _refuse_pickles(folder: Path) -> None:
    """Refuse a pickled file, and a folder with pickles in place of weights: reading one runs its maker's code."""
    if folder.is_file():
        _refuse_pickled(folder)
    elif folder.is_dir() and not (folder / WEIGHTS).exists():
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in PICKLES:
                raise ChromascapeError(f"{file}: a pickle, which can run any program when it is read: {REMEDY}")


def check_tensors(file: Path, shapes: Shapes | None = None) -> None:
    """Check the header of a safetensors file, and nothing else of it.

    Args:
        shapes: name and shape of each tensor that the file must have, and no others; None: any.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the header or the file is too large, contradicts itself or the file's size, or names other
            tensors than `shapes`.
        ChromascapeError: it is a pickle.
    """
    _refuse_pickled(file)
    if (size := file.stat().st_size) > MAX_TENSOR_FILE_BYTES:
        raise ValueError(f"{size / 1e9:.1f} GB")
    if int.from_bytes(_beginning(file, 8), "little") > MAX_HEADER_BYTES:
        raise ValueError("its header is too large")
    try:
        with safe_open(file, "numpy") as tensors:
            found = {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    shapes = found if shapes is None else shapes
    missing, extra = sorted(shapes.keys() - found.keys()), sorted(found.keys() - shapes.keys())
    if missing or extra:
        raise ValueError(f"it lacks {missing[0]!r}" if missing else f"it has {extra[0][:80]!r} too")
    for name, shape in shapes.items():
        if found[name] != shape:
            raise ValueError(f"{name!r} has the shape {found[name]}, expected {shape}")


def _refuse_pickled(file: Path) -> None:
    if _beginning(file, 4).startswith(PICKLED):
        raise ChromascapeError(f"{file}: a pickle under this name, which can run any program when read: {REMEDY}")


def _read_json_object(file: Path) -> dict[str, Any]:
    data = _beginning(file, MAX_CONFIG_BYTES + 1)
    if len(data) > MAX_CONFIG_BYTES:
        raise ValueError(f"more than {MAX_CONFIG_BYTES:,} bytes")
    try:
        values = json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


def _beginning(file: Path, count: int) -> bytes:
    """The first bytes of a regular file; a pipe or device would never end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("not a regular file")
    with file.open("rb") as stream:
        return stream.read(count)
