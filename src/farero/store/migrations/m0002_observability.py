"""Metrics, alarms, dashboards, notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.store.tables import (
    alarms,
    dashboards,
    endpoint_changes,
    events,
    log_filters,
    metrics,
    outbox,
    queues,
    topics,
)
from farero.store.tables.base import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Named so that importing this module brings every family's tables into the metadata.
FAMILIES = (
    alarms, dashboards, endpoint_changes, events, log_filters, metrics, outbox, queues, topics,
)  # fmt: skip


def upgrade(db: Connection) -> None:
    """Create what is not there."""
    metadata.create_all(db)
