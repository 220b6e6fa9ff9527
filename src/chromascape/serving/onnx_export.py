"""The model as one ONNX file, for ONNX Runtime on a server, a phone or in a browser, without torch.

Input `lightness` is scaled L* (N, 1, H, W) in 0..1, H and W multiples of the network's; output `colors` is scaled color
(N, C, H, W) in 0..1. The file's metadata has the rest (working size, padding, factors of the renderings) as JSON under
METADATA.

`python -m chromascape.serving.onnx_export` writes the graph of the shipped network, which `Colorizer.load` fills with
the shipped weights. Run it after a change of the network; new weights alone don't need it.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from chromascape import __version__
from chromascape.colorizing.colorizer import SHIPPED, Colorizer
from chromascape.colorizing.model_files import WEIGHTS
from chromascape.colorizing.onnx_network import FORMAT, GRAPH, INPUT, METADATA, OUTPUT
from chromascape.colorizing.torch_network import TorchNetwork
from chromascape.errors import ChromascapeError
from chromascape.files import atomic_write

OPSET = 18
LARGEST_SIDE = 64  # in multiples of the network's: a bound for the exporter alone; runtimes take larger sides


def export(colorizer: Colorizer, target: Path) -> None:
    """Write the colorizer's network and metadata as an ONNX file, whole or not at all.

    Raises:
        ChromascapeError: the packages of the extra `export` are missing, or the network is not one of torch.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ModuleNotFoundError as error:
        raise ChromascapeError(
            f"the package {error.name} is missing: pip install 'chromascape[export]', then export again"
        ) from None
    data = whole(as_onnx(colorizer), metadata(colorizer))
    with atomic_write(target) as temporary:
        temporary.write_bytes(data)


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
    """The network of torch as an ONNX ModelProto with free batch, height and width, not yet simplified."""
    if not isinstance(colorizer.network, TorchNetwork):
        raise ChromascapeError("only a network of torch can be exported: load the model with by_torch=True")
    module, multiple = colorizer.network.module, colorizer.network.multiple
    dim = torch.export.Dim
    sides = {
        2: multiple * dim("height", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("height"),
        3: multiple * dim("width", min=1, max=LARGEST_SIDE) if multiple > 1 else dim("width"),
    }
    example = torch.zeros(2, 1, 4 * multiple, 6 * multiple, device=colorizer.network.device)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about packages that our networks do not need
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=({0: dim("photos"), **sides},),
            input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, verbose=False, optimize=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def whole(model: Any, about: dict[str, Any]) -> bytes:
    """The file with its weights and this metadata.

    Kernels and matrices are stored as float16, as in weights.safetensors, and computed as float32: half the file, and
    ab within 0.1. A runtime casts them once, when it loads the file.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    model, weights = _simplified(model)
    casts = []
    for tensor in weights:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            name = tensor.name
            tensor = numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), f"{name}.half")
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
        model.graph.initializer.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    checker.check_model(model)
    return _file(model, about)


def without_weights(model: Any, about: dict[str, Any]) -> bytes:
    """The file with this metadata, whose weights are supplied on loading, under their names in torch."""
    from onnx import TensorProto

    model, weights = _simplified(model)
    for tensor in weights:
        place = model.graph.initializer.add(
            name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, data_location=TensorProto.EXTERNAL
        ).external_data.add()
        place.key, place.value = "location", WEIGHTS
    return _file(model, about)


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


def _file(model: Any, about: dict[str, Any]) -> bytes:
    from onnx import helper

    helper.set_model_props(model, {METADATA: json.dumps(about)})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


if __name__ == "__main__":
    shipped = Colorizer.load(SHIPPED, "cpu", by_torch=True)
    with atomic_write(SHIPPED / GRAPH) as temporary:
        temporary.write_bytes(without_weights(as_onnx(shipped), facts(shipped)))
