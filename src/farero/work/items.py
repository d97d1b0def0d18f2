"""The one queue: a row says "do KIND for KEY, not before DUE"; the only way anything happens later.

An item is unique by kind and key. Putting it again while it waits brings the due time forward; putting it
while it is being worked on makes it run once more afterwards. Items run at least once; handlers are idempotent.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from farero.store import work as rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from farero.records.work import WorkItem

LEASE = dt.timedelta(seconds=60)
FIRST_BACKOFF = dt.timedelta(milliseconds=500)
LONGEST_BACKOFF = dt.timedelta(seconds=30)
#: The worker looks at the queue so often, woken or not.
NAP = dt.timedelta(milliseconds=500)


def put(db: Connection, kind: str, key: str, *, due: dt.datetime) -> None:
    """Ask for `kind` to be done for `key` at `due` or as soon after as possible."""
    rows.upsert(db, kind, key, due=due)


def lease(db: Connection, now: dt.datetime, *, limit: int = 16) -> list[WorkItem]:
    """Take up to `limit` due items for one lease span; nobody else gets them meanwhile."""
    return rows.take_due(db, now=now, until=now + LEASE, limit=limit)


def renew(db: Connection, item: WorkItem, now: dt.datetime) -> None:
    """Hold a running item for one more lease span."""
    rows.renew(db, item, until=now + LEASE)


def done(db: Connection, item: WorkItem) -> dt.datetime | None:
    """Strike the item off, unless it was put again while it ran: then return when it is due once more."""
    return rows.finish(db, item)


def fail(db: Connection, item: WorkItem, now: dt.datetime, error: str) -> None:
    """Give the item back with a delay that doubles from 0.5 s to 30 s."""
    delay = min(FIRST_BACKOFF * 2 ** min(item.attempts, 10), LONGEST_BACKOFF)
    rows.give_back(db, item, due=now + delay, error=error[:2000])


def is_soon(due: dt.datetime, now: dt.datetime) -> bool:
    """Say whether the worker has to be woken for what is due then; it may sleep until NAP is over."""
    return due < now + NAP


def next_due(db: Connection) -> dt.datetime | None:
    """Return when the next item falls due, or None if there is none."""
    return rows.next_due(db)
