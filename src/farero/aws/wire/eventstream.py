"""Event streams of answers: AWS's binary frames around each event.

A frame is: total length u32, length of the headers u32, CRC32 of those 8 bytes, headers, payload, CRC32 of it all.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, cast

from farero.aws.wire import cbor_body, json_body, scalars, xml_body
from farero.aws.wire.messages import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from botocore.model import Shape, StructureShape

    from farero.aws.wire.messages import Value

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_MEDIA_TYPES = {
    "json": "application/json",
    "rest-json": "application/json",
    "rest-xml": "text/xml",
    "smithy-rpc-v2-cbor": "application/cbor",
}


def frame(headers: dict[str, Value], payload: bytes) -> bytes:
    """Return one frame; header values are str, bytes, bool, int (32 bit) or datetime."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return message + struct.pack(">I", zlib.crc32(message))


async def write(
    shape: Shape, events: Value, protocol: str, first: tuple[Shape, Value] | None = None
) -> AsyncIterator[bytes]:
    """Frame `events`, each `{"EventName": {members}}`; an AwsError raised among them becomes an exception frame.

    first: output shape and result of RPC protocols, sent ahead as `initial-response`.
    """
    if first:
        headers = {":message-type": "event", ":event-type": "initial-response"}
        yield frame(headers | {":content-type": _MEDIA_TYPES[protocol]}, _body(protocol, *first))
    members = cast("StructureShape", shape).members
    try:
        if isinstance(events, AsyncIterable):
            async for event in cast("AsyncIterable[dict[str, Value]]", events):
                yield _event(members, event, protocol)
        else:
            for event in cast("Iterable[dict[str, Value]]", events):
                yield _event(members, event, protocol)
    except AwsError as error:
        yield _exception(members, error, protocol)
    finally:
        if isinstance(events, AsyncGenerator):
            await cast("AsyncGenerator[object, None]", events).aclose()


def _event(members: dict[str, Shape], event: dict[str, Value], protocol: str) -> bytes:
    [(name, value)] = event.items()
    shape = members[name]
    headers: dict[str, Value] = {":message-type": "event", ":event-type": name}
    rest: dict[str, Value] = {}
    payload: bytes | None = None
    for key, member in cast("StructureShape", shape).members.items():
        if value.get(key) is None:
            continue
        if member.serialization.get("eventheader"):
            headers[key] = value[key]
        elif member.serialization.get("eventpayload"):
            kind, payload = _payload(member, value[key], protocol)
            headers[":content-type"] = kind
        else:
            rest[key] = value[key]
    if payload is None:
        payload = _body(protocol, shape, rest) if rest else b""
        if rest:
            headers[":content-type"] = _MEDIA_TYPES[protocol]
    return frame(headers, payload)


def _payload(member: Shape, value: Value, protocol: str) -> tuple[str, bytes]:
    if member.type_name == "blob":
        return "application/octet-stream", bytes(value)
    if member.type_name == "string":
        return "text/plain", str(value).encode()
    return _MEDIA_TYPES[protocol], _body(protocol, member, value)


def _exception(members: dict[str, Shape], error: AwsError, protocol: str) -> bytes:
    shape = members.get(error.code)
    if shape is None:
        return frame(
            {
                ":message-type": "error",
                ":error-code": error.code,
                ":error-message": error.message,
            },
            b"",
        )
    values = dict(error.members)
    for key in cast("StructureShape", shape).members:
        if key.lower() == "message":
            values[key] = error.message
    headers = {":message-type": "exception", ":exception-type": error.code}
    return frame(
        headers | {":content-type": _MEDIA_TYPES[protocol]}, _body(protocol, shape, values)
    )


def _body(protocol: str, shape: Shape, value: Value) -> bytes:
    if protocol == "rest-xml":
        return xml_body.write(shape, value, shape.name, declare=False)
    if protocol == "smithy-rpc-v2-cbor":
        return cbor_body.write(shape, value)
    return json_body.write(shape, value)


def _header(name: str, value: Value) -> bytes:
    key = name.encode()
    head = bytes([len(key)]) + key
    if isinstance(value, bool):
        return head + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        return head + b"\x04" + struct.pack(">i", value)
    if isinstance(value, (bytes, str)):
        data = value.encode() if isinstance(value, str) else value
        return (
            head
            + (b"\x07" if isinstance(value, str) else b"\x06")
            + struct.pack(">H", len(data))
            + data
        )
    milliseconds = round(float(scalars.write_timestamp(value, "unixTimestamp")) * 1000)
    return head + b"\x08" + struct.pack(">q", milliseconds)
