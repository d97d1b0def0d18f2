"""InvokeEndpoint without an ASGI cycle: signature, route, frame to a replica, capture, answer, all in two callbacks.

A request that came whole and is like one before it does without the HTTP parser, too (`take_whole`, `alike.py`).

A `FastCycle` stands where uvicorn has its own cycle. Whatever is not plain is left to the one ASGI app: before a
request is sent, by handing it over whole (`begin` and `send` say no); after it, by `Gateway.go_on`, which takes what
came of it. So nothing is decided here: who signed is for the verifier, what is valid for the wire layer, what an answer
looks like for both; of the last two, the outcome for requests and answers that are alike is kept.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from farero.base import ids
from farero.endpoints.frames import ReplicaLost, Reply
from farero.gateway.alike import Patterns
from farero.gateway.asgi import LOCAL_HOST
from farero.gateway.plans import (
    INFERENCE_ID,
    KIND,
    MOST_ANSWERS,
    MOST_KEPT,
    OWN,
    Answer,
    Plans,
    end_of,
    keep,
    other_inputs,
)
from farero.identity.canonical import Message
from farero.identity.refusals import SignatureError

if TYPE_CHECKING:
    from farero.aws.services.sagemaker_runtime import Ending, SageMakerRuntime
    from farero.aws.wire.messages import Value
    from farero.base.clock import Clock
    from farero.endpoints.frames import ReplyHead
    from farero.endpoints.proxy import Proxy
    from farero.endpoints.router import VariantRoute
    from farero.gateway.asgi import Gateway
    from farero.gateway.authenticate import Authenticator
    from farero.gateway.connections import LimitedConnection
    from farero.gateway.plans import Plan
    from farero.records.identity import Credential

log = logging.getLogger(__name__)

#: Longest body that is collected here.
MOST_BODY = 16 * 1024 * 1024
#: For so long the moment on the wall is not read again to judge the age of a signature.
_WALL_GOOD_S = 0.005
_BEGIN, _END = b"/endpoints/", b"/invocations"
_FIRST = b"POST " + _BEGIN
_SIGNED, _KEY, _SCOPE = b"AWS4-HMAC-SHA256 Credential=", b"Credential=", b"/sagemaker/aws4_request"
#: With one of these a request may be meant for another service, or arrive in another way.
_UNUSUAL = frozenset(
    (b"transfer-encoding", b"expect", b"upgrade", b"x-amz-target", b"smithy-protocol")
)
_SERVICES = ("sagemaker",)


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

    def answered(self, head: ReplyHead, body: bytes, at: float) -> None:
        """Take the replica's answer."""
        self.connection.fast_path.take(self, head, body, at)

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
        self._clock, self._monotonic = clock, clock.monotonic
        self._new_uuids = ids.Uuids()
        self._refused = _UNUSUAL | other_inputs()
        self._hosts: set[bytes] = set()
        self._plans = Plans()
        self._patterns = Patterns()
        #: Seconds since 1970, and the monotonic time at which they were read.
        self._wall, self._wall_read_at = 0.0, float("-inf")
        #: Requests with a good answer: what is to be counted and captured of each, and what leaves after that.
        self._ended: list[tuple[Ending, float, float, bytes, bytes]] = []
        self._ready: list[tuple[FastCycle, Answer, bytes]] = []
        #: What every good answer begins with, and uvicorn's headers that it is made from: a new list each second.
        self._dated: tuple[object, bytes] = (None, b"")
        proxy.on_settled = self._settle

    def take_whole(self, connection: LimitedConnection, data: bytes) -> bool:
        """Send a request that came whole to a replica, if it is like one before; False, with nothing done, if not."""
        end = data.find(b"\r\n\r\n")
        body, lines = data[end + 4 :], None
        pattern = connection.pattern
        read = None if pattern is None else pattern.read_same(data, end, len(body))
        if pattern is None or read is None:
            is_whole = end > 0 and data.startswith(_FIRST)
            lines = data[:end].split(b"\r\n") if is_whole else []
            found = self._patterns.read(pattern, lines, len(body))
            if found is None:
                return False
            pattern, read = found
        received = self._monotonic()
        if received - self._wall_read_at > _WALL_GOOD_S:
            self._wall, self._wall_read_at = self._clock.now().timestamp(), received
        timestamp, moment, signed, signature = read
        signatures = pattern.signatures
        credential = self._authenticator.find_key(signatures.access_key_id)
        if credential is None or not signatures.is_signed_by(
            credential, timestamp, self._wall - moment, signed, body, signature
        ):
            return False
        if lines is not None:
            pattern.keep_layout(data, lines, read)
        cycle = FastCycle(connection, received, pattern.keep_alive)
        cycle.plan, cycle.body, cycle.credential = pattern.plan, body, credential
        try:
            is_sent = self._send(cycle)
        except Exception:
            log.exception("request left to the general path", extra={"path": pattern.plan.path})
            return False
        if is_sent:
            connection.pattern = pattern
            connection.cycle = cycle  # type: ignore[assignment]
        return is_sent

    def learn(self, connection: LimitedConnection, cycle: FastCycle, data: bytes) -> None:
        """Remember what a request that was sent may have in common with the next; data: what it came in, or more."""
        if INFERENCE_ID in dict(connection.headers) or not self._patterns.may_learn(cycle.received):
            return
        try:
            connection.pattern = self._patterns.learn(
                data,
                connection.url,
                connection.headers,
                body=cycle.body,
                plan=cycle.plan,
                keep_alive=cycle.keep_alive,
                services=_SERVICES,
                now=cycle.received,
            )
        except Exception:  # the request itself is on its way
            log.exception("request left no pattern", extra={"path": cycle.plan.path})

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
        plan = self._plans.plan(url, headers)
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
        try:
            message = Message("POST", cycle.plan.path, "", cycle.headers, body)
            cycle.credential = self._authenticator.find_signer(message, _SERVICES)
            return self._send(cycle)
        except SignatureError:
            return False
        except Exception:
            log.exception("request left to the general path", extra={"path": cycle.plan.path})
            return False

    def _send(self, cycle: FastCycle) -> bool:
        plan, body = cycle.plan, cycle.body
        variant = self._room.find_now(plan.endpoint, plan.variant, len(body))
        if variant is None:
            return False
        cycle.variant = variant
        replica = self._proxy.try_send(plan.endpoint, variant, plan.head, body, cycle)
        if replica is None:
            return False
        cycle.replica = replica
        return True

    def take(self, cycle: FastCycle, head: ReplyHead, body: bytes, at: float) -> None:
        """Take a good answer, to be counted, captured and sent with others; leave every other to the general path."""
        plan, variant = cycle.plan, cycle.variant
        answer = plan.answers.get((id(variant), id(head))) or self._answer(plan, variant, head)
        seconds, ending = at - cycle.sent, answer.ending
        if ending is None:
            reply = Reply(status=head.status, headers=head.headers, body=body, seconds=seconds)
            self.leave(cycle, reply)
        else:
            self._ended.append((ending, cycle.received, seconds, cycle.body, body))
            self._ready.append((cycle, answer, body))

    def leave(self, cycle: FastCycle, outcome: Reply | ReplicaLost | TimeoutError) -> None:
        """Let the general path answer a request that was sent, unless it died with its replica and nobody waits."""
        if cycle.disconnected and isinstance(outcome, ReplicaLost):
            self._proxy.end(cycle.plan.endpoint, cycle.variant)
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
        ended, self._ended = self._ended, []
        try:
            self._room.end_all(ended)
        except Exception:
            log.exception("requests could not be counted and captured")
        request_ids = self._new_uuids.several(len(ready))
        for request_id, (cycle, answer, body) in zip(request_ids, ready, strict=True):
            connection, key = cycle.connection, (len(body), cycle.keep_alive)
            headers = connection.server_state.default_headers
            if headers is not self._dated[0]:
                self._dated = _status_and_date(headers)
            end = answer.ends.get(key) or end_of(answer, key)
            head = b"".join((self._dated[1], answer.before, request_id, end))
            connection.send_answer(cycle, head, body)

    def _is_for_us(self, host: bytes) -> bool:
        if LOCAL_HOST.fullmatch(host.decode("latin-1")) is None:
            return False
        if len(self._hosts) < MOST_KEPT:
            self._hosts.add(host)
        return True

    def _answer(self, plan: Plan, variant: VariantRoute, head: ReplyHead) -> Answer:
        made = self._plans.head(plan, variant, head) if 200 <= head.status < 300 else None
        ending = None if made is None else self._room.ending(plan.params, variant, head)
        answer = Answer(variant, head, *(made or (b"", b"")), ending, {})
        keep(plan.answers, (id(variant), id(head)), answer, MOST_ANSWERS)
        return answer


def _status_and_date(headers: list[tuple[bytes, bytes]]) -> tuple[object, bytes]:
    """Return how every good answer begins, with the headers it is made from: uvicorn has a new list each second."""
    lines = [b"%s: %s\r\n" % header for header in headers]
    return headers, b"".join((STATUS_LINE[200], *lines))


#: Names that most clients send, so that they are not decoded each time.
_KNOWN = {
    name: name.decode()
    for name in (
        b"host", b"accept", b"accept-encoding", b"authorization", b"connection", b"content-length", b"content-type",
        b"user-agent", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"amz-sdk-invocation-id",
        b"amz-sdk-request", *KIND, *OWN,
    )
}  # fmt: skip
