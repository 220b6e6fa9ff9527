"""The model as one ONNX file, for ONNX Runtime on a server, a phone or in a browser, without torch.

Input `lightness` is scaled L* (N, 1, H, W) in 0..1, H and W multiples of the network's; output `colors` is scaled color
(N, C, H, W) in 0..1. The file's metadata has the rest (working size, padding, factors of the renderings) as JSON under
METADATA.

`python -m chromascape.serving.onnx_export` writes the graph of each network, which `Colorizer.load` fills with a
model's weights. Run it after a change of a network, with its name; new weights alone don't need it.
"""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from chromascape import __version__
from chromascape.colorizing import onnx_file
from chromascape.colorizing.colorizer import Colorizer
from chromascape.colorizing.onnx_network import (
    FORMAT,
    GRAPHS,
    INPUT,
    METADATA,
    OUTPUT,
    SHAPES,
    OnnxNetwork,
    floats,
    graph_of,
)
from chromascape.errors import ChromascapeError, how_to_install
from chromascape.files import atomic_write

OPSET = 18
LARGEST_SIDE = 64  # in multiples of the network's: a bound for the exporter alone; runtimes take larger sides


def export(colorizer: Colorizer, target: Path) -> None:
    """Write the colorizer's network and metadata as an ONNX file, whole or not at all.

    What ONNX Runtime computes is written as it is. Networks that have no graph yet go through torch's exporter, which
    takes half a minute.

    Raises:
        ChromascapeError: packages that torch's exporter needs are missing.
    """
    network: Any = colorizer.network
    if isinstance(network, OnnxNetwork):
        model, weights = network.read(), {}
    elif graph := graph_of(colorizer.name):
        model = graph.read_bytes()
        weights = floats({name: value.numpy(force=True) for name, value in network.module.state_dict().items()})
    else:
        model, weights = without_weights(as_onnx(colorizer))
    with atomic_write(target) as temporary:
        temporary.write_bytes(onnx_file.assemble(model, weights, {METADATA: json.dumps(metadata(colorizer))}))


def metadata(colorizer: Colorizer) -> dict[str, Any]:
    """How to use the network: `renderings` are factors on its ab, `size` is the working size."""
    return {
        **facts(colorizer),
        "format": FORMAT,
        "network": colorizer.name,
        "input": "luma" if colorizer.luma else "lightness",
        "size": colorizer.size,
        "renderings": colorizer.renderings,
        "chromascape": __version__,
    }


def facts(colorizer: Colorizer) -> dict[str, Any]:
    """The part of the metadata that does not depend on weights."""
    return {name: getattr(colorizer.network, name) for name in ("predicts", "cell", "multiple")}


def as_onnx(colorizer: Colorizer) -> Any:
    """A network of torch as an ONNX ModelProto with free batch, height and width, not yet simplified."""
    try:
        import onnxscript  # noqa: F401  (torch's exporter needs it)
        import torch
    except ModuleNotFoundError as error:
        raise ChromascapeError(
            f"the package {error.name} is missing: {how_to_install('export')}, then export again"
        ) from None
    network: Any = colorizer.network
    module, multiple = network.module, network.multiple
    dim = torch.export.Dim
    sides = {
        2: multiple * dim("height", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("height"),
        3: multiple * dim("width", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("width"),
    }
    example = torch.zeros(2, 1, 4 * multiple, 6 * multiple, device=network.device)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about packages that our networks do not need
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=({0: dim("photos"), **sides},),
            input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, verbose=False, optimize=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def without_weights(model: Any) -> tuple[bytes, dict[str, Any]]:
    """The file without weights, which `onnx_file.assemble` adds again; and its weights by their names in torch.

    A cast to float32 stands in the graph for each weight that is stored as float16: ab is within 0.1, and a runtime
    casts once, when it loads the file.
    """
    from onnx import TensorProto, helper, numpy_helper

    model, weights = _simplified(model)
    model.graph.initializer.extend(tensor for tensor in weights if tensor.data_type != TensorProto.FLOAT)
    weights = [tensor for tensor in weights if tensor.data_type == TensorProto.FLOAT]
    stored = {tensor.name: onnx_file.half(tensor.name, len(tensor.dims)) for tensor in weights}
    casts = [helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT) for name, half in stored.items() if half]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    data: bytes = model.SerializeToString(deterministic=True)
    return data, {tensor.name: numpy_helper.to_array(tensor) for tensor in weights}


def _simplified(model: Any) -> tuple[Any, list[Any]]:
    """The model optimized, without the exporter's notes, which name paths of this machine; and its weights.

    Weights are inputs while it is optimized: folded into each other they would be other numbers as float16.
    """
    from onnx import ModelProto, helper
    from onnxscript import optimizer

    graph = ModelProto.FromString(model.SerializeToString()).graph
    weights = list(graph.initializer)
    del graph.initializer[:]
    graph.input.extend(helper.make_tensor_value_info(w.name, w.data_type, list(w.dims)) for w in weights)
    model = helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)
    model = optimizer.optimize(model)
    graph = model.graph
    del graph.input[1:], graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *weights):
        del part.metadata_props[:]
    return model, weights


def graph(name: str) -> bytes:
    """The graph of a network of the table: an ONNX file without weights, whose metadata has their shapes."""
    from chromascape.colorizing.networks import build_network
    from chromascape.colorizing.torch_network import TorchNetwork

    network = build_network(name)
    colorizer = Colorizer(TorchNetwork(network), name, 0)
    shapes = {key: list(value.shape) for key, value in network.state_dict().items()}
    return onnx_file.assemble(
        without_weights(as_onnx(colorizer))[0], {}, {METADATA: json.dumps(facts(colorizer) | {SHAPES: shapes})}
    )


if __name__ == "__main__":
    from chromascape.colorizing.networks import NETWORKS

    for wanted in sys.argv[1:] or NETWORKS:
        with atomic_write(GRAPHS / f"{wanted}.onnx") as temporary:
            temporary.write_bytes(graph(wanted))
