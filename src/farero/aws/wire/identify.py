"""request → service, protocol and operation, when one host answers for every service.

In this order: X-Amz-Target; the path of smithy-rpc-v2-cbor; `Action` of a query request; the service in the SigV4
credential scope; the path. SageMaker's runtime and its control plane share the scope `sagemaker` and differ by path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, cast

from botocore import xform_name

from farero.aws.wire import form_body, models
from farero.aws.wire.compression import plain_body
from farero.aws.wire.messages import AwsError
from farero.aws.wire.models import SERVICES, wire_name
from farero.aws.wire.scalars import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, StructureShape

    from farero.aws.wire.messages import HttpRequest

_RPC_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)")
_QUEUE_PATH = re.compile(r"/[0-9]{12}/[A-Za-z0-9_-]{1,80}(\.fifo)?")
_RUNTIME_PATH = re.compile(r"/endpoints/[^/]+/(async-)?invocations(-response-stream)?")
_SCOPE = re.compile(r"Credential=[^/,\s]*/[^/]*/[^/]*/([^/,\s]+)/aws4_request")
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-].*)?")
#: JSON services have no paths of their own; a POST to one of these is for the target or the form to say.
_RPC = ("json", "query")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is meant for."""

    #: botocore's name of the service, e.g. `sagemaker-runtime`.
    service: str
    #: `json`, `rest-json`, `rest-xml`, `query` or `smithy-rpc-v2-cbor`.
    protocol: str
    #: AWS's name of the operation, or `PostObject`: S3's upload by HTML form, which botocore does not model.
    operation_name: str
    #: botocore's model of the operation; None for PostObject, whose body and headers its room reads itself.
    operation: OperationModel | None
    #: Values of the URI's labels, percent-decoded, by their name on the wire, e.g. `Bucket` and `Key`.
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def python_name(self) -> str:
        """Name of the room's method, e.g. `create_endpoint`."""
        return xform_name(self.operation_name)

    @property
    def streams_in(self) -> bool:
        """Say whether the request's body is for the operation to read in pieces."""
        return self.operation is None or _streams_in(self.operation)


def identify(request: HttpRequest) -> Target:
    """Find what `request` is meant for; raise AwsError when there is no such operation."""
    target = request.headers.get("x-amz-target")
    if target:
        prefix, _, name = target.rpartition(".")
        return _named(_service_of_target(prefix), "json", name)
    rpc = _RPC_PATH.fullmatch(request.path)
    if rpc and request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _named(_service_of_target(rpc[1]), "smithy-rpc-v2-cbor", rpc[2])
    try:
        return _by_form(request) or _by_path(request)
    except Malformed as error:
        raise AwsError("InvalidURI", error.message) from error


def scope_of(request: HttpRequest) -> str:
    """Return the service in the credential scope, `s3` for its older signatures, or "" when unsigned."""
    authorization = request.headers.get("authorization")
    found = _SCOPE.search(authorization)
    if found:
        return found[1]
    query = dict(form_body.parse_pairs(request.query)) if request.query else {}
    if "X-Amz-Credential" in query:
        parts = query["X-Amz-Credential"].split("/")
        return parts[-2] if len(parts) > 1 else ""
    old = authorization.startswith("AWS ") or {"AWSAccessKeyId", "Signature"} <= query.keys()
    return "s3" if old else ""


