"""Log groups, streams and events, with CloudWatch Logs' rules (its API reference, operation by operation)."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farero.base.errors import Invalid, LimitExceeded
from farero.records.telemetry import Position
from farero.store import logs as rows
from farero.telemetry import batches, filter_patterns

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from farero.base.clock import Clock
    from farero.records.telemetry import LogEvent, LogGroup, LogStream, NewLogEvent
    from farero.store.engine import Store
    from farero.telemetry.filter_apply import MetricFilters

log = logging.getLogger(__name__)

#: A page of GetLogEvents or FilterLogEvents ends here, or at 10,000 events.
PAGE_BYTES = 1_048_576
PAGE_EVENTS = 10_000
#: FilterLogEvents looks at this many events a call; a page may then be short, or empty, and have a token all the same.
SCAN_EVENTS = 50_000
SCAN_BYTES = 32_000_000
CHUNK = 2_000
#: All events together; beyond it the largest group loses its oldest, so that no model can fill the disk with words.
STORE_BYTES = 10_000_000_000
SHRINK_EVENTS = 20_000
RETENTION_DAYS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)  # fmt: skip
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which events to read: times in milliseconds, the end exclusive."""

    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = PAGE_EVENTS
    #: Continue after this event, or before that one.
    after: Position | None = None
    before: Position | None = None
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """Events of one stream in order of time, and where to go on in either direction."""

    events: list[LogEvent]
    forward: Position
    backward: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What FilterLogEvents looks for in a group."""

    pattern: str = ""
    #: Only these streams; empty for all.
    streams: Sequence[str] = ()
    stream_prefix: str = ""
    window: Window = field(default_factory=Window)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Matching events of a group, and where to go on; None at the end."""

    events: list[LogEvent]
    next: Position | None


