"""Subscriptions: made, confirmed, changed, ended."""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from farero.base import ids
from farero.base.errors import DomainError, Invalid, NotFound
from farero.notify import filter_policies, mail, slack
from farero.notify.guard import parse_url
from farero.notify.topics import get_topic, send
from farero.records.notify import Note, NoteType, Subscription
from farero.store import deliveries
from farero.store import topics as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.notify.guard import Guard
    from farero.store.engine import Store

MISSING = "Subscription does not exist"
SETTABLE = frozenset(
    {
        "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy",
        "SubscriptionRoleArn", "ReplayPolicy",
    }
)  # fmt: skip
PROTOCOLS = ("http", "https", "email", "email-json", "sqs", "lambda", "application")
#: A token is good for three days ("ConfirmSubscription").
TOKEN_SPAN = dt.timedelta(days=3)
_ARN = re.compile(r"arn:aws:(sqs|lambda):[a-z0-9-]+:[0-9]{12}:.+")
_APPRISE = re.compile(r"(?!https?://|arn:)[a-z][a-z0-9+]*://\S+", re.IGNORECASE)


class AuthorizationNeeded(DomainError):  # noqa: N818 - the domain's own words
    """Only a signed request may do this."""


class Subscriptions:
    """Everything that is done to a subscription."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Settings,
        *,
        guard: Guard,
        poke: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._guard = guard
        self._poke = poke

    def subscribe(
        self, topic_arn: str, protocol: str, endpoint: str, attributes: Mapping[str, str]
    ) -> Subscription:
        """Make a subscription, or return the one that the endpoint has; ask it to confirm where SNS does.

        Raises NotFound for the topic, and Invalid in SNS's words.
        """
        self._check_endpoint(protocol, endpoint)
        given = {key: value for key, value in attributes.items() if value}
        check_attributes(given, "Invalid parameter: Attributes Reason: ")
        now = self._clock.now()
        with self._store.begin() as db:
            get_topic(db, topic_arn)
            found = rows.find_same(db, topic_arn, protocol, endpoint)
            if found is not None and any(found.attributes.get(k) != v for k, v in given.items()):
                raise Invalid(
                    "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"
                )
            if found is not None and found.confirmed:
                return found
            if found is not None and now - found.created_at > TOKEN_SPAN:
                rows.delete_subscription(db, found.id)
                found = None
            confirmed = not self._asks_for_confirmation(protocol, endpoint)
            made = found or Subscription(
                arn=f"{topic_arn}:{ids.new_uuid()}",
                topic_arn=topic_arn,
                protocol=protocol,
                endpoint=endpoint,
                owner=self._settings.account,
                created_at=now,
                attributes=given,
                token="" if confirmed else secrets.token_hex(64),
                confirmed=confirmed,
            )
            if found is None:
                rows.insert_subscription(db, made)
            if not made.confirmed:
                self._ask(db, made, NoteType.CONFIRMATION, now)
        self._poke()
        return made

    def confirm(self, topic_arn: str, token: str, *, needs_authentication: bool) -> Subscription:
        """Confirm the subscription of a token; doing it again changes nothing.

        needs_authentication: from then on only a signed request may end it. Raises NotFound and Invalid.
        """
        with self._store.begin() as db:
            get_topic(db, topic_arn)
            found = rows.find_by_token(db, topic_arn, token) if token else None
            if found is None:
                raise Invalid("Invalid parameter: Token")
            if not found.confirmed and self._clock.now() - found.created_at > TOKEN_SPAN:
                raise Invalid("Invalid parameter: Token")
            flags = {"AuthenticateOnUnsubscribe": "true"} if needs_authentication else {}
            changed = replace(found, confirmed=True, attributes={**found.attributes, **flags})
            rows.update_subscription(db, changed)
            return changed

    def unsubscribe(self, arn: str, *, is_signed: bool) -> None:
        """End a subscription and drop what was on its way; nothing if there is none.

        Raises AuthorizationNeeded where it was confirmed so that only a signed request may do it.
        """
        if arn.count(":") != 6:
            raise Invalid(
                f"Invalid parameter: SubscriptionArn Reason: '{arn}' is not the ARN of a subscription"
            )
        with self._store.begin() as db:
            found = rows.find_subscription(db, arn)
            if found is None:
                return
            if not is_signed and "AuthenticateOnUnsubscribe" in found.attributes:
                raise AuthorizationNeeded(f"Unsubscribing {arn} needs a signed request")
            deliveries.drop_pending(db, [found.id])
            rows.delete_subscription(db, found.id)

    def get(self, arn: str) -> Subscription:
        """Return a subscription. Raises NotFound."""
        with self._store.read() as db:
            return _get(db, arn)

    def set_attribute(self, arn: str, key: str, value: str) -> None:
        """Change one attribute; an empty value takes it away. Raises NotFound and Invalid."""
        if key not in SETTABLE:
            raise Invalid("Invalid parameter: AttributeName")
        with self._store.begin() as db:
            found = _get(db, arn)
            attributes = {k: v for k, v in {**found.attributes, key: value}.items() if v}
            if value == "{}" and key in ("FilterPolicy", "RedrivePolicy"):
                attributes.pop(key)
            check_attributes(attributes, "Invalid parameter: ")
            rows.update_subscription(db, replace(found, attributes=attributes))

    def _ask(self, db: Connection, to: Subscription, kind: NoteType, now: dt.datetime) -> None:
        note = Note(
            type=kind,
            message_id=ids.new_uuid(),
            topic_arn=to.topic_arn,
            message=(
                f"You have chosen to subscribe to the topic {to.topic_arn}.\nTo confirm the subscription, visit the "
                "SubscribeURL included in this message."
            ),
            sent_at=now,
            token=to.token,
        )
        send(db, to, note, queue=f"confirm/{note.message_id}", now=now)

    def _check_endpoint(self, protocol: str, endpoint: str) -> None:
        if protocol not in PROTOCOLS:
            raise Invalid(
                f"Invalid parameter: Amazon SNS does not support this protocol string: {protocol}"
            )
        if protocol in ("http", "https"):
            self._check_url(protocol, endpoint)
        elif protocol.startswith("email"):
            if not mail.ADDRESS.fullmatch(endpoint) or len(endpoint) > 254:
                raise Invalid("Invalid parameter: Email address")
        elif protocol == "application":
            if not _APPRISE.fullmatch(endpoint):
                raise Invalid(
                    "Invalid parameter: Endpoint Reason: an application endpoint is an Apprise URL, e.g. "
                    "tgram://TOKEN/CHAT or ntfys://TOPIC"
                )
        elif not _ARN.fullmatch(endpoint) or endpoint.split(":")[2] != protocol:
            raise Invalid(
                f"Invalid parameter: {protocol.upper() if protocol == 'sqs' else 'Lambda'} endpoint ARN"
            )
        elif protocol == "sqs" and endpoint.endswith(".fifo"):
            raise Invalid(
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
            )

    def _check_url(self, protocol: str, endpoint: str) -> None:
        if not endpoint.lower().startswith(f"{protocol}://"):
            raise Invalid("Invalid parameter: Endpoint must match the specified protocol")
        try:
            self._guard.check_literal(parse_url(endpoint))
        except Invalid as error:
            raise Invalid(f"Invalid parameter: Endpoint Reason: {error.detail}") from error

    def _asks_for_confirmation(self, protocol: str, endpoint: str) -> bool:
        if protocol.startswith("email"):
            return True
        if protocol not in ("http", "https"):
            return False
        place = parse_url(endpoint)
        is_allowed = self._guard.is_allowed(place.host, place.port)
        return not slack.is_webhook(place, is_allowed_host=is_allowed)


def check_attributes(attributes: Mapping[str, str], lead: str) -> None:
    """Raise Invalid, beginning with `lead`, unless a subscription can have these attributes together."""
    for key, value in attributes.items():
        if key == "AuthenticateOnUnsubscribe":
            continue
        if key not in SETTABLE:
            raise Invalid("Invalid parameter: AttributeName")
        if key == "RawMessageDelivery" and value not in ("true", "false"):
            raise Invalid(
                f"{lead}RawMessageDelivery: Invalid value [{value}]. Must be true or false."
            )
        if key == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
            raise Invalid(
                f"{lead}FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
            )
        if key == "RedrivePolicy" and value != "{}":
            _check_redrive(value, lead)
    policy = attributes.get("FilterPolicy")
    if policy:
        try:
            filter_policies.parse(
                policy, nested=attributes.get("FilterPolicyScope") == "MessageBody"
            )
        except Invalid as error:
            raise Invalid(f"{lead}{error.detail}") from error


def dead_letter_queue(of: Subscription) -> str:
    """Return the ARN of the queue that takes what could not be delivered, or ""."""
    text = of.attributes.get("RedrivePolicy")
    return str(json.loads(text).get("deadLetterTargetArn", "")) if text else ""


def _check_redrive(text: str, lead: str) -> None:
    try:
        policy: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{lead}RedrivePolicy: failed to parse JSON") from error
    arn: Any = (
        cast("dict[str, Any]", policy).get("deadLetterTargetArn")
        if isinstance(policy, dict)
        else None
    )
    if not isinstance(arn, str) or not arn.startswith("arn:aws:sqs:"):
        raise Invalid(f"{lead}RedrivePolicy: deadLetterTargetArn is an invalid arn")


def _get(db: Connection, arn: str) -> Subscription:
    found = rows.find_subscription(db, arn)
    if found is None:
        raise NotFound("subscription", arn, MISSING)
    return found
