"""CBOR bodies (RFC 8949) ↔ plain values, for smithy-rpc-v2-cbor.

Only what the protocol uses: integers, text, bytes, arrays, maps, tag 1 (epoch time), simple values and floats.
"""

from __future__ import annotations

import datetime as dt
import struct
from typing import TYPE_CHECKING, cast

from farero.aws.wire import scalars
from farero.aws.wire.json_body import report_unknown
from farero.aws.wire.models import wire_name
from farero.aws.wire.scalars import MAX_DEPTH, Malformed

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from farero.aws.wire.messages import Value

_BREAK = object()
_SIMPLE: dict[int, Value] = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}


def read(shape: Shape, body: bytes) -> Value:
    """Decode `body` and read it as `shape`; an empty body is an empty map."""
    return {} if not body else from_plain(shape, decode(body))


def write(shape: Shape, value: Value) -> bytes:
    """Encode `value` as `shape`."""
    out = bytearray()
    _write(out, shape, value)
    return bytes(out)


def encode(plain: Value) -> bytes:
    """Encode plain values without a shape: dict, list, str, bytes, int, float, bool and None."""
    out = bytearray()
    _encode(out, plain)
    return bytes(out)


def decode(body: bytes) -> Value:
    """Decode one data item that fills `body`."""
    decoder = _Decoder(body)
    value = decoder.item(0)
    if decoder.at != len(body) or value is _BREAK:
        raise Malformed("The body is not one CBOR data item")
    return value


