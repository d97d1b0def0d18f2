"""What the event bus is told of jobs, in the transaction of the change.

Follows "Events that Amazon SageMaker AI sends to Amazon EventBridge": one event for each status and secondary status,
times in milliseconds, tags as a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.store import tags as tag_rows
from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.records.job import Job

#: Members of the create request that the event has as they came.
_GIVEN = (
    "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
    "VpcConfig", "StoppingCondition",
)  # fmt: skip


def tell_change(db: Connection, before: Job | None, job: Job, now: dt.datetime) -> None:
    """Tell a job's state if it differs from the one before. before: None for a new job."""
    is_same = before is not None and (before.status, before.secondary) == (
        job.status,
        job.secondary,
    )
    if is_same or not outbox.is_heard(db):
        return
    detail: dict[str, Any] = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "TrainingJobStatus": job.status.value,
        "SecondaryStatus": job.secondary.value,
        "FailureReason": job.failure_reason,
        **{name: job.given.get(name) for name in _GIVEN},
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
        "Tags": {tag.key: tag.value for tag in tag_rows.find(db, job.arn)},
    }
    outbox.event(
        db,
        queue=f"job/{job.name}",
        source="aws.sagemaker",
        detail_type="SageMaker Training Job State Change",
        detail=detail,
        resources=[job.arn],
        now=now,
    )


def _millis(at: dt.datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
