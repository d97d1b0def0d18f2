"""The table of dashboards."""

from __future__ import annotations

from sqlalchemy import Column, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

dashboards = Table(
    "dashboards",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("body", Text, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
)
