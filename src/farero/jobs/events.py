"""What the event bus is told of jobs, in the transaction of the change.

Follows "Events that Amazon SageMaker AI sends to Amazon EventBridge": one event for each status and, of a training job,
each secondary status, times in milliseconds, tags as a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.store import tags as tag_rows
from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.records.job import Job

#: Members of the create requests that the events have as they came.
_OF_TRAINING = (
    "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
    "VpcConfig", "StoppingCondition",
)  # fmt: skip
_OF_PROCESSING = (
    "ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources", "StoppingCondition", "AppSpecification",
    "NetworkConfig", "RoleArn", "ExperimentConfig",
)  # fmt: skip


def tell_change(db: Connection, before: Job | None, job: Job, now: dt.datetime) -> None:
    """Tell a job's state if it differs from the one before. before: None for a new job."""
    is_processing = ":processing-job/" in job.arn
    is_same = before is not None and before.status is job.status
    if before is not None and not is_processing:
        is_same = is_same and before.secondary is job.secondary
    if is_same or not outbox.is_heard(db):
        return
    detail = _processing(job) if is_processing else _training(job)
    detail["Tags"] = {tag.key: tag.value for tag in tag_rows.find(db, job.arn)}
    kind = "Processing" if is_processing else "Training"
    outbox.event(
        db,
        queue=f"{kind.lower()}/{job.name}",
        source="aws.sagemaker",
        detail_type=f"SageMaker {kind} Job State Change",
        detail=detail,
        resources=[job.arn],
        now=now,
    )


def _training(job: Job) -> dict[str, Any]:
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
        "FailureReason": job.failure_reason,
        **{name: job.given.get(name) for name in _OF_TRAINING},
        "CreationTime": _millis(job.created_at),
        "TrainingStartTime": _millis(job.started_at),
        "TrainingEndTime": _millis(job.ended_at),
        "LastModifiedTime": _millis(job.modified_at),
        "SecondaryStatusTransitions": [
            {
                "Status": one.status.value,
                "StartTime": _millis(one.start_time),
                "EndTime": _millis(one.end_time),
                "StatusMessage": one.message,
            }
            for one in job.transitions
        ],
    }


def _processing(job: Job) -> dict[str, Any]:
    return {
        **{name: job.given.get(name) for name in _OF_PROCESSING},
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.arn,
        "ProcessingJobStatus": job.status.value,
        "FailureReason": job.failure_reason,
        "ExitMessage": job.exit_message,
        "CreationTime": _millis(job.created_at),
        "ProcessingStartTime": _millis(job.started_at),
        "ProcessingEndTime": _millis(job.ended_at),
        "LastModifiedTime": _millis(job.modified_at),
    }


def _millis(at: dt.datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
