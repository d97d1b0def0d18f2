"""InvokeEndpoint without an ASGI cycle: signature, route, frame to a replica, capture, answer, all in two callbacks.

A `FastCycle` stands where uvicorn has its own cycle. Whatever is not plain is left to the one ASGI app: before a
request is sent, by handing it over whole (`begin` and `send` say no); after it, by `Gateway.go_on`, which takes what
came of it. So nothing is decided here: who signed is for the verifier, what is valid for the wire layer, what an answer
looks like for both; of the last two, the outcome for requests and answers that are alike is kept.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE

from farero.aws.services.sagemaker_runtime import answer_of, forwarded
from farero.aws.wire import models, protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest
from farero.base import ids
from farero.endpoints.frames import ReplicaLost, Reply, request_head
from farero.gateway.asgi import LOCAL_HOST, header_bytes
from farero.identity.canonical import Message
from farero.identity.refusals import SignatureError

if TYPE_CHECKING:
    from farero.aws.services.sagemaker_runtime import SageMakerRuntime
    from farero.aws.wire.messages import Value
    from farero.aws.wire.protocol import Target
    from farero.base.clock import Clock
    from farero.endpoints.proxy import Proxy
    from farero.endpoints.router import VariantRoute
    from farero.gateway.asgi import Gateway
    from farero.gateway.authenticate import Authenticator
    from farero.gateway.connections import LimitedConnection
    from farero.records.identity import Credential

log = logging.getLogger(__name__)

#: Longest body that is collected here.
MOST_BODY = 16 * 1024 * 1024
#: Kinds of requests, and of answers, that are remembered.
MOST_KEPT = 1024
LONGEST_KEPT = 1024
_BEGIN, _END = b"/endpoints/", b"/invocations"
_SIGNED, _KEY, _SCOPE = b"AWS4-HMAC-SHA256 Credential=", b"Credential=", b"/sagemaker/aws4_request"
#: Headers that belong to the kind of a request: alike in all requests of one program.
_KIND = _TYPE, _ACCEPT, _VARIANT = b"content-type", b"accept", b"x-amzn-sagemaker-target-variant"
#: Headers that differ from request to request and are read each time.
_OWN = _INFERENCE_ID, _ATTRIBUTES = (
    b"x-amzn-sagemaker-inference-id",
    b"x-amzn-sagemaker-custom-attributes",
)
#: With one of these a request may be meant for another service, or arrive in another way.
_UNUSUAL = frozenset(
    (b"transfer-encoding", b"expect", b"upgrade", b"x-amz-target", b"smithy-protocol")
)
_SERVICES = ("sagemaker",)
#: Stands for the request id in an answer that is kept.
_MARK = "00000000-farero-request-id"


class Plan(NamedTuple):
    """What the wire layer made of a request."""

    path: str
    target: Target
    #: Input of InvokeEndpoint but for Body.
    params: dict[str, Value]
    #: Head of the frame to the replica.
    head: bytes


class _NeverSet:
    def set(self) -> None:
        """Nobody waits."""


class FastCycle:
    """One request; it has the attributes of uvicorn's cycle that a connection looks at."""

    __slots__ = (
        "body", "connection", "credential", "disconnected", "headers", "keep_alive", "pieces", "plan",
        "received", "replica", "response_complete", "sent", "variant",
    )  # fmt: skip
    message_event = _NeverSet()
    headers: list[tuple[str, str]]
    plan: Plan
    body: bytes
    credential: Credential
    variant: VariantRoute
    #: Id of the one that has the request.
    replica: str
    sent: float

    def __init__(self, connection: LimitedConnection, received: float, keep_alive: bool) -> None:  # noqa: FBT001 - of each request
        self.connection = connection
        self.received = received
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.pieces: list[bytes] = []

    @property
    def request(self) -> dict[str, Value]:
        """Input of InvokeEndpoint."""
        return {**self.plan.params, "Body": self.body}

    def answered(self, reply: Reply) -> None:
        """Take the replica's answer."""
        self.connection.fast_path.take(self, reply)

    def failed(self, error: ReplicaLost | TimeoutError) -> None:
        """Learn that there is none."""
        if isinstance(error, ReplicaLost):
            error = ReplicaLost(self.replica)
        self.connection.fast_path.leave(self, error)


