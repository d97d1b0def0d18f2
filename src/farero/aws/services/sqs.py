"""The room of AWS SQS: standard queues, in both protocols that clients speak. FIFO queues are refused."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, ClassVar

from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, DomainError, Invalid, NotFound
from farero.notify import digests
from farero.notify.queues import MISSING, InvalidContents, ReceiptError, effective
from farero.records.tag import Tag
from farero.store import queues as rows
from farero.store import tags as tag_rows
from farero.store.tables.base import to_micros

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.notify.queues import Queues
    from farero.records.notify import Queue, QueueMessage
    from farero.store.engine import Store

#: Seconds between two looks into an empty queue of a receive that waits.
LOOK_EVERY_S = 0.2
MAX_BATCH = 10
_URL = re.compile(
    r"(?:https?://[^/]+/)?(?:queue/)?(?:[0-9]{12}/)?([A-Za-z0-9_-]{1,80}(?:\.fifo)?)/?"
)
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_DATA_TYPE = re.compile(r"(String|Number|Binary)(\..+)?")


class Sqs:
    """Queues."""

    service = "sqs"
    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("AWS.SimpleQueueService.NonExistentQueue", 400),
        Conflict: ("QueueAlreadyExists", 400),
        Invalid: ("InvalidParameterValue", 400),
        InvalidContents: ("InvalidMessageContents", 400),
        ReceiptError: ("ReceiptHandleIsInvalid", 400),
    }

    def __init__(self, queues: Queues, store: Store) -> None:
        self._queues = queues
        self._store = store

    def create_queue(self, ctx: Context, req: Value) -> Value:
        """Make a queue, or return the one of that name."""
        made = self._queues.create(req["QueueName"], req.get("Attributes", {}))
        if req.get("tags"):
            self._put_tags(made.arn, req["tags"])
        return {"QueueUrl": _url(ctx, made.name)}

    def delete_queue(self, ctx: Context, req: Value) -> Value:
        """Delete a queue and its messages."""
        queue = self._queues.get(_name(ctx, req))
        self._queues.delete(queue.name)
        with self._store.begin() as db:
            tag_rows.remove_all(db, queue.arn)
        return {}

    def list_queues(self, ctx: Context, req: Value) -> Value:
        """List queues, up to 1,000 a page."""
        limit: int = req.get("MaxResults", 1000)
        if not 1 <= limit <= 1000:
            raise Invalid(
                f"Value for parameter MaxResults is invalid. Reason: {limit} is not between 1 and 1000."
            )
        after = _after(req)
        with self._store.read() as db:
            found = rows.list_all(
                db, prefix=req.get("QueueNamePrefix", ""), after=after, limit=limit + 1
            )
        answer: Value = {}
        if found:
            answer["QueueUrls"] = [_url(ctx, queue.name) for queue in found[:limit]]
        if len(found) > limit and "MaxResults" in req:
            last = found[limit - 1]
            answer["NextToken"] = urlsafe_b64encode(last.name.encode()).decode()
        return answer

    def get_queue_url(self, ctx: Context, req: Value) -> Value:
        """Return the URL of a queue."""
        return {"QueueUrl": _url(ctx, self._queues.get(req["QueueName"]).name)}

    def get_queue_attributes(self, ctx: Context, req: Value) -> Value:
        """Describe a queue: the attributes that were asked for, or `All`."""
        queue = self._queues.get(_name(ctx, req))
        names = set(req.get("AttributeNames", []))
        found = {
            name: value
            for name, value in self._describe(ctx, queue).items()
            if name in names or "All" in names
        }
        return {"Attributes": found} if found else {}

    def set_queue_attributes(self, ctx: Context, req: Value) -> Value:
        """Change attributes of a queue."""
        self._queues.set_attributes(_name(ctx, req), req["Attributes"])
        return {}

    def purge_queue(self, ctx: Context, req: Value) -> Value:
        """Delete every message of a queue."""
        self._queues.purge(_name(ctx, req))
        return {}

    def send_message(self, ctx: Context, req: Value) -> Value:
        """Append a message."""
        return self._send(self._queues.get(_name(ctx, req)), req)

    def send_message_batch(self, ctx: Context, req: Value) -> Value:
        """Append up to ten messages; each is taken or refused by itself."""
        queue = self._queues.get(_name(ctx, req))
        return self._batch(req, lambda entry: self._send(queue, entry))

    async def receive_message(self, ctx: Context, req: Value) -> Value:
        """Take up to ten messages; waits for one, without holding a thread, as long as the caller wishes."""
        name = _name(ctx, req)
        loop = asyncio.get_running_loop()
        span = await asyncio.to_thread(self._queues.wait_span, name, req.get("WaitTimeSeconds"))
        end = loop.time() + span
        while True:
            found = await asyncio.to_thread(
                self._queues.receive,
                name,
                limit=req.get("MaxNumberOfMessages", 1),
                visibility_s=req.get("VisibilityTimeout"),
            )
            if found:
                return {"Messages": [_wire(ctx, message, req) for message in found]}
            if loop.time() >= end:
                return {}
            await asyncio.sleep(min(LOOK_EVERY_S, end - loop.time()))

    def delete_message(self, ctx: Context, req: Value) -> Value:
        """Delete a received message."""
        self._queues.delete_message(_name(ctx, req), req["ReceiptHandle"])
        return {}

    def delete_message_batch(self, ctx: Context, req: Value) -> Value:
        """Delete up to ten received messages."""
        name = _name(ctx, req)
        self._queues.get(name)

        def delete(entry: Value) -> Value:
            self._queues.delete_message(name, entry["ReceiptHandle"])
            return {}

        return self._batch(req, delete)

    def change_message_visibility(self, ctx: Context, req: Value) -> Value:
        """Hide a received message for longer or shorter."""
        self._queues.change_visibility(
            _name(ctx, req), req["ReceiptHandle"], req["VisibilityTimeout"]
        )
        return {}

    def change_message_visibility_batch(self, ctx: Context, req: Value) -> Value:
        """Hide up to ten received messages for longer or shorter."""
        name = _name(ctx, req)
        self._queues.get(name)

        def change(entry: Value) -> Value:
            span = entry.get("VisibilityTimeout", 30)
            self._queues.change_visibility(name, entry["ReceiptHandle"], span)
            return {}

        return self._batch(req, change)

    def list_dead_letter_source_queues(self, ctx: Context, req: Value) -> Value:
        """List the queues that send their dead letters here."""
        found = self._queues.sources_of(_name(ctx, req))
        return {"queueUrls": [_url(ctx, queue.name) for queue in found]}

    def tag_queue(self, ctx: Context, req: Value) -> Value:
        """Add tags to a queue."""
        self._put_tags(self._queues.get(_name(ctx, req)).arn, req["Tags"])
        return {}

    def untag_queue(self, ctx: Context, req: Value) -> Value:
        """Take tags from a queue."""
        queue = self._queues.get(_name(ctx, req))
        with self._store.begin() as db:
            tag_rows.remove(db, queue.arn, req["TagKeys"])
        return {}

    def list_queue_tags(self, ctx: Context, req: Value) -> Value:
        """List a queue's tags."""
        queue = self._queues.get(_name(ctx, req))
        with self._store.read() as db:
            found = {tag.key: tag.value for tag in tag_rows.find(db, queue.arn)}
        return {"Tags": found} if found else {}

    def _send(self, queue: Queue, req: Value) -> Value:
        if "MessageGroupId" in req and "MessageDeduplicationId" in req:
            raise Invalid(
                "MessageDeduplicationId is for FIFO queues, which are not supported here."
            )
        given = {n: _stored(n, value) for n, value in req.get("MessageAttributes", {}).items()}
        with self._store.begin() as db:
            message_id = self._queues.send(
                db,
                queue.arn,
                req["MessageBody"],
                attributes=given,
                delay_s=req.get("DelaySeconds"),
            )
        answer = {"MessageId": message_id, "MD5OfMessageBody": digests.of_body(req["MessageBody"])}
        if given:
            answer["MD5OfMessageAttributes"] = digests.of_attributes(given)
        return answer

    def _batch(self, req: Value, act: Callable[[Value], Value]) -> Value:
        entries: list[Value] = req.get("Entries", [])
        _check_batch(entries)
        answer: Value = {"Successful": [], "Failed": []}
        for entry in entries:
            try:
                answer["Successful"].append({"Id": entry["Id"], **act(entry)})
            except Invalid as error:
                code, _ = self.errors[type(error)]
                refusal = {"Id": entry["Id"], "Code": code, "SenderFault": True}
                answer["Failed"].append({**refusal, "Message": error.detail})
        return answer

    def _describe(self, ctx: Context, queue: Queue) -> dict[str, str]:
        with self._store.read() as db:
            visible, hidden, delayed = rows.counts(db, queue.id, ctx.now)
        return {
            **effective(queue),
            "QueueArn": queue.arn,
            "CreatedTimestamp": str(int(queue.created_at.timestamp())),
            "LastModifiedTimestamp": str(int(queue.modified_at.timestamp())),
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
        }

    def _put_tags(self, arn: str, tags: dict[str, str]) -> None:
        with self._store.begin() as db:
            tag_rows.put(db, arn, [Tag(key=key, value=value) for key, value in tags.items()])


