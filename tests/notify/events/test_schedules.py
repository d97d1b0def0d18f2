"""Scheduled rules by a clock that the test moves; on every database."""

import json

import pytest

from farero.base.errors import Invalid
from farero.notify.events.schedules import FIRE
from farero.records.work import WorkItem

ARN = "arn:aws:sqs:us-east-1:123456789012:inbox"


def test_a_rate_fires_at_each_of_its_times_and_never_twice(bench):
    bench.rule("rate(5 minutes)")

    assert bench.times() == []
    bench.clock.advance(minutes=5)
    assert bench.times() == ["10:05"]
    assert bench.times() == []
    bench.clock.advance(minutes=5)
    assert bench.times() == ["10:10"]


def test_a_scheduled_event_has_aws_form(bench):
    bench.rule("cron(0 12 * * ? *)")
    bench.clock.advance(hours=2)
    bench.worker.run_due()

    [message] = bench.queues.receive("inbox", limit=10)

    event = json.loads(message.body)
    assert event == {
        "version": "0",
        "id": event["id"],
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-01-05T12:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/tick"],
        "detail": {},
    }


def test_what_was_missed_is_made_up_for_once_and_the_beat_is_kept(bench):
    bench.rule("rate(1 hour)")

    bench.clock.advance(hours=7, minutes=30)

    assert bench.times() == ["11:00"]
    bench.clock.advance(minutes=29)
    assert bench.times() == []
    bench.clock.advance(minutes=1)
    assert bench.times() == ["18:00"]


def test_a_turn_that_is_taken_twice_makes_one_event(bench):
    bench.rule("rate(1 hour)")
    bench.clock.advance(hours=1)
    again = WorkItem(kind=FIRE, key="tick", due=bench.clock.now(), attempts=0, version=1)

    bench.schedules.fire(again)
    bench.schedules.fire(again)

    assert bench.times() == ["11:00"]


def test_a_disabled_rule_rests_and_begins_anew_when_it_is_enabled(bench):
    bench.rule("rate(1 hour)")
    bench.rules.enable("default", "tick", state="DISABLED")
    bench.clock.advance(hours=3, minutes=20)
    assert bench.times() == []

    bench.rules.enable("default", "tick", state="ENABLED")

    assert bench.times() == []
    bench.clock.advance(hours=1)
    assert bench.times() == ["14:20"]


def test_a_rule_that_is_put_again_keeps_its_beat_unless_the_schedule_is_another(bench):
    bench.rule("rate(1 hour)")
    bench.clock.advance(minutes=30)

    bench.rule("rate(1 hour)", description="the same")
    bench.clock.advance(minutes=30)
    assert bench.times() == ["11:00"]

    bench.rule("rate(10 minutes)")
    bench.clock.advance(minutes=10)
    assert bench.times() == ["11:10"]


def test_a_deleted_rule_fires_no_more(bench):
    bench.rule("rate(1 hour)")
    bench.rules.remove_targets("default", "tick", ["q"])
    bench.rules.delete("default", "tick")
    bench.clock.advance(hours=2)

    assert bench.times() == []


def test_the_event_of_a_schedule_is_for_its_own_rule_alone(bench):
    bench.rules.put("default", "all", pattern='{"source": ["aws.events"]}')
    bench.rules.put_targets("default", "all", [{"Id": "q", "Arn": ARN}])
    bench.rule("rate(1 hour)")
    bench.clock.advance(hours=1)

    assert bench.times() == ["11:00"]


def test_a_rule_with_a_schedule_and_a_pattern_does_both(bench):
    bench.rule("rate(1 hour)", pattern='{"source": ["shop"]}')
    bench.events.put([{"Source": "shop", "DetailType": "d", "Detail": "{}"}])
    assert bench.times() == ["10:00"]

    bench.clock.advance(hours=1)

    assert bench.times() == ["11:00"]


def test_a_schedule_whose_last_time_has_passed_rests_for_ever(bench):
    bench.rule("cron(0 12 * * ? 2026-2026)")
    bench.clock.advance(hours=24 * 361)

    assert bench.times() == ["12:00"]
    with bench.store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM work_items").scalar() == 0


def test_two_days_of_hours_need_no_waiting(bench):
    bench.rule("rate(1 hour)")

    for _ in range(48):
        bench.clock.advance(hours=1)
        bench.worker.run_due()

    assert len(bench.times()) == 48


@pytest.mark.parametrize("text", ["rate(0 minutes)", "cron(61 * * * ? *)", "every day"])
def test_what_is_no_schedule_is_refused(bench, text):
    with pytest.raises(Invalid, match="ScheduleExpression is not valid"):
        bench.rule(text)
