"""SNS through a real boto3 client: what is kept, what is told back, and AWS's words for what is refused."""

import json

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

ACCOUNT = "arn:aws:sns:us-east-1:123456789012"
MISSING = f"{ACCOUNT}:missing"


@pytest.fixture
def sns(cloud):
    return cloud.client("sns")


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name="alerts")["TopicArn"]


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_topic_is_made_once(sns, topic):
    again = sns.create_topic(Name="alerts")["TopicArn"]

    assert topic == again == f"{ACCOUNT}:alerts"
    assert sns.list_topics()["Topics"] == [{"TopicArn": topic}]


def test_a_topic_with_other_attributes_is_refused(sns, topic):
    assert refusal(sns.create_topic, Name="alerts", Attributes={"DisplayName": "x"}) == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Topic already exists with different attributes",
    )


def test_topics_come_in_pages(sns):
    names = [f"t{number:03}" for number in range(230)]
    for name in names:
        sns.create_topic(Name=name)

    pages = list(sns.get_paginator("list_topics").paginate())

    found = [one["TopicArn"].rpartition(":")[2] for page in pages for one in page["Topics"]]
    assert (found, [len(page["Topics"]) for page in pages]) == (names, [100, 100, 30])


def test_a_topic_is_described(sns, topic):
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Al")
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")

    found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]

    assert {k: found[k] for k in ("TopicArn", "Owner", "DisplayName", "SubscriptionsPending", "SubscriptionsConfirmed")} == {
        "TopicArn": topic, "Owner": "123456789012", "DisplayName": "Al", "SubscriptionsPending": "1",
        "SubscriptionsConfirmed": "0",
    }  # fmt: skip
    assert json.loads(found["Policy"])["Statement"][0]["Resource"] == topic
    assert json.loads(found["EffectiveDeliveryPolicy"])["http"]


def test_a_deleted_topic_takes_its_subscriptions_and_tags_along(sns, topic):
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k", "Value": "v"}])
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")

    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    sns.create_topic(Name="alerts")

    assert sns.list_subscriptions()["Subscriptions"] == []
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == []


def test_subscribing_twice_is_one_subscription(sns, topic):
    wanted = {
        "TopicArn": topic,
        "Protocol": "email",
        "Endpoint": "a@example.com",
        "ReturnSubscriptionArn": True,
    }
    first, second = (sns.subscribe(**wanted)["SubscriptionArn"] for _ in range(2))

    assert first == second
    assert first.startswith(topic + ":")
    assert refusal(sns.subscribe, **wanted, Attributes={"RawMessageDelivery": "true"}) == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Subscription already exists with different attributes",
    )


def test_attributes_of_a_subscription_change(sns, topic):
    arn = sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="a@example.com", ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    policy = json.dumps({"a": {"b": [1]}})
    for key, value in (("FilterPolicyScope", "MessageBody"), ("FilterPolicy", policy)):
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName=key, AttributeValue=value
        )

    found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (found["FilterPolicy"], found["FilterPolicyScope"]) == (policy, "MessageBody")
    assert (found["PendingConfirmation"], found["RawMessageDelivery"]) == ("true", "false")
    sns.set_subscription_attributes(
        SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}"
    )
    assert "FilterPolicy" not in sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]


def test_a_batch_takes_what_is_good(sns, topic):
    answer = sns.publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": "good", "Message": "x"},
            {"Id": "bad", "Message": "x", "Subject": "a\nb"},
        ],
    )

    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [(one["Id"], one["Code"], one["Message"]) for one in answer["Failed"]] == [
        ("bad", "InvalidParameter", "Invalid parameter: Subject")
    ]


def test_tags_are_kept(sns):
    arn = sns.create_topic(Name="t", Tags=[{"Key": "a", "Value": "1"}])["TopicArn"]
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["a"])

    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_permissions_are_statements_of_the_policy(sns, topic):
    sns.add_permission(
        TopicArn=topic, Label="x", AWSAccountId=["111122223333"], ActionName=["Publish"]
    )
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert policy["Statement"][1]["Action"] == ["SNS:Publish"]

    sns.remove_permission(TopicArn=topic, Label="x")
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert len(policy["Statement"]) == 1


