"""Tables of the jobs family."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata


def _columns() -> tuple[Column[Any], ...]:
    """Return what every kind of job has."""
    return (
        Column("name", String(63), primary_key=True),
        Column("arn", String(256), nullable=False, unique=True),
        Column("spec", Text, nullable=False),
        Column("given", Text, nullable=False),
        Column("status", String(16), nullable=False),
        Column("secondary", String(32), nullable=False),
        Column("transitions", Text, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("modified_at", UtcTime, nullable=False),
        Column("started_at", UtcTime),
        Column("ended_at", UtcTime),
        Column("failure_reason", Text),
        Column("metrics", Text, nullable=False),
        Column("phase", String(16), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("stop_requested_at", UtcTime),
        Column("stop_sent", Boolean, nullable=False),
        Column("ran_too_long", Boolean, nullable=False),
        Column("exit_code", Integer),
        Column("out_of_memory", Boolean, nullable=False),
    )


jobs = Table("jobs", metadata, *_columns())
Index("jobs_created", jobs.c.created_at)

processing_jobs = Table(
    "processing_jobs",
    metadata,
    *_columns(),
    Column("exit_message", Text),
)
Index("processing_jobs_created", processing_jobs.c.created_at)
