"""SQS through a real boto3 client, whose own checks of the digests are on; and through the older protocol."""

import hashlib
import json
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from farero.base.clock import ManualClock
from farero.notify import digests


@pytest.fixture
def sqs(cloud):
    return cloud.client("sqs")


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName="jobs")["QueueUrl"]


def stop_the_clock(cloud):
    cloud.app.queues._clock = clock = ManualClock(start=cloud.app.clock.now())
    return clock


def bodies(sqs, url, **options):
    return [one["Body"] for one in sqs.receive_message(QueueUrl=url, **options).get("Messages", [])]


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_queue_is_made_found_listed_and_deleted(sqs, url):
    assert url == "http://localhost:4747/123456789012/jobs"
    assert sqs.get_queue_url(QueueName="jobs")["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix="jo")["QueueUrls"] == [url]

    sqs.delete_queue(QueueUrl=url)

    assert "QueueUrls" not in sqs.list_queues()
    code, words = refusal(sqs.get_queue_url, QueueName="jobs")
    assert (code, words) == (
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    )


def test_a_message_goes_through_with_its_attributes_and_digests(sqs, url):
    attributes = {
        "text": {"DataType": "String", "StringValue": "ü"},
        "number": {"DataType": "Number.int", "StringValue": "5"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="héllo", MessageAttributes=attributes)

    (found,) = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )["Messages"]

    assert (found["Body"], found["MessageAttributes"]) == ("héllo", attributes)
    assert (
        found["MD5OfBody"] == sent["MD5OfMessageBody"] == hashlib.md5("héllo".encode()).hexdigest()
    )
    assert found["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert found["Attributes"]["ApproximateReceiveCount"] == "1"


def test_the_digest_of_attributes_is_that_of_awss_example():
    # Computed with the reference code of "Calculating the MD5 message digest for message attributes".
    given = {"test": {"DataType": "String", "StringValue": "attribute"}}
    expected = hashlib.md5(
        struct.pack(">I", 4)
        + b"test"
        + struct.pack(">I", 6)
        + b"String"
        + b"\x01"
        + struct.pack(">I", 9)
        + b"attribute"
    ).hexdigest()
    assert digests.of_attributes(given) == expected


def test_a_received_message_is_hidden_and_comes_back(cloud, sqs, url):
    clock = stop_the_clock(cloud)
    sqs.send_message(QueueUrl=url, MessageBody="x")

    assert bodies(sqs, url) == ["x"]
    clock.advance(seconds=29)
    assert bodies(sqs, url) == []
    clock.advance(seconds=1)
    (again,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_deleted_message_does_not_come_back(cloud, sqs, url):
    clock = stop_the_clock(cloud)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (found,) = sqs.receive_message(QueueUrl=url)["Messages"]

    sqs.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
    clock.advance(minutes=1)

    assert bodies(sqs, url) == []


def test_visibility_can_be_longer_or_end_at_once(cloud, sqs, url):
    clock = stop_the_clock(cloud)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (found,) = sqs.receive_message(QueueUrl=url)["Messages"]
    handle = {"QueueUrl": url, "ReceiptHandle": found["ReceiptHandle"]}

    sqs.change_message_visibility(**handle, VisibilityTimeout=100)
    clock.advance(seconds=99)
    assert bodies(sqs, url) == []
    sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    assert bodies(sqs, url) == ["x"]


def test_a_delayed_message_waits(cloud, sqs, url):
    clock = stop_the_clock(cloud)
    sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=10)

    assert bodies(sqs, url) == []
    clock.advance(seconds=10)
    assert bodies(sqs, url) == ["x"]


def test_a_message_past_its_retention_is_gone(cloud, sqs):
    clock = stop_the_clock(cloud)
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"})[
        "QueueUrl"
    ]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    clock.advance(seconds=60)
    cloud.app.queues.forget_expired()

    assert bodies(sqs, url) == []


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(cloud, sqs, url):
    clock = stop_the_clock(cloud)
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = {
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead",
        "maxReceiveCount": 2,
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    sqs.send_message(QueueUrl=url, MessageBody="good", DelaySeconds=60)

    seen = []
    for _ in range(3):
        seen.append(bodies(sqs, url))
        clock.advance(seconds=30)

    assert seen == [["poison"], ["poison"], ["good"]]
    assert bodies(sqs, dead) == ["poison"]
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]


def test_a_receive_waits_for_a_message_and_no_longer(cloud, sqs, url):
    other = sqs.create_queue(QueueName="other")["QueueUrl"]
    send = cloud.client("sqs").send_message
    with ThreadPoolExecutor() as pool:
        # it may wait for less long, so it would come back first if both waited to their end
        still_waits = pool.submit(bodies, cloud.client("sqs"), other, WaitTimeSeconds=18)
        threading.Timer(0.3, send, kwargs={"QueueUrl": url, "MessageBody": "late"}).start()

        found = bodies(sqs, url, WaitTimeSeconds=20)

        assert (found, still_waits.done()) == (["late"], False)
        send(QueueUrl=other, MessageBody="later")
        assert still_waits.result() == ["later"]


def test_two_receivers_never_get_the_same_message(cloud, sqs, url):
    for start in range(0, 50, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)]
        assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10
    found = []

    def take():
        client = cloud.client("sqs")
        while messages := bodies(client, url, MaxNumberOfMessages=7):
            found.extend(messages)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found, key=int) == [str(n) for n in range(50)]


