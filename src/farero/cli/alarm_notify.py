"""Whom an alarm tells: its own SNS topic with a subscription each, or topics that there are."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from farero.cli.alarm_words import topic_name
from farero.cli.output import fail
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.cli.alarm_words import Target


class Notifier:
    """The topics and subscriptions of one alarm."""

    def __init__(self, alarm: str) -> None:
        self._alarm = alarm
        self._sns: Any = None

    @property
    def sns(self) -> Any:
        """The client, made on first need."""
        if self._sns is None:
            self._sns = client("sns")
        return self._sns

    def subscribe(self, targets: Sequence[Target]) -> list[str]:
        """Subscribe each target to the alarm's topic; return the ARNs that the alarm is to tell."""
        arns = [self._existing(one.endpoint) for one in targets if one.protocol == "sns"]
        others = [one for one in targets if one.protocol != "sns"]
        if not others:
            return arns
        topic = guarded(lambda: self.sns.create_topic(Name=topic_name(self._alarm)))["TopicArn"]
        for one in others:
            self._add(topic, one)
        return [topic, *arns]

    def subscribers(self, topics: Sequence[str]) -> list[dict[str, str]]:
        """Return who listens to topics, and whether they have confirmed."""
        found: list[dict[str, str]] = []
        for topic in topics:
            if not topic.startswith("arn:aws:sns:"):
                found.append({"topic": "", "protocol": "action", "endpoint": topic, "state": ""})
                continue
            try:
                pages = self.sns.get_paginator("list_subscriptions_by_topic").paginate(
                    TopicArn=topic
                )
                rows = [one for page in pages for one in page["Subscriptions"]]
            except ClientError:
                rows = []
                gone = {"topic": topic, "protocol": "sns", "endpoint": topic}
                found.append(gone | {"state": "there is no such topic"})
            found += [
                {
                    "topic": topic, "protocol": one["Protocol"], "endpoint": one["Endpoint"],
                    "state": "confirmed" if one["SubscriptionArn"].startswith("arn:") else "not confirmed",
                    "subscription": one["SubscriptionArn"],
                }
                for one in rows
            ]  # fmt: skip
        return found

    def has_filter(self, subscription: str) -> bool:
        """Say whether a confirmed subscription wants some of the messages only."""
        asked = {"SubscriptionArn": subscription}
        found = guarded(lambda: self.sns.get_subscription_attributes(**asked))
        return "FilterPolicy" in found["Attributes"]

    def forget(self) -> list[str]:
        """Delete the topic that is the alarm's own, if it has one and no other alarm uses it."""
        name = topic_name(self._alarm)
        pages = self.sns.get_paginator("list_topics").paginate()
        arns = [one["TopicArn"] for page in pages for one in page["Topics"]]
        own = next((arn for arn in arns if arn.endswith(f":{name}")), None)
        if own is None or self._is_used(own):
            return []
        guarded(lambda: self.sns.delete_topic(TopicArn=own))
        return [name]

    def _is_used(self, topic: str) -> bool:
        answer = client("cloudwatch").describe_alarms(
            ActionPrefix=topic, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        return bool(answer["MetricAlarms"] or answer["CompositeAlarms"])

    def _existing(self, topic: str) -> str:
        arn = topic if topic.startswith("arn:") else f"{self._prefix('sns')}:{topic}"
        try:
            self.sns.get_topic_attributes(TopicArn=arn)
        except ClientError as error:
            if _of(error, "Code") != "NotFound":
                guarded(lambda: self.sns.get_topic_attributes(TopicArn=arn))
            fail("E-TOPIC", f"there is no topic '{topic}'", where=arn,
                 fix=f"aws sns create-topic --name {topic.rpartition(':')[2]}")  # fmt: skip
        return arn

    def _add(self, topic: str, to: Target) -> None:
        endpoint = to.endpoint
        if to.protocol == "sqs" and not endpoint.startswith("arn:"):
            endpoint = f"{self._prefix('sqs')}:{endpoint}"
        try:
            self.sns.subscribe(TopicArn=topic, Protocol=to.protocol, Endpoint=endpoint)
        except ClientError as error:
            self._drop_if_empty(topic)
            message = _of(error, "Message")
            reason = message.partition("Reason: ")[2] or message
            fail("E-NOTIFY", reason, where=f"--notify {to.endpoint}", fix=_fix(reason))

    def _drop_if_empty(self, topic: str) -> None:
        with contextlib.suppress(ClientError):
            if not self.subscribers([topic]):
                self.sns.delete_topic(TopicArn=topic)

    def _prefix(self, service: str) -> str:
        identity = guarded(lambda: client("sts").get_caller_identity())
        return f"arn:aws:{service}:{self.sns.meta.region_name}:{identity['Account']}"


def _of(error: ClientError, part: str) -> str:
    return str(error.response.get("Error", {}).get(part, ""))


def _fix(reason: str) -> str:
    _, found, setting = reason.partition("FARERO_NOTIFY_ALLOW_HOSTS=")
    if found:
        return f"farero down && FARERO_NOTIFY_ALLOW_HOSTS={setting} farero up -d"
    return "write an address that the internet reaches, e.g. https://example.com/hook"
