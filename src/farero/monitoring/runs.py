"""Handles `monitoring.turn`: makes an execution of every moment that has come, and takes the oldest one to its end.

Windows that were missed while nothing ran are made up for, oldest first, each once: an execution's key is its schedule
and moment, and its processing job is named after both, so a turn that is repeated finds what it did before.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

from farero.base.arns import parse_s3_uri
from farero.base.context import Context, Principal
from farero.base.errors import Conflict, DomainError, NotFound
from farero.monitoring import windows
from farero.monitoring.schedules import KIND
from farero.records.job import FINISHED, Input, JobSpec, JobStatus, Output
from farero.records.monitoring import Execution, ExecutionStatus, ScheduleStatus
from farero.store import endpoints as endpoint_rows
from farero.store import jobs as job_rows
from farero.store import monitoring as rows
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.jobs.commands import ProcessingCommands
    from farero.objects.base import ObjectStore
    from farero.records.job import Job
    from farero.records.monitoring import Definition, Schedule
    from farero.records.work import WorkItem
    from farero.store.engine import Store

#: Captures are in S3 within a second or two of their reply; the window is closed a little later.
SETTLE = dt.timedelta(seconds=5)
LOOK_AGAIN = dt.timedelta(seconds=1)
#: Windows of one schedule that are made up for after a long absence; older ones are left out.
MOST_MISSED = 200
BASELINE = "/opt/ml/processing/baseline"
INPUT = "/opt/ml/processing/input"
#: Rows of the baseline beside its statistics, for correlations.
SAMPLE = "baseline.sample"


class Runs:
    """Runs schedules."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        objects: ObjectStore,
        jobs: ProcessingCommands,
        settings: Settings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._objects = objects
        self._jobs = jobs
        self._settings = settings

    def turn(self, item: WorkItem) -> None:
        """Go on with the schedule `item.key`."""
        name, now = item.key, self._clock.now()
        with self._store.begin() as db:
            schedule = rows.find_schedule(db, name, lock=True)
            if schedule is not None and schedule.status is ScheduleStatus.SCHEDULED:
                schedule = self._make_due(db, schedule, now)
            execution = rows.oldest_open(db, name)
            if schedule is not None and schedule.next_at is not None:
                items.put(db, KIND, name, due=schedule.next_at + SETTLE)
        if execution is None:
            return
        if execution.status is ExecutionStatus.PENDING:
            execution = self._begin(execution)
        if execution.status is ExecutionStatus.IN_PROGRESS:
            execution = self._look(execution)
        with self._store.begin() as db:
            if rows.oldest_open(db, name) is not None:
                items.put(db, KIND, name, due=self._clock.now() + LOOK_AGAIN)

    def resume(self) -> None:
        """Give every schedule a turn; for the start of the worker."""
        with self._store.begin() as db:
            for name in rows.active(db):
                items.put(db, KIND, name, due=self._clock.now())

    def _make_due(self, db: Any, schedule: Schedule, now: dt.datetime) -> Schedule:
        """Make the executions of all moments that have come, and note the next one."""
        moments: list[dt.datetime] = []
        upcoming = schedule.next_at
        while upcoming is not None and upcoming + self._settled(schedule) <= now:
            moments.append(upcoming)
            upcoming = windows.following(schedule.expression, upcoming, schedule.began_at)
        config: dict[str, Any] = schedule.config.get("ScheduleConfig") or {}
        for at in moments[-MOST_MISSED:]:
            start, end = windows.window(
                schedule.expression, at, schedule.began_at,
                config.get("DataAnalysisStartTime"), config.get("DataAnalysisEndTime"),
            )  # fmt: skip
            made = Execution(
                schedule=schedule.name, scheduled_at=at, start=start, end=end,
                definition=schedule.definition, endpoint=schedule.endpoint,
                created_at=now, modified_at=now,
            )  # fmt: skip
            rows.put_execution(db, made)
        if moments:
            schedule = dataclasses.replace(schedule, next_at=upcoming)
            rows.update_schedule(db, schedule)
        return schedule

    def _settled(self, schedule: Schedule) -> dt.timedelta:
        return dt.timedelta(0) if schedule.expression == windows.NOW else SETTLE

    def _begin(self, execution: Execution) -> Execution:
        """Start the processing job of an execution, or say why there is none."""
        try:
            with self._store.read() as db:
                definition = rows.get_definition(db, execution.definition)
            inputs = self._inputs(execution, definition)
            if not any(entry.name.startswith("endpoint") for entry in inputs):
                return self._end(
                    execution, ExecutionStatus.FAILED, self._no_data(execution, definition)
                )
            job = self._start(execution, definition, inputs)
        except DomainError as error:
            return self._end(execution, ExecutionStatus.FAILED, str(error))
        return self._save(
            execution, status=ExecutionStatus.IN_PROGRESS, job=job.name, job_arn=job.arn
        )

    def _look(self, execution: Execution) -> Execution:
        """Take over what became of the processing job."""
        with self._store.read() as db:
            job = job_rows.processing.find(db, execution.job)
        if job is None:
            return self._end(execution, ExecutionStatus.FAILED, "The processing job is gone.")
        if job.status not in FINISHED:
            return execution
        if job.status is JobStatus.STOPPED:
            return self._end(execution, ExecutionStatus.STOPPED, None)
        if job.status is JobStatus.FAILED:
            return self._end(execution, ExecutionStatus.FAILED, job.failure_reason)
        word = (job.exit_message or "").partition(":")[0]
        with_violations = word == ExecutionStatus.WITH_VIOLATIONS.value
        status = ExecutionStatus.WITH_VIOLATIONS if with_violations else ExecutionStatus.COMPLETED
        return self._end(execution, status, job.exit_message if with_violations else None)

    def _end(self, execution: Execution, status: ExecutionStatus, reason: str | None) -> Execution:
        return self._save(execution, status=status, failure_reason=reason)

    def _save(self, execution: Execution, **changes: Any) -> Execution:
        made = dataclasses.replace(execution, modified_at=self._clock.now(), **changes)
        with self._store.begin() as db:
            rows.put_execution(db, made)
        return made

    def _inputs(self, execution: Execution, definition: Definition) -> tuple[Input, ...]:
        given = definition.given
        found = [
            Input(name=f"endpoint-{index}", s3_uri=uri, local_path=f"{_local(given)}/{path}")
            for index, (uri, path) in enumerate(self._hours(execution))
        ]
        base: dict[str, Any] = given.get("DataQualityBaselineConfig", {})
        for key, name, file in (
            ("ConstraintsResource", "constraints", "constraints.json"),
            ("StatisticsResource", "stats", "statistics.json"),
        ):
            if uri := self._baseline(base, key, file):
                found.append(Input(name=name, s3_uri=uri, local_path=f"{BASELINE}/{name}"))
                sample = f"{uri.rpartition('/')[0]}/{SAMPLE}"
                if name == "constraints" and self._is_there(sample):
                    found.append(
                        Input(name="sample", s3_uri=sample, local_path=f"{BASELINE}/sample")
                    )
        app: dict[str, Any] = given["DataQualityAppSpecification"]
        for key, name in (
            ("RecordPreprocessorSourceUri", "record_preprocessor_script"),
            ("PostAnalyticsProcessorSourceUri", "post_analytics_processor_script"),
        ):
            if key in app:
                found.append(Input(name=name, s3_uri=app[key], local_path=f"{INPUT}/{name}_input"))
        return tuple(found)

    def _baseline(self, base: dict[str, Any], key: str, file: str) -> str | None:
        if key in base and base[key].get("S3Uri"):
            return str(base[key]["S3Uri"])
        if "BaseliningJobName" not in base:
            return None
        with self._store.read() as db:
            job = job_rows.processing.get(db, base["BaseliningJobName"])
        return f"{job.spec.outputs[0].s3_uri.rstrip('/')}/{file}"

    def _hours(self, execution: Execution) -> Iterator[tuple[str, str]]:
        """Yield URI and place of each folder of an hour in the window that holds captures."""
        destination = self._destination(execution.endpoint)
        bucket, prefix = parse_s3_uri(destination)
        root = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        root += f"{execution.endpoint}/"
        first = execution.start.replace(minute=0, second=0, microsecond=0)
        wanted: set[str] = set()
        while first < execution.end:
            wanted.add(f"{first:%Y/%m/%d/%H}")
            first += dt.timedelta(hours=1)
        seen: set[str] = set()
        for item in self._objects.list(bucket, root):
            place = item.key.removeprefix(root).rpartition("/")[0]
            if place not in seen and place.partition("/")[2] in wanted:
                seen.add(place)
                yield f"s3://{bucket}/{root}{place}/", f"{execution.endpoint}/{place}"

    def _destination(self, endpoint: str) -> str:
        with self._store.read() as db:
            found = endpoint_rows.find(db, endpoint)
        if found is None:
            raise NotFound("endpoint", endpoint, f'Could not find endpoint "{endpoint}".')
        fleet = found.current or found.pending
        capture = fleet.capture if fleet else None
        if not capture:
            raise NotFound(
                "capture", endpoint,
                f"Endpoint {endpoint} captures nothing. Update it with a config that has DataCaptureConfig.",
            )  # fmt: skip
        return str(capture["DestinationS3Uri"])

    def _no_data(self, execution: Execution, definition: Definition) -> str:
        uri = f"{self._destination(execution.endpoint).rstrip('/')}/{execution.endpoint}"
        role = definition.given["RoleArn"]
        bucket, _ = parse_s3_uri(uri)
        return (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected AWS region ({self._settings.region}), that objects exist under that S3 prefix, "
            f'and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}". The window was '
            f"{execution.start:%Y-%m-%dT%H:%M:%SZ} to {execution.end:%Y-%m-%dT%H:%M:%SZ}."
        )

    def _start(
        self, execution: Execution, definition: Definition, inputs: tuple[Input, ...]
    ) -> Job:
        name = job_name(execution)
        given = definition.given
        app, output = given["DataQualityAppSpecification"], _output(given)
        at = execution.scheduled_at
        place = f"{execution.endpoint}/{execution.schedule}/{at:%Y/%m/%d/%H}"
        if at.minute or at.second:
            place += f"/{at:%M}"  # several runs an hour are an extension; each keeps its own report
        target = f"{output['S3Uri'].rstrip('/')}/{place}"
        names = {entry.name for entry in inputs}
        spec = JobSpec(
            image=app["ImageUri"], role_arn=given["RoleArn"],
            instance_type=given["JobResources"]["ClusterConfig"]["InstanceType"],
            max_runtime_s=given.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 3600),
            entrypoint=tuple(app.get("ContainerEntrypoint", ())),
            arguments=tuple(app.get("ContainerArguments", ())),
            environment=_environment(execution, given, output, names), inputs=inputs,
            outputs=(Output(name="monitoring_output", s3_uri=target, local_path=output["LocalPath"]),),
        )  # fmt: skip
        shown = _shown(spec, given)
        now = self._clock.now()
        ctx = Context(
            principal=Principal(access_key_id="", arn=given["RoleArn"], user_id="monitoring"),
            region=self._settings.region, account=self._settings.account, request_id="", now=now,
        )  # fmt: skip
        try:
            return self._jobs.create(ctx, name, spec, given=shown)
        except Conflict:
            with self._store.read() as db:
                return job_rows.processing.get(db, name)

    def _is_there(self, uri: str) -> bool:
        bucket, key = parse_s3_uri(uri)
        try:
            self._objects.head(bucket, key)
        except NotFound:
            return False
        return True


