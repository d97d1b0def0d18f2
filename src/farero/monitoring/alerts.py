"""A schedule's alert: in alert while enough of the last executions found violations.

Follows "View and edit alerts" (Model Dashboard): after every execution the failures among the last EvaluationPeriod
ones are counted; from DatapointsToAlert on the alert is InAlert, below it is OK, also while there are fewer executions
than the period. An execution that judged nothing, because it failed or was stopped, is left out of the count.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from farero.base.errors import NotFound
from farero.monitoring import events
from farero.records.monitoring import AlertChange, AlertStatus, ExecutionStatus
from farero.store import monitoring as rows
from farero.store import monitoring_alerts as alert_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from farero.base.context import Context
    from farero.records.monitoring import Alert, Schedule
    from farero.store.engine import Store


def evaluate(last: Sequence[ExecutionStatus], datapoints: int, period: int) -> AlertStatus:
    """Return the status that executions give an alert. last: of those that judged, the newest first."""
    found = sum(status is ExecutionStatus.WITH_VIOLATIONS for status in last[:period])
    return AlertStatus.IN_ALERT if found >= datapoints else AlertStatus.OK


def look(db: Connection, schedule: Schedule, now: dt.datetime) -> None:
    """Bring the alert of a schedule up to date, in the transaction of an execution's end."""
    _settle(db, schedule, alert_rows.of_schedule(db, schedule), now)


class Alerts:
    """What a caller can change of alerts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def update(self, ctx: Context, schedule: str, name: str, *, datapoints: int, period: int) -> Schedule:  # fmt: skip
        """Change when an alert is raised; the executions so far are judged anew. Raises NotFound."""
        with self._store.begin() as db:
            found = rows.get_schedule(db, schedule, lock=True)
            before = alert_rows.of_schedule(db, found)
            if before.name != name:
                raise NotFound(
                    "monitoring alert", name,
                    f"Could not find monitoring alert {name} of monitoring schedule {schedule}; it has {before.name}.",
                )  # fmt: skip
            changed = dataclasses.replace(
                before, datapoints=datapoints, period=period, modified_at=ctx.now
            )
            alert_rows.put(db, changed)
            _settle(db, found, changed, ctx.now)
        return found


def _settle(db: Connection, schedule: Schedule, alert: Alert, now: dt.datetime) -> None:
    last = rows.last_judged(db, schedule.name, since=schedule.created_at, limit=alert.period)
    status = evaluate(last, alert.datapoints, alert.period)
    if status is alert.status:
        return
    changed = dataclasses.replace(alert, status=status, modified_at=now)
    alert_rows.put(db, changed)
    events.tell_alert(db, schedule, changed)
    change = AlertChange(schedule=alert.schedule, name=alert.name, at=now, status=status)
    alert_rows.add_change(db, change)
