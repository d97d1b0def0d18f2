"""The rows of log groups, streams and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farero.base.errors import Conflict, NotFound
from farero.records.telemetry import LogEvent, LogGroup, LogStream, Position
from farero.store import log_filters
from farero.store.tables.logs import log_events, log_groups, log_streams

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from farero.records.telemetry import NewLogEvent

NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."
#: What CloudWatch counts for an event besides its message (PutLogEvents API reference).
OVERHEAD_BYTES = 26
_END_OF_TIME_MS = 2**62
#: A portion of events ends here, whatever the number that was asked for: events may have 256 KB each.
PORTION_CHARACTERS = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events of a group, in which direction from which place; None means no bound."""

    group_id: int
    #: Only these streams; None for all.
    stream_ids: Sequence[int] | None = None
    #: Inclusive and exclusive, in milliseconds.
    start_ms: int | None = None
    end_ms: int | None = None
    after: Position | None = None
    before: Position | None = None
    newest_first: bool = False
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Portion:
    """Events that were found; `is_end` says that there are no more."""

    events: list[LogEvent]
    is_end: bool


def insert_group(db: Connection, name: str, now: dt.datetime, tags: dict[str, str]) -> None:
    """Add a group. Raises Conflict with AWS's words if there is one of that name."""
    values = {"name": name, "created_at": now, "tags": _json(tags), "stored_bytes": 0}
    try:
        db.execute(sa.insert(log_groups).values(**values))
    except IntegrityError as error:
        raise Conflict("log group", name, "The specified log group already exists") from error


def find_group(db: Connection, name: str) -> LogGroup | None:
    """Return the group, or None."""
    row = db.execute(sa.select(log_groups).where(log_groups.c.name == name)).first()
    return None if row is None else _group(row)


def get_group(db: Connection, name: str) -> LogGroup:
    """Return the group. Raises NotFound with AWS's words."""
    group = find_group(db, name)
    if group is None:
        raise NotFound("log group", name, NO_GROUP)
    return group


def list_groups(
    db: Connection, *, prefix: str = "", contains: str = "", after: str = "", limit: int = 50
) -> list[LogGroup]:
    """Return groups in order of name, those after `after`."""
    table = log_groups.c
    statement = (
        sa.select(log_groups)
        .where(
            table.name > after,
            _starts(table.name, prefix),
            sa.func.lower(table.name).contains(contains.lower(), autoescape=True),
        )
        .order_by(table.name)
        .limit(limit)
    )
    return [_group(row) for row in db.execute(statement)]


def update_group(
    db: Connection, group: LogGroup, *, retention_days: int | None, tags: dict[str, str]
) -> None:
    """Write retention and tags."""
    db.execute(
        sa.update(log_groups)
        .where(log_groups.c.id == group.id)
        .values(retention_days=retention_days, tags=_json(tags))
    )


def delete_group(db: Connection, group: LogGroup) -> None:
    """Remove the group with all that is in it and all that watches it."""
    log_filters.delete_of_group(db, group)
    newest = newest_event_id(db)
    db.execute(sa.delete(log_events).where(log_events.c.group_id == group.id))
    db.execute(sa.delete(log_streams).where(log_streams.c.group_id == group.id))
    db.execute(sa.delete(log_groups).where(log_groups.c.id == group.id))
    _keep_counting(db, newest)


def insert_stream(db: Connection, group: LogGroup, name: str, now: dt.datetime) -> None:
    """Add an empty stream. Raises Conflict with AWS's words if the group has one of that name."""
    try:
        db.execute(sa.insert(log_streams).values(group_id=group.id, name=name, created_at=now))
    except IntegrityError as error:
        raise Conflict("log stream", name, "The specified log stream already exists") from error


def find_stream(db: Connection, group: LogGroup, name: str) -> LogStream | None:
    """Return the stream, or None."""
    table = log_streams.c
    row = db.execute(
        sa.select(log_streams).where(table.group_id == group.id, table.name == name)
    ).first()
    return None if row is None else _stream(row)


def get_stream(db: Connection, group: LogGroup, name: str) -> LogStream:
    """Return the stream. Raises NotFound with AWS's words."""
    stream = find_stream(db, group, name)
    if stream is None:
        raise NotFound("log stream", name, NO_STREAM)
    return stream


