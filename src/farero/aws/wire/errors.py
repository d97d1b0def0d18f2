"""AwsError → the bytes in which each protocol says it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, cast

from farero.aws.wire import cbor_body, json_body, models, rest, xml_body
from farero.aws.wire.messages import HttpResponse
from farero.aws.wire.models import wire_name

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape, StructureShape

    from farero.aws.wire.messages import AwsError, HttpRequest, Value


#: Headers that carry the request id: S3's, and everyone else's.
REQUEST_ID_HEADERS = ("x-amz-request-id", "x-amzn-RequestId")


def write(
    service: str,
    protocol: str,
    error: AwsError,
    request_id: str,
    request: HttpRequest | None = None,
) -> HttpResponse:
    """Write `error` as `service` would."""
    return write_for(models.service_model(service), protocol, error, request_id, request)


def write_for(
    model: ServiceModel,
    protocol: str,
    error: AwsError,
    request_id: str,
    request: HttpRequest | None = None,
) -> HttpResponse:
    """Write `error` in the terms of `model`."""
    response = HttpResponse(status=error.status, headers=list(error.headers))
    response.headers.extend(id_headers(str(model.service_name), request_id))
    has_no_body = error.status == 304 or (request is not None and request.method == "HEAD")
    if protocol in ("query", "rest-xml"):
        _write_xml(response, model, protocol, error, request.path if request else "")
    else:
        _write_plain(response, model, protocol, error)
    if has_no_body:
        response.body = b""
        response.headers = [(n, v) for n, v in response.headers if n != "Content-Type"]
    return response


def id_headers(service: str, request_id: str) -> list[tuple[str, str]]:
    """Return the headers that carry the request id."""
    if service == "s3":
        return [("x-amz-request-id", request_id), ("x-amz-id-2", host_id(request_id))]
    return [("x-amzn-RequestId", request_id)]


def host_id(request_id: str) -> str:
    """Return S3's second id, which names the host on AWS; here it follows from the first."""
    return b64encode(hashlib.sha384(request_id.encode()).digest()).decode()


def _write_plain(
    response: HttpResponse, model: ServiceModel, protocol: str, error: AwsError
) -> None:
    shape = models.find_error(model, error.code)
    code = shape.name if shape else error.code
    default = "Message" if protocol == "rest-json" else "message"
    body = _members(response, shape, error, default)
    if protocol == "rest-json":
        response.headers.append(("x-amzn-ErrorType", code))
    else:
        body = {"__type": code} | body
    if shape and models.is_query_compatible(model):
        response.headers.append(
            ("x-amzn-query-error", f"{models.error_code(shape)};{_fault(error)}")
        )
    if protocol == "smithy-rpc-v2-cbor":
        response.headers.append(("smithy-protocol", "rpc-v2-cbor"))
        response.headers.append(("Content-Type", "application/cbor"))
        response.body = cbor_body.encode(body)
        return
    response.headers.append(("Content-Type", json_type(model, protocol)))
    response.body = json_body.encode(body)


def json_type(model: ServiceModel, protocol: str) -> str:
    """Return the media type of JSON answers."""
    if protocol == "rest-json":
        return "application/json"
    return f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}"


def _members(
    response: HttpResponse, shape: Shape | None, error: AwsError, default: str
) -> dict[str, Value]:
    """Return the members of a JSON or CBOR error by wire name; those bound to headers go there."""
    members = cast("StructureShape", shape).members if shape else {}
    body: dict[str, Value] = {}
    named = [n for n in members if n.lower() == "message"]
    body[wire_name(members[named[0]], named[0]) if named else default] = error.message
    for name, value in error.members.items():
        member = members.get(name)
        if value is None:
            continue
        if member is None:
            body[name] = value
        elif member.serialization.get("location") == "header":
            response.headers.append((wire_name(member, name), rest.header_text(member, value)))
        else:
            body[wire_name(member, name)] = json_body.to_plain(member, value)
    return body


def _write_xml(
    response: HttpResponse, model: ServiceModel, protocol: str, error: AwsError, resource: str
) -> None:
    shape = models.find_error(model, error.code)
    code = models.error_code(shape) if shape else error.code
    parts = [xml_body.element("Code", code), xml_body.element("Message", error.message)]
    parts += _xml_members(response, shape, error)
    request_id = next(v for n, v in response.headers if n in REQUEST_ID_HEADERS)
    last = xml_body.element("RequestId", request_id)
    kind = "application/xml" if protocol == "rest-xml" else "text/xml"
    response.headers.append(("Content-Type", kind))
    if model.service_name == "s3":
        if resource and "Resource" not in error.members:
            parts.append(xml_body.element("Resource", resource))
        host = xml_body.element("HostId", host_id(request_id))
        text = f"<Error>{''.join(parts)}{last}{host}</Error>"
    else:
        space = models.namespace(model)
        root = f'ErrorResponse xmlns="{space}"' if space else "ErrorResponse"
        inner = xml_body.element("Type", _fault(error)) + "".join(parts)
        text = f"<{root}><Error>{inner}</Error>{last}</ErrorResponse>"
    response.body = (xml_body.DECLARATION + text).encode()


def _xml_members(response: HttpResponse, shape: Shape | None, error: AwsError) -> list[str]:
    members = cast("StructureShape", shape).members if shape else {}
    parts: list[str] = []
    for name, value in error.members.items():
        member = members.get(name)
        if value is None or name.lower() == "message":
            continue
        if member is None:
            parts.append(xml_body.element(name, str(value)))
        elif member.serialization.get("location") == "header":
            response.headers.append((wire_name(member, name), rest.header_text(member, value)))
        else:
            parts.append(xml_body.part(name, member, value))
    return parts


def _fault(error: AwsError) -> str:
    return "Receiver" if error.status >= 500 else "Sender"
