"""What targets are told, and what becomes of events that they do not take."""

import json

import pytest

from farero.base.errors import NotReady
from farero.records.events import Rule
from farero.records.notify import DeliveryState
from farero.store import deliveries
from farero.store import events as rows

ACCOUNT = "us-east-1:123456789012"
LAMBDA = f"arn:aws:lambda:{ACCOUNT}:function:f"
SHOP = {"source": ["shop"]}


def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def kept(cloud, state):
    """Return the deliveries of a state, newest first."""
    with cloud.app.store.read() as db:
        return deliveries.latest(db, state=state, limit=100)


def test_a_topic_a_queue_and_a_log_group_are_told(cloud, bridge):
    sns, logs = cloud.client("sns"), cloud.client("logs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=bridge.queue("by-topic"))
    logs.create_log_group(logGroupName="/aws/events/shop")
    bridge.rule(
        SHOP,
        {"Id": "topic", "Arn": topic},
        {"Id": "queue", "Arn": bridge.queue("direct")},
        {"Id": "logs", "Arn": f"arn:aws:logs:{ACCOUNT}:log-group:/aws/events/shop"},
    )

    bridge.put({"n": 1}, {"n": 2})
    cloud.run()

    direct = bridge.events("direct")
    assert [event["detail"] for event in direct] == [{"n": 1}, {"n": 2}]
    assert [json.loads(event["Message"]) for event in bridge.events("by-topic")] == direct
    lines = logs.filter_log_events(logGroupName="/aws/events/shop")["events"]
    assert [json.loads(line["message"]) for line in lines] == direct


def test_a_log_group_takes_the_message_of_a_template_as_its_line(cloud, bridge):
    cloud.client("logs").create_log_group(logGroupName="lines")
    template = {
        "InputPathsMap": {"at": "$.time", "n": "$.detail.n"},
        "InputTemplate": '{"timestamp": <at>, "message": "number <n>"}',
    }
    bridge.rule(
        SHOP,
        {
            "Id": "l",
            "Arn": f"arn:aws:logs:{ACCOUNT}:log-group:lines:*",
            "InputTransformer": template,
        },
    )

    bridge.put({"n": 5})
    cloud.run()

    [line] = cloud.client("logs").filter_log_events(logGroupName="lines")["events"]
    assert line["message"] == "number 5"


def test_each_target_gets_its_own_input(cloud, bridge):
    arn = bridge.rule(
        SHOP,
        {"Id": "a", "Arn": bridge.queue("a"), "Input": '{"fixed": true}'},
        {"Id": "b", "Arn": bridge.queue("b"), "InputPath": "$.detail"},
        {
            "Id": "c",
            "Arn": bridge.queue("c"),
            "InputTransformer": {
                "InputPathsMap": {"n": "$.detail.n"},
                "InputTemplate": '{"n": <n>, "text": "n is <n>", "rule": <aws.events.rule-arn>}',
            },
        },
    )

    bridge.put({"n": 5})
    cloud.run()

    assert bridge.events("a") == [{"fixed": True}]
    assert bridge.events("b") == [{"n": 5}]
    assert bridge.events("c") == [{"n": 5, "text": "n is 5", "rule": arn}]


def test_a_target_that_cannot_be_told_yet_leaves_a_dead_letter_with_the_reason(cloud, bridge):
    arn = bridge.rule(
        SHOP,
        {
            "Id": "f",
            "Arn": LAMBDA,
            "Input": '"hidden"',
            "DeadLetterConfig": {"Arn": bridge.queue("dead")},
        },
    )

    answer = bridge.put({"n": 1})
    cloud.run()

    [message] = bridge.messages("dead")
    event = json.loads(message["Body"])
    assert (event["id"], event["detail"]) == (answer["Entries"][0]["EventId"], {"n": 1})
    assert attributes(message) == {
        "RULE_ARN": arn,
        "TARGET_ARN": LAMBDA,
        "ERROR_CODE": "NO_RESOURCE",
        "ERROR_MESSAGE": f"there is nothing here yet that takes events for lambda: {LAMBDA}",
        "RETRY_ATTEMPTS": "0",
    }
    [dead] = kept(cloud, DeliveryState.DEAD)
    assert (dead.protocol, dead.endpoint) == ("lambda", LAMBDA)
    assert dead.reason.startswith("there is nothing here yet")


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        (f"arn:aws:sqs:{ACCOUNT}:gone", "The specified queue does not exist."),
        (f"arn:aws:sns:{ACCOUNT}:gone", "Topic does not exist"),
        (f"arn:aws:logs:{ACCOUNT}:log-group:gone", "The specified log group does not exist."),
        (
            f"arn:aws:sagemaker:{ACCOUNT}:pipeline/p",
            "nothing here yet that takes events for sagemaker",
        ),
    ],
)
def test_a_target_that_is_not_there_is_not_tried_again(cloud, bridge, arn, reason):
    bridge.rule(SHOP, {"Id": "x", "Arn": arn})

    bridge.put({"n": 1})
    cloud.run()

    [dead] = kept(cloud, DeliveryState.DEAD)
    assert (dead.endpoint, dead.attempts) == (arn, 1)
    assert reason in dead.reason


def test_a_target_that_fails_keeps_no_other_waiting(cloud, bridge):
    bridge.rule(SHOP, {"Id": "a", "Arn": LAMBDA}, {"Id": "b", "Arn": bridge.queue()})

    bridge.put({"n": 1}, {"n": 2})
    cloud.run()

    assert [event["detail"]["n"] for event in bridge.events()] == [1, 2]