class _Decoder:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    def item(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise Malformed("The body is nested too deeply")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        length = None if info == 31 and 2 <= major <= 5 else self._argument(info)
        if length is None:
            return self._indefinite(major, depth)
        if major <= 1:
            return -1 - length if major else length
        if major <= 3:
            data = self._take(length)
            return data if major == 2 else self._text(data)
        if major == 6:
            return self._tagged(length, depth)
        count = range(self._bounded(length))
        return [self._element(depth) for _ in count] if major == 4 else self._map(count, depth)

    def _map(self, count: range, depth: int) -> dict[str, Value]:
        return dict(self._pair(depth) for _ in count)

    def _tagged(self, tag: int, depth: int) -> Value:
        value = self._element(depth)
        if tag != 1:
            raise Malformed(f"Tag {tag} is not supported")
        if not isinstance(value, (int, float)):
            raise Malformed("A timestamp is not a number")
        return scalars.read_timestamp(value)

    def _indefinite(self, major: int, depth: int) -> Value:
        items: list[Value] = []
        while (value := self.item(depth + 1)) is not _BREAK:
            items.append(value)
        if major == 4:
            return items
        if major == 5:
            if len(items) % 2:
                raise Malformed("A map has a key without a value")
            return {self._key(k): v for k, v in zip(items[::2], items[1::2], strict=True)}
        wanted = bytes if major == 2 else str
        if not all(isinstance(piece, wanted) for piece in items):
            raise Malformed("A string has a piece of another type")
        return b"".join(items) if major == 2 else "".join(items)

    def _pair(self, depth: int) -> tuple[str, Value]:
        key = self._key(self._element(depth))
        return key, self._element(depth)

    def _element(self, depth: int) -> Value:
        value = self.item(depth + 1)
        if value is _BREAK:
            raise Malformed("A break stands where a value is expected")
        return value

    def _key(self, key: Value) -> str:
        if not isinstance(key, str):
            raise Malformed("A map key is not text")
        return key

    def _simple(self, info: int) -> Value:
        if info in _FLOATS:
            return struct.unpack(_FLOATS[info], self._take(_SIZES[info]))[0]
        if info == 31:
            return _BREAK
        if info not in _SIMPLE:
            raise Malformed(f"Simple value {info} is not supported")
        return _SIMPLE[info]

    def _argument(self, info: int) -> int:
        if info < 24:
            return info
        if info not in _SIZES:
            raise Malformed(f"Additional information {info} is not valid")
        return int.from_bytes(self._take(_SIZES[info]), "big")

    def _bounded(self, length: int) -> int:
        if length > len(self._body) - self.at:
            raise Malformed("The body ends too early")
        return length

    def _take(self, size: int) -> bytes:
        piece = self._body[self.at : self.at + size]
        if len(piece) != size:
            raise Malformed("The body ends too early")
        self.at += size
        return piece

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise Malformed("Text is not UTF-8") from error


def from_plain(shape: Shape, value: Value) -> Value:
    """Read decoded CBOR as `shape`; members that are null or unknown are left out."""
    kind = shape.type_name
    if not _is_a(kind, value):
        if kind == "timestamp" and _is_a("double", value):
            return scalars.read_timestamp(value)
        if kind in ("integer", "long") and isinstance(value, float) and value.is_integer():
            return scalars.read_integer(kind, value)
        raise Malformed(f"A {type(value).__name__} can not be converted to a {kind}")
    if kind == "structure":
        members = cast("StructureShape", shape).members
        found = ((n, s, value.get(wire_name(s, n))) for n, s in members.items())
        return {n: from_plain(s, v) for n, s, v in found if v is not None}
    if kind == "list":
        item = cast("ListShape", shape).member
        return [None if v is None else from_plain(item, v) for v in value]
    if kind == "map":
        item = cast("MapShape", shape).value
        return {k: None if v is None else from_plain(item, v) for k, v in value.items()}
    return _number(kind, value)


def _number(kind: str, value: Value) -> Value:
    if kind in ("integer", "long"):
        return scalars.read_integer(kind, value)
    return scalars.read_float(value) if kind in ("float", "double") else value


def _is_a(kind: str, value: Value) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    info, size = next((i, s) for i, s in _SIZES.items() if number < 1 << (8 * s))
    out.append(major << 5 | info)
    out += number.to_bytes(size, "big")


def _encode(out: bytearray, value: Value) -> None:
    if isinstance(value, dict):
        pairs = cast("dict[str, Value]", value)
        _head(out, 5, len(pairs))
        for key, item in pairs.items():
            _encode(out, key)
            _encode(out, item)
    elif isinstance(value, list):
        items = cast("list[Value]", value)
        _head(out, 4, len(items))
        for item in items:
            _encode(out, item)
    elif value is None or isinstance(value, bool):
        out.append(0xF6 if value is None else 0xF5 if value else 0xF4)
    elif isinstance(value, float):
        out += b"\xfb" + struct.pack(">d", value)
    elif isinstance(value, int):
        _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    else:
        data = value.encode() if isinstance(value, str) else bytes(value)
        _head(out, 3 if isinstance(value, str) else 2, len(data))
        out += data


def _write(out: bytearray, shape: Shape | None, value: Value) -> None:
    kind = shape.type_name if shape else "string"
    if value is None:
        out.append(0xF6)
    elif kind == "structure":
        report_unknown(cast("Shape", shape), value)
        members = cast("StructureShape", shape).members
        present = [(n, s) for n, s in members.items() if value.get(n) is not None]
        _head(out, 5, len(present))
        for name, member in present:
            _write(out, None, wire_name(member, name))
            _write(out, member, value[name])
    elif kind == "list":
        _head(out, 4, len(value))
        for item in value:
            _write(out, cast("ListShape", shape).member, item)
    elif kind == "map":
        _head(out, 5, len(value))
        for key, item in value.items():
            _write(out, None, key)
            _write(out, cast("MapShape", shape).value, item)
    elif kind == "timestamp":
        out.append(0xC1)
        out += b"\xfb" + struct.pack(">d", scalars.write_timestamp(value, "unixTimestamp"))
    elif kind == "boolean":
        out.append(0xF5 if value else 0xF4)
    elif kind in ("float", "double"):
        out += b"\xfb" + struct.pack(">d", value)
    elif kind in ("integer", "long"):
        _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
    else:
        data = value.encode() if isinstance(value, str) else bytes(value)
        _head(out, 2 if kind == "blob" else 3, len(data))
        out += data


_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "character": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "blob": bytes,
    "timestamp": dt.datetime,
}
