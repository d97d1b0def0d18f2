"""What happened and must be told: written in the transaction that made it happen, told later, in order, never lost.

A row belongs to a queue (`alarm/NAME`, `endpoint/NAME`); the item `outbox.dispatch` of that queue is handled by
`notify/`, which takes the rows in order. So an alarm whose state has changed has told so or will, whoever dies between.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from farero.base import ids
from farero.records.events import DEFAULT_BUS
from farero.store import outbox as rows
from farero.store.events import is_heard
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

DISPATCH = "outbox.dispatch"


def put(
    db: Connection, *, queue: str, kind: str, payload: Mapping[str, Any], now: dt.datetime
) -> None:
    """Write one row and ask for its dispatch, in the caller's transaction."""
    rows.insert(db, queue=queue, kind=kind, payload=payload, now=now)
    items.put(db, DISPATCH, queue, due=now)


def publish(  # noqa: PLR0913 - one a member of SNS's Publish
    db: Connection, *, queue: str, topic: str, subject: str, message: str, now: dt.datetime
) -> None:
    """Tell an SNS topic. topic: its ARN. message: plain text, or JSON as text."""
    payload = {"TopicArn": topic, "Subject": subject, "Message": message}
    put(db, queue=queue, kind="publish", payload=payload, now=now)


def event(  # noqa: PLR0913 - one a member of EventBridge's event
    db: Connection,
    *,
    queue: str,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[str],
    now: dt.datetime,
) -> None:
    """Tell the default event bus; nothing is written while no rule listens there.

    source: `aws.sagemaker`; detail_type: `SageMaker Endpoint State Change`.
    """
    if not is_heard(db):
        return
    happened = {
        "id": ids.new_uuid(),
        "source": source,
        "detail-type": detail_type,
        "time": moment(now),
        "resources": list(resources),
        "detail": dict(detail),
    }
    put_event(db, happened, queue=queue, bus=DEFAULT_BUS, now=now)


def put_event(  # noqa: PLR0913 - the event, its way and its time
    db: Connection,
    event: Mapping[str, Any],
    *,
    queue: str,
    bus: str,
    now: dt.datetime,
    rule: str = "",
) -> None:
    """Tell an event bus. event: without version, account and region. rule: the only one that hears of it."""
    payload = {"bus": bus, "rule": rule, "event": event}
    put(db, queue=queue, kind="event", payload=payload, now=now)


def moment(at: dt.datetime) -> str:
    """Return a time as events have it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
