"""EventBridge through a real boto3 client: rules, targets, buses, events, with AWS's refusals."""

import datetime as dt
import json

import pytest
from botocore.exceptions import ClientError

from farero.records.events import Rule
from farero.store import events as rows

PATTERN = json.dumps({"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}})
ARN = "arn:aws:events:us-east-1:123456789012"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:{}"


@pytest.fixture
def events(cloud):
    return cloud.client("events")


@pytest.fixture
def queue(cloud):
    """A function: a new queue's name → a function that returns the messages that are in it now."""
    sqs = cloud.client("sqs")

    def make(name):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]

        def receive():
            found = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            return found.get("Messages", [])

        return receive

    return make


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def order(total, **more):
    entry = {"Source": "shop", "DetailType": "Order", "Detail": json.dumps({"total": total})}
    return {**entry, **more}


def tell(events, queue, name="rule", target=None, **rule):
    """Make a rule that tells the queue `name`; return the function that receives its messages."""
    receive = queue(name)
    events.put_rule(Name=name, **(rule or {"EventPattern": PATTERN}))
    events.put_targets(
        Rule=name,
        EventBusName=rule.get("EventBusName", "default"),
        Targets=[{"Id": "q", "Arn": QUEUE.format(name), **(target or {})}],
    )
    return receive


def bodies(messages):
    return [json.loads(one["Body"]) for one in messages]


# -- rules


def test_a_rule_is_described_as_it_was_put(events):
    made = events.put_rule(
        Name="big",
        EventPattern=PATTERN,
        Description="big orders",
        RoleArn="arn:aws:iam::123456789012:role/r",
    )
    found = events.describe_rule(Name="big")

    assert made["RuleArn"] == f"{ARN}:rule/big"
    del found["ResponseMetadata"]
    assert found == {
        "Name": "big",
        "Arn": f"{ARN}:rule/big",
        "EventPattern": PATTERN,
        "State": "ENABLED",
        "Description": "big orders",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "EventBusName": "default",
        "CreatedBy": "123456789012",
    }


def test_a_rule_that_is_put_again_is_wholly_the_new_one(events):
    events.put_rule(Name="r", EventPattern=PATTERN, Description="old")
    events.put_rule(Name="r", ScheduleExpression="rate(5 minutes)", State="DISABLED")

    found = events.describe_rule(Name="r")

    assert "Description" not in found
    assert "EventPattern" not in found
    assert (found["ScheduleExpression"], found["State"]) == ("rate(5 minutes)", "DISABLED")


def test_rules_are_listed_by_prefix_and_page(events):
    for name in ("b1", "a1", "a2", "a3"):
        events.put_rule(Name=name, EventPattern=PATTERN)

    first = events.list_rules(NamePrefix="a", Limit=2)
    second = events.list_rules(NamePrefix="a", Limit=2, NextToken=first["NextToken"])

    assert [rule["Name"] for rule in first["Rules"]] == ["a1", "a2"]
    assert [rule["Name"] for rule in second["Rules"]] == ["a3"]
    assert "NextToken" not in second


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"Name": "r"},
            (
                "ValidationException",
                "Parameter(s) EventPattern or ScheduleExpression must be specified.",
            ),
        ),
        (
            {"Name": "r", "ScheduleExpression": "rate(1 minutes)"},
            ("ValidationException", "Parameter ScheduleExpression is not valid."),
        ),
        (
            {"Name": "r", "EventPattern": '{"a": "b"}'},
            (
                "InvalidEventPatternException",
                'Event pattern is not valid. Reason: "a" must be an object or an array',
            ),
        ),
        (
            {"Name": "r", "EventPattern": PATTERN, "EventBusName": "nowhere"},
            ("ResourceNotFoundException", "Event bus nowhere does not exist."),
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_aws_words(events, arguments, expected):
    assert refusal(events.put_rule, **arguments) == expected


def test_a_rule_that_is_not_there_is_missed_but_not_when_it_is_deleted(events):
    expected = ("ResourceNotFoundException", "Rule r does not exist on EventBus default.")

    assert refusal(events.describe_rule, Name="r") == expected
    assert refusal(events.enable_rule, Name="r") == expected
    assert refusal(events.list_targets_by_rule, Rule="r") == expected
    events.delete_rule(Name="r")


def test_a_rule_with_targets_is_not_deleted(events):
    events.put_rule(Name="r", EventPattern=PATTERN)
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": QUEUE.format("q")}])

    assert refusal(events.delete_rule, Name="r") == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    events.remove_targets(Rule="r", Ids=["q"])
    events.delete_rule(Name="r")
    assert events.list_rules()["Rules"] == []


def test_a_bus_takes_three_hundred_rules(cloud, events):
    with cloud.app.store.begin() as db:
        for number in range(299):
            rule = Rule(
                bus="default", name=f"r{number}", arn=str(number), began_at=cloud.app.clock.now()
            )
            rows.put_rule(db, rule)
    events.put_rule(Name="last", EventPattern=PATTERN)

    assert refusal(events.put_rule, Name="more", EventPattern=PATTERN) == (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    )
    events.put_rule(Name="r7", EventPattern=PATTERN, Description="changed")


# -- targets


def test_targets_are_listed_as_they_were_put_and_found_by_their_arn(events):
    events.put_rule(Name="r", EventPattern=PATTERN)
    targets = [
        {"Id": "a", "Arn": QUEUE.format("q"), "RetryPolicy": {"MaximumRetryAttempts": 3}},
        {"Id": "b", "Arn": QUEUE.format("other"), "InputPath": "$.detail"},
    ]
    answer = events.put_targets(Rule="r", Targets=targets)

    assert (answer["FailedEntryCount"], answer["FailedEntries"]) == (0, [])
    assert events.list_targets_by_rule(Rule="r")["Targets"] == targets
    assert events.list_rule_names_by_target(TargetArn=QUEUE.format("q"))["RuleNames"] == ["r"]


def test_a_rule_has_five_targets_at_most(events):
    events.put_rule(Name="r", EventPattern=PATTERN)
    targets = [{"Id": str(n), "Arn": QUEUE.format(n)} for n in range(6)]
    events.put_targets(Rule="r", Targets=targets[:5])

    assert refusal(events.put_targets, Rule="r", Targets=targets[5:])[0] == "LimitExceededException"
    events.put_targets(Rule="r", Targets=targets[:1])


def test_removing_a_target_that_is_not_there_is_a_failed_entry(events):
    events.put_rule(Name="r", EventPattern=PATTERN)

    answer = events.remove_targets(Rule="r", Ids=["x"])

    assert answer["FailedEntryCount"] == 1
    assert answer["FailedEntries"][0]["ErrorCode"] == "ResourceNotFoundException"


@pytest.mark.parametrize("arn", ["queue", "arn:aws:sqs:us-east-1", f"arn:aws:{'x' * 33}:::y"])
def test_a_target_without_an_arn_is_refused(events, arn):
    events.put_rule(Name="r", EventPattern=PATTERN)

    assert refusal(events.put_targets, Rule="r", Targets=[{"Id": "a", "Arn": arn}]) == (
        "ValidationException",
        f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.",
    )


def test_a_dead_letter_queue_is_a_standard_queue(events):
    events.put_rule(Name="r", EventPattern=PATTERN)
    target = {
        "Id": "a",
        "Arn": QUEUE.format("q"),
        "DeadLetterConfig": {"Arn": QUEUE.format("d.fifo")},
    }

    code, message = refusal(events.put_targets, Rule="r", Targets=[target])

    assert code == "ValidationException"
    assert "d.fifo is no standard SQS queue" in message


# -- events


def test_an_event_reaches_the_queue_of_a_rule_that_wants_it_in_aws_form(cloud, events, queue):
    receive = tell(events, queue)

    answer = events.put_events(
        Entries=[
            order(101, Time=dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC), Resources=["r1"]),
            order(99),
        ]
    )
    cloud.run()

    assert answer["FailedEntryCount"] == 0
    assert bodies(receive()) == [
        {
            "version": "0",
            "id": answer["Entries"][0]["EventId"],
            "detail-type": "Order",
            "source": "shop",
            "account": "123456789012",
            "time": "2026-11-21T09:30:00Z",
            "region": "us-east-1",
            "resources": ["r1"],
            "detail": {"total": 101},
        }
    ]


