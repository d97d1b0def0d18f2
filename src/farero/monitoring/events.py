"""What the event bus is told of monitoring, in the transaction of the change.

AWS tells nothing of executions but their processing jobs' events; these are an extension, in the form of its others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.work import outbox

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.records.monitoring import Alert, Execution, Schedule


def tell_execution(db: Connection, schedule: Schedule, execution: Execution) -> None:
    """Tell an execution's status."""
    if not outbox.is_heard(db):
        return
    outbox.event(
        db,
        queue=f"monitoring/{schedule.name}",
        source="aws.sagemaker",
        detail_type="SageMaker Monitoring Execution State Change",
        detail={
            "MonitoringScheduleName": schedule.name,
            "MonitoringScheduleArn": schedule.arn,
            "MonitoringExecutionStatus": execution.status.value,
            "MonitoringType": execution.kind.value,
            "EndpointName": execution.endpoint or None,
            "ScheduledTime": _millis(execution.scheduled_at),
            "StartTime": _millis(execution.start),
            "EndTime": _millis(execution.end),
            "ProcessingJobArn": execution.job_arn or None,
            "FailureReason": execution.failure_reason,
        },
        resources=[schedule.arn],
        now=execution.modified_at,
    )


def tell_alert(db: Connection, schedule: Schedule, alert: Alert) -> None:
    """Tell an alert's status."""
    if not outbox.is_heard(db):
        return
    outbox.event(
        db,
        queue=f"monitoring/{schedule.name}",
        source="aws.sagemaker",
        detail_type="SageMaker Monitoring Alert State Change",
        detail={
            "MonitoringScheduleName": schedule.name,
            "MonitoringScheduleArn": schedule.arn,
            "MonitoringAlertName": alert.name,
            "AlertStatus": alert.status.value,
            "DatapointsToAlert": alert.datapoints,
            "EvaluationPeriod": alert.period,
            "EndpointName": schedule.endpoint or None,
        },
        resources=[schedule.arn],
        now=alert.modified_at,
    )


def _millis(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)
