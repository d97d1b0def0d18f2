"""Monitoring: schedules, executions, alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import page, page_size, read_token
from farero.aws.services.sagemaker.tags import read_tags
from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, NotFound
from farero.store import monitoring as rows
from farero.store import monitoring_alerts as alert_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from farero.base.context import Context
    from farero.monitoring.alerts import Alerts
    from farero.monitoring.schedules import Schedules
    from farero.records.monitoring import Alert, AlertChange, Execution, Schedule
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

#: Rows of the history without MaxResults (ListMonitoringAlertHistory).
_HISTORY_PAGE = 100
_SORT = {
    "Name": "name", "CreationTime": "created_at", "Status": "status", "ScheduledTime": "scheduled_at",
}  # fmt: skip


class Monitoring:
    """The operations on monitoring of the service `sagemaker`."""

    def __init__(self, schedules: Schedules, alerts: Alerts, store: Store) -> None:
        self._schedules = schedules
        self._alerts = alerts
        self._store = store

    def create_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Run a job definition again and again."""
        made = asked(
            lambda: self._schedules.create(
                ctx, req["MonitoringScheduleName"], req["MonitoringScheduleConfig"], read_tags(req)
            )
        )
        return {"MonitoringScheduleArn": made.arn}

    def update_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Change what runs and when."""
        made = asked(
            lambda: self._schedules.update(
                ctx, req["MonitoringScheduleName"], req["MonitoringScheduleConfig"]
            )
        )
        return {"MonitoringScheduleArn": made.arn}

    def describe_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Return a schedule, with its last execution."""
        _ = ctx
        with self._store.read() as db:
            found = asked(lambda: rows.get_schedule(db, req["MonitoringScheduleName"]))
            query = rows.Query(schedule=found.name, sort_by="scheduled_at", limit=1)
            last = rows.list_executions(db, query)
        answer = _schedule_summary(found) | {"MonitoringScheduleConfig": found.config}
        if last:
            answer["LastMonitoringExecutionSummary"] = _execution_summary(last[0])
        answer.pop("MonitoringJobDefinitionName", None)
        return answer

    def list_monitoring_schedules(self, ctx: Context, req: Value) -> Value:
        """Return one page of schedules."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_schedules(db, query_of(req))
        return page(req, "MonitoringScheduleSummaries", found, _schedule_summary)

    def start_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Run a stopped schedule again."""
        asked(lambda: self._schedules.start(ctx, req["MonitoringScheduleName"]))
        return {}

    def stop_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Let a schedule run no more."""
        asked(lambda: self._schedules.stop(ctx, req["MonitoringScheduleName"]))
        return {}

    def delete_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Remove a schedule without an execution under way."""
        _ = ctx
        asked(lambda: self._schedules.delete(req["MonitoringScheduleName"]))
        return {}

    def list_monitoring_executions(self, ctx: Context, req: Value) -> Value:
        """Return one page of executions, newest first."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_executions(db, query_of(req))
        return page(req, "MonitoringExecutionSummaries", found, _execution_summary)

    def update_monitoring_alert(self, ctx: Context, req: Value) -> Value:
        """Change when a schedule's alert is raised."""
        name = req["MonitoringAlertName"]
        found = asked(
            lambda: self._alerts.update(
                ctx, req["MonitoringScheduleName"], name,
                datapoints=req["DatapointsToAlert"], period=req["EvaluationPeriod"],
            )
        )  # fmt: skip
        return {"MonitoringScheduleArn": found.arn, "MonitoringAlertName": name}

    def list_monitoring_alerts(self, ctx: Context, req: Value) -> Value:
        """Return the alert of a schedule."""
        _ = ctx
        with self._store.read() as db:
            schedule = asked(lambda: rows.get_schedule(db, req["MonitoringScheduleName"]))
            found = alert_rows.of_schedule(db, schedule)
        first = [found] if read_token(req.get("NextToken")) == 0 else []
        return page(req, "MonitoringAlertSummaries", first, _alert_summary)

    def list_monitoring_alert_history(self, ctx: Context, req: Value) -> Value:
        """Return one page of changes of alerts' statuses, newest first."""
        _ = ctx
        asked_for: Value = {"MaxResults": _HISTORY_PAGE} | req
        with self._store.read() as db:
            if "MonitoringScheduleName" in req:
                asked(lambda: rows.get_schedule(db, req["MonitoringScheduleName"]))
            found = alert_rows.list_changes(
                db, schedule=req.get("MonitoringScheduleName"), name=req.get("MonitoringAlertName"),
                status=req.get("StatusEquals"), after=req.get("CreationTimeAfter"),
                before=req.get("CreationTimeBefore"),
                sort_by="status" if req.get("SortBy") == "Status" else "at",
                descending=req.get("SortOrder", "Descending") == "Descending",
                limit=page_size(asked_for) + 1, offset=read_token(req.get("NextToken")),
            )  # fmt: skip
        return page(asked_for, "MonitoringAlertHistory", found, _change)


