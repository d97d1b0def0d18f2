"""What is done on a change, what is repeated, and what history says of actions that nobody here takes."""

import json

import pytest

from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

POLICY = (
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/g:policyName/p"
)
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"


def actions_of(room, name="a"):
    items = room.client.describe_alarm_history(
        AlarmName=name, HistoryItemType="Action", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    return [(one["HistorySummary"], json.loads(one["HistoryData"])) for one in items]


def take_all(room, *services):
    """Let the room have somebody who takes the actions of these services."""
    room.alarms = Alarms(
        room.store, room.clock, room.metrics, room.queries, taken=("sns", *services)
    )
    handlers = {
        EVALUATE: room.alarms.evaluate,
        TURN: room.alarms.turn,
        DISPATCH: lambda _item: None,
    }
    room.worker = Worker(room.store, room.clock, handlers)


def test_actions_are_taken_in_their_order_each_with_its_own_message(room):
    room.put_alarm(AlarmActions=[FUNCTION, TOPIC, POLICY], TreatMissingData="ignore")
    room.set_state("a", "ALARM")

    found = actions_of(room)
    told = room.told()
    assert [kind for kind, _ in told] == ["lambda", "publish", "autoscaling"]
    event = told[0][1]
    assert (event["source"], event["accountId"]) == ("aws.cloudwatch", "123456789012")
    assert event["alarmArn"] == room.described()["AlarmArn"]
    assert event["alarmData"]["state"]["value"] == "ALARM"
    assert event["alarmData"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert [one["actionState"] for _, one in found] == ["Failed", "Succeeded", "Failed"]


@pytest.mark.parametrize(
    ("action", "service"), [(FUNCTION, "lambda"), (POLICY, "autoscaling"), ("nonsense", "unknown")]
)
def test_what_nobody_takes_fails_once_with_its_reason(room, action, service):
    room.put_alarm(AlarmActions=[action], TreatMissingData="ignore")
    room.set_state("a", "ALARM")
    room.pass_time(600)

    reason = f"there is nothing here yet that takes '{service}'"
    assert actions_of(room) == [
        (
            f'Failed to execute action {action}. Received error: "{reason}"',
            {"actionState": "Failed", "notificationResource": action, "error": reason},
        )
    ]
    assert [kind for kind, _ in room.told()] == [service]


def test_a_scaling_policy_is_told_each_minute_for_as_long_as_it_lasts(room):
    take_all(room, "autoscaling")
    room.put_alarm(AlarmActions=[POLICY, TOPIC], TreatMissingData="ignore")
    room.worker.run_due()
    room.set_state("a", "ALARM")
    room.pass_time(300)
    kinds = [kind for kind, _ in room.told()]
    room.client.disable_alarm_actions(AlarmNames=["a"])
    room.pass_time(300)
    disabled = room.told()
    room.client.enable_alarm_actions(AlarmNames=["a"])
    room.pass_time(120)
    again = room.told()
    room.set_state("a", "OK")
    room.pass_time(300)

    assert kinds == ["autoscaling", "publish", *["autoscaling"] * 5]
    assert disabled == []
    assert [kind for kind, _ in again] == ["autoscaling"] * 2
    assert room.told() == []


def test_a_fast_alarm_repeats_no_more_often(room):
    take_all(room, "autoscaling")
    room.put_alarm(AlarmActions=[POLICY], TreatMissingData="ignore", Period=10)
    room.worker.run_due()
    room.set_state("a", "ALARM")
    room.pass_time(180)

    assert len(room.told()) == 1 + 3
