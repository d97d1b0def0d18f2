"""Topics: made, changed, deleted, and told. What is published becomes one delivery a subscription."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from farero.base import ids
from farero.base.errors import Invalid, NotFound
from farero.notify import filter_policies, messages
from farero.records.notify import Note, NoteType, Topic
from farero.store import deliveries
from farero.store import topics as rows
from farero.work import items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.records.notify import Subscription
    from farero.store.engine import Store

DELIVER = "notify.deliver"
MISSING = "Topic does not exist"
FIFO = (
    "Invalid parameter: FIFO topics are not supported here; use a standard topic (a name without .fifo). Alarms are "
    "told in order in any case."
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
#: What SetTopicAttributes takes and GetTopicAttributes gives back as it was.
SETTABLE = frozenset(
    {
        "DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig",
        "HTTPSuccessFeedbackRoleArn", "HTTPSuccessFeedbackSampleRate", "HTTPFailureFeedbackRoleArn",
        "LambdaSuccessFeedbackRoleArn", "LambdaSuccessFeedbackSampleRate", "LambdaFailureFeedbackRoleArn",
        "SQSSuccessFeedbackRoleArn", "SQSSuccessFeedbackSampleRate", "SQSFailureFeedbackRoleArn",
        "ApplicationSuccessFeedbackRoleArn", "ApplicationSuccessFeedbackSampleRate",
        "ApplicationFailureFeedbackRoleArn", "FirehoseSuccessFeedbackRoleArn",
        "FirehoseSuccessFeedbackSampleRate", "FirehoseFailureFeedbackRoleArn",
    }
)  # fmt: skip


class Topics:
    """Everything that is done to a topic."""

    def __init__(
        self, store: Store, clock: Clock, settings: Settings, poke: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._poke = poke

    def arn(self, name: str) -> str:
        """Return the ARN of a topic of that name; raise Invalid if no topic can have it."""
        if name.endswith(".fifo"):
            raise Invalid(FIFO)
        if not _NAME.fullmatch(name):
            raise Invalid("Invalid parameter: Topic Name")
        return f"arn:aws:sns:{self._settings.region}:{self._settings.account}:{name}"

    def create(self, name: str, attributes: Mapping[str, str]) -> Topic:
        """Make a topic, or return the one there is; raise Invalid if that one differs in an attribute."""
        arn = self.arn(name)
        for key, value in attributes.items():
            _check_attribute(key, value)
        with self._store.begin() as db:
            found = rows.find_topic(db, arn)
            if found is None:
                found = Topic(arn=arn, created_at=self._clock.now(), attributes=dict(attributes))
                rows.insert_topic(db, found)
        if any(found.attributes.get(key) != value for key, value in attributes.items()):
            raise Invalid(
                "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
            )
        return found

    def delete(self, arn: str) -> None:
        """Delete a topic, its subscriptions and what is on its way to them; nothing if there is none."""
        with self._store.begin() as db:
            gone = [subscription.id for subscription in rows.subscriptions_of(db, arn)]
            deliveries.drop_pending(db, gone)
            rows.delete_topic(db, arn)

    def get(self, arn: str) -> Topic:
        """Return a topic. Raises NotFound."""
        with self._store.read() as db:
            return get_topic(db, arn)

    def set_attribute(self, arn: str, key: str, value: str) -> None:
        """Change one attribute; an empty value takes it away. Raises NotFound."""
        _check_attribute(key, value)
        with self._store.begin() as db:
            attributes = dict(get_topic(db, arn).attributes)
            attributes.pop(key, None)
            if value:
                attributes[key] = value
            rows.set_topic_attributes(db, arn, attributes)

    def publish(  # noqa: PLR0913 - one a member of SNS's Publish
        self,
        db: Connection,
        topic_arn: str,
        message: str,
        *,
        subject: str | None = None,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
        structure: str | None = None,
        queue: str | None = None,
    ) -> str:
        """Put a message on its way to every confirmed subscription that wants it; return its id.

        Works within the caller's transaction; poke the worker after it.
        attributes: MessageAttributes as SNS's Publish takes them. structure: `json`, or None.
        queue: messages of one queue reach each subscription in the order of their publishing.

        Raises NotFound if there is no such topic, and Invalid if this cannot be published.
        """
        get_topic(db, topic_arn)
        given = messages.read_attributes(attributes or {})
        messages.check(message, subject, given)
        texts = messages.read_structure(message) if structure == "json" else {"default": message}
        note = Note(
            type=NoteType.NOTIFICATION,
            message_id=ids.new_uuid(),
            topic_arn=topic_arn,
            message=texts["default"],
            sent_at=self._clock.now(),
            subject=subject,
            attributes=given,
        )
        for listener in rows.subscriptions_of(db, topic_arn):
            text = texts.get(listener.protocol, note.message)
            if listener.confirmed and is_wanted(listener, given, text):
                lane = queue or f"message/{note.message_id}"
                send(db, listener, replace(note, message=text), queue=lane, now=note.sent_at)
        return note.message_id

    def publish_now(
        self,
        topic_arn: str,
        message: str,
        *,
        subject: str | None = None,
        attributes: Mapping[str, Mapping[str, Any]] | None = None,
        structure: str | None = None,
    ) -> str:
        """Publish in a transaction of its own and wake the worker; return the message's id."""
        with self._store.begin() as db:
            message_id = self.publish(
                db, topic_arn, message, subject=subject, attributes=attributes, structure=structure
            )
        self._poke()
        return message_id


def send(db: Connection, to: Subscription, note: Note, *, queue: str, now: dt.datetime) -> None:
    """Put one note on its way to one subscription, in the caller's transaction."""
    deliveries.insert(db, to, note, queue=queue, now=now)
    items.put(db, DELIVER, f"{to.id}|{queue}", due=now)


def get_topic(db: Connection, arn: str) -> Topic:
    """Return a topic. Raises NotFound in SNS's words, and Invalid for what is no ARN."""
    parts = arn.split(":")
    if len(parts) < 6:
        raise Invalid(
            f"Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not {len(parts)}"
        )
    found = rows.find_topic(db, arn)
    if found is None:
        raise NotFound("topic", arn, MISSING)
    return found


def is_wanted(
    listener: Subscription, attributes: Mapping[str, Mapping[str, str]], message: str
) -> bool:
    """Say whether a subscription's filter policy lets a message through."""
    text = listener.attributes.get("FilterPolicy")
    if not text:
        return True
    is_body = listener.attributes.get("FilterPolicyScope") == "MessageBody"
    policy = filter_policies.parse(text, nested=is_body)
    if is_body:
        return filter_policies.accepts_body(policy, message)
    return filter_policies.accepts_attributes(policy, attributes)


def _check_attribute(key: str, value: str) -> None:
    if key in ("FifoTopic", "ContentBasedDeduplication", "FifoThroughputScope", "ArchivePolicy"):
        if value.lower() == "false":
            return
        raise Invalid(FIFO)
    if key not in SETTABLE:
        raise Invalid("Invalid parameter: AttributeName")
    if key == "SignatureVersion" and value not in ("", "1", "2"):
        raise Invalid("Invalid parameter: SignatureVersion")
    if key == "DisplayName" and len(value) > 100:
        raise Invalid("Invalid parameter: DisplayName")
