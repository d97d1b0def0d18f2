"""Runs one query over stored events, the newest first, a portion at a time."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import heapq
from typing import TYPE_CHECKING

from farero.store import logs as rows
from farero.telemetry.insights import pipeline
from farero.telemetry.insights.evaluate import Row
from farero.telemetry.insights.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farero.records.logs import LogQuery
    from farero.records.telemetry import LogEvent, LogGroup
    from farero.store.engine import Store

CHUNK = 2_000
_DAY_MS = 86_400_000


class Scan:
    """Reads what a query asks for, and counts it. Raises NotFound or Malformed."""

    def __init__(self, store: Store, *, account: str) -> None:
        self._store = store
        self._account = account
        self._scanned = 0
        self._scanned_bytes = 0

    def run(self, query: LogQuery) -> LogQuery:
        """Return the query with its rows and figures, Complete; its end is for the caller to write."""
        self._scanned = self._scanned_bytes = 0
        commands = parse(query.text)
        streams = [self._events(query, name) for name in query.groups]
        events = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_newest_first)
        result = pipeline.run(commands, events, most=query.limit)
        return dataclasses.replace(
            query,
            status="Complete",
            matched=result.matched,
            scanned=self._scanned,
            scanned_bytes=self._scanned_bytes,
            rows=tuple(tuple(row) for row in result.rows),
        )

    def _events(self, query: LogQuery, name: str) -> Iterator[Row]:
        with self._store.read() as db:
            group = rows.get_group(db, name)
        where = rows.EventQuery(
            group_id=group.id,
            start_ms=max(query.start_ms, _cutoff_ms(group, query.created_ms)),
            end_ms=query.end_ms + 1,
            newest_first=True,
            limit=CHUNK,
        )
        log = f"{self._account}:{name}"
        while True:
            with self._store.read() as db:
                found = rows.select_events(db, where, rows.streams_by_id(db, group))
            for event in found.events:
                self._scanned += 1
                self._scanned_bytes += len(event.message.encode())
                yield Row(event, log=log, point=pointer_of)
            if found.is_end:
                return
            where = dataclasses.replace(where, before=found.events[-1].position)


def pointer_of(event: LogEvent) -> str:
    """Return what @ptr shows for an event."""
    return base64.urlsafe_b64encode(f"event/{event.id}".encode()).decode()


def read_pointer(pointer: str) -> int | None:
    """Return the number of the event that a pointer names; None for what is no pointer."""
    try:
        text = base64.b64decode(pointer.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    head, _, number = text.partition("/")
    return int(number) if head == "event" and number.isdecimal() and len(number) < 19 else None


def _newest_first(row: Row) -> tuple[int, int]:
    event = row.event
    return (0, 0) if event is None else (-event.timestamp_ms, -event.id)


def _cutoff_ms(group: LogGroup, now_ms: int) -> int:
    return 0 if group.retention_days is None else now_ms - group.retention_days * _DAY_MS