def list_streams(  # noqa: PLR0913 - one keyword a filter of the listing
    db: Connection,
    group: LogGroup,
    *,
    prefix: str = "",
    by_time: bool = False,
    descending: bool = False,
    offset: int = 0,
    limit: int = 50,
) -> list[LogStream]:
    """Return streams by name, or by the time of their last event (empty streams count as oldest)."""
    table = log_streams.c
    turn = sa.desc if descending else sa.asc
    by = [sa.func.coalesce(table.last_event_ms, 0), table.name] if by_time else [table.name]
    statement = (
        sa.select(log_streams)
        .where(table.group_id == group.id, _starts(table.name, prefix))
        .order_by(*[turn(column) for column in by])
        .offset(offset)
        .limit(limit)
    )
    return [_stream(row) for row in db.execute(statement)]


def streams_by_id(db: Connection, group: LogGroup, *, prefix: str = "") -> dict[int, str]:
    """Return the names of the group's streams by row id."""
    table = log_streams.c
    statement = sa.select(table.id, table.name).where(
        table.group_id == group.id, _starts(table.name, prefix)
    )
    return {row.id: row.name for row in db.execute(statement)}


def delete_stream(db: Connection, stream: LogStream) -> None:
    """Remove the stream and its events."""
    size, newest = _size_of(db, log_events.c.stream_id == stream.id), newest_event_id(db)
    db.execute(sa.delete(log_events).where(log_events.c.stream_id == stream.id))
    db.execute(sa.delete(log_streams).where(log_streams.c.id == stream.id))
    _grow(db, stream.group_id, -size)
    _keep_counting(db, newest)


def insert_events(
    db: Connection, stream: LogStream, events: Sequence[NewLogEvent], ingested_ms: int
) -> None:
    """Add events, in order, and move the stream's first and last times."""
    if not events:
        return
    # First of all, so that the group's row is held while its events get their numbers.
    added = sum(len(event.message.encode()) + OVERHEAD_BYTES for event in events)
    _grow(db, stream.group_id, added)
    db.execute(
        sa.insert(log_events),
        [
            {
                "group_id": stream.group_id,
                "stream_id": stream.id,
                "timestamp_ms": event.timestamp_ms,
                "ingested_ms": ingested_ms,
                "message": event.message,
            }
            for event in events
        ],
    )
    times = [event.timestamp_ms for event in events]
    known = [ms for ms in (stream.first_event_ms, stream.last_event_ms) if ms is not None]
    db.execute(
        sa.update(log_streams)
        .where(log_streams.c.id == stream.id)
        .values(
            first_event_ms=min([*times, *known]),
            last_event_ms=max([*times, *known]),
            last_ingested_ms=ingested_ms,
        )
    )


def select_events(db: Connection, query: EventQuery, names: dict[int, str]) -> Portion:
    """Return events by (time, arrival), or backwards if the newest are asked for first.

    At most `query.limit`, fewer where they are large.

    names: the streams' names by row id; an event of a stream that is not in there is left out.
    """
    table = log_events.c
    turn = sa.desc if query.newest_first else sa.asc
    statement = (
        sa.select(log_events)
        .where(*_conditions(query))
        .order_by(turn(table.timestamp_ms), turn(table.id))
        .limit(query.limit)
    )
    found, is_end = bounded(db, statement, query.limit)
    events = [event_of(row, names[row.stream_id]) for row in found if row.stream_id in names]
    return Portion(events, is_end)


def delete_events_before(db: Connection, group: LogGroup, cutoff_ms: int) -> int:
    """Remove the group's older events; return how many."""
    old = sa.and_(log_events.c.group_id == group.id, log_events.c.timestamp_ms < cutoff_ms)
    size, newest = _size_of(db, old), newest_event_id(db)
    gone = db.execute(sa.delete(log_events).where(old))
    _grow(db, group.id, -size)
    _keep_counting(db, newest)
    return gone.rowcount


def delete_oldest_events(db: Connection, group: LogGroup, count: int) -> int:
    """Remove the group's `count` oldest events and those of the same moment; return how many went."""
    table = log_events.c
    last = db.execute(
        sa.select(table.timestamp_ms)
        .where(table.group_id == group.id)
        .order_by(table.timestamp_ms, table.id)
        .offset(count)
        .limit(1)
    ).scalar()
    return delete_events_before(db, group, _END_OF_TIME_MS if last is None else last + 1)


def largest_group(db: Connection) -> tuple[LogGroup | None, int]:
    """Return the group with the most bytes, and the bytes of all."""
    total = int(db.execute(sa.select(sa.func.sum(log_groups.c.stored_bytes))).scalar() or 0)
    row = db.execute(sa.select(log_groups).order_by(log_groups.c.stored_bytes.desc()).limit(1))
    first = row.first()
    return None if first is None else _group(first), total


