"""A schedule's alert over its executions, as "View and edit alerts" describes it."""

import pytest

from farero.base.errors import NotFound
from farero.monitoring.alerts import Alerts, evaluate
from farero.records.monitoring import AlertStatus, ExecutionStatus
from farero.store import monitoring as rows
from farero.store import monitoring_alerts as alert_rows

HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "d",
}
WITH, WITHOUT = ExecutionStatus.WITH_VIOLATIONS, ExecutionStatus.COMPLETED
VIOLATIONS = "CompletedWithViolations: Job completed successfully with 3 violations."


@pytest.mark.parametrize(
    ("course", "datapoints", "period", "expected"),
    [
        ("", 1, 1, ""),
        ("x", 1, 1, "!"),
        ("x.x", 1, 1, "!.!"),
        # seven executions under 2 of 3, the first two before the period is full
        ("xx..x.x", 2, 3, ".!!...!"),
        ("xxxx", 3, 5, "..!!"),
        ("x.....", 1, 3, "!!!..."),
    ],
)
def test_an_alert_counts_the_last_executions(course, datapoints, period, expected):
    states = [WITH if one == "x" else WITHOUT for one in course]
    found = [evaluate(states[:end][::-1], datapoints, period) for end in range(1, len(states) + 1)]
    assert "".join("!" if one is AlertStatus.IN_ALERT else "." for one in found) == expected


def alert(watch):
    with watch.store.read() as db:
        return alert_rows.of_schedule(db, rows.get_schedule(db, "s"))


def history(watch):
    with watch.store.read() as db:
        return [one.status.value for one in alert_rows.list_changes(db, schedule="s", descending=False)]  # fmt: skip


def run_hour(watch, message=None):
    if message:
        watch.capture(watch.clock.now())
    watch.clock.advance(hours=1)
    watch.settle(message or "")


@pytest.fixture
def hourly(watch):
    watch.clock.advance(minutes=1)
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    return watch


def test_executions_raise_and_clear_the_alert_and_leave_a_history(hourly):
    assert (alert(hourly).status, alert(hourly).datapoints, alert(hourly).period) == ("OK", 1, 1)
    run_hour(hourly, VIOLATIONS)
    assert alert(hourly).status is AlertStatus.IN_ALERT
    run_hour(hourly)  # fails for want of data: says nothing about the model
    assert alert(hourly).status is AlertStatus.IN_ALERT
    run_hour(hourly, "Completed: fine")
    run_hour(hourly, "Completed: fine")
    assert alert(hourly).status is AlertStatus.OK
    assert history(hourly) == ["InAlert", "OK"]


def test_an_alert_that_is_changed_judges_what_was_anew(hourly):
    run_hour(hourly, VIOLATIONS)
    run_hour(hourly, "Completed: fine")
    assert alert(hourly).status is AlertStatus.OK
    alerts = Alerts(hourly.store)
    alerts.update(hourly.ctx(), "s", "default-alert", datapoints=1, period=2)
    assert (alert(hourly).status, alert(hourly).period) == (AlertStatus.IN_ALERT, 2)
    hourly.clock.advance(minutes=1)
    alerts.update(hourly.ctx(), "s", "default-alert", datapoints=2, period=2)
    assert history(hourly) == ["InAlert", "OK", "InAlert", "OK"]
    with pytest.raises(NotFound, match="it has default-alert"):
        alerts.update(hourly.ctx(), "s", "other", datapoints=1, period=1)


def test_a_schedule_made_anew_begins_without_its_forerunners_alert(hourly):
    run_hour(hourly, VIOLATIONS)
    hourly.schedules.delete("s")
    hourly.clock.advance(minutes=1)
    hourly.schedules.create(hourly.ctx(), "s", HOURLY, ())
    assert (alert(hourly).status, history(hourly)) == (AlertStatus.OK, [])
    Alerts(hourly.store).update(hourly.ctx(), "s", "default-alert", datapoints=1, period=5)
    assert alert(hourly).status is AlertStatus.OK
