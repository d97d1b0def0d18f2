"""Tables of the tags family."""

from __future__ import annotations

from sqlalchemy import Column, String, Table, Text

from farero.store.tables.base import metadata

tags = Table(
    "tags",
    metadata,
    Column("arn", String(512), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", Text, nullable=False),
)