def query_of(req: Value) -> rows.Query:
    """Return what a List… request asks for, with one row more than the page so that its end is seen."""
    return rows.Query(
        kind=req.get("MonitoringTypeEquals"),
        schedule=req.get("MonitoringScheduleName"),
        endpoint=req.get("EndpointName"),
        definition=req.get("MonitoringJobDefinitionName"),
        name_contains=req.get("NameContains"),
        status=req.get("StatusEquals"),
        created_after=req.get("CreationTimeAfter"),
        created_before=req.get("CreationTimeBefore"),
        modified_after=req.get("LastModifiedTimeAfter"),
        modified_before=req.get("LastModifiedTimeBefore"),
        scheduled_after=req.get("ScheduledTimeAfter"),
        scheduled_before=req.get("ScheduledTimeBefore"),
        sort_by=_SORT[req.get("SortBy", "CreationTime")],
        descending=req.get("SortOrder", "Descending") == "Descending",
        limit=page_size(req) + 1,
        offset=read_token(req.get("NextToken")),
    )


def asked(call: Callable[[], Any]) -> Any:
    """Give what is missing or taken the codes that these operations have, other than SageMaker's elder ones."""
    try:
        return call()
    except NotFound as error:
        raise AwsError("ResourceNotFound", str(error)) from error
    except Conflict as error:
        raise AwsError("ResourceInUse", str(error)) from error


def _schedule_summary(found: Schedule) -> Value:
    members: Value = {
        "MonitoringScheduleName": found.name,
        "MonitoringScheduleArn": found.arn,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "MonitoringScheduleStatus": found.status.value,
        "EndpointName": found.endpoint or None,
        "MonitoringJobDefinitionName": found.definition or None,
        "MonitoringType": found.kind.value,
    }
    return {name: value for name, value in members.items() if value is not None}


def _alert_summary(found: Alert) -> Value:
    return {
        "MonitoringAlertName": found.name,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "AlertStatus": found.status.value,
        "DatapointsToAlert": found.datapoints,
        "EvaluationPeriod": found.period,
        "Actions": {"ModelDashboardIndicator": {"Enabled": True}},
    }


def _change(found: AlertChange) -> Value:
    return {
        "MonitoringScheduleName": found.schedule,
        "MonitoringAlertName": found.name,
        "CreationTime": found.at,
        "AlertStatus": found.status.value,
    }


def _execution_summary(found: Execution) -> Value:
    members: Value = {
        "MonitoringScheduleName": found.schedule,
        "ScheduledTime": found.scheduled_at,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "MonitoringExecutionStatus": found.status.value,
        "ProcessingJobArn": found.job_arn or None,
        "EndpointName": found.endpoint or None,
        "FailureReason": found.failure_reason,
        "MonitoringJobDefinitionName": found.definition or None,
        "MonitoringType": found.kind.value,
    }
    return {name: value for name, value in members.items() if value is not None}
