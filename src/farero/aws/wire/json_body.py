"""JSON bodies ↔ plain values, for AWS JSON 1.0 and 1.1 and rest-json.

The texts of SerializationException are those of AWS's own JSON reader.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

import msgspec

from farero.aws.wire import scalars
from farero.aws.wire.models import wire_name
from farero.aws.wire.scalars import MAX_DEPTH, Malformed

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from farero.aws.wire.messages import Value

log = logging.getLogger(__name__)

_ARTICLES = {
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
}


def read(shape: Shape, body: bytes) -> Value:
    """Decode `body` and read it as `shape`; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        plain = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("The request body is not valid JSON") from error
    return from_plain(shape, plain)


def write(shape: Shape, value: Value) -> bytes:
    """Encode `value` as `shape`."""
    return encode(to_plain(shape, value))


def encode(plain: Value) -> bytes:
    """Encode what JSON can hold."""
    return msgspec.json.encode(plain)


def from_plain(shape: Shape, value: Value, depth: int = 0) -> Value:
    """Read decoded JSON as `shape`; members that are null or unknown are left out."""
    if depth > MAX_DEPTH:
        raise Malformed("The request body is nested too deeply")
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        members = cast("StructureShape", shape).members
        values = cast("dict[str, Value]", _expect(value, dict))
        found = ((n, s, values.get(wire_name(s, n))) for n, s in members.items())
        return {n: from_plain(s, v, depth + 1) for n, s, v in found if v is not None}
    if kind == "list":
        item = cast("ListShape", shape).member
        items = cast("list[Value]", _expect(value, list))
        return [None if v is None else from_plain(item, v, depth + 1) for v in items]
    if kind == "map":
        item = cast("MapShape", shape).value
        pairs = cast("dict[str, Value]", _expect(value, dict))
        return {k: None if v is None else from_plain(item, v, depth + 1) for k, v in pairs.items()}
    return _scalar(kind, value)


def to_plain(shape: Shape, value: Value) -> Value:
    """Turn `value` into what JSON can hold; absent and None members are left out."""
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        members = cast("StructureShape", shape).members
        report_unknown(shape, value)
        return {
            wire_name(s, n): to_plain(s, value[n])
            for n, s in members.items()
            if value.get(n) is not None
        }
    if kind == "list":
        item = cast("ListShape", shape).member
        return [None if v is None else to_plain(item, v) for v in value]
    if kind == "map":
        item = cast("MapShape", shape).value
        return {str(k): None if v is None else to_plain(item, v) for k, v in value.items()}
    return _scalar_to_plain(shape, value)


def _scalar_to_plain(shape: Shape, value: Value) -> Value:
    kind = shape.type_name
    if kind == "timestamp":
        return scalars.write_timestamp(value, scalars.timestamp_format(shape, "unixTimestamp"))
    if kind == "blob":
        return scalars.write_blob(value)
    if kind in ("float", "double"):
        return scalars.write_float(value)
    return value


def report_unknown(shape: Shape, value: Value) -> None:
    """Log members that the installed botocore's model does not know; they are not sent."""
    unknown = set(value) - set(cast("StructureShape", shape).members) - {"ResponseMetadata"}
    if unknown:
        log.warning("unknown members", extra={"shape": shape.name, "members": sorted(unknown)})


def _expect(value: Value, wanted: type) -> Value:
    if not isinstance(value, wanted):
        raise Malformed("Unexpected field type")
    return value


def _scalar(kind: str, value: Value) -> Value:
    if isinstance(value, dict):
        raise Malformed("Start of structure or map found where not expected.")
    if isinstance(value, list):
        raise Malformed("Start of list found where not expected")
    if kind == "timestamp" and not isinstance(value, bool):
        return scalars.read_timestamp(value)
    if kind == "blob" and isinstance(value, str):
        return scalars.read_blob(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in ("float", "double") and (is_number or value in scalars.SPECIAL_FLOATS):
        return scalars.read_float(value)
    if kind in ("integer", "long") and is_number and value == value // 1:
        return scalars.read_integer(kind, value)
    if (kind == "boolean" and isinstance(value, bool)) or (
        kind in ("string", "character") and isinstance(value, str)
    ):
        return value
    raise Malformed(f"{_token(value)} can not be converted to {_ARTICLES.get(kind, kind)}")


def _token(value: Value) -> str:
    if isinstance(value, bool):
        return f"{value}_VALUE".upper()
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