def test_counts_say_what_is_where(sqs, url):
    for delay in (0, 0, 0, 100):
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    sqs.receive_message(QueueUrl=url)

    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    names = ("", "NotVisible", "Delayed")
    assert [found[f"ApproximateNumberOfMessages{name}"] for name in names] == ["2", "1", "1"]
    assert (found["QueueArn"], found["VisibilityTimeout"]) == (
        "arn:aws:sqs:us-east-1:123456789012:jobs",
        "30",
    )


def test_batches_do_what_they_can(sqs, url):
    for body in "ab":
        sqs.send_message(QueueUrl=url, MessageBody=body)
    handles = [
        m["ReceiptHandle"]
        for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    entries = [
        {"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate([*handles, "odd"])
    ]

    changed = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**one, "VisibilityTimeout": 9} for one in entries]
    )
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    for answer in (changed, deleted):
        assert [one["Id"] for one in answer["Successful"]] == ["0", "1"]
        assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [
            ("2", "ReceiptHandleIsInvalid")
        ]


def test_purging_leaves_nothing(sqs, url):
    sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.purge_queue(QueueUrl=url)

    assert bodies(sqs, url) == []


def test_tags_are_kept(sqs):
    url = sqs.create_queue(QueueName="t", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a"])

    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


def test_queues_come_in_pages(sqs):
    for number in range(5):
        sqs.create_queue(QueueName=f"q{number}")

    pages = list(sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 2}))

    assert [len(page["QueueUrls"]) for page in pages] == [2, 2, 1]


REFUSED = [
    ("create_queue", {"QueueName": "a.fifo"}, "InvalidParameterValue", "FIFO queues are not supported here"),
    ("create_queue", {"QueueName": "a", "Attributes": {"FifoQueue": "true"}}, "InvalidParameterValue", "FIFO"),
    ("create_queue", {"QueueName": "a b"}, "InvalidParameterValue", "alphanumeric"),
    ("create_queue", {"QueueName": "jobs", "Attributes": {"VisibilityTimeout": "5"}}, "QueueAlreadyExists", "different value for attribute VisibilityTimeout"),
    ("create_queue", {"QueueName": "a", "Attributes": {"DelaySeconds": "901"}}, "InvalidParameterValue", "Invalid value for the parameter DelaySeconds."),
    ("list_queues", {"NextToken": "!", "MaxResults": 1}, "InvalidParameterValue", "Invalid or expired next token."),
    ("set_queue_attributes", {"QueueUrl": "$Q", "Attributes": {"RedrivePolicy": "x"}}, "InvalidParameterValue", "RedrivePolicy"),
    ("send_message", {"QueueUrl": "$Q", "MessageBody": "\x00"}, "InvalidMessageContents", "Invalid characters"),
    ("send_message", {"QueueUrl": "$Q", "MessageBody": "x" * 1_048_577}, "InvalidParameterValue", "shorter than 1048576 bytes"),
    ("send_message", {"QueueUrl": "$Q", "MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue", "DelaySeconds"),
    ("send_message", {"QueueUrl": "http://localhost:4747/123456789012/no", "MessageBody": "x"}, "AWS.SimpleQueueService.NonExistentQueue", "does not exist"),
    ("receive_message", {"QueueUrl": "$Q", "MaxNumberOfMessages": 11}, "InvalidParameterValue", "Must be between 1 and 10"),
    ("receive_message", {"QueueUrl": "$Q", "WaitTimeSeconds": 21}, "InvalidParameterValue", "Must be >= 0 and <= 20"),
    ("receive_message", {"QueueUrl": "$Q", "VisibilityTimeout": 43_201}, "InvalidParameterValue", "43200"),
    ("delete_message", {"QueueUrl": "$Q", "ReceiptHandle": "x"}, "ReceiptHandleIsInvalid", 'The input receipt handle "x"'),
    ("send_message_batch", {"QueueUrl": "$Q", "Entries": []}, "AWS.SimpleQueueService.EmptyBatchRequest", "at least one"),
    ("send_message_batch", {"QueueUrl": "$Q", "Entries": [{"Id": "a", "MessageBody": "x"}] * 2}, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "Id a repeated."),
    ("send_message_batch", {"QueueUrl": "$Q", "Entries": [{"Id": "a b", "MessageBody": "x"}]}, "AWS.SimpleQueueService.InvalidBatchEntryId", "batch entry id"),
    ("send_message_batch", {"QueueUrl": "$Q", "Entries": [{"Id": str(n), "MessageBody": "x"} for n in range(11)]}, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "You have sent 11."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "arguments", "code", "words"),
    REFUSED,
    ids=[f"{n}-{one[0]}" for n, one in enumerate(REFUSED)],
)
def test_what_cannot_be_is_refused_in_awss_words(sqs, url, operation, arguments, code, words):
    given = {key: url if value == "$Q" else value for key, value in arguments.items()}

    found, message = refusal(getattr(sqs, operation), **given)

    assert code in (found, found.removesuffix("Exception"))
    assert words in message


@pytest.mark.parametrize("path", ["/", "/123456789012/jobs"])
def test_older_clients_speak_query(cloud, sqs, url, path):
    fields = {
        "Action": "SendMessage",
        "QueueUrl": url,
        "MessageBody": "old words",
        "Version": "2012-11-05",
    }
    request = AWSRequest(
        "POST",
        f"http://localhost:4747{path}",
        data=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    owner = Credentials(cloud.owner["access_key_id"], cloud.owner["secret_access_key"])
    SigV4Auth(owner, "sqs", "us-east-1").add_auth(request)

    answer = cloud.send(request.prepare())

    assert (answer.status_code, "<MD5OfMessageBody>" in answer.text) == (200, True)
    assert bodies(sqs, url) == ["old words"]