def _after(req: Value) -> str:
    token = req.get("NextToken")
    if not token:
        return ""
    try:
        return b64decode(token.encode(), b"-_", validate=True).decode()
    except ValueError as error:
        raise Invalid("Invalid or expired next token.") from error


def _url(ctx: Context, name: str) -> str:
    return f"{ctx.base_url}/{ctx.account}/{name}"


def _name(ctx: Context, req: Value) -> str:
    """Return the queue's name from its URL, whatever host the URL names."""
    _ = ctx
    found = _URL.fullmatch(req["QueueUrl"])
    if found is None:
        raise NotFound("queue", req["QueueUrl"], MISSING)
    return found[1]


def _stored(name: str, given: Value) -> dict[str, str]:
    kind = given.get("DataType", "")
    if not _DATA_TYPE.fullmatch(kind):
        raise Invalid(
            f"The type of message (user) attribute '{name}' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String."
        )
    if kind.startswith("Binary"):
        value = given.get("BinaryValue")
        raw = b64encode(value).decode() if isinstance(value, bytes) else value
        found = {"DataType": kind, "BinaryValue": raw or ""}
    else:
        found = {"DataType": kind, "StringValue": given.get("StringValue", "")}
    if not all(found.values()):
        raise Invalid(
            f"The message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
        )
    return found


