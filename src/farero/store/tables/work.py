"""The queue's table."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

work_items = Table(
    "work_items",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("due", UtcTime, nullable=False),
    Column("leased_until", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("version", Integer, nullable=False, default=1),
    Column("error", Text),
)
Index("work_items_due", work_items.c.due)
