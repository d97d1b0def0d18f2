"""SQS queues and their messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata
from farero.store.tables.logs import RowId

queues = Table(
    "queues",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("arn", String(512), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    Column("attributes", Text, nullable=False, default="{}"),
)

queue_messages = Table(
    "queue_messages",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("queue_id", BigInteger, nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("attributes", Text, nullable=False, default="{}"),
    Column("sent_at", UtcTime, nullable=False),
    Column("visible_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("receive_count", Integer, nullable=False, default=0),
    Column("first_received_at", UtcTime),
    Column("receipt", String(64), nullable=False, default=""),
)
Index("queue_messages_visible", queue_messages.c.queue_id, queue_messages.c.visible_at)
Index("queue_messages_receipt", queue_messages.c.queue_id, queue_messages.c.receipt)
Index("queue_messages_expiry", queue_messages.c.expires_at)
