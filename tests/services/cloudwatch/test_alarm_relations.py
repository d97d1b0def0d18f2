"""Composites and who suppresses them, tags, and how alarms and their history are found."""

import pytest
from botocore.exceptions import ClientError

TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
PERIODS = {"ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120}


@pytest.fixture
def client(room):
    return room.client


@pytest.fixture
def composite(room, client):
    """`all`, which follows `a` and is suppressed by `works`; each is OK."""
    for name in ("a", "works"):
        room.put_alarm(name, TreatMissingData="ignore")
    client.put_composite_alarm(
        AlarmName="all", AlarmRule="ALARM(a)", ActionsSuppressor="works", AlarmActions=[TOPIC], OKActions=[TOPIC],
        **PERIODS,
    )  # fmt: skip
    for name in ("a", "works"):
        room.set_state(name, "OK")
    room.pass_time(200)
    assert [message["NewStateValue"] for _, message in room.told()] == ["OK"]
    return "all"


def test_without_its_suppressor_a_composite_tells_after_the_wait(room, composite):
    room.set_state("a", "ALARM")
    waiting = room.described(composite)
    room.pass_time(59)
    early = room.told()
    room.pass_time(2)
    after = room.described(composite)

    assert waiting["StateValue"] == "ALARM"
    assert waiting["ActionsSuppressedBy"] == "WaitPeriod"
    assert waiting["ActionsSuppressedReason"] == "Actions suppressed by WaitPeriod"
    assert early == []
    [(_, message)] = room.told()
    assert (message["OldStateValue"], message["NewStateValue"]) == ("OK", "ALARM")
    assert "ActionsSuppressedBy" not in after
    assert after["StateTransitionedTimestamp"] == waiting["StateTransitionedTimestamp"]
    assert after["StateUpdatedTimestamp"] > waiting["StateUpdatedTimestamp"]


def test_while_the_works_go_on_nothing_is_told_and_what_lasts_is_told_after(room, composite):
    room.set_state("a", "ALARM")
    room.pass_time(30)
    room.set_state("works", "ALARM")
    room.pass_time(600)
    during = room.described(composite)
    room.set_state("works", "OK")
    extended = room.described(composite)
    room.pass_time(119)
    silent = room.told()
    room.pass_time(2)

    assert during["ActionsSuppressedBy"] == "Alarm"
    assert extended["ActionsSuppressedBy"] == "ExtensionPeriod"
    assert silent == []
    assert [message["NewStateValue"] for _, message in room.told()] == ["ALARM"]


def test_what_came_and_went_during_the_works_is_never_told(room, composite):
    room.set_state("works", "ALARM")
    room.set_state("a", "ALARM")
    room.pass_time(60)
    room.set_state("a", "OK")
    room.set_state("works", "OK")
    room.pass_time(200)

    assert room.told() == []
    assert room.described(composite)["StateValue"] == "OK"
    summaries = [
        one["HistorySummary"]
        for one in room.client.describe_alarm_history(
            AlarmName=composite, HistoryItemType="StateUpdate"
        )["AlarmHistoryItems"]
    ]
    assert summaries[:2] == ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"]


def test_a_suppressor_that_is_deleted_suppresses_no_more(room, composite):
    room.set_state("works", "ALARM")
    room.set_state("a", "ALARM")
    room.client.delete_alarms(AlarmNames=["works"])
    room.pass_time(121)

    assert [message["NewStateValue"] for _, message in room.told()] == ["ALARM"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ActionsSuppressor": "a"}, "WaitPeriod is required"),
        ({"ActionsSuppressorWaitPeriod": 1}, "only be specified with"),
        ({"ActionsSuppressor": "none", **PERIODS}, "does not exist"),
        ({"ActionsSuppressor": "b", **PERIODS}, "its own"),
        ({"ActionsSuppressor": "a", **PERIODS, "ActionsSuppressorWaitPeriod": -1}, "negative"),
    ],
)
def test_a_suppression_that_cannot_be_is_refused(room, client, changes, words):
    room.put_alarm("a")

    with pytest.raises(ClientError, match=words):
        client.put_composite_alarm(AlarmName="b", AlarmRule="ALARM(a)", **changes)


def test_a_composite_says_which_child_changed_it(room, client):
    room.put_alarm("a", TreatMissingData="ignore")
    client.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(a)")
    room.worker.run_due()
    first = room.described("c")
    room.pass_time(5)
    room.set_state("a", "ALARM")
    second = room.described("c")

    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm"
    assert first["StateReason"] == f"{arn}:c was created and its alarm rule evaluates to OK"
    assert second["StateReason"] == (
        f"{arn}:a transitioned to ALARM at Monday 05 January, 2026 10:00:05 UTC"
    )
    assert '"timestamp":"2026-01-05T10:00:05.000+0000"' in second["StateReasonData"]


def test_a_rule_about_alarms_that_are_not_there_is_refused(room, client):
    room.put_alarm("a")

    with pytest.raises(
        ClientError, match="as alarms \\[typo, other] in the alarm rule do not exist"
    ) as refused:
        client.put_composite_alarm(
            AlarmName="c", AlarmRule='ALARM(a) OR ALARM("typo") OR OK(other)'
        )

    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []


