"""Tables of alarms, their history, and anomaly detectors."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata
from farero.store.tables.logs import RowId

alarms = Table(
    "alarms",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("arn", String(512), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("config", Text, nullable=False),
    Column("actions_enabled", Boolean, nullable=False),
    Column("configured_at", UtcTime, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_data", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("transitioned_at", UtcTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("suppressed_by", String(32), nullable=False, default=""),
    Column("suppressed_reason", Text, nullable=False, default=""),
)

alarm_history = Table(
    "alarm_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("alarm", String(255), nullable=False),
    Column("alarm_kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("summary", Text, nullable=False),
    Column("data", Text, nullable=False),
)
Index("alarm_history_alarm", alarm_history.c.alarm, alarm_history.c.at)
Index("alarm_history_at", alarm_history.c.at)

#: Of composites with an ActionsSuppressor: what they told last, and what keeps them from telling more.
alarm_holds = Table(
    "alarm_holds",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("told", String(20), nullable=False),
    Column("by", String(32), nullable=False),
    Column("until", UtcTime),
)

anomaly_detectors = Table(
    "anomaly_detectors",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("config", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
