"""Tables of the monitoring family."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

definitions = Table(
    "monitoring_definitions",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("arn", String(256), nullable=False, unique=True),
    Column("endpoint", String(63), nullable=False),
    Column("given", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

schedules = Table(
    "monitoring_schedules",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("arn", String(256), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("config", Text, nullable=False),
    Column("definition", String(63), nullable=False),
    Column("endpoint", String(63), nullable=False),
    Column("expression", String(256), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("next_at", UtcTime),
)

executions = Table(
    "monitoring_executions",
    metadata,
    Column("schedule", String(63), primary_key=True),
    Column("scheduled_at", UtcTime, primary_key=True),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("definition", String(63), nullable=False),
    Column("endpoint", String(63), nullable=False),
    Column("given", Text, nullable=False),
    Column("merge_job", String(63), nullable=False),
    Column("job", String(63), nullable=False),
    Column("job_arn", String(256), nullable=False),
    Column("status", String(32), nullable=False),
    Column("failure_reason", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
)
Index("monitoring_executions_endpoint", executions.c.endpoint, executions.c.scheduled_at)

alerts = Table(
    "monitoring_alerts",
    metadata,
    Column("schedule", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("datapoints", Integer, nullable=False),
    Column("period", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
)

alert_changes = Table(
    "monitoring_alert_changes",
    metadata,
    Column("schedule", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("at", UtcTime, primary_key=True),
    Column("status", String(16), nullable=False),
)
