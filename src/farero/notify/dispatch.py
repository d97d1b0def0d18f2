"""The outbox emptied: rows of a queue in order, each struck off in the transaction that passes it on.

`handlers` maps a row's kind (`publish`, `event`, …) to what passes it on within the transaction. A row that nobody
can pass on becomes a dead letter with its reason and does not stand in the way of those behind it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from farero.base import ids
from farero.base.errors import DomainError
from farero.records.notify import Note, NoteType
from farero.store import deliveries, outbox
from farero.work import items
from farero.work.outbox import DISPATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.notify.queues import Queues
    from farero.notify.topics import Topics
    from farero.records.work import Outgoing, WorkItem
    from farero.store.engine import Store

    OutboxHandler = Callable[[Connection, Outgoing], None]

log = logging.getLogger(__name__)

#: Rows in one turn, so that a long queue does not keep a thread.
BATCH = 100
#: Failures of our own in a row, about ten minutes, after which a row is given up.
MOST_FAILURES = 25


class Dispatcher:
    """Handles `outbox.dispatch`."""

    def __init__(self, store: Store, clock: Clock, handlers: Mapping[str, OutboxHandler]) -> None:
        self._store = store
        self._clock = clock
        self._handlers = handlers

    def dispatch(self, item: WorkItem) -> None:
        """Pass on what waits in the item's queue."""
        failures = item.attempts
        for _ in range(BATCH):
            if not self._pass_on(item.key, failures):
                return
            failures = 0
        with self._store.begin() as db:
            items.put(db, DISPATCH, item.key, due=self._clock.now())

    def _pass_on(self, queue: str, failures: int) -> bool:
        """Pass the first row on; False if there is none."""
        with self._store.begin() as db:
            row = next(iter(outbox.first(db, queue, limit=1)), None)
            if row is None:
                return False
            handler = self._handlers.get(row.kind)
            if handler is None:
                self._bury(db, row, f"there is nothing here yet that takes '{row.kind}'")
                return True
        try:
            with self._store.begin() as db:
                handler(db, row)
                outbox.delete(db, row.id)
        except Exception as error:
            if not isinstance(error, DomainError) and failures < MOST_FAILURES:
                raise  # the queue tries again, with a growing delay
            log.warning("could not be told", exc_info=error, extra={"queue": queue})
            with self._store.begin() as db:
                self._bury(db, row, str(error))
        return True

    def _bury(self, db: Connection, row: Outgoing, reason: str) -> None:
        payload = row.payload
        text = payload.get("Message")
        note = Note(
            type=NoteType.NOTIFICATION,
            message_id=ids.new_uuid(),
            topic_arn=str(payload.get("TopicArn", "")),
            message=text if isinstance(text, str) else msgspec.json.encode(payload).decode(),
            sent_at=row.created_at,
            subject=payload.get("Subject"),
        )
        deliveries.insert_dead(db, note, queue=row.queue, reason=reason, now=self._clock.now())
        outbox.delete(db, row.id)


def publisher(topics: Topics) -> OutboxHandler:
    """Return the handler of `publish`: tells an SNS topic."""

    def publish(db: Connection, row: Outgoing) -> None:
        payload = row.payload
        topics.publish(
            db,
            payload["TopicArn"],
            payload["Message"],
            subject=subject_of(str(payload.get("Subject") or "")),
            queue=row.queue,
        )

    return publish


def subject_of(text: str) -> str | None:
    """Return what SNS takes as a subject: one line of 100 characters; an alarm's name alone may have 255."""
    shown = "".join(mark if mark.isprintable() else " " for mark in text)
    return " ".join(shown.split())[:100] or None


def sender(queues: Queues) -> OutboxHandler:
    """Return the handler of `sqs`: sends a message to a queue, `{"QueueArn", "MessageBody"}`."""

    def send(db: Connection, row: Outgoing) -> None:
        queues.send(db, row.payload["QueueArn"], row.payload["MessageBody"])

    return send
