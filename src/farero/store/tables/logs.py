"""Tables of the logs family."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from farero.store.tables.base import UtcTime, metadata

#: SQLite numbers rows by itself only in a column of type INTEGER, which holds 64 bits there.
RowId = BigInteger().with_variant(Integer, "sqlite")

log_groups = Table(
    "log_groups",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("name", String(512), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("retention_days", Integer),
    Column("tags", Text, nullable=False, default="{}"),
    Column("stored_bytes", BigInteger, nullable=False, default=0),
)

log_streams = Table(
    "log_streams",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("group_id", BigInteger, nullable=False),
    Column("name", String(512), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("first_event_ms", BigInteger),
    Column("last_event_ms", BigInteger),
    Column("last_ingested_ms", BigInteger),
    Unique("group_id", "name"),
)

log_events = Table(
    "log_events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("group_id", BigInteger, nullable=False),
    Column("stream_id", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("ingested_ms", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
)
Index("log_events_stream", log_events.c.stream_id, log_events.c.timestamp_ms, log_events.c.id)
Index("log_events_group", log_events.c.group_id, log_events.c.timestamp_ms, log_events.c.id)

#: Files whose growth becomes events; the offset moves in the transaction that inserts them.
log_files = Table(
    "log_files",
    metadata,
    Column("path", String(1024), primary_key=True),
    Column("group_name", String(512), nullable=False),
    Column("stream_name", String(512), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("escapes_tabs", Boolean, nullable=False),
)
