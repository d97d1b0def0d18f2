"""Schedules over time, by a clock the test moves: every window once, oldest first, whatever was down meanwhile."""

import dataclasses
import datetime as dt

import pytest

from farero.base.config import Settings
from farero.base.context import Context, Principal
from farero.base.errors import Invalid
from farero.jobs.commands import ProcessingCommands
from farero.monitoring.checks import Checks
from farero.monitoring.definitions import Definitions
from farero.monitoring.requests import job_name
from farero.monitoring.runs import Runs
from farero.monitoring.schedules import KIND, Schedules
from farero.objects.local import LocalObjects
from farero.records.endpoint import Endpoint, EndpointStatus, Fleet
from farero.records.job import JobStatus, Phase
from farero.records.monitoring import ExecutionStatus, MonitoringType
from farero.store import endpoints as endpoint_rows
from farero.store import jobs as job_rows
from farero.store import monitoring as rows
from farero.telemetry.logs import Logs
from farero.work.worker import Worker

DATA = MonitoringType.DATA_QUALITY
ROLE = "arn:aws:iam::123456789012:role/monitor"
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
GIVEN = {
    "DataQualityAppSpecification": {"ImageUri": IMAGE},
    "DataQualityJobInput": {"EndpointInput": {"EndpointName": "price", "LocalPath": "/opt/ml/processing/input/endpoint"}},
    "DataQualityJobOutputConfig": {"MonitoringOutputs": [{"S3Output": {"S3Uri": "s3://data/reports", "LocalPath": "/opt/ml/processing/output"}}]},
    "JobResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}},
    "RoleArn": ROLE,
}  # fmt: skip
HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "d",
    "MonitoringType": "DataQuality",
}


class Watch:
    """A schedule's world without processes: `finish` plays the part of the processing job's end."""

    def __init__(self, store, clock, folder):
        self.store, self.clock = store, clock
        self.settings = Settings(data_dir=folder)
        self.objects = LocalObjects(store, folder / "objects", clock)
        self.objects.ensure_bucket("data")
        self.definitions = Definitions(store)
        checks = Checks(store, self.objects, Logs(store, clock), "us-east-1")
        self.schedules = Schedules(store, checks, lambda: None)
        self.definitions.create(self.ctx(), DATA, "d", GIVEN)
        fleet = Fleet(
            generation=1,
            config_name="c",
            config={"DataCaptureConfig": {"DestinationS3Uri": "s3://data/captured"}},
            variants=(),
            began_at=clock.now(),
        )
        with store.begin() as db:
            endpoint_rows.insert(
                db,
                Endpoint(
                    name="price",
                    arn="arn:price",
                    status=EndpointStatus.IN_SERVICE,
                    created_at=clock.now(),
                    modified_at=clock.now(),
                    current=fleet,
                ),
            )
        self.restart()

    def ctx(self):
        principal = Principal(access_key_id="A", arn=ROLE, user_id="1")
        return Context(
            account="123456789012",
            region="us-east-1",
            request_id="r",
            now=self.clock.now(),
            principal=principal,
        )

    def restart(self):
        commands = ProcessingCommands(self.store, self.objects, lambda: None)
        self.runs = Runs(self.store, self.clock, self.objects, commands, self.settings)
        self.worker = Worker(
            self.store, self.clock, {KIND: self.runs.turn, "processing.reconcile": lambda _: None}
        )
        self.runs.resume()

    def capture(self, at):
        path = f"captured/price/AllTraffic/{at:%Y/%m/%d/%H}/{at:%M-%S}-000-x.jsonl"
        self.objects.put("data", path, b"{}\n")

    def settle(self, message="Completed: fine"):
        """Work until nothing is due, ending every processing job."""
        for _ in range(2000):
            worked, ended = self.worker.run_due(), self.finish(message)
            if not worked and not ended:
                return
            self.clock.advance(seconds=1)
        raise AssertionError("never settles")

    def finish(self, message):
        with self.store.begin() as db:
            names = job_rows.processing.unfinished(db)
            for name in names:
                job = job_rows.processing.get(db, name)
                job_rows.processing.update(
                    db,
                    dataclasses.replace(
                        job, status=JobStatus.COMPLETED, phase=Phase.DONE, exit_message=message
                    ),
                )
        return names

    def executions(self):
        with self.store.read() as db:
            return rows.list_executions(
                db, rows.Query(schedule="s", sort_by="scheduled_at", descending=False, limit=1000)
            )


@pytest.fixture
def watch(store, clock, tmp_path):
    return Watch(store, clock, tmp_path)


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