def test_parents_and_children_are_told_in_a_few_words(room, client):
    for name in ("a", "b", "c"):
        room.put_alarm(name)
    client.put_composite_alarm(AlarmName="x", AlarmRule="ALARM(a) OR OK(b) OR TRUE")
    client.put_composite_alarm(AlarmName="y", AlarmRule="ALARM(x) OR ALARM(a)")

    parents = client.describe_alarms(ParentsOfAlarmName="a")
    children = client.describe_alarms(ChildrenOfAlarmName="x")

    assert [set(one) for one in parents["CompositeAlarms"]] == [{"AlarmName", "AlarmArn"}] * 2
    assert [one["AlarmName"] for one in parents["CompositeAlarms"]] == ["x", "y"]
    assert [one["AlarmName"] for one in children["MetricAlarms"]] == ["a", "b"]
    assert set(children["MetricAlarms"][0]) == {
        "AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp",
    }  # fmt: skip
    both = client.describe_alarms(ChildrenOfAlarmName="y")
    assert [one["AlarmName"] for one in both["MetricAlarms"] + both["CompositeAlarms"]] == [
        "a",
        "x",
    ]
    assert client.describe_alarms(ParentsOfAlarmName="c")["CompositeAlarms"] == []
    for asked, words in (
        ({"ParentsOfAlarmName": "a", "StateValue": "OK"}, "StateValue cannot be specified"),
        ({"ChildrenOfAlarmName": "a"}, "not a composite"),
        ({"ChildrenOfAlarmName": "none"}, "does not exist"),
        ({"AlarmNames": ["a"], "AlarmNamePrefix": "a"}, "cannot be specified together"),
    ):
        with pytest.raises(ClientError, match=words):
            client.describe_alarms(**asked)


def test_alarms_are_found_by_what_they_do(room, client):
    room.put_alarm("one", AlarmActions=[TOPIC])
    room.put_alarm("two", OKActions=[f"{TOPIC}2"])
    room.put_alarm("three", InsufficientDataActions=["arn:aws:lambda:us-east-1:1:function:f"])

    def found(prefix):
        alarms = client.describe_alarms(ActionPrefix=prefix)["MetricAlarms"]
        return [one["AlarmName"] for one in alarms]

    assert found("arn:aws:sns") == ["one", "two"]
    assert found(f"{TOPIC}2") == ["two"]
    assert found("arn:aws:lambda") == ["three"]


def test_alarms_are_found_by_their_metric(room, client):
    room.put_alarm("sum")
    room.put_alarm("p99", Statistic="Sum", Period=300, Unit="Count")
    room.put_alarm("other", MetricName="Other")
    room.put_alarm("dimension", Dimensions=[{"Name": "Shop", "Value": "1"}])

    def found(**more):
        asked = {"Namespace": "Shop", "MetricName": "Errors"} | more
        return [a["AlarmName"] for a in client.describe_alarms_for_metric(**asked)["MetricAlarms"]]

    assert found() == ["p99", "sum"]
    assert found(Period=300) == ["p99"]
    assert found(Statistic="Average") == []
    assert found(Unit="Count") == ["p99"]
    assert found(Dimensions=[{"Name": "Shop", "Value": "1"}]) == ["dimension"]


def test_history_is_found_by_alarm_kind_time_and_page(room, client):
    room.put_alarm("a", TreatMissingData="ignore", AlarmActions=[TOPIC])
    client.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(a)")
    room.worker.run_due()
    room.pass_time(60)
    middle = room.clock.now()
    room.pass_time(60)
    room.set_state("a", "ALARM")

    def found(**asked):
        items = client.describe_alarm_history(**asked)["AlarmHistoryItems"]
        return [(one["AlarmName"], one["HistoryItemType"]) for one in items]

    assert found() == [("a", "Action"), ("a", "StateUpdate"), ("a", "ConfigurationUpdate")]
    assert found(AlarmName="c", ScanBy="TimestampAscending") == [
        ("c", "ConfigurationUpdate"), ("c", "StateUpdate"), ("c", "StateUpdate"),
    ]  # fmt: skip
    assert found(AlarmTypes=["CompositeAlarm"], HistoryItemType="ConfigurationUpdate") == [
        ("c", "ConfigurationUpdate")
    ]
    assert found(AlarmName="a", StartDate=middle) == [("a", "Action"), ("a", "StateUpdate")]
    assert found(AlarmName="a", EndDate=middle) == [("a", "ConfigurationUpdate")]
    first = client.describe_alarm_history(AlarmName="a", MaxRecords=2)
    second = client.describe_alarm_history(AlarmName="a", NextToken=first["NextToken"])
    assert len(first["AlarmHistoryItems"]) == 2
    assert len(second["AlarmHistoryItems"]) == 1
    assert "NextToken" not in second
    with pytest.raises(ClientError, match="Invalid nextToken"):
        client.describe_alarm_history(NextToken="%%")


def test_tags_come_with_a_new_alarm_and_go_with_it(room, client):
    room.put_alarm("a", Tags=[{"Key": "team", "Value": "one"}])
    room.put_alarm("a", Tags=[{"Key": "team", "Value": "late"}])
    arn = room.described()["AlarmArn"]
    client.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "2"}])
    both = client.list_tags_for_resource(ResourceARN=arn)["Tags"]
    client.untag_resource(ResourceARN=arn, TagKeys=["cost", "none"])
    one = client.list_tags_for_resource(ResourceARN=arn)["Tags"]

    assert both == [{"Key": "cost", "Value": "2"}, {"Key": "team", "Value": "one"}]
    assert one == [{"Key": "team", "Value": "one"}]
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    with pytest.raises(ClientError, match="more than 50"):
        client.tag_resource(ResourceARN=arn, Tags=many)
    client.delete_alarms(AlarmNames=["a"])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.list_tags_for_resource(ResourceARN=arn)
    room.put_alarm("a")
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == []
