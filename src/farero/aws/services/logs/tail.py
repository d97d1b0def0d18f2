"""Live tail: events of a few groups as they arrive, in a stream that stays open."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from farero.aws.services.logs.names import name_in_arn
from farero.aws.wire.messages import AwsError
from farero.base.errors import Invalid, LimitExceeded
from farero.telemetry.tail import Tail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from farero.aws.services.logs.names import Value
    from farero.base.clock import Clock
    from farero.base.context import Context
    from farero.store.engine import Store
    from farero.telemetry.tail import Update

EVERY_S = 1.0
#: "A session can stay open for up to three hours", "15 concurrent sessions" (StartLiveTail, quotas).
SESSION_S = 3 * 3600.0
SESSIONS = 15


class LiveTail:
    """The operation `start_live_tail`."""

    def __init__(self, store: Store, clock: Clock, *, every_s: float = EVERY_S) -> None:
        self._store = store
        self._clock = clock
        self._every_s = every_s
        self._open = 0

    async def start_live_tail(self, ctx: Context, req: Value) -> Value:
        """Open a session: each second one update with what has arrived."""
        names = [
            name_in_arn(one) if one.startswith("arn:") else one
            for one in req["logGroupIdentifiers"]
        ]
        narrowed = req.get("logStreamNames", []), req.get("logStreamNamePrefixes", [])
        if any(narrowed) and (len(names) > 1 or all(narrowed)):
            raise Invalid(
                "logStreamNames or logStreamNamePrefixes can be used with one log group, and not together."
            )
        if self._open >= SESSIONS:
            raise LimitExceeded(
                "Account maximum concurrent live tail sessions limit of [15] reached."
            )
        tail = await asyncio.to_thread(
            Tail,
            self._store,
            self._clock,
            list(dict.fromkeys(names)),
            streams=narrowed[0],
            prefixes=narrowed[1],
            pattern=req.get("logEventFilterPattern", ""),
        )
        return {"responseStream": self._session(ctx, req, tail)}

    async def _session(self, ctx: Context, req: Value, tail: Tail) -> AsyncGenerator[Value]:
        self._open += 1
        try:
            yield {"sessionStart": _start(ctx, req)}
            end = self._clock.monotonic() + SESSION_S
            while self._clock.monotonic() < end:
                await asyncio.sleep(self._every_s)
                yield {"sessionUpdate": _update(ctx, await asyncio.to_thread(tail.look))}
            raise AwsError(
                "SessionTimeoutException",
                "The session has been open for three hours; start another.",
            )
        finally:
            self._open -= 1


def _start(ctx: Context, req: Value) -> Value:
    return {
        "requestId": ctx.request_id,
        "sessionId": str(uuid.uuid4()),
        "logGroupIdentifiers": req["logGroupIdentifiers"],
        "logStreamNames": req.get("logStreamNames", []),
        "logStreamNamePrefixes": req.get("logStreamNamePrefixes", []),
        "logEventFilterPattern": req.get("logEventFilterPattern", ""),
    }


def _update(ctx: Context, update: Update) -> Value:
    return {
        "sessionMetadata": {"sampled": update.is_sampled},
        "sessionResults": [
            {
                "logStreamName": event.stream,
                "logGroupIdentifier": f"{ctx.account}:{group}",
                "message": event.message,
                "timestamp": event.timestamp_ms,
                "ingestionTime": event.ingested_ms,
            }
            for group, event in update.events
        ],
    }
