"""Messages from boto3's publish to real receivers: confirmed, signed, in order, again and again until taken."""

import datetime as dt
import json
from base64 import b64decode

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from farero.base.clock import ManualClock
from farero.work import outbox

open_cloud = pytest.mark.parametrize("cloud", [{"notify_allow_hosts": "127.0.0.1"}], indirect=True)
pytestmark = open_cloud


def topic_of(cloud, name="alerts"):
    return cloud.client("sns").create_topic(Name=name)["TopicArn"]


def follow(cloud, url):
    """GET a link without any signature."""
    assert url.startswith("http://127.0.0.1:4747/")
    return cloud.send(AWSRequest("GET", url.replace("127.0.0.1:4747", "localhost:4747")).prepare())


def subscribe(cloud, topic, receiver, **attributes):
    """Subscribe and confirm; return the ARN."""
    sns = cloud.client("sns")
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url, Attributes=attributes)
    cloud.run()
    answer = follow(cloud, receiver.posts[-1].json["SubscribeURL"])
    assert answer.status_code == 200
    (found,) = [
        one["SubscriptionArn"]
        for one in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if one["Endpoint"] == receiver.url
    ]
    return found


def test_a_web_address_confirms_before_it_is_told_anything(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)

    made = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    sns.publish(TopicArn=topic, Message="too early")
    cloud.run()

    assert made["SubscriptionArn"] == "pending confirmation"
    (post,) = receiver.posts
    assert post.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert post.headers["x-amz-sns-topic-arn"] == topic
    assert post.headers["Content-Type"] == "text/plain; charset=UTF-8"
    listed = sns.list_subscriptions()["Subscriptions"]
    assert [one["SubscriptionArn"] for one in listed] == ["PendingConfirmation"]


def test_a_confirmed_address_gets_the_envelope(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    arn = subscribe(cloud, topic, receiver)

    message_id = sns.publish(
        TopicArn=topic,
        Message="hello",
        Subject="Greeting",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "x"}},
    )["MessageId"]
    cloud.run()

    post = receiver.posts[-1]
    assert post.headers["x-amz-sns-subscription-arn"] == arn
    assert {k: post.json[k] for k in ("Type", "MessageId", "TopicArn", "Subject", "Message")} == {
        "Type": "Notification", "MessageId": message_id, "TopicArn": topic, "Subject": "Greeting", "Message": "hello",
    }  # fmt: skip
    assert post.json["MessageAttributes"] == {"kind": {"Type": "String", "Value": "x"}}