class FastPath:
    """What the connections of one gateway share."""

    def __init__(
        self,
        gateway: Gateway,
        authenticator: Authenticator,
        room: SageMakerRuntime,
        proxy: Proxy,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._authenticator = authenticator
        self._room = room
        self._proxy = proxy
        self._monotonic = clock.monotonic
        self._new_uuid = ids.Uuids()
        self._refused = _UNUSUAL | _other_inputs()
        self._hosts: set[bytes] = set()
        self._plans: dict[tuple[bytes | None, ...], Plan] = {}
        self._heads: dict[tuple[bytes, str], tuple[bytes, bytes] | None] = {}
        #: Answers that leave when what was captured is written.
        self._ready: list[tuple[FastCycle, Reply, tuple[bytes, bytes]]] = []
        proxy.on_settled = self._settle

    def begin(self, connection: LimitedConnection, *, keep_alive: bool) -> FastCycle | None:
        """Take a POST whose head has come; None if it is none of ours."""
        url, pairs = connection.url, connection.headers
        if not (url.startswith(_BEGIN) and url.endswith(_END)):
            return None
        headers = dict(pairs)
        get = headers.get
        if len(headers) != len(pairs) or not self._refused.isdisjoint(headers):
            return None
        length = get(b"content-length", b"")
        if not (length.isdigit() and len(length) <= 8 and int(length) <= MOST_BODY):
            return None
        signed = get(b"authorization", b"")
        is_signed = signed.startswith(_SIGNED) and _SCOPE in signed and signed.count(_KEY) == 1
        is_ours = get(b"host") in self._hosts or self._is_for_us(get(b"host", b""))
        if not (is_signed and is_ours):
            return None
        plan = None
        if _INFERENCE_ID not in headers and _ATTRIBUTES not in headers:
            plan = self._plans.get((url, get(_TYPE), get(_ACCEPT), get(_VARIANT)))
        plan = plan or self._plan(url, headers)
        if plan is None:
            return None
        cycle = FastCycle(connection, self._monotonic(), keep_alive)
        cycle.headers = [
            (_KNOWN.get(name) or name.decode("latin-1"), value.decode("latin-1"))
            for name, value in pairs
        ]
        cycle.plan = plan
        return cycle

    def send(self, cycle: FastCycle) -> bool:
        """Send a request whose body has come to a replica; False, with nothing done, if that is not for us."""
        pieces = cycle.pieces
        cycle.body = body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        plan = cycle.plan
        try:
            message = Message("POST", plan.path, "", cycle.headers, body)
            cycle.credential = self._authenticator.find_signer(message, _SERVICES)
            params = plan.params
            name = params["EndpointName"]
            variant = self._room.find_now(name, params.get("TargetVariant"), len(body))
            if variant is None:
                return False
            cycle.variant = variant
            replica = self._proxy.try_send(name, variant, plan.head, body, cycle)
        except SignatureError:
            return False
        except Exception:
            log.exception("request left to the general path", extra={"path": cycle.plan.path})
            return False
        if replica is None:
            return False
        cycle.replica = replica
        return True

    def take(self, cycle: FastCycle, reply: Reply) -> None:
        """Count and capture a good answer, to be sent with others; leave every other one to the general path."""
        reply.seconds = self._monotonic() - cycle.sent
        head = self._head(cycle, reply) if 200 <= reply.status < 300 else None
        if head is None:
            self.leave(cycle, reply)
            return
        try:
            self._room.end_now(cycle.plan.params, cycle.body, cycle.variant, reply, cycle.received)
        except Exception:
            log.exception("answer left to the general path", extra={"path": cycle.plan.path})
            self.leave(cycle, reply)
            return
        self._ready.append((cycle, reply, head))

    def leave(self, cycle: FastCycle, outcome: Reply | ReplicaLost | TimeoutError) -> None:
        """Let the general path answer a request that was sent, unless it died with its replica and nobody waits."""
        if cycle.disconnected and isinstance(outcome, ReplicaLost):
            self._proxy.end(cycle.plan.params["EndpointName"], cycle.variant)
            return
        work = self._gateway.go_on(
            cycle.plan.target,
            cycle.credential,
            cycle.received,
            lambda ctx: self._room.go_on(ctx, cycle.request, cycle.variant, outcome),
        )
        cycle.connection.answer_by(cycle, work)

    def _settle(self) -> None:
        if not self._ready:
            return
        ready, self._ready = self._ready, []
        try:
            self._room.flush_captured()
        except Exception:
            log.exception("captured records could not be written")
        for cycle, reply, (before, after) in ready:
            body = reply.body
            end = b"\r\ncontent-length: %d\r\n\r\n" if cycle.keep_alive else _CLOSING
            tail = b"".join((self._new_uuid().encode(), after, end % len(body)))
            cycle.connection.send_answer(cycle, before, tail, body)

    def _is_for_us(self, host: bytes) -> bool:
        if LOCAL_HOST.fullmatch(host.decode("latin-1")) is None:
            return False
        if len(self._hosts) < MOST_KEPT:
            self._hosts.add(host)
        return True

    def _plan(self, url: bytes, headers: dict[bytes, bytes]) -> Plan | None:
        plan = _make_plan(url, headers)
        key = (url, headers.get(_TYPE), headers.get(_ACCEPT), headers.get(_VARIANT))
        is_own = _INFERENCE_ID in headers or _ATTRIBUTES in headers
        if plan and not is_own and sum(len(part or b"") for part in key) <= LONGEST_KEPT:
            _keep(self._plans, key, plan)
        return plan

    def _head(self, cycle: FastCycle, reply: Reply) -> tuple[bytes, bytes] | None:
        """Return the status line and headers of an answer, before and after the request id; None if it is not plain."""
        key = (reply.head, cycle.variant.name)
        if key in self._heads:
            return self._heads[key]
        head = _make_head(cycle, reply)
        if len(reply.head) <= LONGEST_KEPT:
            _keep(self._heads, key, head)
        return head


_CLOSING = b"\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"


def _make_plan(url: bytes, headers: dict[bytes, bytes]) -> Plan | None:
    if b"?" in url or b"#" in url:
        return None
    wanted = (b"authorization", *_KIND, *_OWN)
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


def _make_head(cycle: FastCycle, reply: Reply) -> tuple[bytes, bytes] | None:
    empty = Reply(status=reply.status, headers=reply.headers, body=b"")
    response = protocol.write(cycle.plan.target, answer_of(cycle.variant, empty), _MARK)
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


def _other_inputs() -> frozenset[bytes]:
    """Return the headers of InvokeEndpoint that are left to the general path."""
    operation = models.operation_model("sagemaker-runtime", "InvokeEndpoint")
    assert operation is not None
    members = cast("Any", operation.input_shape).members.items()
    names = {
        models.wire_name(member, name).lower().encode()
        for name, member in members
        if member.serialization.get("location") == "header"
    }
    return frozenset(names.difference(_KIND, _OWN))


#: Names that most clients send, so that they are not decoded each time.
_KNOWN = {
    name: name.decode()
    for name in (
        b"host", b"accept", b"accept-encoding", b"authorization", b"connection", b"content-length", b"content-type",
        b"user-agent", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"amz-sdk-invocation-id",
        b"amz-sdk-request", *_KIND, *_OWN,
    )
}  # fmt: skip


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    if len(kept) >= MOST_KEPT:
        kept.clear()
    kept[key] = value
