"""The rows of the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from farero.records.work import Outgoing
from farero.store.tables.outbox import outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy import Connection


def insert(
    db: Connection, *, queue: str, kind: str, payload: Mapping[str, Any], now: dt.datetime
) -> None:
    """Append one row to a queue."""
    text = msgspec.json.encode(payload).decode()
    db.execute(sa.insert(outbox).values(queue=queue, kind=kind, payload=text, created_at=now))


def first(db: Connection, queue: str, *, limit: int) -> list[Outgoing]:
    """Return the oldest rows of a queue, in the order in which they came."""
    rows = db.execute(
        sa.select(outbox).where(outbox.c.queue == queue).order_by(outbox.c.id).limit(limit)
    ).all()
    return [
        Outgoing(
            id=row.id,
            queue=row.queue,
            kind=row.kind,
            payload=msgspec.json.decode(row.payload),
            created_at=row.created_at,
        )
        for row in rows
    ]


def delete(db: Connection, row_id: int) -> None:
    """Strike one row off."""
    db.execute(sa.delete(outbox).where(outbox.c.id == row_id))
