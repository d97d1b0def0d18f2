"""Form bodies and query strings → plain values, for the query protocol; its answers are XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from farero.aws.wire import scalars
from farero.aws.wire.models import wire_name
from farero.aws.wire.scalars import MAX_DEPTH, Malformed

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from farero.aws.wire.messages import Value

#: Most fields of one request; PutMetricData with 1,000 metrics stays below.
MAX_FIELDS = 100_000
_LEAF = ""


def parse_pairs(text: str) -> list[tuple[str, str]]:
    """Split `a=1&b` into decoded pairs, in order; `+` is a space."""
    pieces = [piece for piece in text.split("&") if piece]
    if len(pieces) > MAX_FIELDS:
        raise Malformed("The request has too many parameters", in_body=False)
    return [
        (decode(name.replace("+", " ")), decode(value.replace("+", " ")))
        for name, _, value in (piece.partition("=") for piece in pieces)
    ]


def decode(text: str) -> str:
    """Undo percent-encoding once; raise Malformed when the bytes are no UTF-8."""
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError as error:
        raise Malformed("Percent-encoded text is not UTF-8", in_body=False) from error


def read(shape: Shape | None, pairs: list[tuple[str, str]]) -> dict[str, Value]:
    """Read `Filter.member.1.Name=x` and its like as `shape`."""
    if shape is None:
        return {}
    tree: dict[str, Value] = {}
    for name, value in pairs:
        parts = name.split(".")
        if len(parts) > MAX_DEPTH:
            raise Malformed("A parameter name is nested too deeply")
        node = tree
        for part in parts:
            node = node.setdefault(part or "?", {})
        node[_LEAF] = value
    return cast("dict[str, Value]", _value(shape, tree))


def _value(shape: Shape, node: dict[str, Value]) -> Value:
    kind = shape.type_name
    if kind == "structure":
        return _structure(cast("StructureShape", shape), node)
    if kind == "list":
        return _list(cast("ListShape", shape), node)
    if kind == "map":
        return _map(cast("MapShape", shape), node)
    if _LEAF not in node:
        raise Malformed("A structure was given where a value is expected")
    return scalars.from_text(shape, node[_LEAF])


def _structure(shape: StructureShape, node: dict[str, Value]) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for name, member in shape.members.items():
        found = node.get(wire_name(member, name))
        if found is None and member.type_name == "list" and member.serialization.get("flattened"):
            found = node.get(wire_name(cast("ListShape", member).member, name))
        if found is not None:
            result[name] = _value(member, found)
    return result


def _list(shape: ListShape, node: dict[str, Value]) -> list[Value]:
    if not shape.serialization.get("flattened"):
        node = node.get(wire_name(shape.member, "member"), {})
    return [_value(shape.member, item) for item in _numbered(node)]


def _map(shape: MapShape, node: dict[str, Value]) -> dict[str, Value]:
    if not shape.serialization.get("flattened"):
        node = node.get("entry", {})
    key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
    result: dict[str, Value] = {}
    for entry in _numbered(node):
        if _LEAF not in entry.get(key_name, {}) or value_name not in entry:
            raise Malformed(f"A map entry has no {key_name} or no {value_name}")
        result[entry[key_name][_LEAF]] = _value(shape.value, entry[value_name])
    return result


def _numbered(node: dict[str, Value]) -> list[dict[str, Value]]:
    names = [name for name in node if name != _LEAF]
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        raise Malformed("A list member is not numbered")
    return [node[name] for name in sorted(names, key=int)]
