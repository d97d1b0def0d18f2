"""The room of AWS SNS: topics, subscriptions, publishing. FIFO topics and SMS are refused."""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, ClassVar

from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound
from farero.notify import topics as topic_rules
from farero.notify.subscriptions import AuthorizationNeeded
from farero.records.tag import Tag
from farero.store import tags as tag_rows
from farero.store import topics as rows

if TYPE_CHECKING:
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.notify.subscriptions import Subscriptions
    from farero.notify.topics import Topics
    from farero.records.notify import Subscription, Topic
    from farero.store.engine import Store

PAGE = 100
MAX_BATCH = 10
SMS = "Invalid parameter: PhoneNumber Reason: SMS is not supported here; publish to a topic instead"
_DELIVERY = {
    "http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 1, "maxDelayTarget": 300, "numRetries": 290, "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "exponential",
        },
        "disableSubscriptionOverrides": False,
    }
}  # fmt: skip


class Sns:
    """Notifications."""

    service = "sns"
    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("NotFound", 404),
        Invalid: ("InvalidParameter", 400),
        Conflict: ("InvalidParameter", 400),
        LimitExceeded: ("TopicLimitExceeded", 403),
        AuthorizationNeeded: ("AuthorizationError", 403),
    }

    def __init__(self, topics: Topics, subscriptions: Subscriptions, store: Store) -> None:
        self._topics = topics
        self._subscriptions = subscriptions
        self._store = store

    def create_topic(self, ctx: Context, req: Value) -> Value:
        """Make a topic, or return the one of that name."""
        _ = ctx
        made = self._topics.create(req["Name"], _attributes(req.get("Attributes", {})))
        if req.get("Tags"):
            self._put_tags(made.arn, req["Tags"])
        return {"TopicArn": made.arn}

    def delete_topic(self, ctx: Context, req: Value) -> Value:
        """Delete a topic and its subscriptions."""
        _ = ctx
        self._topics.delete(req["TopicArn"])
        with self._store.begin() as db:
            tag_rows.remove_all(db, req["TopicArn"])
        return {}

    def list_topics(self, ctx: Context, req: Value) -> Value:
        """List topics, 100 a page."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_topics(db, after=_after(req), limit=PAGE + 1)
        answer: Value = {"Topics": [{"TopicArn": topic.arn} for topic in found[:PAGE]]}
        return _with_token(answer, found[PAGE - 1].arn if len(found) > PAGE else "")

    def get_topic_attributes(self, ctx: Context, req: Value) -> Value:
        """Describe a topic."""
        topic = self._topics.get(req["TopicArn"])
        with self._store.read() as db:
            counts = rows.count_subscriptions(db, topic.arn)
        return {
            "Attributes": {
                "Policy": _policy(ctx.account, topic),
                "EffectiveDeliveryPolicy": topic.attributes.get(
                    "DeliveryPolicy", json.dumps(_DELIVERY)
                ),
                "DisplayName": "",
                **topic.attributes,
                "TopicArn": topic.arn,
                "Owner": ctx.account,
                "SubscriptionsConfirmed": str(counts.get(True, 0)),
                "SubscriptionsPending": str(counts.get(False, 0)),
                "SubscriptionsDeleted": "0",
            }
        }

    def set_topic_attributes(self, ctx: Context, req: Value) -> Value:
        """Change one attribute of a topic."""
        _ = ctx
        self._topics.set_attribute(
            req["TopicArn"], req["AttributeName"], req.get("AttributeValue", "")
        )
        return {}

    def subscribe(self, ctx: Context, req: Value) -> Value:
        """Make a subscription; web and mail addresses must confirm it."""
        _ = ctx
        made = self._subscriptions.subscribe(
            req["TopicArn"],
            req["Protocol"],
            req.get("Endpoint", ""),
            _attributes(req.get("Attributes", {})),
        )
        is_shown = made.confirmed or req.get("ReturnSubscriptionArn", False)
        return {"SubscriptionArn": made.arn if is_shown else "pending confirmation"}

    def confirm_subscription(self, ctx: Context, req: Value) -> Value:
        """Confirm with the token that the endpoint was sent; needs no signature as a GET."""
        flag = str(req.get("AuthenticateOnUnsubscribe", "")).lower() == "true"
        confirmed = self._subscriptions.confirm(
            req["TopicArn"],
            req["Token"],
            needs_authentication=flag and bool(ctx.principal.access_key_id),
        )
        return {"SubscriptionArn": confirmed.arn}

    def unsubscribe(self, ctx: Context, req: Value) -> Value:
        """End a subscription; needs no signature as a GET."""
        is_signed = bool(ctx.principal.access_key_id)
        self._subscriptions.unsubscribe(req["SubscriptionArn"], is_signed=is_signed)
        return {}

    def list_subscriptions(self, ctx: Context, req: Value) -> Value:
        """List all subscriptions, 100 a page."""
        _ = ctx
        return self._list(None, req)

    def list_subscriptions_by_topic(self, ctx: Context, req: Value) -> Value:
        """List a topic's subscriptions, 100 a page."""
        _ = ctx
        self._topics.get(req["TopicArn"])
        return self._list(req["TopicArn"], req)

    def get_subscription_attributes(self, ctx: Context, req: Value) -> Value:
        """Describe a subscription."""
        found = self._subscriptions.get(req["SubscriptionArn"])
        return {
            "Attributes": {
                "RawMessageDelivery": "false",
                **found.attributes,
                "SubscriptionArn": found.arn,
                "TopicArn": found.topic_arn,
                "Protocol": found.protocol,
                "Endpoint": found.endpoint,
                "Owner": found.owner,
                "PendingConfirmation": str(not found.confirmed).lower(),
                "ConfirmationWasAuthenticated": str(
                    not found.token or "AuthenticateOnUnsubscribe" in found.attributes
                ).lower(),
                "SubscriptionPrincipal": ctx.principal.arn,
            }
        }

    def set_subscription_attributes(self, ctx: Context, req: Value) -> Value:
        """Change one attribute of a subscription."""
        _ = ctx
        self._subscriptions.set_attribute(
            req["SubscriptionArn"], req["AttributeName"], req.get("AttributeValue", "")
        )
        return {}

    def publish(self, ctx: Context, req: Value) -> Value:
        """Tell a topic."""
        _ = ctx
        if "PhoneNumber" in req:
            raise Invalid(SMS)
        arn = req.get("TopicArn") or req.get("TargetArn")
        if not arn:
            raise Invalid(
                "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"
            )
        return {"MessageId": self._publish(arn, req)}

    def publish_batch(self, ctx: Context, req: Value) -> Value:
        """Tell a topic up to ten messages; each is taken or refused by itself."""
        _ = ctx
        entries = req["PublishBatchRequestEntries"]
        _check_batch(entries)
        self._topics.get(req["TopicArn"])
        answer: Value = {"Successful": [], "Failed": []}
        for entry in entries:
            try:
                message_id = self._publish(req["TopicArn"], entry)
            except Invalid as error:
                refusal = {"Id": entry["Id"], "Code": "InvalidParameter", "SenderFault": True}
                answer["Failed"].append({**refusal, "Message": error.detail})
            else:
                answer["Successful"].append({"Id": entry["Id"], "MessageId": message_id})
        return answer

    def tag_resource(self, ctx: Context, req: Value) -> Value:
        """Add tags to a topic."""
        _ = ctx
        self._get_tagged(req["ResourceArn"])
        self._put_tags(req["ResourceArn"], req["Tags"])
        return {}

    def untag_resource(self, ctx: Context, req: Value) -> Value:
        """Take tags from a topic."""
        _ = ctx
        self._get_tagged(req["ResourceArn"])
        with self._store.begin() as db:
            tag_rows.remove(db, req["ResourceArn"], req["TagKeys"])
        return {}

    def list_tags_for_resource(self, ctx: Context, req: Value) -> Value:
        """List a topic's tags."""
        _ = ctx
        self._get_tagged(req["ResourceArn"])
        with self._store.read() as db:
            found = tag_rows.find(db, req["ResourceArn"])
        return {"Tags": [{"Key": tag.key, "Value": tag.value} for tag in found]}

    def add_permission(self, ctx: Context, req: Value) -> Value:
        """Keep a statement in the topic's policy; policies are not evaluated."""
        topic = self._topics.get(req["TopicArn"])
        policy = json.loads(_policy(ctx.account, topic))
        if any(part.get("Sid") == req["Label"] for part in policy["Statement"]):
            raise Invalid("Invalid parameter: Statement already exists")
        policy["Statement"].append(
            {
                "Sid": req["Label"],
                "Effect": "Allow",
                "Principal": {
                    "AWS": [f"arn:aws:iam::{one}:root" for one in req["AWSAccountId"]],
                },
                "Action": [f"SNS:{name}" for name in req["ActionName"]],
                "Resource": topic.arn,
            }
        )
        self._topics.set_attribute(topic.arn, "Policy", json.dumps(policy))
        return {}

    def remove_permission(self, ctx: Context, req: Value) -> Value:
        """Take a statement out of the topic's policy."""
        topic = self._topics.get(req["TopicArn"])
        policy = json.loads(_policy(ctx.account, topic))
        policy["Statement"] = [
            part for part in policy["Statement"] if part.get("Sid") != req["Label"]
        ]
        self._topics.set_attribute(topic.arn, "Policy", json.dumps(policy))
        return {}

    def _publish(self, arn: str, req: Value) -> str:
        if "MessageGroupId" in req and arn.endswith(".fifo"):
            raise Invalid(topic_rules.FIFO)
        structure = req.get("MessageStructure")
        if structure not in (None, "", "json"):
            raise Invalid("Invalid parameter: MessageStructure Reason: Invalid MessageStructure")
        return self._topics.publish_now(
            arn,
            req["Message"],
            subject=req.get("Subject"),
            attributes=req.get("MessageAttributes"),
            structure=structure or None,
        )

    def _list(self, topic_arn: str | None, req: Value) -> Value:
        with self._store.read() as db:
            found = rows.list_subscriptions(
                db, topic_arn=topic_arn, after=_after(req), limit=PAGE + 1
            )
        answer: Value = {"Subscriptions": [_wire(one) for one in found[:PAGE]]}
        return _with_token(answer, found[PAGE - 1].id if len(found) > PAGE else "")

    def _get_tagged(self, arn: str) -> None:
        try:
            self._topics.get(arn)
        except DomainError as error:
            raise AwsError("ResourceNotFound", "Resource does not exist", 404) from error

    def _put_tags(self, arn: str, tags: list[Value]) -> None:
        with self._store.begin() as db:
            tag_rows.put(db, arn, [Tag(key=tag["Key"], value=tag["Value"]) for tag in tags])


