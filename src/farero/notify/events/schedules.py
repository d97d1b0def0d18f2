"""Handles `event.schedule`: a rule's schedule is due, so the rule makes an event for its own targets.

The event and the rule's next moment are one transaction, so no moment is taken twice, whoever is killed when. What was
missed while nothing ran is made up for once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.base import ids
from farero.records.events import DEFAULT_BUS
from farero.store import events as rows
from farero.work import cron, items, outbox

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.records.work import WorkItem
    from farero.store.engine import Store

FIRE = "event.schedule"


class Schedules:
    """Makes the events of scheduled rules."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def fire(self, item: WorkItem) -> None:
        """Make the event of the rule `item.key` if its moment has come, and ask for the next turn."""
        with self._store.begin() as db:
            rule = rows.find_rule(db, DEFAULT_BUS, item.key, lock=True)
            if rule is None or not rule.is_enabled or rule.next_at is None:
                return
            now, following = self._clock.now(), rule.next_at
            if rule.next_at <= now:
                event: dict[str, Any] = {
                    "id": ids.new_uuid(),
                    "source": "aws.events",
                    "detail-type": "Scheduled Event",
                    "time": outbox.moment(rule.next_at),
                    "resources": [rule.arn],
                    "detail": {},
                }
                queue = f"schedule/{rule.name}"
                outbox.put_event(db, event, queue=queue, bus=rule.bus, rule=rule.name, now=now)
                schedule = cron.parse(rule.schedule)
                following = schedule.next_after(now, began=rule.began_at)
                rows.set_next(db, rule, following)
            if following is not None:
                items.put(db, FIRE, rule.name, due=following)