def test_a_dead_letter_queue_that_is_gone_is_named_in_the_reason(cloud, bridge):
    bridge.rule(
        SHOP,
        {"Id": "f", "Arn": LAMBDA, "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{ACCOUNT}:gone"}},
    )

    bridge.put({"n": 1})
    cloud.run()

    [dead] = kept(cloud, DeliveryState.DEAD)
    assert dead.reason.endswith(
        "its dead-letter queue did not take it: The specified queue does not exist."
    )


def test_deliveries_are_seen_with_the_others(cloud, bridge):
    arn = bridge.rule(SHOP)
    answer = bridge.put({"n": 1})
    cloud.run()

    [seen] = kept(cloud, DeliveryState.DELIVERED)

    assert (seen.protocol, seen.endpoint) == ("sqs", f"arn:aws:sqs:{ACCOUNT}:inbox")
    assert (seen.note.topic_arn, seen.note.subject) == (arn, "Order")
    assert seen.note.message_id == answer["Entries"][0]["EventId"]


# -- retries, by a target of the test's own that is not ready as long as the test likes


SLOW = f"arn:aws:slow:{ACCOUNT}:x"


class Slow:
    """A target that refuses its first tries."""

    def __init__(self, refusals):
        self.refusals, self.told = refusals, []

    def __call__(self, _target, delivery):
        if self.refusals:
            self.refusals -= 1
            raise NotReady("target", "slow", "not now")
        self.told.append(json.loads(delivery.note.message)["detail"])


def slow_rule(bench, refusals, **target):
    bench.outside["slow"] = slow = Slow(refusals)
    bench.rules.put("default", "r", pattern=json.dumps(SHOP))
    bench.rules.put_targets("default", "r", [{"Id": "s", "Arn": SLOW, **target}])
    return slow


def put(bench, *details):
    entries = [{"Source": "shop", "DetailType": "d", "Detail": json.dumps(d)} for d in details]
    bench.events.put(entries)
    bench.worker.run_due()


def test_a_target_that_is_not_ready_is_asked_again_and_order_is_kept(bench):
    slow = slow_rule(bench, 3)

    put(bench, {"n": 1}, {"n": 2})
    assert slow.told == []
    for _ in range(10):
        bench.clock.advance(seconds=10)
        bench.worker.run_due()

    assert slow.told == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("policy", "condition", "attempts"),
    [
        ({"MaximumRetryAttempts": 2}, "MaximumRetryAttempts", "2"),
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts", "0"),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds", None),
    ],
)
def test_a_retry_policy_ends_the_tries(bench, policy, condition, attempts):
    bench.queues.create("dead", {})
    dead_letters = {"Arn": f"arn:aws:sqs:{ACCOUNT}:dead"}
    slow = slow_rule(bench, 1000, RetryPolicy=policy, DeadLetterConfig=dead_letters)

    put(bench, {"n": 1})
    for _ in range(20):
        bench.clock.advance(seconds=20)
        bench.worker.run_due()

    [letter] = bench.queues.receive("dead", limit=10)
    said = {name: value["StringValue"] for name, value in letter.attributes.items()}
    assert said["EXHAUSTED_RETRY_CONDITION"] == condition
    assert said["ERROR_CODE"] == "ERROR_FROM_TARGET"
    assert attempts in (None, said["RETRY_ATTEMPTS"])
    assert slow.told == []
    with bench.store.read() as db:
        [dead] = deliveries.latest(db, state=DeliveryState.DEAD, limit=10)
    assert dead.reason == f"given up after {condition}: not now"


def test_what_is_on_its_way_to_a_removed_target_is_forgotten(bench):
    slow = slow_rule(bench, 1)
    put(bench, {"n": 1})

    bench.rules.remove_targets("default", "r", ["s"])
    bench.clock.advance(hours=1)
    bench.worker.run_due()

    assert slow.told == []
    with bench.store.read() as db:
        assert deliveries.counts(db) == {"pending": 0, "delivered": 0, "dead": 0}


def test_a_target_with_another_configuration_gets_what_was_waiting_for_it(bench):
    slow_rule(bench, 1)
    put(bench, {"n": 1})

    target = {"Id": "s", "Arn": f"arn:aws:sqs:{ACCOUNT}:inbox"}
    bench.rules.put_targets("default", "r", [target])
    bench.clock.advance(hours=1)

    assert bench.times() == ["10:00"]


def test_a_rule_that_an_earlier_version_took_keeps_no_other_from_its_events(bench):
    bench.rules.put("default", "r", pattern=json.dumps(SHOP))
    bench.rules.put_targets("default", "r", [{"Id": "q", "Arn": f"arn:aws:sqs:{ACCOUNT}:inbox"}])
    with bench.store.begin() as db:
        rows.put_rule(
            db, Rule(bus="default", name="a", arn="arn", pattern="[", began_at=bench.clock.now())
        )

    put(bench, {"n": 1})

    assert bench.times() == ["10:00"]


@pytest.mark.parametrize("depth", [100, 600, 850])
def test_an_event_nested_beyond_reading_is_not_tried_for_ever(bench, depth):
    bench.rules.put("default", "r", pattern='{"detail": {"a": [1]}}')
    bench.rules.put_targets("default", "r", [{"Id": "q", "Arn": f"arn:aws:sqs:{ACCOUNT}:inbox"}])
    deep = '{"a": ' + "[" * depth + "1" + "]" * depth + "}"

    put(bench, json.loads(deep))

    with bench.store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM outbox").scalar() == 0
        kept = deliveries.latest(db, state=None, limit=10)
    # How deep Python reads differs from version to version.
    assert [(one.state.value, one.reason) for one in kept] in (
        [("delivered", "")],
        [("dead", "the event is nested too deeply to be matched and told")],
    )
    assert depth > 100 or kept[0].state is DeliveryState.DELIVERED
