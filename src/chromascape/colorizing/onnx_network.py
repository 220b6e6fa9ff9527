"""Networks computed by ONNX Runtime, on the CPU: the model that comes with Chromascape, and files that were exported.

Nothing here needs torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes

from chromascape.colorizing import received
from chromascape.errors import ChromascapeError
from chromascape.parallel import cpu_threads

FORMAT = 1  # of the metadata; raise it when older code can't read it any more
METADATA = "chromascape"  # the key of the metadata in the file
INPUT, OUTPUT = "lightness", "colors"
MAX_BYTES = 200_000_000  # of the file; ours have 12 MB
# The shipped network without its weights, which lie beside it: `python -m chromascape.serving.onnx_export` writes it.
GRAPH = "network.onnx"


class OnnxNetwork:
    """Maps scaled L* (N, 1, H, W) in 0..1 to scaled color (N, C, H, W) in 0..1, as `layers.Network` does.

    Attributes:
        config: what `serving.onnx_export` wrote into the file.
        predicts, cell, multiple: as in `layers.Network`.
    """

    def __init__(self, file: Path, weights: Mapping[str, NDArray[np.float32]] | None = None):
        """Read a file that `chromascape export` wrote.

        Args:
            weights: by name, for a file that has none.
        Raises:
            ChromascapeError: the file is none of ours.
        """
        try:
            self.session = _session(_bytes(file), weights or {})
            self.weights = weights  # the session reads them where they are, as long as it is there
            self.config: dict[str, Any] = json.loads(self.session.get_modelmeta().custom_metadata_map[METADATA])
            if weights is None:
                received.check_config(file, self.config, FORMAT)
            self.predicts, self.cell, self.multiple = _facts(self.config)
        except ChromascapeError:
            raise
        except Exception as error:  # ONNX Runtime has a class for each kind of failure, without a common one
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ChromascapeError(f"{file}: no model that `chromascape export` wrote: {first[:200]}") from None

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, H, W) to (N, C, H, W); H and W are multiples of `multiple`."""
        colors: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: lightness})[0]
        return colors

    def share(self, jobs: int) -> None:
        """Nothing to do: however many call it at a time, they share one pool of threads."""


def shipped_network(folder: Path, config: dict[str, Any]) -> OnnxNetwork:
    """The network that comes with Chromascape: its graph, with the weights that lie beside it.

    Args:
        config: of the folder, checked.
    Raises:
        ChromascapeError: files are missing or damaged.
    """
    file = folder / received.WEIGHTS
    try:
        received.check_tensors(file)
        data = file.read_bytes()
        received.check_checksum(file, data, config)
        weights = from_bytes(data)
    except (FileNotFoundError, SafetensorError, ValueError) as error:
        raise ChromascapeError(f"{file}: missing or damaged ({error}): install Chromascape again") from None
    prefix = "network." if config.get("mirror_average") else ""  # in `layers.MirrorAverage`
    # What is whole numbers counts batches, which only training looks at.
    floats = {f"{prefix}{name}": value.astype(np.float32) for name, value in weights.items() if value.dtype.kind == "f"}
    return OnnxNetwork(folder / GRAPH, floats)


def _session(model: bytes, weights: Mapping[str, NDArray[np.float32]]) -> Any:
    """A session of ONNX Runtime, from bytes, so that the file can't name other files of the disk as its weights."""
    import onnxruntime  # here: it takes a tenth of a second, and models that were trained don't need it

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = cpu_threads()
    # Threads that spin while they wait take the cores from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ChromascapeError(f"{file}: larger than {MAX_BYTES // 1_000_000} MB: no model of Chromascape is")
        return file.read_bytes()
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: `chromascape export {file.name}` writes one") from None


def _facts(config: dict[str, Any]) -> tuple[str, int, int]:
    """What a network says of itself, checked: predicts, cell and multiple."""
    if config["predicts"] not in ("ab", "rgb"):
        raise ValueError("predicts")
    for name in ("cell", "multiple"):
        if type(config[name]) is not int or not 1 <= config[name] <= 256:
            raise ValueError(name)
    return config["predicts"], config["cell"], config["multiple"]
