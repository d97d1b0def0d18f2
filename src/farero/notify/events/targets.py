"""Handles `event.deliver`: the events of one queue to one target, in order, until each has arrived or was given up.

A topic or a queue takes an event in the transaction that strikes it off; what lies outside of the database is told
before that, at least once. What a target refuses for good goes to its dead-letter queue with AWS's attributes, if it
has one, and is kept as a dead letter in any case.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from farero.base.errors import DomainError, Invalid, NotFound
from farero.notify.deliver import TURN_S, delay_s
from farero.records.notify import DeliveryState
from farero.store import deliveries
from farero.store import events as rows
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.notify.queues import Queues
    from farero.notify.topics import Topics
    from farero.records.events import Target
    from farero.records.notify import Delivery
    from farero.records.work import WorkItem
    from farero.store.engine import Store

    #: Takes an event within the transaction that strikes it off.
    Within = Callable[[Connection, Target, Delivery], None]
    #: Takes an event by itself; may be asked twice for the same one.
    Outside = Callable[[Target, Delivery], None]

log = logging.getLogger(__name__)

DELIVER = "event.deliver"
#: Where a delivery's note keeps the event, for the dead-letter queue, if the target is told something else.
EVENT = "Event"


class EventTargets:
    """Brings events to targets."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        queues: Queues,
        within: Mapping[str, Within],
        outside: Mapping[str, Outside],
    ) -> None:
        """within, outside: who takes events, by the service in the target's ARN."""
        self._store = store
        self._clock = clock
        self._queues = queues
        self._within = within
        self._outside = outside

    def deliver(self, item: WorkItem) -> None:
        """Take one turn for the item's key, `<target uid>|<queue>`."""
        uid, _, queue = item.key.partition("|")
        end = self._clock.monotonic() + TURN_S
        while True:
            with self._store.read() as db:
                delivery = deliveries.first_pending(db, uid, queue)
                target = rows.find_target(db, uid)
            if delivery is None:
                return
            if target is None:
                with self._store.begin() as db:
                    deliveries.drop_pending(db, [uid])
                return
            now = self._clock.now()
            if delivery.due <= now:
                self._try(delivery, target)
            if delivery.due > now or self._clock.monotonic() >= end:
                with self._store.begin() as db:
                    items.put(db, DELIVER, item.key, due=max(now, delivery.due))
                return

    def _try(self, delivery: Delivery, target: Target) -> None:
        service = target.service
        try:
            if service in self._outside:
                self._outside[service](target, delivery)
            elif service not in self._within:
                detail = f"there is nothing here yet that takes events for {service}: {target.arn}"
                raise NotFound(service, target.arn, detail)
            with self._store.begin() as db:
                if service in self._within:
                    self._within[service](db, target, delivery)
                deliveries.finish(
                    db, delivery.id, DeliveryState.DELIVERED, reason="", now=self._clock.now()
                )
        except DomainError as error:
            self._write_failure(delivery, target, error)

    def _write_failure(self, delivery: Delivery, target: Target, error: DomainError) -> None:
        now = self._clock.now()
        due = now + dt.timedelta(seconds=delay_s(delivery.attempts))
        exhausted = _exhausted(delivery, target, due)
        is_final = isinstance(error, NotFound | Invalid)
        extra = {"target": target.arn, "rule": target.rule, "attempts": delivery.attempts + 1}
        if not is_final and not exhausted:
            log.info("an event was not taken and is tried again", extra=extra)
            with self._store.begin() as db:
                deliveries.put_off(db, delivery.id, reason=str(error), due=due)
            return
        log.warning("an event was given up", extra={**extra, "reason": str(error)})
        reason = str(error) if is_final else f"given up after {exhausted}: {error}"
        with self._store.begin() as db:
            lost = self._dead_letter(db, delivery, target, error, "" if is_final else exhausted)
            deliveries.finish(db, delivery.id, DeliveryState.DEAD, reason=reason + lost, now=now)

    def _dead_letter(
        self, db: Connection, delivery: Delivery, target: Target, error: DomainError, exhausted: str
    ) -> str:
        """Send the event to the target's dead-letter queue; return what there is to say of that."""
        queue = target.dead_letter_arn
        if not queue:
            return ""
        attributes = {
            "RULE_ARN": delivery.note.topic_arn,
            "TARGET_ARN": target.arn,
            "ERROR_CODE": _code(error),
            "ERROR_MESSAGE": str(error) or type(error).__name__,
            "RETRY_ATTEMPTS": str(delivery.attempts),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        wire = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
        note = delivery.note
        event = note.attributes[EVENT]["Value"] if EVENT in note.attributes else note.message
        try:
            self._queues.send(db, queue, event, attributes=wire)
        except DomainError as refusal:
            return f"; its dead-letter queue did not take it: {refusal}"
        return ""


def to_topic(topics: Topics) -> Within:
    """Return what tells a topic."""

    def publish(db: Connection, target: Target, delivery: Delivery) -> None:
        topics.publish(db, target.arn, delivery.note.message, queue=delivery.queue)

    return publish


def to_queue(queues: Queues) -> Within:
    """Return what sends to a queue."""

    def send(db: Connection, target: Target, delivery: Delivery) -> None:
        queues.send(db, target.arn, delivery.note.message)

    return send


def _exhausted(delivery: Delivery, target: Target, due: dt.datetime) -> str:
    """Return which member of the retry policy forbids a try at `due`, or ""."""
    if delivery.attempts >= target.most_retries:
        return "MaximumRetryAttempts"
    is_old = due - delivery.created_at > target.longest_age
    return "MaximumEventAgeInSeconds" if is_old else ""


def _code(error: DomainError) -> str:
    """Return the code that "Using dead-letter queues" has for an error."""
    if isinstance(error, NotFound):
        return "NO_RESOURCE"
    return "INVALID_PARAMETER" if isinstance(error, Invalid) else "ERROR_FROM_TARGET"