def guess_service(request: HttpRequest) -> tuple[str, str]:
    """Return the service and the protocol in which to answer a request that could not be identified."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "cloudwatch", "smithy-rpc-v2-cbor"
    if request.headers.has("x-amz-target"):
        return "sagemaker", "json"
    try:
        scope = scope_of(request)
        if _action(request):
            return _query_service(scope, "") or "sts", "query"
    except Malformed:
        return "s3", "rest-xml"
    service = next((s for s, entry in SERVICES.items() if entry.scope == scope), "s3")
    return service, models.main_protocol(models.service_model(service))


def _service_of_target(prefix: str) -> str:
    for service, entry in SERVICES.items():
        if entry.target and entry.target == prefix:
            return service
    raise AwsError("UnknownOperationException", f"No service here has the target '{prefix}'", 400)


def _named(service: str, protocol: str, name: str) -> Target:
    operation = models.operation_model(service, name)
    if operation is None:
        raise AwsError("UnknownOperationException", f"{service} has no operation '{name}'", 400)
    return Target(service, protocol, name, operation)


def _by_form(request: HttpRequest) -> Target | None:
    action = _action(request)
    if not action:
        return None
    name, version = action
    service = _query_service(scope_of(request), version)
    if service is None:
        return None
    operation = models.operation_model(service, name)
    if operation is None:
        detail = f"Could not find operation {name} for version {version or 'NO_VERSION_SPECIFIED'}"
        raise AwsError("InvalidAction", detail, 400)
    return Target(service, "query", name, operation)


def _action(request: HttpRequest) -> tuple[str, str] | None:
    """Return Action and Version of a query request; such requests go to the root, or to the URL of a queue."""
    if request.path not in ("", "/") and not _QUEUE_PATH.fullmatch(request.path):
        return None
    text = request.query
    is_form = request.headers.get("content-type").startswith("application/x-www-form-urlencoded")
    if request.method == "POST" and is_form:
        text = f"{text}&{plain_body(request).decode('latin-1')}"
    if "Action=" not in text:
        return None
    fields = dict(form_body.parse_pairs(text))
    return (fields["Action"], fields.get("Version", "")) if "Action" in fields else None


def _query_service(scope: str, version: str) -> str | None:
    signed = [s for s, entry in SERVICES.items() if entry.scope == scope]
    dated = [s for s in signed or SERVICES if SERVICES[s].version == version]
    if dated:
        return dated[0]
    return signed[0] if signed and signed[0] != "s3" else None


def _by_path(request: HttpRequest) -> Target:
    scope = scope_of(request)
    candidates = [s for s, entry in SERVICES.items() if entry.scope == scope]
    if not scope:
        runtime = request.method == "POST" and _RUNTIME_PATH.fullmatch(request.path)
        candidates = ["sagemaker-runtime"] if runtime else ["s3"]
    for service in candidates:
        target = _match(service, request)
        if target:
            return target
    if not candidates:
        raise AwsError("UnknownOperationException", f"No service here is called '{scope}'", 404)
    if candidates == ["s3"]:
        detail = "The specified method is not allowed against this resource."
        raise AwsError("MethodNotAllowed", detail, 405, members={"Method": request.method})
    detail = f"{scope} has no operation for {request.method} {request.path}"
    raise AwsError("UnknownOperationException", detail, 404)


def _match(service: str, request: HttpRequest) -> Target | None:
    path = request.path or "/"
    bucket = _bucket_of_host(request) if service == "s3" else ""
    if bucket:
        path = f"/{bucket}{path}"
    pairs = set(form_body.parse_pairs(request.query)) if request.query else set[tuple[str, str]]()
    names = {name for name, _ in pairs}
    for route in _routes(service).get(request.method, ()):
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        for choice in route.choices:
            if choice.fits(names, pairs, request):
                labels = zip(route.labels, found.groups(), strict=True)
                decoded = {name: form_body.decode(text) for name, text in labels}
                protocol = models.main_protocol(models.service_model(service))
                return Target(service, protocol, choice.name, choice.operation, decoded)
    kind = request.headers.get("content-type")
    if service == "s3" and request.method == "POST" and kind.startswith("multipart/form-data"):
        name = form_body.decode(path.strip("/"))
        if name and "/" not in name:
            return Target("s3", "rest-xml", "PostObject", None, {"Bucket": name})
    return None


def _bucket_of_host(request: HttpRequest) -> str:
    """Return the bucket in `bucket.localhost` or `bucket.s3.…`; "" for path-style requests."""
    host = re.sub(r":\d+$", "", request.headers.get("host")).lower()
    if host.endswith(".localhost"):
        host = host.removesuffix(".localhost")
        found = _S3_HOST.fullmatch(host)
        return (found["bucket"] or "") if found else host
    found = _S3_HOST.fullmatch(host)
    return (found["bucket"] or "") if found else ""


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of the operations that share a method and a path."""

    name: str
    operation: OperationModel
    #: Parts of the query string that the model fixes: (name, value), value "" meaning any.
    literals: tuple[tuple[str, str], ...]
    #: Query parameters and headers that the model requires.
    parameters: frozenset[str]
    headers: frozenset[str]
    #: The only operation of its path is chosen even when something required is missing.
    is_alone: bool

    def fits(self, names: set[str], pairs: set[tuple[str, str]], request: HttpRequest) -> bool:
        """Say whether the request has all that tells this operation from its neighbours."""
        for name, value in self.literals:
            if name not in names or (value and (name, value) not in pairs):
                return False
        if self.is_alone:
            return True
        return self.parameters <= names and all(request.headers.has(h) for h in self.headers)


