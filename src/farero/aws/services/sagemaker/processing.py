"""Processing jobs: create, describe, list, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import page, page_size, read_token
from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, Invalid
from farero.records.job import Input, JobSpec, Output
from farero.records.tag import Tag
from farero.store.jobs import JobQuery
from farero.store.jobs import processing as rows

if TYPE_CHECKING:
    from typing import Any

    from farero.base.context import Context
    from farero.jobs.commands import ProcessingCommands
    from farero.records.job import Job
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

#: Members of CreateProcessingJob that DescribeProcessingJob returns as they came.
_GIVEN = (
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "StoppingCondition",
    "AppSpecification",
    "Environment",
    "NetworkConfig",
    "RoleArn",
    "ExperimentConfig",
)
#: "If not specified, the default is 1 day" (ProcessingStoppingCondition API reference).
_MAX_RUNTIME_S = 86_400


class Processing:
    """The operations on processing jobs of the service `sagemaker`."""

    def __init__(self, commands: ProcessingCommands, store: Store) -> None:
        self._jobs = commands
        self._store = store

    def create_processing_job(self, ctx: Context, req: Value) -> Value:
        """Accept a job; it starts at once."""
        given = {name: req[name] for name in _GIVEN if req.get(name) not in (None, {}, [])}
        tags = [Tag(key=tag["Key"], value=tag["Value"]) for tag in req.get("Tags", ())]
        try:
            job = self._jobs.create(
                ctx, req["ProcessingJobName"], _spec(req), given=given, tags=tags
            )
        except Conflict as error:
            raise AwsError("ResourceInUse", str(error)) from error
        return {"ProcessingJobArn": job.arn}

    def describe_processing_job(self, ctx: Context, req: Value) -> Value:
        """Return the job as it is now."""
        _ = ctx
        with self._store.read() as db:
            job = rows.get(db, req["ProcessingJobName"])
        return job.given | _summary(job)

    def list_processing_jobs(self, ctx: Context, req: Value) -> Value:
        """Return one page of the jobs that pass the filters; newest last unless asked otherwise."""
        _ = ctx
        query = JobQuery(
            created_after=req.get("CreationTimeAfter"),
            created_before=req.get("CreationTimeBefore"),
            modified_after=req.get("LastModifiedTimeAfter"),
            modified_before=req.get("LastModifiedTimeBefore"),
            name_contains=req.get("NameContains"),
            status=req.get("StatusEquals"),
            sort_by=req.get("SortBy", "CreationTime"),
            descending=req.get("SortOrder") == "Descending",
            limit=page_size(req) + 1,
            offset=read_token(req.get("NextToken")),
        )
        with self._store.read() as db:
            found = rows.search(db, query)
        return page(req, "ProcessingJobSummaries", found, _summary)

    def stop_processing_job(self, ctx: Context, req: Value) -> Value:
        """Ask a running job to end."""
        self._jobs.stop(req["ProcessingJobName"], ctx.now)
        return {}


def _spec(req: Value) -> JobSpec:
    """Turn the request into what the domain runs. Raises Invalid for what it cannot run."""
    app: Value = req["AppSpecification"]
    cluster: Value = req["ProcessingResources"]["ClusterConfig"]
    return JobSpec(
        image=app["ImageUri"],
        role_arn=req["RoleArn"],
        instance_type=cluster["InstanceType"],
        instance_count=cluster["InstanceCount"],
        max_runtime_s=req.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _MAX_RUNTIME_S),
        environment=req.get("Environment", {}),
        entrypoint=tuple(app.get("ContainerEntrypoint", ())),
        arguments=tuple(app.get("ContainerArguments", ())),
        inputs=tuple(_input(item) for item in req.get("ProcessingInputs", ())),
        outputs=tuple(
            _output(item) for item in req.get("ProcessingOutputConfig", {}).get("Outputs", ())
        ),
    )


def _input(item: Value) -> Input:
    source: Value | None = item.get("S3Input")
    if source is None:
        raise Invalid(f"ProcessingInput {item['InputName']}: only S3Input can be read here.")
    if "LocalPath" not in source:
        raise Invalid(f"ProcessingInput {item['InputName']}: S3Input needs a LocalPath.")
    return Input(
        name=item["InputName"],
        s3_uri=source["S3Uri"],
        local_path=source["LocalPath"],
        data_type=source.get("S3DataType", "S3Prefix"),
        compression=source.get("S3CompressionType", "None"),
    )


def _output(item: Value) -> Output:
    target: Value | None = item.get("S3Output")
    if target is None or "LocalPath" not in target:
        raise Invalid(
            f"ProcessingOutput {item['OutputName']}: only S3Output with a LocalPath can be written here."
        )
    return Output(name=item["OutputName"], s3_uri=target["S3Uri"], local_path=target["LocalPath"])


def _summary(job: Job) -> Value:
    members: Value = {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status.value,
        "CreationTime": job.created_at,
        "LastModifiedTime": job.modified_at,
        "ProcessingStartTime": job.started_at,
        "ProcessingEndTime": job.ended_at,
        "FailureReason": job.failure_reason,
        "ExitMessage": job.exit_message,
    }
    return {name: value for name, value in members.items() if value is not None}
