"""Processing jobs and monitoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.store.tables.base import metadata
from farero.store.tables.jobs import processing_jobs
from farero.store.tables.monitoring import definitions, executions, schedules

if TYPE_CHECKING:
    from sqlalchemy import Connection


def upgrade(db: Connection) -> None:
    """Create what is not there."""
    metadata.create_all(db, tables=[processing_jobs, definitions, schedules, executions])
