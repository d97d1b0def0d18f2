"""What the event bus is told of monitoring, in the transaction of the change.

AWS tells nothing of executions but their processing jobs' events; these are an extension, in the form of its others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from farero.records.monitoring import Alert, Execution, Schedule


def tell_execution(db: Connection, schedule: Schedule, execution: Execution) -> None:
    """Tell an execution's status."""
    detail = {
        "MonitoringExecutionStatus": execution.status.value,
        "MonitoringType": execution.kind.value,
        "EndpointName": execution.endpoint or None,
        "ScheduledTime": _millis(execution.scheduled_at),
        "StartTime": _millis(execution.start),
        "EndTime": _millis(execution.end),
        "ProcessingJobArn": execution.job_arn or None,
        "FailureReason": execution.failure_reason,
    }
    _tell(db, schedule, "Execution", detail, execution.modified_at)


def tell_alert(db: Connection, schedule: Schedule, alert: Alert) -> None:
    """Tell an alert's status."""
    detail = {
        "MonitoringAlertName": alert.name,
        "AlertStatus": alert.status.value,
        "DatapointsToAlert": alert.datapoints,
        "EvaluationPeriod": alert.period,
        "EndpointName": schedule.endpoint or None,
    }
    _tell(db, schedule, "Alert", detail, alert.modified_at)


def _tell(
    db: Connection, schedule: Schedule, what: str, detail: Mapping[str, object], at: dt.datetime
) -> None:
    if not outbox.is_heard(db):
        return
    named = {"MonitoringScheduleName": schedule.name, "MonitoringScheduleArn": schedule.arn}
    outbox.event(
        db,
        queue=f"monitoring/{schedule.name}",
        source="aws.sagemaker",
        detail_type=f"SageMaker Monitoring {what} State Change",
        detail={**named, **detail},
        resources=[schedule.arn],
        now=at,
    )


def _millis(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)
