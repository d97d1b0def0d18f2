"""Training jobs: create, describe, list, stop, delete."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, Invalid
from farero.jobs.outputs import artifacts_uri
from farero.records.job import Channel, JobSpec, MetricDefinition
from farero.records.tag import Tag
from farero.store.jobs import JobQuery
from farero.store.jobs import training as rows

if TYPE_CHECKING:
    import datetime as dt
    from typing import Any

    from farero.base.context import Context
    from farero.jobs.commands import JobCommands
    from farero.records.job import Job
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_SWITCHES = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)
#: Members of CreateTrainingJob that DescribeTrainingJob returns as they came.
_GIVEN = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "CheckpointConfig",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
    *_SWITCHES,
)
#: "The default value is 1 day" (StoppingCondition API reference).
_MAX_RUNTIME_S = 86_400
_PAGE = 10


class Training:
    """The operations on training jobs of the service `sagemaker`."""

    def __init__(self, commands: JobCommands, store: Store) -> None:
        self._jobs = commands
        self._store = store

    def create_training_job(self, ctx: Context, req: Value) -> Value:
        """Accept a job; it starts at once."""
        # An empty structure is left out: the SageMaker SDK 3.x checks every answer against the model.
        given = {name: req[name] for name in _GIVEN if req.get(name) not in (None, {}, [])}
        given["StoppingCondition"] = {"MaxRuntimeInSeconds": _MAX_RUNTIME_S} | req.get(
            "StoppingCondition", {}
        )
        tags = [Tag(key=tag["Key"], value=tag["Value"]) for tag in req.get("Tags", ())]
        try:
            job = self._jobs.create(ctx, req["TrainingJobName"], _spec(req), given=given, tags=tags)
        except Conflict as error:
            raise AwsError("ResourceInUse", str(error)) from error
        return {"TrainingJobArn": job.arn}

    def describe_training_job(self, ctx: Context, req: Value) -> Value:
        """Return the job as it is now."""
        _ = ctx
        with self._store.read() as db:
            job = rows.get(db, req["TrainingJobName"])
        return describe(job)

    def list_training_jobs(self, ctx: Context, req: Value) -> Value:
        """Return one page of the jobs that pass the filters; oldest first unless asked otherwise."""
        _ = ctx
        limit: int = req.get("MaxResults", _PAGE)
        offset = _read_token(req["NextToken"]) if "NextToken" in req else 0
        query = JobQuery(
            created_after=req.get("CreationTimeAfter"),
            created_before=req.get("CreationTimeBefore"),
            modified_after=req.get("LastModifiedTimeAfter"),
            modified_before=req.get("LastModifiedTimeBefore"),
            name_contains=req.get("NameContains"),
            status=req.get("StatusEquals"),
            sort_by=req.get("SortBy", "CreationTime"),
            # "The default is Ascending" (ListTrainingJobs API reference), other than for endpoints.
            descending=req.get("SortOrder") == "Descending",
            limit=limit + 1,
            offset=offset,
        )
        with self._store.read() as db:
            found = rows.search(db, query)
        answer: Value = {"TrainingJobSummaries": [_summary(job) for job in found[:limit]]}
        if len(found) > limit:
            answer["NextToken"] = _token(offset + limit)
        return answer

    def stop_training_job(self, ctx: Context, req: Value) -> Value:
        """Ask a running job to save its model and end."""
        self._jobs.stop(req["TrainingJobName"], ctx.now)
        return {}

    def delete_training_job(self, ctx: Context, req: Value) -> Value:
        """Forget a job that has ended."""
        _ = ctx
        try:
            self._jobs.delete(req["TrainingJobName"])
        except Conflict as error:
            raise AwsError("ResourceInUse", str(error)) from error
        return {}


def _spec(req: Value) -> JobSpec:
    """Turn the request into what the domain runs. Raises Invalid for what it cannot run."""
    algorithm: Value = req["AlgorithmSpecification"]
    if "TrainingImage" not in algorithm:
        raise Invalid(
            "AlgorithmSpecification needs TrainingImage; algorithms from the marketplace (AlgorithmName) "
            "cannot run here."
        )
    if "ResourceConfig" not in req:
        raise Invalid("ResourceConfig is required; serverless training jobs cannot run here.")
    instance_type, count = _instances(req["ResourceConfig"])
    output: Value = req["OutputDataConfig"]
    checkpoint: Value = req.get("CheckpointConfig", {})
    mode = algorithm["TrainingInputMode"]
    return JobSpec(
        image=algorithm["TrainingImage"],
        output_uri=output["S3OutputPath"],
        output_compression=output.get("CompressionType", "GZIP"),
        role_arn=req["RoleArn"],
        instance_type=instance_type,
        instance_count=count,
        max_runtime_s=req.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _MAX_RUNTIME_S),
        hyperparameters=req.get("HyperParameters", {}),
        channels=tuple(_channel(item, mode) for item in req.get("InputDataConfig", ())),
        environment=req.get("Environment", {}),
        entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        metrics=tuple(
            MetricDefinition(name=item["Name"], regex=item["Regex"])
            for item in algorithm.get("MetricDefinitions", ())
        ),
        checkpoint_uri=checkpoint.get("S3Uri"),
        checkpoint_path=checkpoint.get("LocalPath", "/opt/ml/checkpoints"),
    )


def _instances(resources: Value) -> tuple[str, int]:
    """Return type and number of instances; groups count as one."""
    groups: list[Value] = resources.get("InstanceGroups", [])
    if groups:
        return groups[0]["InstanceType"], sum(group["InstanceCount"] for group in groups)
    return resources.get("InstanceType", "ml.m5.large"), resources.get("InstanceCount", 1)


def _channel(item: Value, mode: str) -> Channel:
    name: str = item["ChannelName"]
    source: Value | None = item["DataSource"].get("S3DataSource")
    if source is None:
        raise Invalid(f"Channel '{name}': only S3DataSource can be read here.")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise Invalid(
            f"Channel '{name}': S3DataType {source['S3DataType']} cannot be read here; use S3Prefix or ManifestFile."
        )
    input_mode = item.get("InputMode", mode)
    if input_mode == "Pipe":
        raise Invalid(
            f"Channel '{name}': input mode Pipe cannot be served here; use File or FastFile."
        )
    return Channel(
        name=name,
        s3_uri=source["S3Uri"],
        data_type=source["S3DataType"],
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        content_type=item.get("ContentType"),
        compression=item.get("CompressionType", "None"),
        record_wrapper=item.get("RecordWrapperType", "None"),
        input_mode=input_mode,
    )


def describe(job: Job) -> Value:
    """Return a job in AWS's form; what does not apply is left out."""
    answer: Value = dict.fromkeys(_SWITCHES, False) | job.given
    answer |= {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "ModelArtifacts": {"S3ModelArtifacts": artifacts_uri(job.spec, job.name)},
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
        "SecondaryStatusTransitions": [
            _without_none(
                {
                    "Status": item.status.value,
                    "StartTime": item.start_time,
                    "EndTime": item.end_time,
                    "StatusMessage": item.message,
                }
            )
            for item in job.transitions
        ],
    }
    if job.given.get("ProfilerConfig"):
        is_off = bool(job.given["ProfilerConfig"].get("DisableProfiler"))
        answer["ProfilingStatus"] = "Disabled" if is_off else "Enabled"
    if job.metrics:
        answer["FinalMetricDataList"] = [
            {"MetricName": item.name, "Value": item.value, "Timestamp": item.timestamp}
            for item in job.metrics
        ]
    return answer | _times(job) | _without_none({"FailureReason": job.failure_reason})