def test_each_entry_is_refused_by_itself_with_aws_codes(events):
    good = order(1)
    entries = [
        good,
        {k: v for k, v in good.items() if k != "Source"},
        {**good, "Detail": "[1]"},
        {**good, "Detail": "{"},
        {**good, "Detail": '{"a": "\\ud800"}'},
        {**good, "Source": "aws.sagemaker"},
    ]
    answer = events.put_events(Entries=entries)

    assert answer["FailedEntryCount"] == 5
    assert "EventId" in answer["Entries"][0]
    assert answer["Entries"][1] == {
        "ErrorCode": "InvalidArgument",
        "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument.",
    }
    malformed = {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    assert answer["Entries"][2:5] == [malformed] * 3
    assert answer["Entries"][5]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_entries_larger_than_a_megabyte_are_refused(events):
    assert refusal(events.put_events, Entries=[order("x" * 1_048_576)]) == (
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
    )


def test_a_disabled_rule_hears_nothing_until_it_is_enabled(cloud, events, queue):
    receive = tell(events, queue)
    events.disable_rule(Name="rule")
    events.put_events(Entries=[order(200)])
    events.enable_rule(Name="rule")
    events.put_events(Entries=[order(300)])
    cloud.run()

    assert [body["detail"]["total"] for body in bodies(receive())] == [300]


def test_without_a_rule_that_listens_an_event_leaves_no_row(cloud, events):
    events.put_rule(Name="timed", ScheduleExpression="rate(5 minutes)")
    events.put_rule(Name="off", EventPattern=PATTERN, State="DISABLED")

    events.put_events(Entries=[order(200)])

    with cloud.app.store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM outbox").scalar() == 0


def test_a_bus_of_ones_own_has_rules_of_its_own(cloud, events, queue):
    made = events.create_event_bus(Name="shop", Description="orders")
    there = tell(events, queue, "there", EventPattern=PATTERN, EventBusName="shop")
    here = tell(events, queue, "here")

    events.put_events(
        Entries=[order(150, EventBusName="shop"), order(160, EventBusName=made["EventBusArn"])]
    )
    cloud.run()

    assert [body["detail"]["total"] for body in bodies(there())] == [150, 160]
    assert here() == []
    assert (
        events.describe_rule(Name="there", EventBusName="shop")["Arn"] == f"{ARN}:rule/shop/there"
    )


def test_buses_are_listed_described_and_deleted(events):
    events.create_event_bus(Name="shop", Description="orders")
    found = events.list_event_buses()["EventBuses"]

    assert [bus["Name"] for bus in found] == ["default", "shop"]
    assert events.describe_event_bus()["Arn"] == f"{ARN}:event-bus/default"
    assert events.describe_event_bus(Name="shop")["Description"] == "orders"
    assert refusal(events.create_event_bus, Name="shop") == (
        "ResourceAlreadyExistsException",
        "Event bus shop already exists.",
    )
    assert refusal(events.delete_event_bus, Name="default") == (
        "ValidationException",
        "Cannot delete event bus default.",
    )
    events.put_rule(Name="r", EventPattern=PATTERN, EventBusName="shop")
    assert refusal(events.delete_event_bus, Name="shop")[0] == "ValidationException"
    events.delete_rule(Name="r", EventBusName="shop")
    events.delete_event_bus(Name="shop")
    assert refusal(events.describe_event_bus, Name="shop")[0] == "ResourceNotFoundException"
    assert (
        refusal(events.put_rule, Name="r", ScheduleExpression="rate(1 hour)", EventBusName="shop")[
            0
        ]
        == "ResourceNotFoundException"
    )


def test_a_schedule_is_for_the_default_bus_alone(events):
    events.create_event_bus(Name="shop")

    assert refusal(
        events.put_rule, Name="r", ScheduleExpression="rate(1 hour)", EventBusName="shop"
    ) == (
        "ValidationException",
        "ScheduleExpression is supported only on the default event bus.",
    )


def test_a_pattern_can_be_tried_on_an_event(events):
    event = {
        "id": "1", "account": "1", "source": "shop", "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1", "resources": [], "detail-type": "Order", "detail": {"total": 101},
    }  # fmt: skip

    assert events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps(event))["Result"]
    event["detail"]["total"] = 100
    assert not events.test_event_pattern(EventPattern=PATTERN, Event=json.dumps(event))["Result"]
    assert refusal(events.test_event_pattern, EventPattern=PATTERN, Event="{}")[0] == (
        "ValidationException"
    )


def test_rules_and_buses_have_tags(events):
    arn = events.put_rule(Name="r", EventPattern=PATTERN, Tags=[{"Key": "team", "Value": "a"}])[
        "RuleArn"
    ]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])
    events.untag_resource(ResourceARN=arn, TagKeys=["team"])

    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    assert refusal(events.list_tags_for_resource, ResourceARN=f"{ARN}:rule/none") == (
        "ResourceNotFoundException",
        "Rule none does not exist on EventBus default.",
    )
