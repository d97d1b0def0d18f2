"""Topics, subscriptions, notifications and their deliveries; queues and their messages."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations of what it decodes
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Something that others can listen to."""

    arn: str
    created_at: dt.datetime
    #: Attributes as SetTopicAttributes takes them: DisplayName, Policy, SignatureVersion, …
    attributes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """Last part of the ARN."""
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One listener of a topic."""

    arn: str
    topic_arn: str
    #: `http`, `https`, `email`, `email-json`, `sqs`, `lambda` or `application` (an Apprise URL).
    protocol: str
    endpoint: str
    #: Who subscribed: the account.
    owner: str
    created_at: dt.datetime
    #: Attributes as SetSubscriptionAttributes takes them: FilterPolicy, RawMessageDelivery, …
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    #: Secret that the endpoint gives back to confirm; empty where nothing is to be confirmed.
    token: str = ""
    confirmed: bool = False

    @property
    def id(self) -> str:
        """Last part of the ARN: a UUID."""
        return self.arn.rpartition(":")[2]


class NoteType(Enum):
    """What is told; spelled as in `x-amz-sns-message-type`."""

    NOTIFICATION = "Notification"
    CONFIRMATION = "SubscriptionConfirmation"
    FAREWELL = "UnsubscribeConfirmation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One message on its way to one listener."""

    type: NoteType
    message_id: str
    topic_arn: str
    message: str
    sent_at: dt.datetime
    subject: str | None = None
    #: `{name: {"Type": "String", "Value": "…"}}`, in the words of SNS's envelope; a Binary's value is base64.
    attributes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    #: Only of a confirmation.
    token: str = ""


class DeliveryState(Enum):
    """Where a delivery stands."""

    #: To be tried when it is due, after those before it.
    PENDING = "pending"
    #: The listener took it.
    DELIVERED = "delivered"
    #: Given up, with a reason; kept to be looked at.
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for one listener, kept until it has arrived or was given up."""

    id: int
    #: Id of the subscription; empty when there was nobody to tell.
    subscription_id: str
    #: What must stay in order among itself, e.g. `alarm/NAME`.
    queue: str
    protocol: str
    endpoint: str
    note: Note
    state: DeliveryState
    #: Tries so far.
    attempts: int
    created_at: dt.datetime
    #: When it is tried next; when it ended, once it has.
    due: dt.datetime
    #: What the last try said; empty when all went well.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An SQS queue."""

    id: int
    name: str
    arn: str
    created_at: dt.datetime
    modified_at: dt.datetime
    #: Attributes as SetQueueAttributes takes them; defaults are not in here.
    attributes: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A message in a queue."""

    id: int
    message_id: str
    body: str
    #: MessageAttributes as the wire has them; binary values as base64 text.
    attributes: dict[str, dict[str, Any]]
    sent_at: dt.datetime
    #: When it may be received (again).
    visible_at: dt.datetime
    #: When the queue forgets it.
    expires_at: dt.datetime
    receive_count: int
    first_received_at: dt.datetime | None
    #: Names its last receipt; "" before the first.
    receipt: str