class Logs:
    """Reads and writes logs."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        filters: MetricFilters | None = None,
        *,
        most_bytes: int = STORE_BYTES,
    ) -> None:
        self._store = store
        self._clock = clock
        self._filters = filters
        self._most_bytes = most_bytes

    def create_group(self, name: str, tags: dict[str, str]) -> None:
        """Add an empty group. Raises Conflict if there is one of that name."""
        with self._store.begin() as db:
            rows.insert_group(db, name, self._clock.now(), tags)

    def delete_group(self, name: str) -> None:
        """Remove the group with its streams and events. Raises NotFound."""
        with self._store.begin() as db:
            rows.delete_group(db, rows.get_group(db, name))

    def create_stream(self, group_name: str, name: str) -> None:
        """Add an empty stream. Raises NotFound for the group, Conflict if the stream exists."""
        with self._store.begin() as db:
            rows.insert_stream(db, rows.get_group(db, group_name), name, self._clock.now())

    def delete_stream(self, group_name: str, name: str) -> None:
        """Remove the stream and its events. Raises NotFound."""
        with self._store.begin() as db:
            rows.delete_stream(db, rows.get_stream(db, rows.get_group(db, group_name), name))

    def groups(
        self, *, prefix: str = "", contains: str = "", after: str = "", limit: int = 50
    ) -> list[LogGroup]:
        """Return groups in order of name, those after `after`."""
        with self._store.read() as db:
            return rows.list_groups(db, prefix=prefix, contains=contains, after=after, limit=limit)

    def group(self, name: str) -> LogGroup:
        """Return the group. Raises NotFound."""
        with self._store.read() as db:
            return rows.get_group(db, name)

    def streams(  # noqa: PLR0913 - one keyword a filter of the listing
        self,
        group_name: str,
        *,
        prefix: str = "",
        by_time: bool = False,
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
    ) -> list[LogStream]:
        """Return streams by name, or by their last event. Raises NotFound for the group."""
        with self._store.read() as db:
            return rows.list_streams(
                db,
                rows.get_group(db, group_name),
                prefix=prefix,
                by_time=by_time,
                descending=descending,
                offset=offset,
                limit=limit,
            )

    def set_retention(self, group_name: str, days: int | None) -> None:
        """Keep events for `days`, or for ever. Raises NotFound, or Invalid for a number AWS does not offer."""
        if days is not None and days not in RETENTION_DAYS:
            raise Invalid(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: {sorted(RETENTION_DAYS)}"
            )
        with self._store.begin() as db:
            group = rows.get_group(db, group_name)
            rows.update_group(db, group, retention_days=days, tags=group.tags)

    def change_tags(
        self, group_name: str, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        """Replace the group's tags by what `change` makes of them. Raises NotFound."""
        with self._store.begin() as db:
            group = rows.get_group(db, group_name)
            tags = change(dict(group.tags))
            if len(tags) > 50:
                raise LimitExceeded("A log group can have at most 50 tags.")
            rows.update_group(db, group, retention_days=group.retention_days, tags=tags)

    def put_events(
        self, group_name: str, name: str, events: Sequence[NewLogEvent]
    ) -> batches.Rejected:
        """Store a batch; what is too old or too new is left out and reported.

        Raises NotFound, or Invalid if the batch is too large, unordered or spans more than a day.
        """
        batches.check(events)
        now_ms = _ms(self._clock.now())
        with self._store.begin() as db:
            group = rows.get_group(db, group_name)
            stream = rows.get_stream(db, group, name)
            rejected = batches.reject(events, now_ms, _cutoff_ms(group, now_ms))
            first = max(rejected.too_old_to or 0, rejected.expired_to or 0)
            good = events[first : rejected.too_new_from]
            rows.insert_events(db, stream, [_storable(event) for event in good], now_ms)
            if self._filters is not None:
                self._filters.apply(db, group, good)
        return rejected

    def read_page(self, group_name: str, name: str, window: Window) -> StreamPage:
        """Return one page of a stream; the newest events first means the last page, still in order of time."""
        with self._store.read() as db:
            group = rows.get_group(db, group_name)
            stream = rows.get_stream(db, group, name)
            backwards = window.before is not None or (window.after is None and window.newest_first)
            query = self._query(group, window, stream_ids=[stream.id], backwards=backwards)
            found = _fitting(rows.select_events(db, query, {stream.id: name}).events, window.limit)
        if backwards:
            found.reverse()
        return _with_places(found, window)

    def read_stream(self, group_name: str, name: str) -> Iterator[LogEvent]:
        """Yield every event of a stream from the oldest on; nothing if it does not exist."""
        with self._store.read() as db:
            group = rows.find_group(db, group_name)
            stream = None if group is None else rows.find_stream(db, group, name)
        if group is None or stream is None:
            return
        query = rows.EventQuery(group_id=group.id, stream_ids=[stream.id], limit=CHUNK)
        while True:
            with self._store.read() as db:
                found = rows.select_events(db, query, {stream.id: name})
            yield from found.events
            if found.is_end:
                return
            query = dataclasses.replace(query, after=found.events[-1].position)

    def search(self, group_name: str, search: Search) -> SearchPage:
        """Return events of many streams, interleaved, that match the pattern.

        Raises NotFound for the group or a named stream, Invalid for a pattern that cannot be read.
        """
        matches = filter_patterns.compile_pattern(search.pattern)
        with self._store.read() as db:
            group = rows.get_group(db, group_name)
            names = rows.streams_by_id(db, group, prefix=search.stream_prefix)
            ids = None if not search.stream_prefix else list(names)
            if search.streams:
                chosen = [rows.get_stream(db, group, name) for name in search.streams]
                names = {stream.id: stream.name for stream in chosen}
                ids = list(names)
            if not names:
                return SearchPage(events=[], next=None)
            query = self._query(
                group, search.window, stream_ids=ids, backwards=search.window.newest_first
            )
            return _scan(
                lambda query: rows.select_events(db, query, names), query, matches, search.window
            )

    def apply_retention(self) -> int:
        """Delete what is older than its group's retention, and the oldest of what is too much for the disk.

        Return how many events went.
        """
        now_ms = _ms(self._clock.now())
        with self._store.read() as db:
            groups = rows.groups_with_retention(db)
        gone = 0
        for group in groups:
            with self._store.begin() as db:
                gone += rows.delete_events_before(db, group, _cutoff_ms(group, now_ms) or 0)
        return gone + self._shrink()

    def _shrink(self) -> int:
        """Take the oldest events from the largest group until all fit."""
        gone = 0
        while True:
            with self._store.begin() as db:
                group, total = rows.largest_group(db)
                if group is None or total <= self._most_bytes:
                    return gone
                deleted = rows.delete_oldest_events(db, group, SHRINK_EVENTS)
            log.warning("oldest log events deleted", extra={"group": group.name, "events": deleted})
            if not deleted:
                return gone
            gone += deleted

    def _query(
        self, group: LogGroup, window: Window, *, stream_ids: list[int] | None, backwards: bool
    ) -> rows.EventQuery:
        cutoff = _cutoff_ms(group, _ms(self._clock.now()))
        starts = [ms for ms in (window.start_ms, cutoff) if ms is not None]
        return rows.EventQuery(
            group_id=group.id,
            stream_ids=stream_ids,
            start_ms=max(starts) if starts else None,
            end_ms=window.end_ms,
            after=window.after,
            before=window.before,
            newest_first=backwards,
            limit=window.limit,
        )


