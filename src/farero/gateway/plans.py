"""What requests of one kind come to, worked out once: their plan, and the answers that replicas have given to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE

from farero.aws.services.sagemaker_runtime import answer_of, forwarded
from farero.aws.wire import models, protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest
from farero.endpoints.frames import Reply, request_head
from farero.gateway.asgi import header_bytes

if TYPE_CHECKING:
    from farero.aws.services.sagemaker_runtime import Ending
    from farero.aws.wire.messages import Value
    from farero.aws.wire.protocol import Target
    from farero.endpoints.frames import ReplyHead
    from farero.endpoints.router import VariantRoute

#: Kinds of requests, and of answers, that are remembered.
MOST_KEPT = 1024
LONGEST_KEPT = 1024
#: Answers that one plan remembers.
MOST_ANSWERS = 64
#: Headers that belong to the kind of a request: alike in all requests of one program.
KIND = _TYPE, _ACCEPT, _VARIANT = b"content-type", b"accept", b"x-amzn-sagemaker-target-variant"
#: Headers that differ from request to request and are read each time.
OWN = INFERENCE_ID, _ATTRIBUTES = (
    b"x-amzn-sagemaker-inference-id",
    b"x-amzn-sagemaker-custom-attributes",
)
#: Stands for the request id in an answer that is kept.
_MARK = "00000000-farero-request-id"


class Plan:
    """What the wire layer made of a request."""

    __slots__ = ("answers", "endpoint", "head", "params", "path", "target", "variant")

    def __init__(self, path: str, target: Target, params: dict[str, Value], head: bytes) -> None:
        self.path, self.target = path, target
        #: Input of InvokeEndpoint but for Body, of which the first two are asked for each time.
        self.params = params
        self.endpoint: str = params["EndpointName"]
        self.variant: str | None = params.get("TargetVariant")
        #: Head of the frame to the replica.
        self.head = head
        #: The answers that it had, by identity of the variant's route and of the replica's head, which they hold.
        self.answers: dict[tuple[int, int], Answer] = {}


class Answer(NamedTuple):
    """What answers to requests of one plan share that came with the same head from replicas of one variant."""

    variant: VariantRoute
    head: ReplyHead
    #: Headers before the request id and after it.
    before: bytes
    after: bytes
    #: None if the answer is not plain: the general path writes it.
    ending: Ending | None
    #: What stands between request id and body, by the body's length and whether the connection stays.
    ends: dict[tuple[int, bool], bytes]


class Plans:
    """The plans that one gateway has made, and the heads of answers."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes | None, ...], Plan] = {}
        self._heads: dict[tuple[int, str], tuple[ReplyHead, tuple[bytes, bytes] | None]] = {}

    def plan(self, url: bytes, headers: dict[bytes, bytes]) -> Plan | None:
        """Return the plan of a request; None if it is not a plain InvokeEndpoint."""
        get = headers.get
        is_own = INFERENCE_ID in headers or _ATTRIBUTES in headers
        key = (url, get(_TYPE), get(_ACCEPT), get(_VARIANT))
        plan = None if is_own else self._kept.get(key)
        if plan is None:
            plan = _make_plan(url, headers)
            if plan and not is_own and sum(len(part or b"") for part in key) <= LONGEST_KEPT:
                keep(self._kept, key, plan)
        return plan

    def head(
        self, plan: Plan, variant: VariantRoute, head: ReplyHead
    ) -> tuple[bytes, bytes] | None:
        """Return the headers of a good answer before and after the request id; None if it is not plain."""
        found = self._heads.get((id(head), variant.name))  # holds the head, so its id stays its own
        if found is None:
            found = head, _make_head(plan, variant, head)
            keep(self._heads, (id(head), variant.name), found)
        return found[1]


def end_of(answer: Answer, key: tuple[int, bool]) -> bytes:
    """Return what stands between request id and body; key: the body's length, whether the connection stays."""
    size, keeps = key
    closing = b"" if keeps else b"connection: close\r\n"
    end = b"%b\r\ncontent-length: %d\r\n%b\r\n" % (answer.after, size, closing)
    keep(answer.ends, key, end)
    return end


def _make_plan(url: bytes, headers: dict[bytes, bytes]) -> Plan | None:
    if b"?" in url or b"#" in url:
        return None
    wanted = (b"authorization", *KIND, *OWN)
    found = [(n.decode(), headers[n].decode("latin-1")) for n in wanted if n in headers]
    request = HttpRequest(
        method="POST", path=url.decode("latin-1"), query="", headers=Headers(found)
    )
    try:
        target = protocol.identify(request)
        if target.operation_name != "InvokeEndpoint":
            return None
        params = protocol.read(target, request)
        protocol.validate(target, params)
    except AwsError:
        return None
    params.pop("Body", None)
    return Plan(request.path, target, params, request_head("/invocations", forwarded(params)))


def _make_head(plan: Plan, variant: VariantRoute, head: ReplyHead) -> tuple[bytes, bytes] | None:
    """Return the headers of an answer before and after the request id; None if it is not plain."""
    empty = Reply(status=head.status, headers=head.headers, body=b"")
    response = protocol.write(plan.target, answer_of(variant, empty), _MARK)
    lines: list[bytes] = []
    for name, value in response.headers:
        key, data = name.lower().encode("latin-1"), header_bytes(value)
        if HEADER_RE.search(key) or HEADER_VALUE_RE.search(data):
            return None
        if key in (b"content-length", b"transfer-encoding", b"connection"):
            return None
        lines.append(key + b": " + data)
    before, mark, after = b"\r\n".join(lines).partition(_MARK.encode())
    is_plain = (
        response.stream is None and response.status == 200 and mark and _MARK.encode() not in after
    )
    return (before, after) if is_plain else None


def other_inputs() -> frozenset[bytes]:
    """Return the headers of InvokeEndpoint that are left to the general path."""
    operation = models.operation_model("sagemaker-runtime", "InvokeEndpoint")
    assert operation is not None
    members = cast("Any", operation.input_shape).members.items()
    names = {
        models.wire_name(member, name).lower().encode()
        for name, member in members
        if member.serialization.get("location") == "header"
    }
    return frozenset(names.difference(KIND, OWN))


def keep(kept: dict[Any, Any], key: object, value: object, most: int = MOST_KEPT) -> None:
    """Remember something; when it would be too much, forget all the rest."""
    if len(kept) >= most:
        kept.clear()
    kept[key] = value
