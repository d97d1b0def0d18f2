"""SQS queues: made, changed, and their messages sent, received, deleted and moved to a dead-letter queue."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any, cast

from farero.base import ids
from farero.base.errors import Conflict, Invalid, NotFound
from farero.records.notify import QueueMessage
from farero.store import queues as rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.notify import Queue
    from farero.store.engine import Store

MISSING = "The specified queue does not exist."
FIFO = "FIFO queues are not supported here; use a standard queue (a name without .fifo)."
MAX_BYTES = 1_048_576
MAX_VISIBILITY_S = 43_200
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
#: Attribute → default, lowest, highest ("SetQueueAttributes").
NUMBERS = {
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (MAX_BYTES, 1024, MAX_BYTES),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "VisibilityTimeout": (30, 0, MAX_VISIBILITY_S),
    "KmsDataKeyReusePeriodSeconds": (300, 60, 86_400),
}
TEXTS = frozenset(
    {"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"}
)
#: What XML can carry, and so what a body may be made of ("SendMessage").
_UNSENDABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


class InvalidContents(Invalid):
    """A body has characters that SQS refuses."""


class ReceiptError(Invalid):
    """A receipt handle is none of this queue's."""


class Queues:
    """Everything that is done to a queue."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    def create(self, name: str, attributes: Mapping[str, str]) -> Queue:
        """Make a queue, or return the one there is; raise Conflict if that one differs in an attribute."""
        if name.endswith(".fifo") or attributes.get("FifoQueue", "").lower() == "true":
            raise Invalid(FIFO)
        if not _NAME.fullmatch(name):
            raise Invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            )
        given = _checked(attributes)
        arn = f"arn:aws:sqs:{self._settings.region}:{self._settings.account}:{name}"
        with self._store.begin() as db:
            found = rows.find(db, name)
            if found is None:
                rows.insert(db, name, arn, given, self._clock.now())
                return _get(db, name)
        for key, value in given.items():
            if value != effective(found).get(key, ""):
                detail = (
                    "A queue already exists with the same name and a different value for attribute "
                    f"{key}"
                )
                raise Conflict("queue", name, detail)
        return found

    def get(self, name: str) -> Queue:
        """Return a queue. Raises NotFound."""
        with self._store.read() as db:
            return _get(db, name)

    def delete(self, name: str) -> None:
        """Delete a queue and its messages. Raises NotFound."""
        with self._store.begin() as db:
            rows.delete(db, _get(db, name).id)

    def purge(self, name: str) -> None:
        """Delete the messages of a queue. Raises NotFound."""
        with self._store.begin() as db:
            rows.purge(db, _get(db, name).id)

    def set_attributes(self, name: str, attributes: Mapping[str, str]) -> None:
        """Change attributes; an empty text takes one away. Raises NotFound and Invalid."""
        given = _checked(attributes)
        with self._store.begin() as db:
            queue = _get(db, name)
            merged = {k: v for k, v in {**queue.attributes, **given}.items() if v}
            rows.update(db, queue.id, merged, self._clock.now())

    def send(
        self,
        db: Connection,
        queue_arn: str,
        body: str,
        *,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
        delay_s: int | None = None,
    ) -> str:
        """Append a message within the caller's transaction; return its id.

        attributes: `{name: {"DataType": …, "StringValue": … or "BinaryValue": base64 text}}`.

        Raises NotFound if there is no such queue, and Invalid if it does not take this message.
        """
        queue = rows.find_by_arn(db, queue_arn)
        if queue is None:
            raise NotFound("queue", queue_arn, MISSING)
        settings = effective(queue)
        given = {name: dict(value) for name, value in (attributes or {}).items()}
        _check_message(body, given, most=int(settings["MaximumMessageSize"]))
        delay = int(settings["DelaySeconds"]) if delay_s is None else delay_s
        if not 0 <= delay <= 900:
            raise Invalid(
                f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
            )
        now = self._clock.now()
        message_id = ids.new_uuid()
        rows.insert_message(
            db,
            queue.id,
            message_id=message_id,
            body=body,
            attributes=given,
            sent_at=now,
            visible_at=now + dt.timedelta(seconds=delay),
            expires_at=now + dt.timedelta(seconds=int(settings["MessageRetentionPeriod"])),
        )
        return message_id

    def wait_span(self, name: str, wait_s: int | None) -> int:
        """Return how many seconds a receive may wait for a message. Raises NotFound and Invalid."""
        span = int(effective(self.get(name))["ReceiveMessageWaitTimeSeconds"])
        span = span if wait_s is None else wait_s
        if not 0 <= span <= 20:
            raise Invalid(
                f"Value {span} for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."
            )
        return span

    def receive(
        self, name: str, *, limit: int = 1, visibility_s: int | None = None
    ) -> list[QueueMessage]:
        """Take up to `limit` messages and hide them for a while. Raises NotFound and Invalid.

        Messages received more often than the redrive policy allows move to its dead-letter queue instead.
        """
        if not 1 <= limit <= 10:
            raise Invalid(
                f"Value {limit} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, "
                "if provided."
            )
        _check_visibility(visibility_s)
        now = self._clock.now()
        with self._store.read() as db:
            queue = _get(db, name)
            if not rows.has_visible(db, queue.id, now):
                return []
        settings = effective(queue)
        span = int(settings["VisibilityTimeout"]) if visibility_s is None else visibility_s
        with self._store.begin() as db:
            return self._take(db, queue, limit, now, now + dt.timedelta(seconds=span))

    def _take(
        self, db: Connection, queue: Queue, limit: int, now: dt.datetime, visible_at: dt.datetime
    ) -> list[QueueMessage]:
        target, most = _redrive(db, queue)
        taken: list[QueueMessage] = []
        while len(taken) < limit:
            found = rows.take(db, queue.id, now=now, limit=limit - len(taken))
            spent = [m for m in found if target is not None and m.receive_count >= most]
            for message in spent:
                rows.move(db, message.id, target.id if target else queue.id, now)
            for message in found:
                if message not in spent:
                    taken.append(_received(message, now, visible_at))
                    rows.mark_received(
                        db,
                        message.id,
                        receipt=taken[-1].receipt,
                        now=now,
                        visible_at=visible_at,
                    )
            if taken or not spent:
                break
        return taken

    def delete_message(self, name: str, receipt: str) -> None:
        """Delete the message of this receipt. Raises NotFound and ReceiptError."""
        _check_receipt(receipt)
        with self._store.begin() as db:
            rows.delete_message(db, _get(db, name).id, receipt)

    def change_visibility(self, name: str, receipt: str, span_s: int) -> None:
        """Hide a received message for `span_s` from now. Raises NotFound, Invalid, ReceiptError."""
        _check_receipt(receipt)
        _check_visibility(span_s)
        now = self._clock.now()
        with self._store.begin() as db:
            found = rows.find_message(db, _get(db, name).id, receipt)
            if found is None or found.visible_at <= now:
                raise Invalid(
                    f"Value {receipt} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is "
                    "not available for visibility timeout change."
                )
            rows.set_visible(db, found.id, now + dt.timedelta(seconds=span_s))

    def sources_of(self, name: str) -> list[Queue]:
        """Return the queues whose dead-letter queue this is. Raises NotFound."""
        with self._store.read() as db:
            arn = _get(db, name).arn
            return [queue for queue in rows.list_all(db) if redrive_of(queue)[0] == arn]

    def forget_expired(self) -> None:
        """Delete messages past their retention."""
        with self._store.begin() as db:
            rows.delete_expired(db, self._clock.now())


def effective(queue: Queue) -> dict[str, str]:
    """Return the attributes of a queue with the defaults of those that are not set."""
    defaults = {name: str(default) for name, (default, _, _) in NUMBERS.items()}
    del defaults["KmsDataKeyReusePeriodSeconds"]
    return {**defaults, "SqsManagedSseEnabled": "false", **queue.attributes}


def redrive_of(queue: Queue) -> tuple[str, int]:
    """Return the ARN of a queue's dead-letter queue ("" for none) and after how many receipts a message goes there."""
    text = queue.attributes.get("RedrivePolicy")
    if not text:
        return "", 0
    policy = json.loads(text)
    return policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])