@dataclass(frozen=True, slots=True)
class _Route:
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    #: The most demanding first.
    choices: tuple[_Choice, ...]


@cache
def _routes(service: str) -> dict[str, tuple[_Route, ...]]:
    """Build the table of a REST service: method → routes, the most literal path first."""
    model = models.service_model(service)
    if models.main_protocol(model) in _RPC:
        return {}
    groups: dict[tuple[str, str], list[OperationModel]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        path = cast("str", operation.http["requestUri"]).partition("?")[0]
        groups.setdefault((cast("str", operation.http["method"]), path), []).append(operation)
    table: dict[str, list[_Route]] = {}
    for (method, path), operations in sorted(groups.items(), key=lambda item: _rank(item[0][1])):
        table.setdefault(method, []).append(_route(path, operations))
    return {method: tuple(routes) for method, routes in table.items()}


def _rank(path: str) -> list[int]:
    return [2 if "+}" in part else 1 if "{" in part else 0 for part in path.split("/")]


def _route(path: str, operations: list[OperationModel]) -> _Route:
    labels = tuple(name.rstrip("+") for name in re.findall(r"{(.*?)}", path))
    pattern = "".join(
        ("(.+)" if piece.endswith("+}") else "([^/]+)")
        if piece.startswith("{")
        else re.escape(piece)
        for piece in re.split(r"({.*?})", path)
        if piece
    )
    if "+}" not in path:
        pattern = pattern.removesuffix("/") + "/?"
    choices = [_choice(operation) for operation in operations]
    bare = [c for c in choices if not c.literals]
    # S3 refuses what no operation fits; elsewhere a missing parameter is for validation to report.
    is_s3 = operations[0].service_model.service_name == "s3"
    if len(bare) == 1 and not is_s3:
        choices[choices.index(bare[0])] = _alone(bare[0])
    choices.sort(
        key=lambda c: (
            -len(c.literals),
            c.is_alone,
            -len(c.parameters) - len(c.headers),
            c.operation.deprecated,
        )
    )
    return _Route(re.compile(pattern, re.DOTALL), labels, tuple(choices))


def _choice(operation: OperationModel) -> _Choice:
    text = cast("str", operation.http["requestUri"]).partition("?")[2]
    literals = [p for p in form_body.parse_pairs(text) if p[0] != "x-id"]
    required: dict[str, set[str]] = {"querystring": set(), "header": set()}
    shape = operation.input_shape
    for name in shape.required_members if shape else ():
        member = cast("StructureShape", shape).members[name]
        where = member.serialization.get("location")
        if where in required:
            required[where].add(wire_name(member, name))
    return _Choice(
        operation.name,
        operation,
        tuple(literals),
        frozenset(required["querystring"]),
        frozenset(name.lower() for name in required["header"]),
        is_alone=False,
    )


def _alone(choice: _Choice) -> _Choice:
    return _Choice(
        choice.name,
        choice.operation,
        choice.literals,
        choice.parameters,
        choice.headers,
        is_alone=True,
    )


def _streams_in(operation: OperationModel) -> bool:
    shape = operation.input_shape
    payload = shape.serialization.get("payload") if shape else None
    if not payload:
        return False
    return bool(cast("StructureShape", shape).members[payload].serialization.get("streaming"))
