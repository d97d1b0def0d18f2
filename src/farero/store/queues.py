"""The rows of SQS queues and their messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.records.notify import Queue, QueueMessage
from farero.store.tables.queues import queue_messages, queues

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection, Row

_messages = queue_messages.c


def insert(
    db: Connection, name: str, arn: str, attributes: dict[str, str], now: dt.datetime
) -> None:
    """Add a queue that is not there."""
    db.execute(
        sa.insert(queues).values(
            name=name, arn=arn, created_at=now, modified_at=now, attributes=_text(attributes)
        )
    )


def find(db: Connection, name: str) -> Queue | None:
    """Return a queue by its name, or None."""
    row = db.execute(sa.select(queues).where(queues.c.name == name)).first()
    return _queue(row) if row else None


def find_by_arn(db: Connection, arn: str) -> Queue | None:
    """Return a queue by its ARN, or None."""
    row = db.execute(sa.select(queues).where(queues.c.arn == arn)).first()
    return _queue(row) if row else None


def list_all(
    db: Connection, *, prefix: str = "", after: str = "", limit: int = 1000
) -> list[Queue]:
    """Return queues in order of their names, from the one after `after`."""
    rows = db.execute(
        sa.select(queues)
        .where(queues.c.name > after, queues.c.name.startswith(prefix, autoescape=True))
        .order_by(queues.c.name)
        .limit(limit)
    )
    return [_queue(row) for row in rows]


def update(db: Connection, queue_id: int, attributes: dict[str, str], now: dt.datetime) -> None:
    """Write all attributes of a queue anew."""
    db.execute(
        sa.update(queues)
        .where(queues.c.id == queue_id)
        .values(attributes=_text(attributes), modified_at=now)
    )


def delete(db: Connection, queue_id: int) -> None:
    """Delete a queue and what is in it."""
    purge(db, queue_id)
    db.execute(sa.delete(queues).where(queues.c.id == queue_id))


def purge(db: Connection, queue_id: int) -> None:
    """Delete every message of a queue."""
    db.execute(sa.delete(queue_messages).where(_messages.queue_id == queue_id))


def insert_message(  # noqa: PLR0913 - one a column
    db: Connection,
    queue_id: int,
    *,
    message_id: str,
    body: str,
    attributes: dict[str, dict[str, Any]],
    sent_at: dt.datetime,
    visible_at: dt.datetime,
    expires_at: dt.datetime,
) -> None:
    """Append a message."""
    db.execute(
        sa.insert(queue_messages).values(
            queue_id=queue_id,
            message_id=message_id,
            body=body,
            attributes=msgspec.json.encode(attributes).decode(),
            sent_at=sent_at,
            visible_at=visible_at,
            expires_at=expires_at,
            receive_count=0,
            receipt="",
        )
    )


def has_visible(db: Connection, queue_id: int, now: dt.datetime) -> bool:
    """Say whether a message waits to be received."""
    query = sa.select(_messages.id).where(*_visible(queue_id, now)).limit(1)
    return db.execute(query).first() is not None


def take(db: Connection, queue_id: int, *, now: dt.datetime, limit: int) -> list[QueueMessage]:
    """Return messages that may be received, oldest first; locks them for the rest of the transaction."""
    rows = db.execute(
        sa.select(queue_messages)
        .where(*_visible(queue_id, now))
        .order_by(_messages.visible_at, _messages.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    return [_message(row) for row in rows]


def mark_received(
    db: Connection, row_id: int, *, receipt: str, now: dt.datetime, visible_at: dt.datetime
) -> None:
    """Hide a message until `visible_at` and count one more receipt."""
    db.execute(
        sa.update(queue_messages)
        .where(_messages.id == row_id)
        .values(
            receipt=receipt,
            visible_at=visible_at,
            receive_count=_messages.receive_count + 1,
            first_received_at=sa.func.coalesce(
                _messages.first_received_at, sa.literal(now, _messages.sent_at.type)
            ),
        )
    )


def move(db: Connection, row_id: int, queue_id: int, now: dt.datetime) -> None:
    """Put a message into another queue, to be received at once."""
    db.execute(
        sa.update(queue_messages)
        .where(_messages.id == row_id)
        .values(
            queue_id=queue_id, visible_at=now, receipt="", receive_count=0, first_received_at=None
        )
    )


def delete_message(db: Connection, queue_id: int, receipt: str) -> None:
    """Delete the message whose last receipt this is; nothing if there is none."""
    db.execute(
        sa.delete(queue_messages).where(
            _messages.queue_id == queue_id, _messages.receipt == receipt
        )
    )


def find_message(db: Connection, queue_id: int, receipt: str) -> QueueMessage | None:
    """Return the message whose last receipt this is, or None."""
    row = db.execute(
        sa.select(queue_messages).where(
            _messages.queue_id == queue_id, _messages.receipt == receipt
        )
    ).first()
    return _message(row) if row else None


def set_visible(db: Connection, row_id: int, visible_at: dt.datetime) -> None:
    """Change when a message may be received again."""
    db.execute(
        sa.update(queue_messages).where(_messages.id == row_id).values(visible_at=visible_at)
    )


def delete_expired(db: Connection, now: dt.datetime) -> int:
    """Delete messages past their queue's retention; return how many."""
    return db.execute(sa.delete(queue_messages).where(_messages.expires_at <= now)).rowcount


def counts(db: Connection, queue_id: int, now: dt.datetime) -> tuple[int, int, int]:
    """Return how many messages are visible, received and not yet deleted, and delayed."""
    is_hidden = sa.and_(_messages.visible_at > now, _messages.receipt != "")
    is_delayed = sa.and_(_messages.visible_at > now, _messages.receipt == "")
    query = sa.select(
        sa.func.count().filter(_messages.visible_at <= now),
        sa.func.count().filter(is_hidden),
        sa.func.count().filter(is_delayed),
    ).where(_messages.queue_id == queue_id, _messages.expires_at > now)
    visible, hidden, delayed = db.execute(query).one()
    return visible, hidden, delayed


def _visible(queue_id: int, now: dt.datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _messages.queue_id == queue_id,
        _messages.visible_at <= now,
        _messages.expires_at > now,
    )


def _text(attributes: dict[str, str]) -> str:
    return msgspec.json.encode(attributes).decode()


def _queue(row: Row[tuple[object, ...]]) -> Queue:
    return Queue(
        id=row.id,
        name=row.name,
        arn=row.arn,
        created_at=row.created_at,
        modified_at=row.modified_at,
        attributes=msgspec.json.decode(row.attributes, type=dict[str, str]),
    )


def _message(row: Row[tuple[object, ...]]) -> QueueMessage:
    return QueueMessage(
        id=row.id,
        message_id=row.message_id,
        body=row.body,
        attributes=msgspec.json.decode(row.attributes),
        sent_at=row.sent_at,
        visible_at=row.visible_at,
        expires_at=row.expires_at,
        receive_count=row.receive_count,
        first_received_at=row.first_received_at,
        receipt=row.receipt,
    )