def _scan(
    select: Callable[[rows.EventQuery], rows.Portion],
    query: rows.EventQuery,
    matches: Callable[[str], bool],
    window: Window,
) -> SearchPage:
    """Read chunk by chunk until the page is full or the events are at their end."""
    found: list[LogEvent] = []
    size = scanned = scanned_bytes = 0
    query = dataclasses.replace(query, limit=CHUNK)
    while True:
        portion = select(query)
        chunk = portion.events
        for index, event in enumerate(chunk):
            if not matches(event.message):
                continue
            found.append(event)
            size += batches.size_of(event.message)
            if len(found) >= window.limit or size >= PAGE_BYTES:
                is_end = index == len(chunk) - 1 and portion.is_end
                return SearchPage(events=found, next=None if is_end else event.position)
        if portion.is_end:
            return SearchPage(events=found, next=None)
        scanned += len(chunk)
        scanned_bytes += sum(len(event.message) for event in chunk)
        last = chunk[-1].position
        if scanned >= SCAN_EVENTS or scanned_bytes >= SCAN_BYTES:
            return SearchPage(events=found, next=last)
        side = "before" if query.newest_first else "after"
        query = dataclasses.replace(query, **{side: last})


def _with_places(events: list[LogEvent], window: Window) -> StreamPage:
    """Say where to go on. At an end the place stays as it was, so that its token comes back unchanged."""
    if events:
        return StreamPage(events=events, forward=events[-1].position, backward=events[0].position)
    if window.after is not None:
        behind = dataclasses.replace(window.after, id=window.after.id + 1)
        return StreamPage(events=[], forward=window.after, backward=behind)
    if window.before is not None:
        ahead = dataclasses.replace(window.before, id=window.before.id - 1)
        return StreamPage(events=[], forward=ahead, backward=window.before)
    nowhere = Position(timestamp_ms=window.start_ms or 0, id=0)
    return StreamPage(events=[], forward=nowhere, backward=nowhere)


def _fitting(events: list[LogEvent], limit: int) -> list[LogEvent]:
    """Return the first events that fit into one page, at least one."""
    size = 0
    for count, event in enumerate(events):
        size += batches.size_of(event.message)
        if size > PAGE_BYTES and count:
            return events[:count]
    return events[:limit]


def _cutoff_ms(group: LogGroup, now_ms: int) -> int | None:
    return None if group.retention_days is None else now_ms - group.retention_days * _DAY_MS


def _storable(event: NewLogEvent) -> NewLogEvent:
    """Take out NUL, which PostgreSQL's text cannot hold."""
    if "\0" not in event.message:
        return event
    return dataclasses.replace(event, message=event.message.replace("\0", ""))


def _ms(time: dt.datetime) -> int:
    return int(time.timestamp() * 1000)
