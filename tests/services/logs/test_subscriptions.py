import base64
import gzip
import json
import time

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from farero.records.telemetry import LogEvent
from farero.store import outbox
from farero.telemetry import subscriptions as domain
from farero.telemetry.subscriptions import Subscriptions

from .conftest import GROUP

TOPIC = "arn:aws:sns:us-east-1:123456789012:log-lines"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:reader"


@pytest.fixture
def subscribe(logs, stream):
    def put(pattern="", destination=FUNCTION, name="f", group=GROUP):
        logs.put_subscription_filter(
            logGroupName=group, filterName=name, filterPattern=pattern, destinationArn=destination
        )

    return put


@pytest.fixture
def sent(store):
    """A function that returns the outbox's rows of the first subscription."""

    def read():
        with store.read() as db:
            return outbox.first(db, "logs/1", limit=1000)

    return read


def put(logs, stream, now_ms, *messages):
    events = [{"timestamp": now_ms, "message": message} for message in messages]
    logs.put_log_events(**stream, logEvents=events)


def unpack(data):
    return json.loads(gzip.decompress(base64.b64decode(data)))


def lines(rows):
    return [
        event["message"]
        for row in rows
        for event in unpack(row.payload["Payload"]["awslogs"]["data"])["logEvents"]
    ]


def test_matching_events_are_sent_as_aws_packs_them(
    logs, stream, subscribe, subscriptions, sent, now_ms
):
    put(logs, stream, now_ms, "ERROR before")
    subscribe("ERROR")
    put(logs, stream, now_ms, "fine", "ERROR one")

    subscriptions.send_due()

    [row] = sent()
    assert (row.kind, row.payload["FunctionArn"]) == ("lambda", FUNCTION)
    payload = unpack(row.payload["Payload"]["awslogs"]["data"])
    [event] = payload.pop("logEvents")
    assert payload == {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": GROUP,
        "logStream": "s",
        "subscriptionFilters": ["f"],
    }
    assert len(event.pop("id")) == 56
    assert event == {"timestamp": now_ms, "message": "ERROR one"}


def test_each_event_is_sent_once_and_streams_apart(
    logs, stream, subscribe, subscriptions, sent, now_ms
):
    logs.create_log_stream(logGroupName=GROUP, logStreamName="t")
    subscribe()
    for number in range(3):
        put(logs, stream, now_ms, f"s{number}")
        put(logs, stream | {"logStreamName": "t"}, now_ms, f"t{number}")
        if number:
            subscriptions.send_due()
    subscriptions.send_due()

    assert lines(sent()) == ["s0", "s1", "t0", "t1", "s2", "t2"]


def test_late_events_and_events_of_other_groups_lose_nothing(
    logs, stream, subscribe, subscriptions, sent, now_ms, clock
):
    subscribe()
    logs.create_log_group(logGroupName="/other")
    logs.create_log_stream(logGroupName="/other", logStreamName="s")
    other = {"logGroupName": "/other", "logStreamName": "s"}
    for number in range(4):
        put(logs, other, now_ms, "x")
        put(logs, stream, now_ms - number * 60_000, str(number))
        subscriptions.send_due()
        clock.advance(seconds=11)
    logs.delete_log_group(logGroupName="/other")
    put(logs, stream, now_ms, "4")
    subscriptions.send_due()

    assert lines(sent()) == ["0", "1", "2", "3", "4"]


def test_topics_and_queues_get_the_event_as_text(
    logs, stream, subscribe, subscriptions, sent, now_ms
):
    subscribe(destination=TOPIC)
    put(logs, stream, now_ms, "one")
    subscriptions.send_due()
    subscribe(destination="arn:aws:sqs:us-east-1:123456789012:lines")
    put(logs, stream, now_ms, "two")
    subscriptions.send_due()

    [topic, queue] = sent()
    assert (topic.kind, topic.payload["TopicArn"]) == ("publish", TOPIC)
    assert (queue.kind, queue.payload["QueueArn"][-6:]) == ("sqs", ":lines")
    texts = [json.loads(topic.payload["Message"]), json.loads(queue.payload["MessageBody"])]
    found = [unpack(text["awslogs"]["data"])["logEvents"][0]["message"] for text in texts]
    assert found == ["one", "two"]


def test_a_second_sender_sends_nothing_twice(
    logs, stream, subscribe, subscriptions, store, clock, sent, now_ms
):
    subscribe()
    put(logs, stream, now_ms, "one")
    other = Subscriptions(control=store, telemetry=store, clock=clock, account="1")

    subscriptions.send_due()
    other.send_due()

    assert lines(sent()) == ["one"]


def test_subscriptions_are_replaced_listed_limited_and_removed(logs, stream, subscribe):
    subscribe("old")
    subscribe("new", name="f")
    subscribe(name="g")
    with pytest.raises(ClientError, match="LimitExceededException"):
        subscribe(name="h")
    listed = logs.describe_subscription_filters(logGroupName=GROUP, limit=1)
    logs.delete_subscription_filter(logGroupName=GROUP, filterName="g")
    with pytest.raises(ClientError, match="The specified subscription filter does not exist"):
        logs.delete_subscription_filter(logGroupName=GROUP, filterName="g")

    assert "nextToken" in listed
    assert [(one["filterName"], one["filterPattern"]) for one in listed["subscriptionFilters"]] == [
        ("f", "new")
    ]
    assert len(logs.describe_subscription_filters(logGroupName=GROUP)["subscriptionFilters"]) == 1


@pytest.mark.parametrize(
    "destination",
    [
        "arn:aws:kinesis:us-east-1:123456789012:stream/s",
        "nowhere",
        "arn:aws:lambda:us-east-1:1:layer:x",
    ],
)
def test_destinations_that_are_not_here_are_refused(subscribe, destination):
    with pytest.raises(ClientError, match="use the ARN of a Lambda function, an SNS topic"):
        subscribe(destination=destination)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 120_000)), max_size=12))
def test_messages_stay_small_and_lose_no_event(sizes):
    events = [
        (
            stream,
            LogEvent(id=number, stream=stream, timestamp_ms=0, message="x" * size, ingested_ms=0),
        )
        for number, (stream, size) in enumerate(sizes)
    ]

    portions = list(domain._portions(events))

    for _, portion in portions:
        assert sum(len(event.message) + 100 for event in portion) <= domain.MESSAGE_BYTES
    for stream in "ab":
        found = [event.id for name, portion in portions if name == stream for event in portion]
        assert found == [event.id for name, event in events if name == stream]


def test_lines_reach_a_queue_directly_and_through_a_topic(cloud):
    logs, sqs, sns = (cloud.client(service) for service in ("logs", "sqs", "sns"))
    url = sqs.create_queue(QueueName="lines")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = sns.create_topic(Name="lines")["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    for name, destination in (("direct", arn), ("topic", topic)):
        logs.put_subscription_filter(
            logGroupName=GROUP, filterName=name, filterPattern="ERROR", destinationArn=destination
        )

    events = [{"timestamp": int(time.time() * 1000), "message": text} for text in ("fine", "ERROR")]
    logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
    for _ in range(4):
        cloud.run()

    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    payloads = [unpack(json.loads(message["Body"])["awslogs"]["data"]) for message in found]
    assert sorted(payload["subscriptionFilters"] for payload in payloads) == [["direct"], ["topic"]]
    assert [[event["message"] for event in payload["logEvents"]] for payload in payloads] == [
        ["ERROR"]
    ] * 2