def _times(job: Job) -> Value:
    """Return when training began and ended; billed is the time between, as without spot instances."""
    if job.started_at is None:
        return _without_none({"TrainingEndTime": job.ended_at})
    answer: Value = {"TrainingStartTime": job.started_at}
    if job.ended_at is not None:
        seconds = _whole_seconds(job.started_at, job.ended_at)
        answer |= {
            "TrainingEndTime": job.ended_at,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
        }
    return answer


def _whole_seconds(start: dt.datetime, end: dt.datetime) -> int:
    """Return at least 1: the model's minimum for both members."""
    return max(1, round((end - start).total_seconds()))


def _summary(job: Job) -> Value:
    return _without_none(
        {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "CreationTime": job.created_at,
            "TrainingEndTime": job.ended_at,
            "LastModifiedTime": job.modified_at,
            "TrainingJobStatus": job.status.value,
            "SecondaryStatus": job.secondary.value,
        }
    )


def _without_none(members: Value) -> Value:
    return {name: value for name, value in members.items() if value is not None}


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"training-jobs {offset}".encode()).decode()


def _read_token(token: str) -> int:
    try:
        kind, _, offset = (
            base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")
        )
        if kind == "training-jobs" and offset.isdecimal():
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise Invalid("The NextToken is invalid.")
