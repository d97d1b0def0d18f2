"""Handles `notify.deliver`: the messages of one queue to one subscription, in order, until each has arrived.

A failed try is repeated after a growing delay for a day; then, or when the receiver says that it is no use, the
message becomes a dead letter, goes to the subscription's dead-letter queue if it has one, and the next one is tried.
What was taken but not yet written down as taken when the power failed is sent again: at least once.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
from typing import TYPE_CHECKING

from farero.base.errors import DomainError
from farero.notify import envelope
from farero.notify.senders import DeliveryFailed
from farero.notify.subscriptions import dead_letter_queue
from farero.notify.topics import DELIVER
from farero.records.notify import DeliveryState, NoteType
from farero.store import deliveries, topics
from farero.work import items

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.notify.envelope import Envelopes
    from farero.notify.lanes import Lanes
    from farero.notify.queues import Queues
    from farero.notify.senders import Senders
    from farero.records.notify import Delivery, Subscription
    from farero.records.work import WorkItem
    from farero.store.engine import Store

log = logging.getLogger(__name__)

GIVE_UP_AFTER = dt.timedelta(hours=24)
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0
#: Longest that a receiver's Retry-After is believed.
LONGEST_WAIT_S = 3600
#: One turn of an item; the worker's thread is free again after it.
TURN_S = 2.0
KEEP_DELIVERED = dt.timedelta(days=1)
KEEP_DEAD = dt.timedelta(days=14)
#: Of what arrived: a stream of events must not fill the disk with its receipts.
MOST_DELIVERED = 10_000


class Deliverer:
    """Brings messages to subscriptions."""

    def __init__(  # noqa: PLR0913 - what a delivery is made of
        self,
        store: Store,
        clock: Clock,
        *,
        senders: Senders,
        queues: Queues,
        envelopes: Envelopes,
        lanes: Lanes,
    ) -> None:
        self._store = store
        self._clock = clock
        self._senders = senders
        self._queues = queues
        self._envelopes = envelopes
        self._lanes = lanes

    def deliver(self, item: WorkItem) -> None:
        """Take one turn for the item's key, `<subscription id>|<queue>`."""
        subscription_id, _, queue = item.key.partition("|")
        end = self._clock.monotonic() + TURN_S
        while True:
            with self._store.read() as db:
                delivery = deliveries.first_pending(db, subscription_id, queue)
                to = topics.find_subscription_by_id(db, subscription_id)
            if delivery is None:
                return
            now = self._clock.now()
            if to is None:
                self._drop(subscription_id)
            elif delivery.due > now:
                self._ask(item, delivery.due)
                return
            elif not self._try(delivery, to):
                pause = self._lanes.pause_s(self._senders.lane(to))
                self._ask(item, now + dt.timedelta(seconds=pause))
                return
            if self._clock.monotonic() >= end:
                self._ask(item, self._clock.now())
                return

    def forget_old(self) -> None:
        """Delete what arrived a day ago or before ten thousand others, and dead letters of two weeks ago."""
        now = self._clock.now()
        with self._store.begin() as db:
            deliveries.forget(db, DeliveryState.DELIVERED, before=now - KEEP_DELIVERED)
            deliveries.forget_beyond(db, DeliveryState.DELIVERED, most=MOST_DELIVERED)
            deliveries.forget(db, DeliveryState.DEAD, before=now - KEEP_DEAD)

    def _try(self, delivery: Delivery, to: Subscription) -> bool:
        """Try one delivery and write down how it went; False if there is no place for it now."""
        if to.protocol == "sqs":
            self._enqueue(delivery, to)
            return True
        lane = self._senders.lane(to)
        if not self._lanes.enter(lane):
            return False
        is_good = False
        try:
            self._senders.send(delivery.note, to, self._version(to))
            is_good = True
        except DeliveryFailed as failure:
            self._write_failure(delivery, to, failure)
        finally:
            self._lanes.leave(lane, is_good=is_good)
        if is_good:
            with self._store.begin() as db:
                self._finish(db, delivery, DeliveryState.DELIVERED)
        return True

    def _enqueue(self, delivery: Delivery, to: Subscription) -> None:
        """Put a message into an SQS queue and strike it off, in one transaction."""
        try:
            self._put_into(to.endpoint, delivery, to, is_raw=_is_raw(to))
        except DomainError as error:
            self._write_failure(delivery, to, DeliveryFailed(str(error), is_final=True))

    def _put_into(
        self, queue_arn: str, delivery: Delivery, to: Subscription, *, is_raw: bool
    ) -> None:
        note = delivery.note
        body = note.message if is_raw else self._envelopes.write(note, to, self._version(to))
        attributes = envelope.queue_attributes(note) if is_raw else {}
        with self._store.begin() as db:
            self._queues.send(db, queue_arn, body, attributes=attributes)
            self._finish(db, delivery, DeliveryState.DELIVERED)

    def _write_failure(self, delivery: Delivery, to: Subscription, failure: DeliveryFailed) -> None:
        now = self._clock.now()
        wait_s = min(failure.wait_s, LONGEST_WAIT_S)
        due = now + dt.timedelta(seconds=max(delay_s(delivery.attempts), wait_s))
        extra = {"subscription": to.arn, "attempts": delivery.attempts + 1}
        if not failure.is_final and due - delivery.created_at < GIVE_UP_AFTER:
            log.info("a delivery failed and is tried again", extra=extra)
            with self._store.begin() as db:
                deliveries.put_off(db, delivery.id, reason=failure.reason, due=due)
            return
        log.warning("a delivery was given up", extra=extra)
        reason = (
            failure.reason if failure.is_final else f"given up after 24 hours: {failure.reason}"
        )
        target, body = self._dead_letter(delivery, to)
        with self._store.begin() as db:
            if target:
                try:
                    self._queues.send(db, target, body)
                except DomainError as error:
                    reason = f"{reason}; its dead-letter queue did not take it: {error}"
            self._finish(db, delivery, DeliveryState.DEAD, reason=reason)

    def _dead_letter(self, delivery: Delivery, to: Subscription) -> tuple[str, str]:
        """Return the queue for a subscription's dead letters and what goes there; "" where there is none."""
        target = dead_letter_queue(to)
        if not target or delivery.note.type is not NoteType.NOTIFICATION:
            return "", ""
        return target, self._envelopes.write(delivery.note, to, self._version(to))

    def _finish(
        self, db: Connection, delivery: Delivery, state: DeliveryState, *, reason: str = ""
    ) -> None:
        deliveries.finish(db, delivery.id, state, reason=reason, now=self._clock.now())

    def _drop(self, subscription_id: str) -> None:
        with self._store.begin() as db:
            deliveries.drop_pending(db, [subscription_id])

    def _ask(self, item: WorkItem, due: dt.datetime) -> None:
        with self._store.begin() as db:
            items.put(db, DELIVER, item.key, due=due)

    def _version(self, to: Subscription) -> str:
        with self._store.read() as db:
            topic = topics.find_topic(db, to.topic_arn)
        return topic.attributes.get("SignatureVersion", "1") if topic else "1"


def delay_s(attempts: int) -> float:
    """Return the seconds before the next try: doubling from 1 s to 5 min, less a random part of up to a half."""
    whole = min(FIRST_DELAY_S * 2 ** min(attempts, 16), LONGEST_DELAY_S)
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads tries, guards nothing


def _is_raw(to: Subscription) -> bool:
    return to.attributes.get("RawMessageDelivery") == "true"
