"""The functions the gateway calls: identify, read, validate, write and write_error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from farero.aws.wire import cbor_body, errors, form_body, json_body, models, rest, xml_body
from farero.aws.wire.compression import plain_body
from farero.aws.wire.eventstream import CONTENT_TYPE
from farero.aws.wire.eventstream import write as write_events
from farero.aws.wire.identify import Target, guess_service, identify
from farero.aws.wire.messages import AwsError, HttpResponse
from farero.aws.wire.scalars import Malformed
from farero.aws.wire.validate import validate

if TYPE_CHECKING:
    from botocore.model import OperationModel, StructureShape

    from farero.aws.wire.messages import HttpRequest, Value

__all__ = ["Target", "identify", "read", "validate", "write", "write_error"]


_BREAKS = re.compile(r"[\r\n\0]")


def read(target: Target, request: HttpRequest) -> dict[str, Value]:
    """Return the operation's input members; those that are absent are left out.

    A streaming payload is `request.stream`, or the bytes of `request.body`. For PostObject the members are Bucket,
    ContentType (with its boundary) and Body. Raises AwsError when the request cannot be read.
    """
    try:
        if target.operation is None:
            return _post_object(target, request)
        return read_operation(target.operation, target.protocol, request, target)
    except Malformed as error:
        raise _unreadable(target, error) from error


def read_operation(
    operation: OperationModel, protocol: str, request: HttpRequest, target: Target
) -> dict[str, Value]:
    """Read the input of `operation` as `protocol`."""
    if protocol.startswith("rest-"):
        return rest.read(operation, protocol, request, target.labels)
    shape = operation.input_shape
    body = plain_body(request)
    if protocol == "query":
        text = f"{request.query}&{body.decode('latin-1')}"
        pairs = [p for p in form_body.parse_pairs(text) if not p[0].startswith("X-Amz-")]
        return form_body.read(shape, pairs)
    if shape is None:
        return {}
    codec = cbor_body if protocol == "smithy-rpc-v2-cbor" else json_body
    return cast("dict[str, Value]", codec.read(shape, body))


def write(target: Target, result: dict[str, Value] | None, request_id: str) -> HttpResponse:
    """Return the answer that carries `result`; members that are absent or None are left out.

    A room may set `result["ResponseMetadata"]` to `{"HTTPStatusCode": 206, "HTTPHeaders": {...}}`, in boto3's words,
    to send another status or further headers. PostObject answers with these alone and an optional Body.
    """
    result = result or {}
    if target.operation is None:
        response = HttpResponse(status=204, body=result.get("Body", b""))
    else:
        response = write_operation(target.operation, target.protocol, result, request_id)
    extra = result.get("ResponseMetadata", {})
    response.status = extra.get("HTTPStatusCode", response.status)
    response.headers.extend(extra.get("HTTPHeaders", {}).items())
    response.headers.extend(errors.id_headers(target.service, request_id))
    return _sealed(response)


def write_operation(
    operation: OperationModel, protocol: str, result: dict[str, Value], request_id: str
) -> HttpResponse:
    """Write the output of `operation` as `protocol`."""
    if protocol.startswith("rest-"):
        return rest.write(operation, protocol, result)
    shape = operation.output_shape
    if protocol == "query":
        return _write_query(operation, shape, result, request_id)
    is_cbor = protocol == "smithy-rpc-v2-cbor"
    response = HttpResponse(status=200)
    if is_cbor:
        response.headers.append(("smithy-protocol", "rpc-v2-cbor"))
    stream = shape.event_stream_name if shape else None
    if shape and stream:
        first = {n: v for n, v in result.items() if n != stream}
        events = result.get(stream, [])
        response.stream = write_events(shape.members[stream], events, protocol, (shape, first))
        response.headers.append(("Content-Type", CONTENT_TYPE))
        return response
    if is_cbor:
        if shape:
            response.headers.append(("Content-Type", "application/cbor"))
            response.body = cbor_body.write(shape, result)
        return response
    kind = errors.json_type(operation.service_model, protocol)
    response.headers.append(("Content-Type", kind))
    response.body = json_body.write(shape, result) if shape else b"{}"
    return response


def write_error(
    target: Target | None,
    error: AwsError,
    request_id: str,
    *,
    request: HttpRequest | None = None,
) -> HttpResponse:
    """Return the answer that says `error`, in the protocol of `target` or else of `request`."""
    if target is not None:
        service, protocol = target.service, target.protocol
    elif request is not None:
        service, protocol = guess_service(request)
    else:
        service, protocol = "sagemaker", "json"
    return _sealed(errors.write(service, protocol, error, request_id, request))


def _sealed(response: HttpResponse) -> HttpResponse:
    """Make sure that no value from outside can end a header and begin another."""
    if any(_BREAKS.search(name + value) for name, value in response.headers):
        response.headers = [
            (_BREAKS.sub("-", name), _BREAKS.sub(" ", value)) for name, value in response.headers
        ]
    return response


def _write_query(
    operation: OperationModel,
    shape: StructureShape | None,
    result: dict[str, Value],
    request_id: str,
) -> HttpResponse:
    inner = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper") or f"{operation.name}Result"
        inner = xml_body.write(shape, result, wrapper, declare=False).decode()
    space = models.namespace(operation.service_model)
    root = f'{operation.name}Response xmlns="{space}"' if space else f"{operation.name}Response"
    metadata = f"<ResponseMetadata>{xml_body.element('RequestId', request_id)}</ResponseMetadata>"
    text = f"<{root}>{inner}{metadata}</{operation.name}Response>"
    headers = [("Content-Type", "text/xml")]
    return HttpResponse(status=200, headers=headers, body=(xml_body.DECLARATION + text).encode())


def _post_object(target: Target, request: HttpRequest) -> dict[str, Value]:
    return {
        "Bucket": target.labels["Bucket"],
        "ContentType": request.headers.get("content-type"),
        "Body": request.body if request.stream is None else request.stream,
    }


def _unreadable(target: Target, error: Malformed) -> AwsError:
    if target.protocol == "query":
        return AwsError("MalformedInput", error.message)
    if target.service != "s3":
        return AwsError("SerializationException", error.message)
    if not error.in_body:
        return AwsError("InvalidArgument", error.message)
    detail = (
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
    return AwsError("MalformedXML", detail)