def newest_event_id(db: Connection) -> int:
    """Return the number of the event that arrived last; 0 if there is none."""
    return int(db.execute(sa.select(sa.func.max(log_events.c.id))).scalar() or 0)


def groups_with_retention(db: Connection) -> list[LogGroup]:
    """Return the groups that do not keep everything."""
    statement = sa.select(log_groups).where(log_groups.c.retention_days.is_not(None))
    return [_group(row) for row in db.execute(statement)]


def bounded(db: Connection, statement: sa.Select[Any], limit: int) -> tuple[list[Row[Any]], bool]:
    """Fetch rows one by one until they are many or large; say whether these were all."""
    found: list[Row[Any]] = []
    size = 0
    with db.execute(statement.execution_options(stream_results=True)) as result:
        for row in result:
            found.append(row)
            size += len(row.message)
            if size > PORTION_CHARACTERS:
                return found, False
    return found, len(found) < limit


def _conditions(query: EventQuery) -> list[sa.ColumnElement[bool]]:
    table = log_events.c
    found: list[sa.ColumnElement[bool]] = []
    if query.stream_ids is None:
        found.append(table.group_id == query.group_id)
    elif len(query.stream_ids) == 1:
        found.append(table.stream_id == query.stream_ids[0])
    else:
        found += [table.group_id == query.group_id, table.stream_id.in_(query.stream_ids)]
    # A page's place bounds the time too: by the pair alone SQLite would walk every page before it again.
    starts = [query.start_ms, query.after and query.after.timestamp_ms]
    ends = [query.end_ms, query.before and query.before.timestamp_ms + 1]
    if any(ms is not None for ms in starts):
        found.append(table.timestamp_ms >= max(ms for ms in starts if ms is not None))
    if any(ms is not None for ms in ends):
        found.append(table.timestamp_ms < min(ms for ms in ends if ms is not None))
    place = sa.tuple_(table.timestamp_ms, table.id)
    if query.after is not None:
        found.append(place > sa.tuple_(query.after.timestamp_ms, query.after.id))
    if query.before is not None:
        found.append(place < sa.tuple_(query.before.timestamp_ms, query.before.id))
    return found


def _starts(column: sa.ColumnElement[str], prefix: str) -> sa.ColumnElement[bool]:
    """Compare the first characters; LIKE would not tell `a` from `A` on SQLite."""
    return sa.func.substr(column, 1, len(prefix)) == prefix


def _size_of(db: Connection, which: sa.ColumnElement[bool]) -> int:
    message = sa.func.length(sa.cast(log_events.c.message, sa.LargeBinary))
    if db.dialect.name == "postgresql":
        message = sa.func.octet_length(log_events.c.message)
    statement = sa.select(sa.func.sum(message + OVERHEAD_BYTES)).where(which)
    return int(db.execute(statement).scalar() or 0)


def _grow(db: Connection, group_id: int, added_bytes: int) -> None:
    db.execute(
        sa.update(log_groups)
        .where(log_groups.c.id == group_id)
        .values(stored_bytes=log_groups.c.stored_bytes + added_bytes)
    )


def _keep_counting(db: Connection, newest: int) -> None:
    """Keep SQLite from giving the number of a deleted event to the next one: who follows arrivals would miss it."""
    if db.dialect.name != "sqlite" or newest_event_id(db) >= newest:
        return
    db.execute(sa.delete(log_events).where(log_events.c.group_id == 0))
    nowhere = {"group_id": 0, "stream_id": 0, "timestamp_ms": 0, "ingested_ms": 0, "message": ""}
    db.execute(sa.insert(log_events).values(id=newest, **nowhere))


def event_of(row: Row[Any], stream: str) -> LogEvent:
    """Return a row of events as a record."""
    return LogEvent(
        id=row.id,
        stream=stream,
        timestamp_ms=row.timestamp_ms,
        message=row.message,
        ingested_ms=row.ingested_ms,
    )


def _group(row: Row[Any]) -> LogGroup:
    return LogGroup(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        retention_days=row.retention_days,
        tags=msgspec.json.decode(row.tags, type=dict[str, str]),
        stored_bytes=row.stored_bytes,
    )


def _stream(row: Row[Any]) -> LogStream:
    return LogStream(
        id=row.id,
        group_id=row.group_id,
        name=row.name,
        created_at=row.created_at,
        first_event_ms=row.first_event_ms,
        last_event_ms=row.last_event_ms,
        last_ingested_ms=row.last_ingested_ms,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
