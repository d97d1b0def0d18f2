"""The outbox's table."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table, Text

from farero.store.tables.base import UtcTime, metadata
from farero.store.tables.logs import RowId

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("queue", String(512), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("payload", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
Index("outbox_queue", outbox.c.queue, outbox.c.id)
