"""Networks that ONNX Runtime computes, without torch, on the CPU: models in folders, and exported files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes

from chromascape.colorizing import model_files, onnx_file
from chromascape.errors import NO_MEMORY, ChromascapeError, is_out_of_memory
from chromascape.parallel import cpu_threads

FORMAT = 1  # of the metadata; raise it when older code can no longer read it
METADATA = "chromascape"  # key of the metadata in the file
INPUT, OUTPUT = "lightness", "colors"
MAX_BYTES = 200_000_000  # of the file; the shipped model's has 12 MB
# Each network without its weights, written by `python -m chromascape.serving.onnx_export`.
GRAPHS = Path(__file__).parent / "graphs"
SHAPES = "weights"  # key of a graph's metadata: the shapes of the weights by their names


class OnnxNetwork:
    """A network of ONNX Runtime, and as `config` the metadata in its file; see `colorizer.Network`."""

    def __init__(self, path: Path):
        """Read a file that `chromascape export` wrote, or a model's folder whose network has a graph, see `graph_of`.

        Raises:
            ChromascapeError: the file is missing, damaged, too large, or was not written by `chromascape export`.
        """
        self.path = path
        try:
            self.session = _session(self.read())
            self.config: dict[str, Any] = json.loads(self.session.get_modelmeta().custom_metadata_map[METADATA])
            if not path.is_dir():  # a folder has its own configuration
                model_files.check_config(path, self.config, FORMAT)
            self.predicts, self.cell, self.multiple = _facts(self.config)
        except ChromascapeError:
            raise
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            if is_out_of_memory(error):
                raise ChromascapeError(f"{path}: {NO_MEMORY} for this model: close other programs") from None
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ChromascapeError(f"{path}: not a model that `chromascape export` wrote: {first[:200]}") from None

    def read(self) -> bytes:
        """The whole model as an ONNX file."""
        return _model_of(self.path) if self.path.is_dir() else _bytes(self.path)

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, H, W) to (N, C, H, W); H and W are multiples of `multiple`."""
        colors: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: lightness})[0]
        return colors

    def share(self, jobs: int) -> None:
        """Nothing to do: all callers share one pool of threads."""


def graph_of(network: str) -> Path | None:
    """The graph of a network; None for one that has none, such as one that was just added to the table of networks."""
    file = GRAPHS / f"{network}.onnx"
    return file if network.isidentifier() and file.is_file() else None


def _model_of(folder: Path) -> bytes:
    """The model in a folder as an ONNX file: its network's graph and its weights.

    Raises:
        ChromascapeError: files are missing or damaged, or the weights are of another network.
    """
    file, config = folder / model_files.WEIGHTS, model_files.read_config(folder)
    graph = _bytes(GRAPHS / f"{config['network']}.onnx")
    try:
        shapes = json.loads(onnx_file.metadata(graph)[METADATA])[SHAPES]
        model_files.check_tensors(file, {name: tuple(shape) for name, shape in shapes.items()})
        data = file.read_bytes()
        weights = floats(from_bytes(data))
        if not all(np.isfinite(value).all() for value in weights.values()):
            raise ValueError("weights that are not numbers")
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: run `dvc repro` to train a model") from None
    except (SafetensorError, ValueError) as error:
        raise ChromascapeError(f"{file}: no weights for network {config['network']}: {error}") from None
    model_files.check_checksum(file, data, config)
    return onnx_file.assemble(graph, weights)


def floats(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.floating]]:
    """The weights that a graph uses: integers are counts of batches, for training alone."""
    return {name: value for name, value in weights.items() if value.dtype.kind == "f"}


def _session(model: bytes) -> Any:
    """A session of ONNX Runtime, from bytes, so that the model can't load other files as its weights."""
    import onnxruntime  # here, as it takes 0.1 s and trained models don't need it

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = cpu_threads()
    # Threads that spin while waiting take cores from other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ChromascapeError(f"{file}: larger than {MAX_BYTES // 1_000_000} MB, which no model of Chromascape is")
        return file.read_bytes()
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: `chromascape export {file.name}` writes one") from None


def _facts(config: dict[str, Any]) -> tuple[str, int, int]:
    """The network's attributes, checked: predicts, cell and multiple."""
    if config["predicts"] not in ("ab", "rgb"):
        raise ValueError("predicts")
    for name in ("cell", "multiple"):
        if type(config[name]) is not int or not 1 <= config[name] <= 256:
            raise ValueError(name)
    return config["predicts"], config["cell"], config["multiple"]
