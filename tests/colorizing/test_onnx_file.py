"""What is written by hand is what the package `onnx` reads."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from chromascape.colorizing.onnx_file import assemble


def model() -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("a", "b")]
    inner = numpy_helper.from_array(np.float32([1, 2]), "inside")
    graph = helper.make_graph([helper.make_node("Add", ["a", "inside"], ["b"])], "g", ends[:1], ends[1:], [inner])
    made = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(made, {"old": "1", "chromascape": "old"})
    return made


def test_weights_and_metadata_are_what_onnx_reads() -> None:
    before, generator = model(), np.random.default_rng(0)
    weights = {
        "kernel": generator.normal(size=(200, 3, 1)).astype(np.float16),  # lengths and sides of several bytes
        "bias": generator.normal(size=300).astype(np.float32),
        "scalar ü": np.float32(0.1),
        "none": np.zeros((0, 4), np.float32),
    }
    text = "ü" * 100_000
    after = onnx.ModelProto.FromString(assemble(before.SerializeToString(), weights, {"chromascape": text}))
    onnx.checker.check_model(after)
    assert {entry.key: entry.value for entry in after.metadata_props} == {"chromascape": text}
    inside, *found = after.graph.initializer
    assert inside == before.graph.initializer[0]
    assert [tensor.name for tensor in found] == ["kernel.half", "bias", "scalar ü", "none.half"]
    for tensor, value in zip(found, weights.values(), strict=True):
        read = numpy_helper.to_array(tensor)
        assert read.dtype == (np.float16 if value.ndim > 1 else np.float32)
        np.testing.assert_array_equal(read, value)
    del after.graph.initializer[1:], after.metadata_props[:], before.metadata_props[:]
    assert after == before


def test_nothing_added_is_nothing_changed() -> None:
    data = model().SerializeToString()
    assert assemble(data, {}) == data
    assert onnx.ModelProto.FromString(assemble(data, {}, {})).metadata_props == []
