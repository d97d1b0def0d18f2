"""Log events by their number: in order of arrival, or one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.store.logs import Portion, bounded, event_of
from farero.store.tables.logs import log_events, log_groups, log_streams

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from farero.records.telemetry import LogEvent


def arrived_events(
    db: Connection, group_id: int, *, after_id: int, up_to_id: int, limit: int
) -> Portion:
    """Return the group's events in order of arrival; those of other groups are skipped.

    Within a group numbers grow with each commit, since `insert_events` holds the group's row before it takes them.
    """
    table = log_events.c
    statement = (
        sa.select(log_events, log_streams.c.name.label("stream_name"))
        .join(log_streams, log_streams.c.id == table.stream_id)
        # The sum keeps the database from walking the whole group by its index.
        .where(table.id > after_id, table.id <= up_to_id, table.group_id + 0 == group_id)
        .order_by(table.id)
        .limit(limit)
    )
    found, is_end = bounded(db, statement, limit)
    return Portion([event_of(row, row.stream_name) for row in found], is_end)


def find_event(db: Connection, event_id: int) -> tuple[str, LogEvent] | None:
    """Return an event with the name of its group, or None."""
    statement = (
        sa.select(
            log_events,
            log_streams.c.name.label("stream_name"),
            log_groups.c.name.label("group_name"),
        )
        .join(log_streams, log_streams.c.id == log_events.c.stream_id)
        .join(log_groups, log_groups.c.id == log_events.c.group_id)
        .where(log_events.c.id == event_id)
    )
    row = db.execute(statement).first()
    return None if row is None else (row.group_name, event_of(row, row.stream_name))
