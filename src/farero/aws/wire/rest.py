"""Bindings of rest-json and rest-xml: URI labels, query string, headers, status and payload."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from farero.aws.wire import eventstream, form_body, json_body, models, scalars, xml_body
from farero.aws.wire.compression import plain_body
from farero.aws.wire.messages import HttpResponse
from farero.aws.wire.models import wire_name
from farero.aws.wire.scalars import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

    from farero.aws.wire.messages import Headers, HttpRequest, Value

_CHUNK_BYTES = 256 * 1024
_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')
_HTTP_DATE = re.compile(r"[^,]+,[^,]+")
#: Root elements where S3's differ from the shape's name ("Amazon S3 API Reference", each operation's response).
_S3_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}


@dataclass(frozen=True, slots=True)
class _Parts:
    """A request outside its body."""

    labels: Mapping[str, str]
    query: list[tuple[str, str]]
    #: Parameters bound to members of their own; a map of parameters takes the others.
    bound: frozenset[str]
    headers: Headers


def read(
    operation: OperationModel, protocol: str, request: HttpRequest, labels: Mapping[str, str]
) -> dict[str, Value]:
    """Collect the input members of `operation` from all parts of the request."""
    shape = operation.input_shape
    if shape is None:
        return {}
    result: dict[str, Value] = {}
    parts = _Parts(
        labels=labels,
        query=form_body.parse_pairs(request.query) if request.query else [],
        bound=_bound_parameters(shape),
        headers=request.headers,
    )
    for name, member in shape.members.items():
        value = _bound(name, member, parts)
        if value is not None:
            result[name] = value
    payload = cast("str | None", shape.serialization.get("payload"))
    if payload:
        result.update(_payload(payload, shape, protocol, request))
    elif any("location" not in m.serialization for m in shape.members.values()):
        codec = xml_body if protocol == "rest-xml" else json_body
        body = codec.read(shape, plain_body(request))
        inside = {n for n, m in shape.members.items() if "location" not in m.serialization}
        result.update({n: v for n, v in body.items() if n in inside})
    return result


def write(operation: OperationModel, protocol: str, result: dict[str, Value]) -> HttpResponse:
    """Spread `result` over status, headers and body as the model says."""
    shape = operation.output_shape
    response = HttpResponse(status=int(operation.http.get("responseCode", 200)))
    if shape is None:
        return response
    for name, member in shape.members.items():
        if result.get(name) is not None:
            _bind(response, wire_name(member, name), member, result[name])
    payload = cast("str | None", shape.serialization.get("payload"))
    if payload:
        _write_payload(response, operation, protocol, result, payload)
    elif operation.name == "GetBucketLocation" and protocol == "rest-xml":
        # S3 answers with the bare constraint, empty for us-east-1 ("GetBucketLocation").
        response.body = _location(operation, result)
        _default_type(response, "application/xml")
    elif _has_body(shape) or (protocol == "rest-json" and not shape.members):
        _write_body(response, operation, protocol, shape, result)
    if operation.name in ("GetObject", "HeadObject") and result.get("ContentRange"):
        response.status = 206
    return response


def header_text(member: Shape, value: Value) -> str:
    """Write a value for a header."""
    if member.type_name == "list":
        item = cast("ListShape", member).member
        texts = [header_text(item, v) for v in value if v is not None]
        if item.type_name == "string":
            texts = [_quote(text) for text in texts]
        return ", ".join(texts)
    if member.serialization.get("jsonvalue"):
        return base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()
    return scalars.to_text(member, value, "rfc822")


def _bound(name: str, member: Shape, parts: _Parts) -> Value:
    where = member.serialization.get("location")
    key = wire_name(member, name)
    try:
        if where == "uri":
            return scalars.from_text(member, parts.labels[key]) if key in parts.labels else None
        if where == "querystring":
            return _from_query(member, key, parts.query, parts.bound)
        if where == "headers":
            prefix = key.lower()
            names = dict.fromkeys(n for n, _ in parts.headers.items if n.startswith(prefix))
            return {n[len(prefix) :]: ",".join(parts.headers.all(n)) for n in names} or None
        if where == "header" and parts.headers.has(key):
            return _from_header(member, ", ".join(parts.headers.all(key)))
    except Malformed as error:
        raise Malformed(f"{name}: {error.message}", in_body=False) from error
    return None


def _bound_parameters(shape: StructureShape) -> frozenset[str]:
    return frozenset(
        wire_name(m, n)
        for n, m in shape.members.items()
        if m.serialization.get("location") == "querystring" and m.type_name != "map"
    )


def _from_query(
    member: Shape, key: str, query: list[tuple[str, str]], bound: frozenset[str]
) -> Value:
    if member.type_name == "map":
        item = cast("MapShape", member).value
        result: dict[str, Value] = {}
        for name, text in query:
            if name in bound:
                continue
            if item.type_name == "list":
                each = cast("ListShape", item).member
                result.setdefault(name, []).append(scalars.from_text(each, text))
            else:
                result.setdefault(name, scalars.from_text(item, text))
        return result or None
    texts = [text for name, text in query if name == key]
    if not texts:
        return None
    if member.type_name == "list":
        return [scalars.from_text(cast("ListShape", member).member, text) for text in texts]
    return scalars.from_text(member, texts[0])


def _from_header(member: Shape, text: str) -> Value:
    if member.type_name == "list":
        item = cast("ListShape", member).member
        if item.type_name == "timestamp":
            form = scalars.timestamp_format(item, "rfc822")
            pieces = _HTTP_DATE.findall(text) if form == "rfc822" else text.split(",")
        else:
            found = _LIST_ITEM.finditer(text)
            pieces = [
                m[2].strip() if m[1] is None else re.sub(r"\\(.)", r"\1", m[1]) for m in found
            ]
            # The pattern also matches the empty rest after the last item.
            pieces = pieces[:-1] if pieces and not pieces[-1] and not text.endswith(",") else pieces
        return [scalars.from_text(item, piece.strip()) for piece in pieces]
    if member.serialization.get("jsonvalue"):
        try:
            return json.loads(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise Malformed("the header is not JSON in base64") from error
    return scalars.from_text(member, text)


def _payload(
    name: str, shape: StructureShape, protocol: str, request: HttpRequest
) -> dict[str, Value]:
    member = shape.members[name]
    if member.type_name in ("blob", "string"):
        if request.stream is not None:
            return {name: request.stream}
        must = member.serialization.get("streaming") or name in shape.required_members
        if not request.body and not must:
            return {}
        if member.type_name == "blob":
            return {name: request.body}
        try:
            return {name: request.body.decode()}
        except UnicodeDecodeError as error:
            raise Malformed("The body is not UTF-8") from error
    if not request.body.strip():
        return {}
    codec = xml_body if protocol == "rest-xml" else json_body
    return {name: codec.read(member, request.body)}


def _bind(response: HttpResponse, key: str, member: Shape, value: Value) -> None:
    where = member.serialization.get("location")
    if where == "statusCode":
        response.status = int(value)
    elif where == "header":
        if not (member.type_name == "list" and not value):
            response.headers.append((key, header_text(member, value)))
    elif where == "headers":
        response.headers.extend((key + name, str(text)) for name, text in value.items())


def _write_payload(
    response: HttpResponse,
    operation: OperationModel,
    protocol: str,
    result: dict[str, Value],
    name: str,
) -> None:
    member = cast("StructureShape", operation.output_shape).members[name]
    value = result.get(name)
    if member.serialization.get("eventstream"):
        response.stream = eventstream.write(member, value if value is not None else [], protocol)
        if not _names_type(cast("StructureShape", operation.output_shape)):
            _default_type(response, eventstream.CONTENT_TYPE)
    elif value is None:
        return
    elif member.type_name == "blob":
        _attach(response, value)
        if not _names_type(cast("StructureShape", operation.output_shape)):
            _default_type(response, "application/octet-stream")
    elif member.type_name == "string":
        response.body = str(value).encode()
        _default_type(
            response, "application/json" if operation.name == "GetBucketPolicy" else "text/plain"
        )
    elif protocol == "rest-json":
        response.body = json_body.write(member, value)
        _default_type(response, "application/json")
    else:
        root = wire_name(member, member.name)
        space = models.namespace(operation.service_model)
        response.body = xml_body.write(member, value, root, namespace=space)
        _default_type(response, "application/xml")


def _write_body(
    response: HttpResponse,
    operation: OperationModel,
    protocol: str,
    shape: StructureShape,
    result: dict[str, Value],
) -> None:
    if protocol == "rest-json":
        outside = {n for n, m in shape.members.items() if _is_outside(m)}
        inside = {n: v for n, v in result.items() if n not in outside}
        if response.status != 204:
            response.body = json_body.write(shape, inside)
            _default_type(response, "application/json")
        return
    default = wire_name(shape, shape.name)
    is_s3 = operation.service_model.service_name == "s3"
    root = _S3_ROOTS.get(operation.name, default) if is_s3 else default
    space = models.namespace(operation.service_model)
    response.body = xml_body.write(shape, result, root, namespace=space)
    _default_type(response, "application/xml")


def _has_body(shape: StructureShape) -> bool:
    return any(not _is_outside(m) for m in shape.members.values())


def _is_outside(member: Shape) -> bool:
    """Say whether an output member travels outside the body; bindings of inputs mean nothing here."""
    return member.serialization.get("location") in xml_body.OUTPUT_LOCATIONS


def _location(operation: OperationModel, result: dict[str, Value]) -> bytes:
    shape = cast("StructureShape", operation.output_shape).members["LocationConstraint"]
    value = result.get("LocationConstraint") or ""
    space = models.namespace(operation.service_model)
    return xml_body.write(shape, value, "LocationConstraint", namespace=space)


def _names_type(shape: StructureShape) -> bool:
    """Say whether a member carries the payload's media type, so that none is made up in its absence."""
    return any(wire_name(m, n).lower() == "content-type" for n, m in shape.members.items())


def _attach(response: HttpResponse, value: Value) -> None:
    if isinstance(value, str):
        response.body = value.encode()
    elif isinstance(value, (bytes, bytearray)):
        response.body = bytes(value)
    elif isinstance(value, AsyncIterator):
        response.stream = cast("AsyncIterator[bytes]", value)
    else:
        response.stream = _pieces(value)


async def _pieces(file: Value) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield piece
    finally:
        file.close()


def _default_type(response: HttpResponse, kind: str) -> None:
    if not any(name.lower() == "content-type" for name, _ in response.headers):
        response.headers.append(("Content-Type", kind))


def _quote(text: str) -> str:
    if '"' not in text and "," not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
