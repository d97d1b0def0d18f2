"""Processing jobs, monitoring, event rules, endpoints' timelines, suppressed alarms: new tables alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.store.migrations import m0002_observability
from farero.store.tables import alarms, endpoint_changes, events, jobs, monitoring
from farero.store.tables.base import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Named so that importing this module brings every family's tables into the metadata.
FAMILIES = (*m0002_observability.FAMILIES, alarms, endpoint_changes, events, jobs, monitoring)


def upgrade(db: Connection) -> None:
    """Create what is not there."""
    metadata.create_all(db)
