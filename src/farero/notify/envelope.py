"""The JSON in which SNS tells: signed, and the same for HTTP, SQS and email-json. Pure but for the signature."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from farero.base.errors import Invalid
from farero.records.notify import NoteType

if TYPE_CHECKING:
    from farero.notify.signing import Signer
    from farero.records.notify import Note, Subscription

VERSION = "2010-03-31"


class Envelopes:
    """Writes envelopes; `url` is where the links in them lead: Farero itself."""

    def __init__(self, url: str, signer: Signer) -> None:
        self._url = url
        self._signer = signer

    def write(self, note: Note, to: Subscription, signature_version: str) -> str:
        """Return the envelope as SNS lays it out."""
        fields: dict[str, Any] = {"Type": note.type.value, "MessageId": note.message_id}
        is_notification = note.type is NoteType.NOTIFICATION
        if not is_notification:
            fields["Token"] = note.token
        fields["TopicArn"] = note.topic_arn
        if is_notification and note.subject:
            fields["Subject"] = note.subject
        fields["Message"] = note.message
        if not is_notification:
            fields["SubscribeURL"] = self.confirm_url(note.topic_arn, note.token)
        fields["Timestamp"] = timestamp(note.sent_at)
        fields["SignatureVersion"] = signature_version
        fields["Signature"] = self._signer.signature(fields, signature_version)
        name = self._signer.certificate_name()
        fields["SigningCertURL"] = f"{self._url}/_farero/sns/{name}"
        if is_notification:
            fields["UnsubscribeURL"] = self.unsubscribe_url(to.arn)
            if note.attributes:
                fields["MessageAttributes"] = note.attributes
        return json.dumps(fields, indent=2, separators=(",", " : "), ensure_ascii=False)

    def confirm_url(self, topic_arn: str, token: str) -> str:
        """Return the link that confirms, as SNS writes it; it needs no signature."""
        return self._link(Action="ConfirmSubscription", TopicArn=topic_arn, Token=token)

    def unsubscribe_url(self, arn: str) -> str:
        """Return the link that ends a subscription; it needs no signature."""
        return self._link(Action="Unsubscribe", SubscriptionArn=arn)

    def page_url(self, note: Note) -> str:
        """Return the link for people: a page that says that they are subscribed."""
        query = urlencode({"TopicArn": note.topic_arn, "Token": note.token}, quote_via=quote)
        return f"{self._url}/_farero/sns/confirm?{query}"

    def _link(self, **fields: str) -> str:
        return f"{self._url}/?{urlencode({**fields, 'Version': VERSION}, safe=':')}"


def headers(note: Note, to: Subscription, *, is_raw: bool) -> dict[str, str]:
    """Return the headers of SNS's POST."""
    found = {
        "x-amz-sns-message-type": note.type.value,
        "x-amz-sns-message-id": note.message_id,
        "x-amz-sns-topic-arn": note.topic_arn,
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
    }
    if note.type is not NoteType.CONFIRMATION:
        found["x-amz-sns-subscription-arn"] = to.arn
    if is_raw:
        found["x-amz-sns-rawdelivery"] = "true"
    return found


def queue_attributes(note: Note) -> dict[str, dict[str, str]]:
    """Return the attributes of a message in SQS's words, for raw delivery; SQS takes ten.

    Raises Invalid if there are more.
    """
    if len(note.attributes) > 10:
        raise Invalid("a raw message to SQS has at most 10 attributes")
    found: dict[str, dict[str, str]] = {}
    for name, given in note.attributes.items():
        member = "BinaryValue" if given["Type"].startswith("Binary") else "StringValue"
        found[name] = {"DataType": given["Type"], member: given["Value"]}
    return found


def timestamp(moment: dt.datetime) -> str:
    """Return SNS's form of a time: ISO 8601 with milliseconds."""
    return (
        moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{moment.microsecond // 1000:03d}Z"
    )