def _attributes(given: Value) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _wire(one: Subscription) -> Value:
    return {
        "SubscriptionArn": one.arn if one.confirmed else "PendingConfirmation",
        "Owner": one.owner,
        "Protocol": one.protocol,
        "Endpoint": one.endpoint,
        "TopicArn": one.topic_arn,
    }


def _policy(account: str, topic: Topic) -> str:
    """Return a topic's policy: the one that was set, or AWS's default."""
    names = (
        "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
        "ListSubscriptionsByTopic", "Publish",
    )  # fmt: skip
    default = {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{name}" for name in names],
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
            }
        ],
    }
    return topic.attributes.get("Policy") or json.dumps(default)


def _check_batch(entries: list[Value]) -> None:
    if not entries:
        raise AwsError("EmptyBatchRequest", "The batch request doesn't contain any entries.", 400)
    if len(entries) > MAX_BATCH:
        raise AwsError(
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.",
            400,
        )
    if len({entry["Id"] for entry in entries}) != len(entries):
        raise AwsError(
            "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
            400,
        )


def _after(req: Value) -> str:
    token = req.get("NextToken")
    if not token:
        return ""
    try:
        return b64decode(token.encode(), b"-_", validate=True).decode()
    except ValueError as error:
        raise Invalid("Invalid parameter: NextToken") from error


def _with_token(answer: Value, last: str) -> Value:
    if last:
        answer["NextToken"] = urlsafe_b64encode(last.encode()).decode()
    return answer
