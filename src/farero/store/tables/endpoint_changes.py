"""The table of what became of endpoints: a row for each change of state, configuration or traffic."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

endpoint_changes = Table(
    "endpoint_changes",
    metadata,
    Column("endpoint", String(63), primary_key=True),
    #: Counts the endpoint's changes.
    Column("number", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("status", String(32), nullable=False),
    #: The configuration on its way in, else the one that serves.
    Column("config", String(63), nullable=False),
    #: JSON: (variant, weight, count) of that configuration.
    Column("variants", Text, nullable=False),
    Column("reason", Text),
)
Index("endpoint_changes_at", endpoint_changes.c.endpoint, endpoint_changes.c.at)
