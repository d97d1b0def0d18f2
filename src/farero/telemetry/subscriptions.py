"""Subscription filters: a group's events that match a pattern are sent on, each once into the outbox.

The cursor of a subscription stands in the control database and moves in the transaction that writes the outbox.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid, LimitExceeded
from farero.records.logs import Subscription
from farero.store import log_filters as rows
from farero.store import logs as log_rows
from farero.telemetry.arrivals import Arrivals
from farero.telemetry.filter_patterns import compile_pattern
from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.records.telemetry import LogEvent
    from farero.store.engine import Store

#: "Subscription filters: 2 per log group" (CloudWatch Logs quotas).
PER_GROUP = 2
#: What one message carries before it is packed: SNS takes 256 KB, and what cannot be packed grows by a third.
MESSAGE_BYTES = 180_000
BATCH = 2_000


class Subscriptions:
    """Keeps subscriptions and sends what they ask for."""

    def __init__(
        self,
        *,
        control: Store,
        telemetry: Store,
        clock: Clock,
        account: str,
        poke: Callable[[], None] = lambda: None,
    ) -> None:
        """poke: wakes the worker when the outbox has something new."""
        self._control = control
        self._telemetry = telemetry
        self._clock = clock
        self._account = account
        self._poke = poke
        self._arrivals = Arrivals(telemetry, clock)

    def put(  # noqa: PLR0913 - one a member of PutSubscriptionFilter
        self,
        group_name: str,
        name: str,
        *,
        pattern: str,
        destination: str,
        role: str = "",
        distribution: str = "ByLogStream",
    ) -> None:
        """Add or replace a subscription; it sees only what comes from now on.

        Raises NotFound for the group, Invalid for pattern or destination, LimitExceeded for a third one of a group.
        """
        compile_pattern(pattern)
        _check_destination(destination)
        with self._telemetry.begin() as db:
            group = log_rows.get_group(db, group_name)
            names = {found.name for found, _ in rows.list_subscriptions(db, group)}
            if name not in names and len(names) >= PER_GROUP:
                raise LimitExceeded("Resource limit exceeded.")
            subscription = Subscription(
                id=0,
                group_id=group.id,
                group=group.name,
                name=name,
                pattern=pattern,
                destination=destination,
                role=role,
                distribution=distribution,
                created_at=self._clock.now(),
            )
            rows.put_subscription(db, subscription, after_id=log_rows.newest_event_id(db))

    def delete(self, group_name: str, name: str) -> None:
        """Remove a subscription. Raises NotFound."""
        with self._telemetry.begin() as db:
            rows.delete_subscription(db, log_rows.get_group(db, group_name), name)

    def list(self, group_name: str) -> list[Subscription]:
        """Return the subscriptions of a group. Raises NotFound for the group."""
        with self._telemetry.read() as db:
            group = log_rows.get_group(db, group_name)
            return [found for found, _ in rows.list_subscriptions(db, group)]

    def send_due(self) -> int:
        """Put what has arrived into the outbox; return how many messages."""
        with self._telemetry.read() as db:
            subscriptions = rows.list_subscriptions(db)
        settled = self._arrivals.look() if subscriptions else 0
        sent = sum(self._send(found, after, settled) for found, after in subscriptions)
        if sent:
            self._poke()
        return sent

    def _send(self, subscription: Subscription, after: int, settled: int) -> int:
        sent = 0
        while True:
            with self._control.read() as db:
                known = rows.find_cursor(db, subscription)
            place = after if known is None else known
            found, following = self._arrivals.read(
                subscription.group_id, after=place, settled=settled, limit=BATCH
            )
            if following == place:
                return sent
            matches = compile_pattern(subscription.pattern)
            events = [(event.stream, event) for event in found.events if matches(event.message)]
            with self._control.begin() as db:
                if rows.find_cursor(db, subscription) != known:
                    return sent
                for stream, portion in _portions(events):
                    message = pack(self._account, subscription, stream, portion)
                    _put(db, subscription, message, self._clock.now())
                    sent += 1
                rows.move_cursor(db, subscription, following)
            if found.is_end:
                return sent


def pack(account: str, subscription: Subscription, stream: str, events: Sequence[LogEvent]) -> str:
    """Return the message that AWS would send: JSON, zipped, as base64."""
    payload = {
        "messageType": "DATA_MESSAGE",
        "owner": account,
        "logGroup": subscription.group,
        "logStream": stream,
        "subscriptionFilters": [subscription.name],
        "logEvents": [
            {
                "id": f"{event.timestamp_ms:020d}{event.id:036d}",
                "timestamp": event.timestamp_ms,
                "message": event.message,
            }
            for event in events
        ],
    }
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _put(db: Connection, subscription: Subscription, message: str, now: dt.datetime) -> None:
    service = subscription.destination.split(":")[2]
    event = {"awslogs": {"data": message}}
    text = json.dumps(event)
    messages: dict[str, tuple[str, dict[str, Any]]] = {
        "lambda": ("lambda", {"FunctionArn": subscription.destination, "Payload": event}),
        "sns": ("publish", {"TopicArn": subscription.destination, "Message": text}),
        "sqs": ("sqs", {"QueueArn": subscription.destination, "MessageBody": text}),
    }
    kind, payload = messages[service]
    outbox.put(db, queue=f"logs/{subscription.id}", kind=kind, payload=payload, now=now)


def _portions(
    events: Sequence[tuple[str, LogEvent]],
) -> Iterator[tuple[str, list[LogEvent]]]:
    """Split events, in order, into messages of one stream each that are not too large."""
    waiting: dict[str, list[LogEvent]] = {}
    sizes: dict[str, int] = {}
    for stream, event in events:
        added = len(event.message.encode()) + 100
        if stream in waiting and sizes[stream] + added > MESSAGE_BYTES:
            yield stream, waiting.pop(stream)
        sizes[stream] = added + (sizes[stream] if stream in waiting else 0)
        waiting.setdefault(stream, []).append(event)
    yield from waiting.items()


def _check_destination(arn: str) -> None:
    parts = arn.split(":")
    is_known = len(parts) >= 6 and parts[0] == "arn" and parts[2] in ("lambda", "sns", "sqs")
    if not is_known or (parts[2] == "lambda" and parts[5] != "function"):
        raise Invalid(
            f"destinationArn '{arn}' cannot be a destination here; use the ARN of a Lambda function, an SNS topic or "
            "an SQS queue."
        )
