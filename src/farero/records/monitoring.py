"""Monitoring: what a schedule runs, when, and what became of each run."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ScheduleStatus(StrEnum):
    """AWS's MonitoringScheduleStatus."""

    SCHEDULED = "Scheduled"
    STOPPED = "Stopped"


class ExecutionStatus(StrEnum):
    """AWS's MonitoringExecutionStatus."""

    PENDING = "Pending"
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
    #: `DataQuality`; the other families will follow.
    kind: str
    #: Members of the create request under AWS's names.
    given: dict[str, Any]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a definition is run."""

    name: str
    arn: str
    #: MonitoringScheduleConfig as it was given.
    config: dict[str, Any]
    definition: str
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
    definition: str
    endpoint: str
    #: Name of its processing job; empty while there is none.
    job: str = ""
    status: ExecutionStatus = ExecutionStatus.PENDING
    failure_reason: str | None = None
    created_at: dt.datetime
    modified_at: dt.datetime
    #: ARN of the processing job, once there is one.
    job_arn: str = ""
