"""Writes an ONNX model of one node as protobuf bytes, so that neither `onnx` nor a converter need be installed.

Facts: onnx/onnx.proto (field numbers), Protocol Buffers' "Encoding" (varints, length-delimited fields).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Attribute = int | str | Sequence[str] | NDArray[np.float32] | NDArray[np.int64]

#: The oldest format that has what is used here (2021: ONNX 1.10), so that old runtimes read it, too.
IR_VERSION = 8
OPSETS = {"": 15, "ai.onnx.ml": 1}
_FLOAT = 1  # TensorProto.DataType
# AttributeProto.AttributeType
_INT, _STRING, _FLOATS, _INTS, _STRINGS = 2, 3, 6, 7, 8


def one_node_model(
    op_type: str,
    attributes: Mapping[str, Attribute],
    *,
    columns_in: int,
    columns_out: int,
    notes: Mapping[str, str],
) -> bytes:
    """Return a model whose input `x`, float32 (rows, columns_in), one node of ai.onnx.ml turns into `y`.

    notes: kept as the model's own metadata.
    """
    node = b"".join(
        (
            _text(1, "x"),
            _text(2, "y"),
            _text(4, op_type),
            *(_block(5, _attribute(name, value)) for name, value in attributes.items()),
            _text(7, "ai.onnx.ml"),
        )
    )
    graph = b"".join(
        (
            _block(1, node),
            _text(2, "trees"),
            _block(11, _matrix("x", columns_in)),
            _block(12, _matrix("y", columns_out)),
        )
    )
    return b"".join(
        (
            _number(1, IR_VERSION),
            _text(2, "farero"),
            _block(7, graph),
            *(_block(8, _text(1, domain) + _number(2, v)) for domain, v in OPSETS.items()),
        )
    ) + as_notes(notes)


def as_notes(notes: Mapping[str, str]) -> bytes:
    """Return what, put behind a model's bytes, adds to its metadata."""
    return b"".join(_block(14, _text(1, key) + _text(2, value)) for key, value in notes.items())


def _attribute(name: str, value: Attribute) -> bytes:
    head = _text(1, name)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, _INT)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, _STRING)
    if isinstance(value, np.ndarray):
        if value.dtype == np.float32:
            return head + _block(7, value.astype("<f4").tobytes()) + _number(20, _FLOATS)
        return head + _block(8, _varints(value.tolist())) + _number(20, _INTS)
    return head + b"".join(_text(9, one) for one in value) + _number(20, _STRINGS)


def _matrix(name: str, columns: int) -> bytes:
    """A ValueInfoProto: float32, any number of rows."""
    shape = _block(1, _text(2, "rows")) + _block(1, _number(1, columns))
    return _text(1, name) + _block(2, _block(1, _number(1, _FLOAT) + _block(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varints((field << 3, value))


def _text(field: int, value: str) -> bytes:
    return _block(field, value.encode())


def _block(field: int, value: bytes) -> bytes:
    return _varints((field << 3 | 2, len(value))) + value


def _varints(values: Iterable[int]) -> bytes:
    """Encode numbers that are not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    for value in values:
        rest = value
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)
