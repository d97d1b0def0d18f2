"""The room `sagemaker-runtime`: InvokeEndpoint, the hot path. No SQL, no thread, no copy of the body."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from farero.aws.wire.messages import AwsError
from farero.base import ids
from farero.base.arns import log_group_arn
from farero.base.errors import Invalid, LimitExceeded, NotFound, NotReady
from farero.endpoints.capture import is_sampled
from farero.endpoints.capture_lines import Invocation, Payload, Recorder, ending_at, make_record
from farero.endpoints.frames import ReplicaLost
from farero.endpoints.invocations import DIED as DIED_STATUS
from farero.endpoints.invocations import THROTTLED
from farero.endpoints.invocations import TIMED_OUT as TIMED_OUT_STATUS
from farero.endpoints.proxy import InvocationTimedOut, ReplicaDied
from farero.records.endpoint import log_group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.base.context import Context
    from farero.endpoints.capture import CaptureSpool, CaptureTarget
    from farero.endpoints.frames import Reply, ReplyHead
    from farero.endpoints.invocations import Invocations
    from farero.endpoints.proxy import Proxy
    from farero.endpoints.router import EndpointRoute, Router, VariantRoute

    Value = dict[str, Any]

log = logging.getLogger(__name__)

#: Largest body of a serverless endpoint ("Invoke a serverless endpoint": 4 MB).
SERVERLESS_LIMIT = 4 * 1024 * 1024
#: A longer answer of a failing container is not repeated in the error (observed wording below).
EMBED_LIMIT = 16 * 1024
#: Request member → the header that the container gets.
_FORWARDED = (
    ("ContentType", "content-type"),
    ("Accept", "accept"),
    ("CustomAttributes", "x-amzn-sagemaker-custom-attributes"),
    ("TargetModel", "x-amzn-sagemaker-target-model"),
    ("TargetVariant", "x-amzn-sagemaker-target-variant"),
    ("TargetContainerHostname", "x-amzn-sagemaker-target-container-hostname"),
    ("InferenceId", "x-amzn-sagemaker-inference-id"),
    ("EnableExplanations", "x-amzn-sagemaker-enable-explanations"),
    ("SessionId", "x-amzn-sagemaker-session-id"),
    ("PrefixAwareId", "x-amzn-sagemaker-prefix-aware-id"),
)
#: Header of the container's answer → result member.
_RETURNED = (
    ("content-type", "ContentType"),
    ("x-amzn-sagemaker-custom-attributes", "CustomAttributes"),
    ("x-amzn-sagemaker-new-session-id", "NewSessionId"),
    ("x-amzn-sagemaker-closed-session-id", "ClosedSessionId"),
)
#: Headers of Farero's own model servers that pass through to the caller.
_OWN = "x-farero-"


class Ending:
    """What requests share that end alike: endpoint, variant, status, and how they are recorded."""

    __slots__ = ("endpoint", "is_all", "lines", "recorder", "seconds", "status", "variant")

    def __init__(
        self, endpoint: str, variant: VariantRoute, status: int, recorder: Recorder | None
    ) -> None:
        self.endpoint, self.variant, self.status, self.recorder = (
            endpoint,
            variant,
            status,
            recorder,
        )
        #: Whether every one of them is captured.
        self.is_all = recorder is not None and recorder.target.percentage >= 100
        #: Of those that end now: the seconds of the model and of all, in turn; lines to capture.
        self.seconds: list[float] = []
        self.lines: list[bytes] = []

    def take(self) -> tuple[list[float], list[bytes]]:
        """Return what has gathered, and begin anew."""
        taken = self.seconds, self.lines
        self.seconds, self.lines = [], []
        return taken


class SageMakerRuntime:
    """Sends a request to a replica and returns its answer."""

    service = "sagemaker-runtime"

    def __init__(  # noqa: PLR0913, PLR0917 - what one request passes through
        self,
        router: Router,
        proxy: Proxy,
        spool: CaptureSpool,
        invocations: Invocations,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._router = router
        self._proxy = proxy
        self._spool = spool
        self._invocations = invocations
        self._clock = clock
        self._max_body_bytes = settings.max_body_bytes
        self._timeout_s = settings.invocation_timeout_s
        self._durability = settings.capture_durability
        self._syncing: asyncio.Task[None] | None = None
        self._new_uuids = ids.Uuids()

    async def invoke_endpoint(self, ctx: Context, req: Value) -> Value:
        """Send Body to one replica of EndpointName and return its answer.

        Raises AwsError: ValidationError, ModelError, ThrottlingException or ServiceUnavailable.
        """
        name: str = req["EndpointName"]
        body: bytes = req.get("Body", b"")
        route = await self._find(ctx, name)
        self._check_size(name, body, is_serverless=route.is_serverless)
        find_variant, picked = self._finder(ctx, req)
        sending = self._proxy.invoke(name, find_variant, forwarded(req), body)
        return await self._conclude(ctx, req, sending, picked)

    def find_now(self, name: str, target: str | None, size: int) -> VariantRoute | None:
        """Return where a request of `size` bytes goes, or None if that has to wait, or be refused."""
        route = self._router.find_now(name)
        if route is None or self._durability == "always":
            return None
        limit = SERVERLESS_LIMIT if route.is_serverless else self._max_body_bytes
        if size > limit:
            return None
        try:
            return self._router.pick(route, target)
        except Invalid:
            return None

    async def go_on(
        self,
        ctx: Context,
        req: Value,
        variant: VariantRoute,
        outcome: Reply | ReplicaLost | TimeoutError,
    ) -> Value:
        """Return the answer to a request that `Proxy.try_send` sent to `variant`, as `invoke_endpoint` does.

        outcome: what came of it; a lost replica names itself in its first argument.
        """
        name: str = req["EndpointName"]
        find_variant, picked = self._finder(ctx, req)
        picked.append(variant)
        if isinstance(outcome, ReplicaLost):
            sending = self._proxy.retry(
                name, variant, find_variant, forwarded(req), req["Body"], outcome.args[0]
            )
            return await self._conclude(ctx, req, sending, picked)
        self._proxy.end(name, variant)
        return await self._conclude(ctx, req, _done(variant, outcome), picked)

    def ending(self, req: Value, variant: VariantRoute, head: ReplyHead) -> Ending:
        """Return what good answers with this head to requests like this one have in common; req: input but for Body."""
        recorder = None
        if variant.capture is not None:
            kinds = req.get("ContentType"), head.headers.get("content-type")
            given = req.get("InferenceId"), req.get("CustomAttributes")
            recorder = Recorder(variant.capture, *kinds, *given)
        return Ending(req["EndpointName"], variant, head.status, recorder)

    def end_all(self, ended: Sequence[tuple[Ending, float, float, bytes, bytes]]) -> None:
        """Count and capture requests whose answers are good and have not left yet.

        ended: of each, what it shares with others, when it came, the seconds of its model, its body and the answer's.
        """
        at, now = self._clock.monotonic(), self._clock.now()
        moment, event_ids = ending_at(now), self._new_uuids.several(len(ended))
        touched: list[Ending] = []
        for event_id, (ending, received, model_s, body, answer) in zip(
            event_ids, ended, strict=True
        ):
            if not ending.seconds:
                touched.append(ending)
            ending.seconds += (model_s, at - received)
            recorder = ending.recorder
            if recorder is not None and (ending.is_all or is_sampled(recorder.target)):
                try:
                    ending.lines.append(recorder.line(event_id, now, moment, body, answer))
                except Exception:  # one request's, of many
                    log.exception("request not captured", extra={"endpoint": ending.endpoint})
        for ending in touched:
            seconds, lines = ending.take()
            self._proxy.end(ending.endpoint, ending.variant, len(seconds) // 2)
            self._invocations.note_alike(
                ending.endpoint, ending.variant, ending.status, seconds, at
            )
            if lines and ending.recorder is not None:
                self._spool.gather(ending.recorder.target, lines, now)
        self._flush_captured()

    def _flush_captured(self) -> None:
        """Write what was captured since the last call; as durable as the settings say."""
        self._spool.flush()
        is_syncing = self._syncing is not None and not self._syncing.done()
        if self._durability == "1s" and not is_syncing and self._spool.is_dirty:
            self._syncing = asyncio.create_task(self._sync_soon())

    def _finder(
        self, ctx: Context, req: Value
    ) -> tuple[Callable[[], Awaitable[VariantRoute]], list[VariantRoute]]:
        name: str = req["EndpointName"]
        target: str | None = req.get("TargetVariant")
        #: Where the request was sent last: a failure is that variant's, not one drawn anew.
        picked: list[VariantRoute] = []

        async def find_variant() -> VariantRoute:
            fresh = await self._find(ctx, name)
            try:
                picked[:] = [self._router.pick(fresh, target)]
            except Invalid as error:
                raise AwsError("ValidationError", str(error)) from error
            return picked[0]

        return find_variant, picked

    async def _conclude(
        self,
        ctx: Context,
        req: Value,
        sending: Awaitable[tuple[VariantRoute, Reply]],
        picked: list[VariantRoute],
    ) -> Value:
        name: str = req["EndpointName"]
        body: bytes = req.get("Body", b"")
        try:
            variant, reply = await sending
        except InvocationTimedOut as error:
            self._note(ctx, name, picked[0], TIMED_OUT_STATUS, self._timeout_s)
            await self._capture_failed(req, body, picked[0])
            raise _model_error(ctx, name, 0, TIMED_OUT) from error
        except ReplicaDied as error:
            self._note(ctx, name, picked[0], DIED_STATUS)
            await self._capture_failed(req, body, picked[0])
            raise _model_error(ctx, name, 0, str(error) or DIED) from error
        except LimitExceeded as error:
            self._note(ctx, name, picked[0], THROTTLED)
            later = [("Retry-After", "1")]
            raise AwsError("ThrottlingException", str(error), 429, headers=later) from error
        except NotReady as error:
            self._note(ctx, name, picked[0], 503)
            headers_out = [("Retry-After", "1")]
            raise AwsError("ServiceUnavailable", str(error), 503, headers=headers_out) from error
        self._invocations.note(name, variant, reply.status, reply.seconds, ctx.received)
        is_success = 200 <= reply.status < 300
        if variant.capture is not None:
            await self._capture(variant.capture, req, body, reply if is_success else None)
        if not is_success:
            raise _model_error_of(ctx, name, reply)
        return answer_of(variant, reply)

    async def _find(self, ctx: Context, name: str) -> EndpointRoute:
        try:
            return await self._router.get(name)
        except NotFound as error:
            message = f"Endpoint {name} of account {ctx.account} not found."
            raise AwsError("ValidationError", message) from error

    def _note(
        self,
        ctx: Context,
        name: str,
        variant: VariantRoute,
        status: int,
        model_s: float | None = None,
    ) -> None:
        self._invocations.note(name, variant, status, model_s, ctx.received)

    def _check_size(self, name: str, body: bytes, *, is_serverless: bool) -> None:
        limit = SERVERLESS_LIMIT if is_serverless else self._max_body_bytes
        if len(body) > limit:
            kind = "serverless" if is_serverless else "real-time"
            raise AwsError(
                "ValidationError",
                f"The request to endpoint {name} has {len(body):,} bytes; a {kind} endpoint takes at most "
                f"{limit:,} bytes. Send fewer rows at a time, or use a batch transform job.",
            )

    async def _capture_failed(self, req: Value, body: bytes, variant: VariantRoute) -> None:
        if variant.capture is not None:
            await self._capture(variant.capture, req, body, None)

    async def _capture(
        self, target: CaptureTarget, req: Value, body: bytes, reply: Reply | None
    ) -> None:
        """Write the record before the reply is sent; as durable as the settings say."""
        if not is_sampled(target):
            return
        dropped = self._spool.dropped
        self._gather(target, req, body, reply)
        self._spool.flush()
        if self._spool.dropped != dropped:
            return
        if self._durability == "always":
            await asyncio.to_thread(self._spool.sync)
        elif self._durability == "1s" and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.create_task(self._sync_soon())

    def _gather(self, target: CaptureTarget, req: Value, body: bytes, reply: Reply | None) -> None:
        now = self._clock.now()
        request = Payload(req.get("ContentType"), body)
        response = None if reply is None else Payload(reply.headers.get("content-type"), reply.body)
        ids_given = req.get("InferenceId"), req.get("CustomAttributes")
        invocation = Invocation(self._new_uuids(), now, request, response, *ids_given)
        self._spool.gather(target, [make_record(target, invocation)], now)

    async def _sync_soon(self) -> None:
        # What is appended while a sync runs may have come too late for it: one more round.
        while self._spool.is_dirty:
            # Half a second of waiting leaves the other half of the promise to the disk.
            await asyncio.sleep(0.5)
            try:
                await asyncio.to_thread(self._spool.sync)
            except OSError:
                log.exception("captured records could not be brought to the disk")


TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
DIED = (
    "The model process died while it worked on this request, and once more when the request was tried again; the "
    "log of the endpoint says why."
)


async def _done(variant: VariantRoute, outcome: Reply | TimeoutError) -> tuple[VariantRoute, Reply]:
    if isinstance(outcome, TimeoutError):
        raise InvocationTimedOut from outcome
    return variant, outcome


def forwarded(req: Value) -> dict[str, str]:
    """Return the headers that the container gets."""
    return {header: req[member] for member, header in _FORWARDED if req.get(member)}


def answer_of(variant: VariantRoute, reply: Reply) -> Value:
    """Return the result of InvokeEndpoint that a container's good answer stands for."""
    answer: Value = {"Body": reply.body, "InvokedProductionVariant": variant.name}
    for header, member in _RETURNED:
        if header in reply.headers:
            answer[member] = reply.headers[header]
    own = {name: value for name, value in reply.headers.items() if name.startswith(_OWN)}
    if own:
        answer["ResponseMetadata"] = {"HTTPHeaders": own}
    return answer


def _model_error_of(ctx: Context, endpoint: str, reply: Reply) -> AwsError:
    if len(reply.body) > EMBED_LIMIT:
        return _model_error(ctx, endpoint, reply.status, None)
    return _model_error(ctx, endpoint, reply.status, reply.body.decode("utf-8", "replace"))


def _model_error(ctx: Context, endpoint: str, status: int, message: str | None) -> AwsError:
    """Return ModelError with AWS's sentence.

    status: 0 when the container gave none. message: None if it is too long to repeat.
    """
    group = log_group(endpoint)
    kind = "client" if 400 <= status < 500 else "server"
    said = (
        " and could not load the entire response body"
        if message is None
        else f' with message "{message}"'
    )
    see = (
        f"https://{ctx.region}.console.aws.amazon.com/cloudwatch/home?region={ctx.region}#logEventViewer:"
        f"group={group} in account {ctx.account} for more information."
    )
    return AwsError(
        "ModelError",
        f"Received {kind} error ({status}) from primary{said}. See {see}",
        424,
        members={
            "OriginalStatusCode": status,
            "OriginalMessage": message or "",
            "LogStreamArn": log_group_arn(ctx.region, ctx.account, group),
        },
    )
