"""The actions of an alarm: what each is told, by what way, and what history says of it.

Topics are told of a change once. An autoscaling policy is told again each minute for as long as the state lasts, as
CloudWatch does, because one step of scaling may not be enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.records.alarms import HistoryItem
from farero.store import alarms as rows
from farero.telemetry.alarms import messages
from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from sqlalchemy import Connection

    from farero.records.alarms import Alarm

#: Services whose actions are repeated each minute.
REPEATED = ("autoscaling", "application-autoscaling")


class Actions:
    """Takes actions, in the transaction of the change that they tell of."""

    def __init__(self, taken: Collection[str] = ("sns",)) -> None:
        """taken: services that have somebody here who takes what they are told."""
        self._taken = frozenset(taken)

    def of_change(self, db: Connection, before: Alarm, after: Alarm, now: dt.datetime) -> None:
        """Take every action of the state that an alarm has gone into."""
        if after.actions_enabled:
            for action in after.config.get(messages.ACTIONS[after.state], ()):
                self._take(db, before, after, action, now)

    def repeats(self, alarm: Alarm) -> bool:
        """Say whether an alarm has actions that `again` would take."""
        names = alarm.config.get(messages.ACTIONS[alarm.state], ())
        return alarm.actions_enabled and any(
            service_of(one) in REPEATED and service_of(one) in self._taken for one in names
        )

    def again(self, db: Connection, alarm: Alarm, now: dt.datetime) -> None:
        """Repeat those actions of its state that are repeated while it lasts, and that somebody takes."""
        if alarm.actions_enabled:
            for action in alarm.config.get(messages.ACTIONS[alarm.state], ()):
                service = service_of(action)
                if service in REPEATED and service in self._taken:
                    self._take(db, alarm, alarm, action, now)

    def _take(
        self, db: Connection, before: Alarm, after: Alarm, action: str, now: dt.datetime
    ) -> None:
        queue = f"alarm/{after.name}"
        service = service_of(action)
        text = messages.notification(after, old_state=before.state)
        if service == "sns":
            subject = messages.subject(after)
            outbox.publish(db, queue=queue, topic=action, subject=subject, message=text, now=now)
        else:
            message = messages.lambda_event(before, after, now) if service == "lambda" else text
            payload = {"Target": action, "Message": message}
            outbox.put(db, queue=queue, kind=service or "unknown", payload=payload, now=now)
        error = "" if service in self._taken else messages.not_taken(service)
        summary, data = messages.action_history(after, action, old_state=before.state, error=error)
        remember(db, after, "Action", summary, data, now=now)


def service_of(action: str) -> str:
    """Return the service of an action's ARN: `sns`, `lambda`; "" where there is none."""
    return action.split(":")[2] if action.startswith("arn:") and action.count(":") > 2 else ""


def remember(  # noqa: PLR0913 - one a column of the history
    db: Connection, alarm: Alarm, kind: str, summary: str, data: str, *, now: dt.datetime
) -> None:
    """Add to an alarm's history."""
    rows.add_history(
        db,
        HistoryItem(
            alarm=alarm.name, alarm_kind=alarm.kind, at=now, kind=kind, summary=summary, data=data
        ),
    )
