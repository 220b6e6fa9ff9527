"""An ONNX file put together from a graph, its weights and metadata, without the package `onnx`.

Such a file is one message of protobuf: fields one behind the other, each with its number. The numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

# Fields of ModelProto, of its graph, of a tensor, and of an entry of the metadata.
GRAPH, METADATA = 7, 14
INITIALIZER = 5
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
KEY, VALUE = 1, 2
DATA_TYPES = {np.dtype("float32"): 1, np.dtype("float16"): 10}


def assemble(
    model: bytes, weights: Mapping[str, NDArray[np.floating]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The model with these weights added to its graph, and with this metadata (None: its own).

    Args:
        model: an ONNX file.
        weights: by name. Kernels and matrices become float16 under the name `half` gives, which the graph casts back:
            that is how weights.safetensors holds them, and half the file.
    """
    tensors = b"".join(_field(INITIALIZER, _tensor(name, value)) for name, value in weights.items())
    written = []
    for number, field, content in _fields(model):
        if number == GRAPH:
            written.append(_field(GRAPH, content + tensors))
        elif number != METADATA or metadata is None:
            written.append(field)
    for key, text in (metadata or {}).items():
        written.append(_field(METADATA, _field(KEY, key.encode()) + _field(VALUE, text.encode())))
    return b"".join(written)


def metadata(model: bytes) -> dict[str, str]:
    """The metadata of an ONNX file."""
    entries = (dict(_texts(content)) for number, _, content in _fields(model) if number == METADATA)
    return {entry[KEY]: entry[VALUE] for entry in entries}


def _texts(message: bytes) -> Iterator[tuple[int, str]]:
    """The fields of a message of texts."""
    yield from ((number, content.decode()) for number, _, content in _fields(message))


def half(name: str, dimensions: int) -> str | None:
    """The name under which a tensor is stored as float16; None: it is stored as float32."""
    return f"{name}.half" if dimensions > 1 else None


def _tensor(name: str, value: NDArray[np.floating]) -> bytes:
    stored = half(name, value.ndim)
    data = np.ascontiguousarray(value, "<f2" if stored else "<f4")
    dims = b"".join(_number(DIMS, side) for side in value.shape)
    return (
        dims
        + _number(DATA_TYPE, DATA_TYPES[data.dtype])
        + _field(NAME, (stored or name).encode())
        + _field(RAW_DATA, data.tobytes())
    )


def _field(number: int, content: bytes) -> bytes:
    """A field with bytes as its content; its type is 2."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    """A field with a whole number as its content; its type is 0."""
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """7 bits a byte, the lowest first; all bytes but the last have their highest bit set."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, the whole field, and its content (of numbers: nothing). A model has fields of these two types alone."""
    at = 0
    while at < len(message):
        key, begin = _read_varint(message, at)
        length, begin = _read_varint(message, begin)
        end = begin + length if key & 7 == 2 else begin
        yield key >> 3, message[at:end], message[begin:end]
        at = end


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
