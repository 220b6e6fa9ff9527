"""A network in an ONNX file, computed by ONNX Runtime: nothing here needs torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromascape.errors import ChromascapeError

FORMAT = 1  # of the metadata; raise it when older code can't read it any more
METADATA = "chromascape"  # the key of the metadata in the file
INPUT, OUTPUT = "lightness", "colors"
MAX_BYTES = 200_000_000  # of the file; ours have 9 MB


class OnnxNetwork:
    """Maps scaled L* (N, 1, H, W) in 0..1 to scaled color (N, C, H, W) in 0..1, as `layers.Network` does.

    Attributes:
        config: what `serving.onnx_export.metadata` wrote into the file.
        predicts, multiple: as in `layers.Network`.
    """

    def __init__(self, file: Path):
        """Read a file that `chromascape export` wrote.

        Raises:
            ChromascapeError: ONNX Runtime is not installed, or the file is none of ours.
        """
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ChromascapeError(f"{file}: ONNX Runtime is missing: pip install 'chromascape[onnx]'") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            data = _bytes(file)
            # From bytes, so that the file can't name other files of the disk as its weights.
            self.session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self.config = _config(self.session)
        except ChromascapeError:
            raise
        except Exception as error:  # ONNX Runtime has a class for each kind of failure, without a common one
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ChromascapeError(f"{file}: no model that `chromascape export` wrote: {first[:200]}") from None
        self.predicts: str = self.config["predicts"]
        self.multiple: int = self.config["multiple"]

    def __call__(self, lightness: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, H, W) to (N, C, H, W); H and W are multiples of `multiple`."""
        colors: NDArray[np.float32] = self.session.run([OUTPUT], {INPUT: lightness})[0]
        return colors


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ChromascapeError(f"{file}: larger than {MAX_BYTES // 1_000_000} MB: no model of Chromascape is")
        return file.read_bytes()
    except FileNotFoundError:
        raise ChromascapeError(f"{file}: no such file: `chromascape export {file.name}` writes one") from None


def _config(session: Any) -> dict[str, Any]:
    """The file's metadata, checked."""
    config = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    if config["format"] != FORMAT:
        raise ValueError(f"format {config['format']}, but this version of Chromascape reads format {FORMAT}")
    if config["predicts"] not in ("ab", "rgb") or config["input"] not in ("lightness", "luma"):
        raise ValueError("metadata")
    if type(config["size"]) is not int or not 64 <= config["size"] <= 2048:
        raise ValueError("size")
    if type(config["multiple"]) is not int or not 1 <= config["multiple"] <= 256:
        raise ValueError("multiple")
    if not all(0 <= float(config["renderings"][name]) <= 10 for name in ("faithful", "vivid")):
        raise ValueError("renderings")
    return dict(config)
