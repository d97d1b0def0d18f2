"""Schedules over time, by a clock the test moves: every window once, oldest first, whatever was down meanwhile."""

import datetime as dt

import pytest

from farero.base.errors import Invalid
from farero.monitoring.requests import job_name
from farero.records.monitoring import ExecutionStatus, MonitoringType
from farero.store import jobs as job_rows

HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "d",
    "MonitoringType": "DataQuality",
}
DATA = MonitoringType.DATA_QUALITY


def hours(executions):
    return [(one.start, one.end) for one in executions]


def test_a_day_of_hourly_windows_runs_each_once(watch):
    began = watch.clock.now()
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    for _ in range(24):
        watch.capture(watch.clock.now())
        watch.clock.advance(hours=1)
        watch.settle()
    found = watch.executions()
    assert len(found) in {23, 24, 25}
    assert all(end - start == dt.timedelta(hours=1) for start, end in hours(found))
    assert [start for start, _ in hours(found)][1:] == [end for _, end in hours(found)][:-1]
    assert found[0].scheduled_at > began
    assert {one.status for one in found[1:-1]} == {ExecutionStatus.COMPLETED}


def test_what_was_missed_is_made_up_for_oldest_first_once(watch):
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    for _ in range(10):
        watch.capture(watch.clock.now())
        watch.clock.advance(hours=1)
    watch.restart()  # the worker was down for ten hours
    watch.settle()
    found = watch.executions()
    assert 9 <= len(found) <= 11
    assert [one.scheduled_at for one in found] == sorted({one.scheduled_at for one in found})
    created = [one.modified_at for one in found]
    assert created == sorted(created)
    watch.restart()
    watch.settle()
    assert watch.executions() == found


def test_a_turn_that_dies_after_the_job_was_made_finds_it_again(watch, monkeypatch):
    watch.capture(watch.clock.now())
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)

    def die(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(watch.runs, "_save", die)
        watch.worker.run_due()
    (lost,) = watch.executions()[:1]
    assert lost.status is ExecutionStatus.PENDING
    watch.restart()
    watch.clock.advance(minutes=1)
    watch.settle("CompletedWithViolations: Job completed successfully with 3 violations.")
    done = watch.executions()[0]
    assert done.status is ExecutionStatus.WITH_VIOLATIONS
    assert done.job == job_name(done)
    with watch.store.read() as db:
        assert len(job_rows.processing.search(db, job_rows.JobQuery(limit=100))) == len(
            watch.executions()
        )


def test_the_job_gets_the_window_the_data_and_the_place_of_its_report(watch):
    watch.capture(watch.clock.now())
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    one = watch.executions()[0]
    with watch.store.read() as db:
        job = job_rows.processing.get(db, one.job)
    assert job.spec.environment["start_time"] == f"{one.start:%Y-%m-%dT%H:%M:%SZ}"
    assert job.spec.environment["end_time"] == f"{one.end:%Y-%m-%dT%H:%M:%SZ}"
    (folder,) = job.spec.inputs
    assert folder.s3_uri == f"s3://data/captured/price/AllTraffic/{one.start:%Y/%m/%d/%H}/"
    assert (
        folder.local_path
        == f"/opt/ml/processing/input/endpoint/price/AllTraffic/{one.start:%Y/%m/%d/%H}"
    )
    assert job.spec.outputs[0].s3_uri == f"s3://data/reports/price/s/{one.scheduled_at:%Y/%m/%d/%H}"
    assert one.job.startswith(f"model-monitoring-{one.scheduled_at:%Y%m%d%H%M}-")


def test_a_job_reads_the_reports_of_the_windows_before_it(watch):
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    for _ in range(6):
        watch.capture(watch.clock.now())
        watch.clock.advance(hours=1)
        watch.settle()
        for index, one in enumerate(watch.executions()):
            if index != 1:  # one run left no report
                path = f"reports/price/s/{one.scheduled_at:%Y/%m/%d/%H}/drift_report.json"
                watch.objects.put("data", path, b"{}")
    found = watch.executions()
    with watch.store.read() as db:
        first, last = (job_rows.processing.get(db, found[index].job) for index in (0, -1))
    told = {
        entry.local_path: entry.s3_uri
        for entry in last.spec.inputs
        if entry.name.startswith("history_")
    }
    with_report = [one for index, one in enumerate(found[:-1]) if index != 1]

    assert told == {
        f"/opt/ml/processing/input/history/{number}": f"s3://data/reports/price/s/{one.scheduled_at:%Y/%m/%d/%H}/drift_report.json"
        for number, one in enumerate(reversed(with_report), 1)
    }
    assert last.spec.environment["history_source"] == "/opt/ml/processing/input/history"
    assert "history_source" not in first.spec.environment


def test_no_data_fails_with_the_window_named(watch):
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    one = watch.executions()[0]
    assert one.status is ExecutionStatus.FAILED
    assert one.failure_reason.startswith(
        'No S3 objects found under S3 URL "s3://data/captured/price"'
    )
    assert f"The window was {one.start:%Y-%m-%dT%H:%M:%SZ} to" in one.failure_reason
    assert one.job == ""


def test_a_stopped_schedule_rests_and_a_running_one_cannot_be_deleted(watch):
    watch.capture(watch.clock.now())
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.worker.run_due()
    with pytest.raises(Invalid, match="in-progress execution"):
        watch.schedules.delete("s")
    with pytest.raises(Invalid, match="monitoring schedule s uses it"):
        watch.definitions.delete(DATA, "d")
    watch.settle()
    before = watch.executions()
    watch.schedules.stop(watch.ctx(), "s")
    watch.clock.advance(hours=5)
    watch.settle()
    assert watch.executions() == before
    watch.schedules.start(watch.ctx(), "s")
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    assert len(watch.executions()) == len(before) + 1
    watch.schedules.delete("s")
    watch.definitions.delete(DATA, "d")


def test_a_week_of_minutes_after_downtime_is_bounded(watch):
    config = HOURLY | {"ScheduleConfig": {"ScheduleExpression": "rate(1 minute)"}}
    watch.schedules.create(watch.ctx(), "s", config, ())
    watch.clock.advance(hours=24 * 7)
    watch.settle()
    found = watch.executions()
    assert 200 <= len(found) <= 205
    assert watch.clock.now() - found[-1].scheduled_at < dt.timedelta(minutes=5)