def test_a_confirmation_may_close_the_door_to_unsigned_links(cloud, sns, topic):
    arn = sns.subscribe(
        TopicArn=topic, Protocol="email", Endpoint="a@example.com", ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    token = cloud.app.listeners.get(arn).token
    sns.confirm_subscription(TopicArn=topic, Token=token, AuthenticateOnUnsubscribe="true")

    url = f"http://localhost:4747/?Action=Unsubscribe&SubscriptionArn={arn}&Version=2010-03-31"
    answer = cloud.send(AWSRequest("GET", url).prepare())

    assert answer.status_code == 403
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions()["Subscriptions"] == []


REFUSED = [
    ("get_topic_attributes", {"TopicArn": MISSING}, "NotFound", "Topic does not exist"),
    ("get_topic_attributes", {"TopicArn": "x"}, "InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
    ("set_topic_attributes", {"TopicArn": "$T", "AttributeName": "Owner", "AttributeValue": "x"}, "InvalidParameter", "Invalid parameter: AttributeName"),
    ("create_topic", {"Name": "a b"}, "InvalidParameter", "Invalid parameter: Topic Name"),
    ("create_topic", {"Name": "a" * 257}, "InvalidParameter", "Invalid parameter: Topic Name"),
    ("create_topic", {"Name": "a.fifo"}, "InvalidParameter", "FIFO"),
    ("create_topic", {"Name": "a", "Attributes": {"FifoTopic": "true"}}, "InvalidParameter", "FIFO"),
    ("publish", {"TopicArn": MISSING, "Message": "x"}, "NotFound", "Topic does not exist"),
    ("publish", {"TopicArn": "$T", "Message": ""}, "InvalidParameter", "Invalid parameter: Empty message"),
    ("publish", {"TopicArn": "$T", "Message": "x" * 262_145}, "InvalidParameter", "Invalid parameter: Message too long"),
    ("publish", {"TopicArn": "$T", "Message": "x", "Subject": "x" * 101}, "InvalidParameter", "Invalid parameter: Subject"),
    ("publish", {"TopicArn": "$T", "Message": "x", "MessageStructure": "json"}, "InvalidParameter", "Invalid parameter: Message Structure - JSON message body failed to parse"),
    ("publish", {"TopicArn": "$T", "Message": "{}", "MessageStructure": "json"}, "InvalidParameter", "Invalid parameter: Message Structure - No default entry in JSON message body"),
    ("publish", {"Message": "x"}, "InvalidParameter", "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"),
    ("publish", {"Message": "x", "PhoneNumber": "+15550100"}, "InvalidParameter", "SMS is not supported here"),
    ("publish", {"TopicArn": "$T", "Message": "x", "MessageAttributes": {"a": {"DataType": "Odd", "StringValue": "x"}}}, "InvalidParameter", "invalid message attribute type"),
    ("publish", {"TopicArn": "$T", "Message": "x", "MessageAttributes": {"a": {"DataType": "Number", "StringValue": "NaN"}}}, "InvalidParameter", "Could not cast message attribute 'a' value to number."),
    ("publish", {"TopicArn": "$T", "Message": "x", "MessageAttributes": {"a": {"DataType": "String"}}}, "InvalidParameter", "must contain non-empty message attribute value"),
    ("publish_batch", {"TopicArn": "$T", "PublishBatchRequestEntries": []}, "EmptyBatchRequest", "doesn't contain any entries"),
    ("publish_batch", {"TopicArn": "$T", "PublishBatchRequestEntries": [{"Id": "a", "Message": "x"}] * 2}, "BatchEntryIdsNotDistinct", "the same Id"),
    ("publish_batch", {"TopicArn": "$T", "PublishBatchRequestEntries": [{"Id": str(n), "Message": "x"} for n in range(11)]}, "TooManyEntriesInBatchRequest", "more entries than permissible"),
    ("subscribe", {"TopicArn": MISSING, "Protocol": "email", "Endpoint": "a@b.example"}, "NotFound", "Topic does not exist"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "pigeon", "Endpoint": "x"}, "InvalidParameter", "Amazon SNS does not support this protocol string: pigeon"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "https", "Endpoint": "http://x.example"}, "InvalidParameter", "Invalid parameter: Endpoint must match the specified protocol"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "http", "Endpoint": "http://127.0.0.1:1/"}, "InvalidParameter", "FARERO_NOTIFY_ALLOW_HOSTS=127.0.0.1:1"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "http", "Endpoint": "http://localhost:4747/"}, "InvalidParameter", "Farero itself"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "email", "Endpoint": "nobody"}, "InvalidParameter", "Invalid parameter: Email address"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "sqs", "Endpoint": "queue"}, "InvalidParameter", "Invalid parameter: SQS endpoint ARN"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "sqs", "Endpoint": "arn:aws:sqs:us-east-1:123456789012:q.fifo"}, "InvalidParameter", "FIFO SQS Queues"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "lambda", "Endpoint": "f"}, "InvalidParameter", "Invalid parameter: Lambda endpoint ARN"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "application", "Endpoint": "https://x.example"}, "InvalidParameter", "Apprise URL"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "email", "Endpoint": "a@b.example", "Attributes": {"FilterPolicy": "{"}}, "InvalidParameter", "Invalid parameter: Attributes Reason: FilterPolicy: failed to deserialize JSON"),
    ("subscribe", {"TopicArn": "$T", "Protocol": "email", "Endpoint": "a@b.example", "Attributes": {"RawMessageDelivery": "1"}}, "InvalidParameter", "RawMessageDelivery: Invalid value [1]. Must be true or false."),
    ("subscribe", {"TopicArn": "$T", "Protocol": "email", "Endpoint": "a@b.example", "Attributes": {"RedrivePolicy": "{}x"}}, "InvalidParameter", "RedrivePolicy: failed to parse JSON"),
    ("get_subscription_attributes", {"SubscriptionArn": f"{MISSING}:x"}, "NotFound", "Subscription does not exist"),
    ("unsubscribe", {"SubscriptionArn": "x"}, "InvalidParameter", "Invalid parameter: SubscriptionArn"),
    ("confirm_subscription", {"TopicArn": MISSING, "Token": "x"}, "NotFound", "Topic does not exist"),
    ("list_subscriptions_by_topic", {"TopicArn": MISSING}, "NotFound", "Topic does not exist"),
    ("list_topics", {"NextToken": "!"}, "InvalidParameter", "Invalid parameter: NextToken"),
    ("tag_resource", {"ResourceArn": MISSING, "Tags": []}, "ResourceNotFound", "Resource does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "arguments", "code", "words"),
    REFUSED,
    ids=[f"{n}-{one[0]}" for n, one in enumerate(REFUSED)],
)
def test_what_cannot_be_is_refused_in_awss_words(sns, topic, operation, arguments, code, words):
    given = {key: topic if value == "$T" else value for key, value in arguments.items()}

    found, message = refusal(getattr(sns, operation), **given)

    assert found == code
    assert words in message
