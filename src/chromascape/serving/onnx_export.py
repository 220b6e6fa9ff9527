"""The model as one ONNX file, for ONNX Runtime on a server, on a phone or in a browser: no torch is needed there.

Input `lightness` is scaled L* (N, 1, H, W) in 0..1, H and W multiples of the network's; output `colors` is scaled color
(N, C, H, W) in 0..1. All that is left to do around it (working size, padding, factors of the renderings) stands in the
file's metadata under METADATA, as JSON.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from chromascape import __version__
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.onnx_network import FORMAT, INPUT, METADATA, OUTPUT
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write

OPSET = 18
LARGEST_SIDE = 64  # in multiples of the network's, of what the exporter reasons about; runtimes take larger ones too


def export(colorizer: Colorizer, target: Path) -> None:
    """Write the colorizer's network and metadata as an ONNX file, whole or not at all.

    Kernels and matrices are stored as float16 and computed as float32: half the file, and within 0.1 of an ab unit.

    Raises:
        ChromascapeError: the packages of the extra `export` are missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (what torch's exporter works with)
    except ModuleNotFoundError as error:
        raise ChromascapeError(
            f"the package {error.name} is missing: pip install 'chromascape[export]', then export again"
        ) from None
    model = _as_onnx(colorizer)
    _halve(model.graph)
    onnx.helper.set_model_props(model, {METADATA: json.dumps(metadata(colorizer))})
    onnx.checker.check_model(model)
    with atomic_write(target) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def metadata(colorizer: Colorizer) -> dict[str, Any]:
    """What one has to know to use the network: `renderings` are factors on its ab, `size` is the working size."""
    return {
        "format": FORMAT,
        "network": colorizer.name,
        "predicts": colorizer.network.predicts,
        "multiple": colorizer.network.multiple,
        "cell": colorizer.network.cell,
        "input": "luma" if colorizer.luma else "lightness",
        "size": colorizer.size,
        "renderings": colorizer.renderings,
        "chromascape": __version__,
    }


def _as_onnx(colorizer: Colorizer) -> Any:
    """The network as an ONNX ModelProto with free batch, height and width."""
    network, multiple = colorizer.network, colorizer.network.multiple
    dim = torch.export.Dim
    sides = {
        2: multiple * dim("height", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("height"),
        3: multiple * dim("width", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("width"),
    }
    example = torch.zeros(2, 1, 4 * multiple, 6 * multiple, device=colorizer.device)
    with _quiet():
        program = torch.onnx.export(
            network, (example,), dynamo=True, dynamic_shapes=({0: dim("photos"), **sides},),
            input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, verbose=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of packages that no network of ours needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _halve(graph: Any) -> None:
    """Store what has more than one dimension as float16; a runtime casts it back once, as it loads the file."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
