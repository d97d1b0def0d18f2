"""Monitoring: what a schedule runs, when, and what became of each run."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MonitoringType(StrEnum):
    """AWS's MonitoringType: the family of a job definition. The names begin the members of its requests."""

    DATA_QUALITY = "DataQuality"
    MODEL_QUALITY = "ModelQuality"
    MODEL_BIAS = "ModelBias"
    MODEL_EXPLAINABILITY = "ModelExplainability"


class ScheduleStatus(StrEnum):
    """AWS's MonitoringScheduleStatus."""

    SCHEDULED = "Scheduled"
    STOPPED = "Stopped"


class ExecutionStatus(StrEnum):
    """AWS's MonitoringExecutionStatus."""

    PENDING = "Pending"
    #: Merging or analyzing.
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    WITH_VIOLATIONS = "CompletedWithViolations"
    FAILED = "Failed"
    STOPPED = "Stopped"


#: Nothing will change any more.
OVER = frozenset({
    ExecutionStatus.COMPLETED, ExecutionStatus.WITH_VIOLATIONS, ExecutionStatus.FAILED, ExecutionStatus.STOPPED,
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A job definition: what is analyzed and how."""

    name: str
    arn: str
    kind: MonitoringType
    #: Empty for batch transform.
    endpoint: str
    #: Members of the create request under AWS's names.
    given: dict[str, Any]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a definition is run."""

    name: str
    arn: str
    kind: MonitoringType = MonitoringType.DATA_QUALITY
    #: MonitoringScheduleConfig as it was given.
    config: dict[str, Any]
    #: Name of its job definition; empty where the definition stands in the config itself.
    definition: str
    #: Empty for batch transform.
    endpoint: str
    expression: str
    status: ScheduleStatus = ScheduleStatus.SCHEDULED
    created_at: dt.datetime
    modified_at: dt.datetime
    #: When the present expression began to count.
    began_at: dt.datetime
    #: Next moment of the expression; None if there is none.
    next_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a schedule over one window."""

    schedule: str
    scheduled_at: dt.datetime
    #: The window: records of start <= time < end.
    start: dt.datetime
    end: dt.datetime
    kind: MonitoringType = MonitoringType.DATA_QUALITY
    definition: str
    endpoint: str
    #: The definition as it was when the execution was made; empty once it is over.
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    #: Name of the job that merges labels with what was captured; empty without one.
    merge_job: str = ""
    #: Name of its processing job; empty while there is none.
    job: str = ""
    status: ExecutionStatus = ExecutionStatus.PENDING
    failure_reason: str | None = None
    created_at: dt.datetime
    modified_at: dt.datetime
    #: ARN of the processing job, once there is one.
    job_arn: str = ""


class AlertStatus(StrEnum):
    """AWS's MonitoringAlertStatus."""

    OK = "OK"
    IN_ALERT = "InAlert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """When a schedule's executions are worth an alert; each schedule has one."""

    schedule: str
    name: str
    #: So many executions with violations …
    datapoints: int = 1
    #: … among so many of the last ones.
    period: int = 1
    status: AlertStatus = AlertStatus.OK
    created_at: dt.datetime
    modified_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """A change of an alert's status."""

    schedule: str
    name: str
    at: dt.datetime
    status: AlertStatus