def _redrive(db: Connection, queue: Queue) -> tuple[Queue | None, int]:
    arn, most = redrive_of(queue)
    return (rows.find_by_arn(db, arn), most) if arn else (None, 0)


def _received(message: QueueMessage, now: dt.datetime, visible_at: dt.datetime) -> QueueMessage:
    return QueueMessage(
        id=message.id,
        message_id=message.message_id,
        body=message.body,
        attributes=message.attributes,
        sent_at=message.sent_at,
        visible_at=visible_at,
        expires_at=message.expires_at,
        receive_count=message.receive_count + 1,
        first_received_at=message.first_received_at or now,
        receipt=ids.new_uuid(),
    )


def _get(db: Connection, name: str) -> Queue:
    found = rows.find(db, name)
    if found is None:
        raise NotFound("queue", name, MISSING)
    return found


def _checked(attributes: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in attributes.items():
        if name == "FifoQueue" and value.lower() == "false":
            continue
        if name in NUMBERS:
            _, lowest, highest = NUMBERS[name]
            if not (value.isascii() and value.isdigit() and lowest <= int(value) <= highest):
                raise Invalid(f"Invalid value for the parameter {name}.")
        elif name not in TEXTS:
            raise Invalid(FIFO if name.startswith("Fifo") else f"Unknown Attribute {name}.")
        elif name == "RedrivePolicy" and value:
            _check_redrive(value)
        given[name] = value
    return given


def _check_redrive(text: str) -> None:
    try:
        policy: Any = json.loads(text)
        found = cast("dict[str, Any]", policy)
        count = int(found["maxReceiveCount"])
        is_good = isinstance(found["deadLetterTargetArn"], str) and 1 <= count <= 1000
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Invalid(
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Redrive policy is not a valid JSON map."
        ) from error
    if not is_good:
        raise Invalid(
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: {count}, "
            "valid values are from 1 to 1000 both inclusive."
        )


def _check_message(body: str, attributes: dict[str, dict[str, Any]], *, most: int) -> None:
    if not body:
        raise Invalid("The request must contain the parameter MessageBody.")
    if _UNSENDABLE.search(body):
        raise InvalidContents(
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
            "#xE000 to #xFFFD | #x10000 to #x10FFFF"
        )
    size = len(body.encode()) + sum(
        len(name.encode()) + sum(len(str(part).encode()) for part in value.values())
        for name, value in attributes.items()
    )
    if size > most:
        raise Invalid(
            f"One or more parameters are invalid. Reason: Message must be shorter than {most} bytes."
        )
    if len(attributes) > 10:
        raise Invalid(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10]."
        )


def _check_visibility(span_s: int | None) -> None:
    if span_s is not None and not 0 <= span_s <= MAX_VISIBILITY_S:
        raise Invalid(
            f"Value {span_s} for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, "
            "if provided."
        )


def _check_receipt(receipt: str) -> None:
    if not re.fullmatch(r"[0-9a-f-]{36}", receipt):
        raise ReceiptError(f'The input receipt handle "{receipt}" is not a valid receipt handle.')
