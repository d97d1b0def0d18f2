"""Records of what watches logs: metric filters, subscriptions, queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformation:
    """What a matching event becomes: a value of a metric."""

    namespace: str
    name: str
    #: A number, or where it stands in the event: `$.latency`, `$bytes`.
    value: str
    #: Reported for each minute that has events and no match.
    default: float | None = None
    #: Name → where its value stands in the event.
    dimensions: dict[str, str] = field(default_factory=dict[str, str])
    unit: str = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFilter:
    """A pattern on a group's events that makes a metric of them."""

    id: int
    group: str
    name: str
    pattern: str
    transformation: Transformation
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A pattern on a group's events and where the matching ones are sent."""

    id: int
    group_id: int
    group: str
    name: str
    pattern: str
    destination: str
    role: str = ""
    distribution: str = "ByLogStream"
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """A run of a Logs Insights query."""

    id: str
    groups: tuple[str, ...]
    text: str
    #: Inclusive, in milliseconds.
    start_ms: int
    end_ms: int
    limit: int
    #: Scheduled, Running, Complete, Failed, Cancelled or Timeout.
    status: str
    created_ms: int
    #: When the run began, and when it ended.
    started_ms: int | None = None
    ended_ms: int | None = None
    matched: int = 0
    scanned: int = 0
    scanned_bytes: int = 0
    #: Rows of (field, text); only where they are asked for.
    rows: tuple[tuple[tuple[str, str], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDefinition:
    """A query that was kept under a name."""

    id: str
    name: str
    text: str
    groups: tuple[str, ...]
    changed_ms: int
