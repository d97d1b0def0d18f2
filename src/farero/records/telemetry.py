"""Log groups, streams and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """A named set of streams with one retention."""

    id: int
    name: str
    created_at: dt.datetime
    #: None keeps events for ever.
    retention_days: int | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStream:
    """Events of one source, in order of time."""

    id: int
    group_id: int
    name: str
    created_at: dt.datetime
    #: Times of the oldest and newest event in milliseconds since 1970; None while it is empty.
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    last_ingested_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One line."""

    #: Orders events of equal time; grows with arrival.
    id: int
    stream: str
    #: Milliseconds since 1970.
    timestamp_ms: int
    message: str
    ingested_ms: int

    @property
    def position(self) -> Position:
        """Where it stands in reading order."""
        return Position(timestamp_ms=self.timestamp_ms, id=self.id)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """A place in the reading order of events: by time, then by arrival."""

    timestamp_ms: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogEvent:
    """A line on its way in."""

    timestamp_ms: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedFile:
    """A process's output on its way into a stream."""

    path: str
    group: str
    stream: str
    #: Bytes of the file that have become events.
    offset: int
    #: A control character below 0x20 is shown as `#` and three octal digits, as rsyslog does on AWS.
    escapes_tabs: bool