def _wire(ctx: Context, message: QueueMessage, req: Value) -> Value:
    answer: Value = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": digests.of_body(message.body),
        "Body": message.body,
    }
    system = {
        "SenderId": ctx.principal.user_id,
        "SentTimestamp": str(to_micros(message.sent_at) // 1000),
        "ApproximateReceiveCount": str(message.receive_count),
        "ApproximateFirstReceiveTimestamp": str(
            to_micros(message.first_received_at or message.sent_at) // 1000
        ),
    }
    asked = {*req.get("AttributeNames", []), *req.get("MessageSystemAttributeNames", [])}
    shown = {name: value for name, value in system.items() if name in asked or "All" in asked}
    if shown:
        answer["Attributes"] = shown
    wanted = req.get("MessageAttributeNames", [])
    chosen = {n: v for n, v in message.attributes.items() if _is_asked(n, wanted)}
    if chosen:
        answer["MessageAttributes"] = {name: _given(value) for name, value in chosen.items()}
        answer["MD5OfMessageAttributes"] = digests.of_attributes(chosen)
    return answer


def _given(stored: Value) -> Value:
    if "BinaryValue" in stored:
        return {**stored, "BinaryValue": b64decode(stored["BinaryValue"])}
    return stored


def _is_asked(name: str, wanted: list[str]) -> bool:
    return any(
        one in ("All", ".*", name) or (one.endswith(".*") and name.startswith(one[:-1]))
        for one in wanted
    )


def _check_batch(entries: list[Value]) -> None:
    if not entries:
        raise AwsError(
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        )
    if len(entries) > MAX_BATCH:
        raise AwsError(
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ENTRY_ID.fullmatch(entry["Id"]):
            raise AwsError(
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )
        if entry["Id"] in seen:
            raise AwsError(
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated."
            )
        seen.add(entry["Id"])