def job_name(execution: Execution) -> str:
    """Return the name of an execution's processing job: the same however often it is asked for."""
    text = f"{execution.schedule} {execution.scheduled_at.isoformat()}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return f"model-monitoring-{execution.scheduled_at:%Y%m%d%H%M}-{digest}"


def _local(given: dict[str, Any]) -> str:
    return str(given["DataQualityJobInput"]["EndpointInput"]["LocalPath"]).rstrip("/")


def _output(given: dict[str, Any]) -> dict[str, str]:
    return given["DataQualityJobOutputConfig"]["MonitoringOutputs"][0]["S3Output"]


def _environment(
    execution: Execution, given: dict[str, Any], output: dict[str, str], inputs: set[str]
) -> dict[str, str]:
    app: dict[str, Any] = given["DataQualityAppSpecification"]
    made = {
        "publish_cloudwatch_metrics": "Disabled",
        **app.get("Environment", {}),
        "dataset_format": '{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}',
        "dataset_source": _local(given),
        "output_path": output["LocalPath"],
        "start_time": f"{execution.start:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{execution.end:%Y-%m-%dT%H:%M:%SZ}",
        "metric_time": f"{execution.start:%Y-%m-%dT%H:%M:%SZ}",
        "monitoring_input_type": "ENDPOINT_INPUT",
        "analysis_type": "DATA_QUALITY",
        "sagemaker_endpoint_name": execution.endpoint,
        "sagemaker_monitoring_schedule_name": execution.schedule,
    }
    if "constraints" in inputs:
        made["baseline_constraints"] = f"{BASELINE}/constraints"
    if "stats" in inputs:
        made["baseline_statistics"] = f"{BASELINE}/stats"
    if "sample" in inputs:
        made["baseline_sample"] = f"{BASELINE}/sample"
    for name in ("record_preprocessor_script", "post_analytics_processor_script"):
        if name in inputs:
            made[name] = f"{INPUT}/{name}_input"
    return made


def _shown(spec: JobSpec, given: dict[str, Any]) -> dict[str, Any]:
    """Return what DescribeProcessingJob shows of a monitoring job, as CreateProcessingJob would have said it."""
    return {
        "ProcessingInputs": [
            {
                "InputName": entry.name,
                "S3Input": {
                    "S3Uri": entry.s3_uri, "LocalPath": entry.local_path, "S3DataType": "S3Prefix",
                    "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated",
                    "S3CompressionType": "None",
                },
            }
            for entry in spec.inputs
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": output.name,
                    "S3Output": {
                        "S3Uri": output.s3_uri, "LocalPath": output.local_path, "S3UploadMode": "EndOfJob",
                    },
                }
                for output in spec.outputs
            ]
        },
        "ProcessingResources": given["JobResources"],
        "AppSpecification": {"ImageUri": spec.image},
        "Environment": spec.environment,
        "RoleArn": spec.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_s},
    }  # fmt: skip
