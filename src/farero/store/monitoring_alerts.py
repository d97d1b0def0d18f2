"""The rows of monitoring alerts: one a schedule, and the changes of its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.records.monitoring import Alert, AlertChange, AlertStatus
from farero.store.tables.monitoring import alert_changes, alerts

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.records.monitoring import Schedule

#: Name of the alert that every schedule has.
DEFAULT = "default-alert"


def of_schedule(db: Connection, schedule: Schedule) -> Alert:
    """Return a schedule's alert; one that was never changed is 1 of 1."""
    row = db.execute(sa.select(alerts).where(alerts.c.schedule == schedule.name)).first()
    if row is None:
        return Alert(
            schedule=schedule.name, name=DEFAULT,
            created_at=schedule.created_at, modified_at=schedule.created_at,
        )  # fmt: skip
    return Alert(
        schedule=row.schedule, name=row.name, datapoints=row.datapoints, period=row.period,
        status=AlertStatus(row.status), created_at=row.created_at, modified_at=row.modified_at,
    )  # fmt: skip


def put(db: Connection, alert: Alert) -> None:
    """Add an alert, or write it over its row."""
    columns = {
        "datapoints": alert.datapoints, "period": alert.period, "status": alert.status.value,
        "created_at": alert.created_at, "modified_at": alert.modified_at,
    }  # fmt: skip
    key = (alerts.c.schedule == alert.schedule) & (alerts.c.name == alert.name)
    if db.execute(sa.update(alerts).where(key).values(**columns)).rowcount == 0:
        db.execute(sa.insert(alerts).values(schedule=alert.schedule, name=alert.name, **columns))


def add_change(db: Connection, change: AlertChange) -> None:
    """Note a change of status; of two in one microsecond the later stays."""
    table = alert_changes.c
    db.execute(
        sa.delete(alert_changes).where(
            table.schedule == change.schedule, table.name == change.name, table.at == change.at
        )
    )
    db.execute(
        sa.insert(alert_changes).values(
            schedule=change.schedule, name=change.name, at=change.at, status=change.status.value
        )
    )


def list_changes(  # noqa: PLR0913 - by name
    db: Connection,
    *,
    schedule: str | None = None,
    name: str | None = None,
    status: str | None = None,
    after: dt.datetime | None = None,
    before: dt.datetime | None = None,
    sort_by: str = "at",
    descending: bool = True,
    limit: int = 101,
    offset: int = 0,
) -> list[AlertChange]:
    """Return one page of changes; every filter that is None lets all pass. sort_by: a column's name."""
    table = alert_changes.c
    wanted = {"schedule": schedule, "name": name, "status": status}
    found = [table[key] == value for key, value in wanted.items() if value is not None]
    if after is not None:
        found.append(table.at >= after)
    if before is not None:
        found.append(table.at <= before)
    order = (table[sort_by], table.at, table.schedule, table.name)
    statement = (
        sa.select(alert_changes)
        .where(*found)
        .order_by(*(sa.desc(one) if descending else sa.asc(one) for one in order))
        .limit(limit)
        .offset(offset)
    )
    return [
        AlertChange(schedule=row.schedule, name=row.name, at=row.at, status=AlertStatus(row.status))
        for row in db.execute(statement)
    ]


def forget(db: Connection, schedule: str) -> None:
    """Remove a schedule's alert and its history."""
    db.execute(sa.delete(alerts).where(alerts.c.schedule == schedule))
    db.execute(sa.delete(alert_changes).where(alert_changes.c.schedule == schedule))