def test_the_token_confirms_through_boto3_too(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    cloud.run()

    token = receiver.posts[0].json["Token"]
    arn = sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"]

    described = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert described["PendingConfirmation"] == "false"


def test_a_wrong_token_confirms_nothing(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)

    with pytest.raises(ClientError, match="Invalid parameter: Token"):
        sns.confirm_subscription(TopicArn=topic, Token="a" * 128)


def test_the_link_in_a_message_ends_the_subscription(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    subscribe(cloud, topic, receiver)
    sns.publish(TopicArn=topic, Message="hello")
    cloud.run()

    answer = follow(cloud, receiver.posts[-1].json["UnsubscribeURL"])

    assert answer.status_code == 200
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_a_link_does_nothing_else_without_a_signature(cloud):
    topic = topic_of(cloud)

    answer = follow(
        cloud, f"http://127.0.0.1:4747/?Action=DeleteTopic&TopicArn={topic}&Version=2010-03-31"
    )

    assert answer.status_code == 403
    assert cloud.client("sns").list_topics()["Topics"] == [{"TopicArn": topic}]


def test_raw_delivery_posts_the_message_alone(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver, RawMessageDelivery="true")

    cloud.client("sns").publish(TopicArn=topic, Message="bare words")
    cloud.run()

    assert receiver.posts[-1].body == "bare words"
    assert receiver.posts[-1].headers["x-amz-sns-rawdelivery"] == "true"


def test_a_filter_policy_lets_through_what_it_names(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    subscribe(cloud, topic, receiver, FilterPolicy=json.dumps({"level": ["high"]}))

    for level in ("low", "high"):
        attributes = {"level": {"DataType": "String", "StringValue": level}}
        sns.publish(TopicArn=topic, Message=level, MessageAttributes=attributes)
    cloud.run()

    assert receiver.messages == ["high"]


def test_each_protocol_gets_its_own_text(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)

    texts = {"default": "for all", "http": "for the web"}
    cloud.client("sns").publish(TopicArn=topic, Message=json.dumps(texts), MessageStructure="json")
    cloud.run()

    assert receiver.messages == ["for the web"]


def tell(cloud, topic, *messages, queue="alarm/a"):
    with cloud.app.store.begin() as db:
        for message in messages:
            outbox.publish(
                db,
                queue=queue,
                topic=topic,
                subject="s",
                message=message,
                now=cloud.app.clock.now(),
            )


def test_the_certificate_that_an_envelope_names_checks_it(cloud, receiver):
    topic = topic_of(cloud)
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2"
    )
    subscribe(cloud, topic, receiver)
    cloud.client("sns").publish(TopicArn=topic, Message="x")
    cloud.run()
    envelope = receiver.posts[-1].json

    pem = follow(cloud, envelope["SigningCertURL"]).content

    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names)
    key = x509.load_pem_x509_certificate(pem).public_key()
    key.verify(b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_an_alarm_with_an_odd_name_is_told_all_the_same(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)

    with cloud.app.store.begin() as db:
        subject = 'ALARM: "a\nb\x00' + "x" * 300
        outbox.publish(
            db,
            queue="alarm/a",
            topic=topic,
            subject=subject,
            message="m",
            now=cloud.app.clock.now(),
        )
    cloud.run()

    assert receiver.posts[-1].json["Subject"] == ('ALARM: "a b ' + "x" * 300)[:100]


def test_a_late_subscriber_gets_a_new_token(cloud, receiver):
    sns, topic = cloud.client("sns"), topic_of(cloud)
    wanted = {"TopicArn": topic, "Protocol": "http", "Endpoint": receiver.url}
    sns.subscribe(**wanted)
    cloud.run()
    cloud.app.listeners._clock = ManualClock(start=cloud.app.clock.now() + dt.timedelta(days=4))

    with pytest.raises(ClientError, match="Invalid parameter: Token"):
        sns.confirm_subscription(TopicArn=topic, Token=receiver.posts[0].json["Token"])
    arn = sns.subscribe(**wanted, ReturnSubscriptionArn=True)["SubscriptionArn"]
    token = cloud.app.listeners.get(arn).token

    assert sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"] == arn
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_a_queue_stays_in_order_while_its_receiver_fails(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)
    clock = stop_the_clock(cloud)
    receiver.status = 503

    tell(cloud, topic, "1", "2", "3")
    cloud.run()
    receiver.status = 200
    clock.advance(seconds=2)
    cloud.run()

    assert receiver.messages == ["1", "1", "2", "3"]


def test_a_failing_receiver_is_tried_for_a_day_and_then_given_up(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)
    clock = stop_the_clock(cloud)
    receiver.status = 500

    tell(cloud, topic, "lost")
    begun = clock.now()
    tries = []
    while cloud.run() or pending(cloud):
        if not tries or receiver.messages.count("lost") > len(tries):
            tries.append((clock.now() - begun).total_seconds())
        clock.advance(seconds=1 if len(tries) < 5 else 60)

    (dead,) = deliveries(cloud, "dead")
    assert dt.timedelta(hours=23) < clock.now() - begun < dt.timedelta(hours=25)
    assert dead["reason"] == "given up after 24 hours: the receiver answered 500: no thanks"
    assert 290 <= dead["attempts"] <= 700
    assert tries[1] <= 2


def test_a_client_error_is_final_and_does_not_stand_in_the_way(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)
    receiver.status = lambda post: 400 if post.json["Message"] == "bad" else 200

    tell(cloud, topic, "bad", "good")
    cloud.run()

    assert receiver.messages == ["bad", "good"]
    assert [one["reason"] for one in deliveries(cloud, "dead")] == [
        "the receiver answered 400: no thanks"
    ]


def test_retry_after_is_honoured(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)
    clock = stop_the_clock(cloud)
    receiver.status, receiver.answer_headers = 429, {"Retry-After": "120"}

    tell(cloud, topic, "x")
    cloud.run()
    clock.advance(seconds=119)
    cloud.run()
    before = len(receiver.messages)
    clock.advance(seconds=2)
    cloud.run()

    assert (before, len(receiver.messages)) == (1, 2)


def test_redirects_are_not_followed(cloud, make_receiver):
    topic, trap = topic_of(cloud), make_receiver()
    receiver = make_receiver()
    subscribe(cloud, topic, receiver)
    receiver.status, receiver.answer_headers = 307, {"Location": trap.url}

    cloud.client("sns").publish(TopicArn=topic, Message="x")
    cloud.run()

    assert trap.posts == []
    assert "redirect" in deliveries(cloud, "dead")[0]["reason"]


def test_a_dead_letter_goes_to_the_queue_that_its_subscription_names(cloud, receiver):
    sqs, topic = cloud.client("sqs"), topic_of(cloud)
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"}
    subscribe(cloud, topic, receiver, RedrivePolicy=json.dumps(policy))
    receiver.status = 404

    cloud.client("sns").publish(TopicArn=topic, Message="unwanted")
    cloud.run()

    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["Message"] == "unwanted"


def test_a_queue_subscribes_at_once_and_gets_the_envelope_or_the_raw_message(cloud):
    sns, sqs, topic = cloud.client("sns"), cloud.client("sqs"), topic_of(cloud)
    urls = {}
    for name, raw in (("plain", "false"), ("raw", "true")):
        urls[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        made = sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw}
        )
        assert made["SubscriptionArn"].startswith(topic)

    attributes = {
        "n": {"DataType": "Number", "StringValue": "5"},
        "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    sns.publish(TopicArn=topic, Message="hi", MessageAttributes=attributes)
    cloud.run()

    (plain,) = sqs.receive_message(QueueUrl=urls["plain"])["Messages"]
    (raw,) = sqs.receive_message(QueueUrl=urls["raw"], MessageAttributeNames=["All"])["Messages"]
    assert json.loads(plain["Body"])["Message"] == "hi"
    assert (raw["Body"], raw["MessageAttributes"]) == ("hi", attributes)


def test_a_function_is_accepted_and_its_messages_say_why_they_did_not_arrive(cloud):
    topic = topic_of(cloud)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)

    cloud.client("sns").publish(TopicArn=topic, Message="x")
    cloud.run()

    assert "no Lambda here yet" in deliveries(cloud, "dead")[0]["reason"]


def test_what_a_missing_topic_should_have_told_is_kept_with_the_reason(cloud):
    with cloud.app.store.begin() as db:
        now = cloud.app.clock.now()
        outbox.put(db, queue="alarm/a", kind="autoscaling", payload={"a": 1}, now=now)
    tell(cloud, "arn:aws:sns:us-east-1:123456789012:gone", "lost")
    cloud.run()

    assert [(one["queue"], one["reason"]) for one in deliveries(cloud, "dead")] == [
        ("alarm/a", "Topic does not exist"),
        ("alarm/a", "there is nothing here yet that takes 'autoscaling'"),
    ]


def test_what_was_on_its_way_is_dropped_with_the_subscription(cloud, receiver):
    topic = topic_of(cloud)
    arn = subscribe(cloud, topic, receiver)
    receiver.status = 503
    cloud.client("sns").publish(TopicArn=topic, Message="x")
    cloud.run()

    cloud.client("sns").unsubscribe(SubscriptionArn=arn)

    assert pending(cloud) == 0


def test_old_deliveries_are_forgotten(cloud, receiver):
    topic = topic_of(cloud)
    subscribe(cloud, topic, receiver)
    clock = stop_the_clock(cloud)
    cloud.client("sns").publish(TopicArn=topic, Message="x")
    cloud.run()

    clock.advance(hours=25)
    cloud.run()

    assert deliveries(cloud, "delivered") == []


def stop_the_clock(cloud):
    """Let the worker live by a clock that the test moves."""
    clock = ManualClock(start=cloud.app.clock.now() + dt.timedelta(seconds=1))
    worker = cloud.worker
    worker.worker._clock = worker.deliverer._clock = worker.dispatcher._clock = clock
    cloud.app.topics._clock = cloud.app.clock = clock
    return clock


def deliveries(cloud, state):
    return cloud.gateway.asgi._admin._pages["GET", "deliveries"]({"state": state})["deliveries"]


def pending(cloud):
    return cloud.gateway.asgi._admin._pages["GET", "deliveries"]({})["counts"]["pending"]


def test_a_missing_dead_letter_queue_is_said(cloud, receiver):
    topic = topic_of(cloud)
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:gone"}
    subscribe(cloud, topic, receiver, RedrivePolicy=json.dumps(policy))
    receiver.status = 404

    cloud.client("sns").publish(TopicArn=topic, Message="unwanted")
    cloud.run()

    assert deliveries(cloud, "dead")[0]["reason"] == (
        "the receiver answered 404: no thanks; its dead-letter queue did not take it: The specified queue does not exist."
    )
