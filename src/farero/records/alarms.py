"""Records of alarms: what is watched, what state it is in, what has happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
AlarmKind = Literal["MetricAlarm", "CompositeAlarm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm with its configuration and its state."""

    name: str
    arn: str
    kind: AlarmKind
    #: As PutMetricAlarm or PutCompositeAlarm was given it, defaults filled in.
    config: Mapping[str, Any]
    actions_enabled: bool
    configured_at: dt.datetime
    state: State = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    #: JSON, or "".
    reason_data: str = ""
    #: When state or reason were last written, and when the state last became another.
    updated_at: dt.datetime
    transitioned_at: dt.datetime
    #: Raised by every write: who writes says which one he has read.
    version: int = 1
    #: Of a composite: who suppresses its actions ("" nobody), and why.
    suppressed_by: str = ""
    suppressed_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """One thing that happened to an alarm."""

    alarm: str
    alarm_kind: AlarmKind
    at: dt.datetime
    #: ConfigurationUpdate, StateUpdate or Action.
    kind: str
    summary: str
    #: JSON.
    data: str
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One period of what an alarm watches."""

    at: dt.datetime
    value: float
    #: How many samples are behind the value; None where nobody knows (metric math).
    samples: float | None = None
    #: The band at this moment, for anomaly alarms.
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an evaluation found."""

    state: State
    reason: str
    reason_data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyDetector:
    """A model of a metric that somebody asked for."""

    id: str
    #: As PutAnomalyDetector was given it.
    config: Mapping[str, Any]
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page of widgets, as JSON."""

    name: str
    body: str
    modified_at: dt.datetime
