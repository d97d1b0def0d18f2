"""Tables of what watches logs: metric filters, subscriptions, queries. All but the cursors are telemetry's."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from farero.store.tables.base import UtcTime, metadata
from farero.store.tables.logs import RowId

log_metric_filters = Table(
    "log_metric_filters",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("group_id", BigInteger, nullable=False),
    Column("name", String(512), nullable=False),
    Column("pattern", Text, nullable=False),
    Column("transformation", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Unique("group_id", "name"),
)

#: Minutes that have had events of a filter with a default value, until they are told.
log_filter_minutes = Table(
    "log_filter_minutes",
    metadata,
    Column("filter_id", BigInteger, primary_key=True, autoincrement=False),
    Column("minute_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("has_match", Boolean, nullable=False),
    #: Told when this moment has come; events that arrive meanwhile move it on.
    Column("due_ms", BigInteger, nullable=False),
)

log_subscriptions = Table(
    "log_subscriptions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("group_id", BigInteger, nullable=False),
    Column("name", String(512), nullable=False),
    Column("pattern", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("distribution", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    #: The newest event when the subscription was made: only later ones are sent.
    Column("after_id", BigInteger, nullable=False),
    Unique("group_id", "name"),
)

#: How far each subscription has been sent; in the control database, beside the outbox.
log_cursors = Table(
    "log_cursors",
    metadata,
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", UtcTime, primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)

log_queries = Table(
    "log_queries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("groups", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("row_limit", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("matched", BigInteger, nullable=False, default=0),
    Column("scanned", BigInteger, nullable=False, default=0),
    Column("scanned_bytes", BigInteger, nullable=False, default=0),
    Column("results", Text, nullable=False, default="[]"),
)
Index("log_queries_status", log_queries.c.status, log_queries.c.created_ms)

log_query_definitions = Table(
    "log_query_definitions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)
