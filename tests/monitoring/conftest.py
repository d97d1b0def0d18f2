"""A schedule's world by a clock the test moves; what processing jobs do is played by the test."""

import dataclasses

import pytest

from farero.base.config import Settings
from farero.base.context import Context, Principal
from farero.jobs.commands import ProcessingCommands
from farero.monitoring.checks import Checks
from farero.monitoring.definitions import Definitions
from farero.monitoring.runs import Runs
from farero.monitoring.schedules import KIND, Schedules
from farero.objects.local import LocalObjects
from farero.records.endpoint import Endpoint, EndpointStatus, Fleet
from farero.records.job import JobStatus, Phase
from farero.records.monitoring import MonitoringType
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

    def define(self, kind, name="d", **changes):
        """Make a job definition of a family: `GIVEN` under its names, changed."""
        given = {
            f"{kind}{member.removeprefix('DataQuality')}" if member.startswith("DataQuality") else member: value
            for member, value in GIVEN.items()
        }  # fmt: skip
        return self.definitions.create(self.ctx(), kind, name, given | changes)

    def jobs(self):
        """Return all processing jobs, the oldest first."""
        with self.store.read() as db:
            found = job_rows.processing.search(db, job_rows.JobQuery(limit=500))
        return sorted(found, key=lambda job: (job.created_at, job.name))

    def label(self, at):
        """Collect a label at a moment."""
        path = f"labels/{at:%Y/%m/%d/%H}/{at:%M%S}.jsonl"
        self.objects.put("data", path, b"{}\n")

    def merge(self, at):
        """Leave what the merging job leaves of the captures of a moment."""
        path = f"reports/merge/price/AllTraffic/{at:%Y/%m/%d/%H}/{at:%M-%S}-000-x.jsonl"
        self.objects.put("data", path, b"{}\n")

    def finish(self, message, status=JobStatus.COMPLETED, **changes):
        """End every processing job; return their names."""
        with self.store.begin() as db:
            names = job_rows.processing.unfinished(db)
            for name in names:
                job = job_rows.processing.get(db, name)
                job_rows.processing.update(
                    db,
                    dataclasses.replace(
                        job, status=status, phase=Phase.DONE, exit_message=message, **changes
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
