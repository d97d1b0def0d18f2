"""The rows of what is on its way to a subscription, has arrived there, or was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from farero.records.notify import Delivery, DeliveryState, Note, Subscription
from farero.store.tables.topics import deliveries

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row


def insert(db: Connection, to: Subscription, note: Note, *, queue: str, now: dt.datetime) -> None:
    """Put a message on its way to a subscription, behind those of its queue."""
    insert_for(
        db,
        note,
        listener=to.id,
        protocol=to.protocol,
        endpoint=to.endpoint,
        queue=queue,
        now=now,
    )


def insert_for(  # noqa: PLR0913 - one a column
    db: Connection,
    note: Note,
    *,
    listener: str,
    protocol: str,
    endpoint: str,
    queue: str,
    now: dt.datetime,
) -> None:
    """Put a message on its way to whoever has this id: a subscription, a target of a rule."""
    to = (listener, protocol, endpoint)
    _insert(db, note, queue, now, DeliveryState.PENDING, to=to)


def insert_dead(db: Connection, note: Note, *, queue: str, reason: str, now: dt.datetime) -> None:
    """Keep a message that nobody can be told."""
    _insert(db, note, queue, now, DeliveryState.DEAD, reason=reason)


def first_pending(db: Connection, subscription_id: str, queue: str) -> Delivery | None:
    """Return the oldest message that a subscription has not got of a queue, or None."""
    table = deliveries.c
    row = db.execute(
        sa.select(deliveries)
        .where(
            table.subscription_id == subscription_id,
            table.queue == queue,
            table.state == DeliveryState.PENDING.value,
        )
        .order_by(table.id)
        .limit(1)
    ).first()
    return _delivery(row) if row else None


def finish(
    db: Connection, delivery_id: int, state: DeliveryState, *, reason: str, now: dt.datetime
) -> None:
    """Write down that a delivery has arrived or was given up after one more try."""
    db.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(state=state.value, reason=reason, due=now, attempts=deliveries.c.attempts + 1)
    )


def put_off(db: Connection, delivery_id: int, *, reason: str, due: dt.datetime) -> None:
    """Write down a failed try and when the next one is."""
    db.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(reason=reason, due=due, attempts=deliveries.c.attempts + 1)
    )


def drop_pending(db: Connection, subscription_ids: Sequence[str]) -> None:
    """Forget what was on its way to subscriptions that are gone."""
    if subscription_ids:
        db.execute(
            sa.delete(deliveries).where(
                deliveries.c.subscription_id.in_(subscription_ids),
                deliveries.c.state == DeliveryState.PENDING.value,
            )
        )


def forget(db: Connection, state: DeliveryState, *, before: dt.datetime) -> int:
    """Delete what ended in `state` before a moment; return how many."""
    result = db.execute(
        sa.delete(deliveries).where(deliveries.c.state == state.value, deliveries.c.due < before)
    )
    return result.rowcount


def forget_beyond(db: Connection, state: DeliveryState, *, most: int) -> int:
    """Delete what ended in `state` but for the newest `most`; return how many."""
    mine = deliveries.c.state == state.value
    border = db.execute(
        sa.select(deliveries.c.id)
        .where(mine)
        .order_by(deliveries.c.id.desc())
        .offset(most)
        .limit(1)
    ).scalar()
    if border is None:
        return 0
    return db.execute(sa.delete(deliveries).where(mine, deliveries.c.id <= border)).rowcount


def latest(db: Connection, *, state: DeliveryState | None, limit: int) -> list[Delivery]:
    """Return the newest deliveries, of one state or of all."""
    query = sa.select(deliveries)
    if state is not None:
        query = query.where(deliveries.c.state == state.value)
    rows = db.execute(query.order_by(deliveries.c.id.desc()).limit(limit))
    return [_delivery(row) for row in rows]


def counts(db: Connection) -> dict[str, int]:
    """Return how many deliveries there are in each state."""
    rows = db.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
    found = {str(state): int(count) for state, count in rows}
    return {state.value: found.get(state.value, 0) for state in DeliveryState}


def _insert(  # noqa: PLR0913 - one a column
    db: Connection,
    note: Note,
    queue: str,
    now: dt.datetime,
    state: DeliveryState,
    *,
    to: tuple[str, str, str] = ("", "", ""),
    reason: str = "",
) -> None:
    db.execute(
        sa.insert(deliveries).values(
            subscription_id=to[0],
            queue=queue,
            protocol=to[1],
            endpoint=to[2],
            note=msgspec.json.encode(note).decode(),
            state=state.value,
            attempts=0,
            created_at=now,
            due=now,
            reason=reason,
        )
    )


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    return Delivery(
        id=row.id,
        subscription_id=row.subscription_id,
        queue=row.queue,
        protocol=row.protocol,
        endpoint=row.endpoint,
        note=msgspec.json.decode(row.note, type=Note),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        due=row.due,
        reason=row.reason,
    )
