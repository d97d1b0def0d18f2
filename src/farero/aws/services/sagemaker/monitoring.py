"""Monitoring: data quality job definitions, schedules, executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import page, page_size, read_token
from farero.aws.wire.messages import AwsError
from farero.base.errors import Conflict, NotFound
from farero.records.tag import Tag
from farero.store import monitoring as rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from farero.base.context import Context
    from farero.monitoring.schedules import Schedules
    from farero.records.monitoring import Definition, Execution, Schedule
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_DEFINITION = (
    "DataQualityBaselineConfig", "DataQualityAppSpecification", "DataQualityJobInput",
    "DataQualityJobOutputConfig", "JobResources", "NetworkConfig", "RoleArn", "StoppingCondition",
)  # fmt: skip
_SORT = {
    "Name": "name", "CreationTime": "created_at", "Status": "status", "ScheduledTime": "scheduled_at",
}  # fmt: skip


class Monitoring:
    """The operations on monitoring of the service `sagemaker`."""

    def __init__(self, schedules: Schedules, store: Store) -> None:
        self._schedules = schedules
        self._store = store

    def create_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Keep what is to be analyzed and how."""
        given = {name: req[name] for name in _DEFINITION if req.get(name) not in (None, {}, [])}
        made = _asked(
            lambda: self._schedules.define(ctx, req["JobDefinitionName"], given, _tags(req))
        )
        return {"JobDefinitionArn": made.arn}

    def describe_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Return a job definition."""
        _ = ctx
        with self._store.read() as db:
            found = _asked(lambda: rows.get_definition(db, req["JobDefinitionName"]))
        return found.given | {
            "JobDefinitionName": found.name,
            "JobDefinitionArn": found.arn,
            "CreationTime": found.created_at,
        }

    def list_data_quality_job_definitions(self, ctx: Context, req: Value) -> Value:
        """Return one page of job definitions."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_definitions(db, _query(req))
        return page(req, "JobDefinitionSummaries", found, _definition_summary)

    def delete_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Forget a job definition that no schedule uses."""
        _ = ctx
        _asked(lambda: self._schedules.forget(req["JobDefinitionName"]))
        return {}

    def create_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Run a job definition again and again."""
        made = _asked(
            lambda: self._schedules.create(
                ctx, req["MonitoringScheduleName"], req["MonitoringScheduleConfig"], _tags(req)
            )
        )
        return {"MonitoringScheduleArn": made.arn}

    def update_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Change what runs and when."""
        made = _asked(
            lambda: self._schedules.update(
                ctx, req["MonitoringScheduleName"], req["MonitoringScheduleConfig"]
            )
        )
        return {"MonitoringScheduleArn": made.arn}

    def describe_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Return a schedule, with its last execution."""
        _ = ctx
        with self._store.read() as db:
            found = _asked(lambda: rows.get_schedule(db, req["MonitoringScheduleName"]))
            query = rows.Query(schedule=found.name, sort_by="scheduled_at", limit=1)
            last = rows.list_executions(db, query)
        answer = _schedule_summary(found) | {"MonitoringScheduleConfig": found.config}
        if last:
            answer["LastMonitoringExecutionSummary"] = _execution_summary(last[0])
        del answer["MonitoringJobDefinitionName"]
        return answer

    def list_monitoring_schedules(self, ctx: Context, req: Value) -> Value:
        """Return one page of schedules."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_schedules(db, _query(req))
        return page(req, "MonitoringScheduleSummaries", found, _schedule_summary)

    def start_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Run a stopped schedule again."""
        _asked(lambda: self._schedules.start(ctx, req["MonitoringScheduleName"]))
        return {}

    def stop_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Let a schedule run no more."""
        _asked(lambda: self._schedules.stop(ctx, req["MonitoringScheduleName"]))
        return {}

    def delete_monitoring_schedule(self, ctx: Context, req: Value) -> Value:
        """Remove a schedule without an execution under way."""
        _ = ctx
        _asked(lambda: self._schedules.delete(req["MonitoringScheduleName"]))
        return {}

    def list_monitoring_executions(self, ctx: Context, req: Value) -> Value:
        """Return one page of executions, newest first."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_executions(db, _query(req, sort_by="CreationTime"))
        return page(req, "MonitoringExecutionSummaries", found, _execution_summary)


def _query(req: Value, *, sort_by: str = "CreationTime") -> rows.Query:
    return rows.Query(
        schedule=req.get("MonitoringScheduleName"),
        endpoint=req.get("EndpointName"),
        definition=req.get("MonitoringJobDefinitionName"),
        name_contains=req.get("NameContains"),
        status=req.get("StatusEquals"),
        created_after=req.get("CreationTimeAfter"),
        created_before=req.get("CreationTimeBefore"),
        scheduled_after=req.get("ScheduledTimeAfter"),
        scheduled_before=req.get("ScheduledTimeBefore"),
        sort_by=_SORT[req.get("SortBy", sort_by)],
        descending=req.get("SortOrder", "Descending") == "Descending",
        limit=page_size(req) + 1,
        offset=read_token(req.get("NextToken")),
    )


def _asked(call: Callable[[], Any]) -> Any:
    """Give what is missing or taken the codes that these operations have, other than SageMaker's elder ones."""
    try:
        return call()
    except NotFound as error:
        raise AwsError("ResourceNotFound", str(error)) from error
    except Conflict as error:
        raise AwsError("ResourceInUse", str(error)) from error


def _tags(req: Value) -> list[Tag]:
    return [Tag(key=tag["Key"], value=tag["Value"]) for tag in req.get("Tags", ())]


def _definition_summary(found: Definition) -> Value:
    return {
        "MonitoringJobDefinitionName": found.name,
        "MonitoringJobDefinitionArn": found.arn,
        "CreationTime": found.created_at,
        "EndpointName": found.given["DataQualityJobInput"]["EndpointInput"]["EndpointName"],
    }


def _schedule_summary(found: Schedule) -> Value:
    return {
        "MonitoringScheduleName": found.name,
        "MonitoringScheduleArn": found.arn,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "MonitoringScheduleStatus": found.status.value,
        "EndpointName": found.endpoint,
        "MonitoringJobDefinitionName": found.definition,
        "MonitoringType": "DataQuality",
    }


def _execution_summary(found: Execution) -> Value:
    members: Value = {
        "MonitoringScheduleName": found.schedule,
        "ScheduledTime": found.scheduled_at,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
        "MonitoringExecutionStatus": found.status.value,
        "ProcessingJobArn": found.job_arn or None,
        "EndpointName": found.endpoint,
        "FailureReason": found.failure_reason,
        "MonitoringJobDefinitionName": found.definition,
        "MonitoringType": "DataQuality",
    }
    return {name: value for name, value in members.items() if value is not None}
