"""RecordIO-protobuf: SageMaker's `aialgs.data.Record` messages in MXNet's RecordIO frames, read by hand.

Facts: "Common data formats for training" of the SageMaker Developer Guide (record.proto); MXNet's recordio.h: magic
0xced7230a, then 3 bits of flag and 29 bits of length, content padded to 4 bytes. Split frames (flag other than 0) are
joined.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from farero_container.serve.content import Undecodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from farero_container.serve.content import Matrix

    Keys = NDArray[np.int64]

MAGIC = 0xCED7230A
#: Field of `Value` → NumPy's type of the tensor's values.
_TENSORS = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
_MAX_CELLS = 200_000_000


def read_records(body: bytes) -> Matrix:
    """Return the features, shape (records, features); what a sparse record leaves out is NaN. Raises Undecodable."""
    return read_labelled(body)[0]


def read_labelled(body: bytes) -> tuple[Matrix, Matrix]:
    """Return features and labels, shape (records,); a record without label has NaN. Raises Undecodable."""
    rows: list[tuple[Matrix, Keys | None]] = []
    labels: list[float] = []
    width = 0
    try:
        for frame in frames(body):
            values, keys, shape, label = _record(frame)
            rows.append((values, keys))
            labels.append(label)
            last = int(keys.max()) + 1 if keys is not None and len(keys) else 0
            width = max(width, shape, last if keys is not None else len(values))
    except (IndexError, ValueError, struct.error) as error:
        raise Undecodable(f"record {len(rows) + 1} is not a RecordIO-protobuf record") from error
    if width * len(rows) > _MAX_CELLS:
        raise Undecodable(f"{len(rows)} records of {width} features are too many")
    matrix = np.full((len(rows), width), np.nan, dtype=np.float32)
    for number, (values, keys) in enumerate(rows):
        if keys is None:
            matrix[number, : len(values)] = values
        else:
            matrix[number, keys] = values
    return matrix, np.array(labels, dtype=np.float32)


def frames(body: bytes) -> Iterator[bytes]:
    """Yield the records of a RecordIO stream. Raises Undecodable."""
    at, parts = 0, b""
    while at < len(body):
        if len(body) - at < 8:
            raise Undecodable(f"the RecordIO stream ends early, at byte {at}")
        magic, flagged = struct.unpack_from("<II", body, at)
        if magic != MAGIC:
            raise Undecodable(f"no RecordIO record begins at byte {at}")
        flag, length = flagged >> 29, flagged & ((1 << 29) - 1)
        if at + 8 + length > len(body):
            raise Undecodable(f"the RecordIO stream ends early, at byte {at}")
        parts += body[at + 8 : at + 8 + length]
        at += 8 + length + -length % 4
        if flag in (0, 3):
            yield parts
            parts = b""


def _record(frame: bytes) -> tuple[Matrix, Keys | None, int, float]:
    values, keys, shape, label = np.empty(0, np.float32), None, 0, float("nan")
    for field, content in _fields(frame):
        if field not in (1, 2) or isinstance(content, int):
            continue
        tensor = next(
            (inner for number, inner in _fields(content) if number == 2), b""
        )  # map entry: value
        found, found_keys, found_shape = _value(tensor if isinstance(tensor, bytes) else b"")
        if field == 1:
            values, keys, shape = found, found_keys, found_shape
        elif len(found):
            label = float(found[0])
    return values, keys, shape, label


def _value(message: bytes) -> tuple[Matrix, Keys | None, int]:
    for field, tensor in _fields(message):
        if field in _TENSORS and isinstance(tensor, bytes):
            return _tensor(tensor, _TENSORS[field])
    raise ValueError("no tensor of numbers")


def _tensor(message: bytes, dtype: np.dtype[np.generic]) -> tuple[Matrix, Keys | None, int]:
    values: list[float] = []
    keys: list[int] = []
    shape: list[int] = []
    for field, content in _fields(message):
        if field == 1 and dtype.kind == "i":
            values += _varints(content)
        elif field == 1 and isinstance(content, bytes):
            values += np.frombuffer(content, dtype).tolist()
        elif field == 2:
            keys += _varints(content)
        elif field == 3:
            shape += _varints(content)
    if keys and len(keys) != len(values):
        raise ValueError("keys and values differ in number")
    if keys and min(keys) < 0:
        raise ValueError("a key is negative")
    positions = np.array(keys, dtype=np.int64) if keys or (shape and not values) else None
    return np.array(values, dtype=np.float32), positions, int(np.prod(shape)) if shape else 0


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield (number, content) of a protobuf message: bytes, or an int for a varint."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        else:
            length = {1: 8, 5: 4}[wire] if wire in (1, 5) else -1
        if length < 0 or at + length > len(message):
            raise ValueError("a field ends early")
        yield tag >> 3, message[at : at + length]
        at += length


def _varints(content: bytes | int) -> list[int]:
    if isinstance(content, int):
        return [content]
    found: list[int] = []
    at = 0
    while at < len(content):
        value, at = _varint(content, at)
        found.append(value - (1 << 64) if value >= 1 << 63 else value)
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
