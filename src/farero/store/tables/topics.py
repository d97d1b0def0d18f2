"""Topics, their subscriptions, and what is on its way to a subscription."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata
from farero.store.tables.logs import RowId

topics = Table(
    "topics",
    metadata,
    Column("arn", String(512), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("attributes", Text, nullable=False, default="{}"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    #: Last part of the ARN.
    Column("id", String(64), primary_key=True),
    Column("arn", String(512), nullable=False, unique=True),
    Column("topic_arn", String(512), nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("owner", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attributes", Text, nullable=False, default="{}"),
    Column("token", String(256), nullable=False, default=""),
    Column("confirmed", Boolean, nullable=False, default=False),
)
Index("subscriptions_topic", subscriptions.c.topic_arn, subscriptions.c.id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    #: "" when there was nobody to tell.
    Column("subscription_id", String(64), nullable=False),
    Column("queue", String(512), nullable=False),
    Column("protocol", String(32), nullable=False),
    Column("endpoint", Text, nullable=False),
    #: The note, as JSON.
    Column("note", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("reason", Text, nullable=False, default=""),
)
Index(
    "deliveries_lane",
    deliveries.c.subscription_id,
    deliveries.c.queue,
    deliveries.c.state,
    deliveries.c.id,
)
Index("deliveries_state", deliveries.c.state, deliveries.c.due)
