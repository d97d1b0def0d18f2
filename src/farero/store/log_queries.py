"""Rows of Logs Insights: queries with their results, and queries kept under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.base.errors import NotFound
from farero.records.logs import LogQuery, QueryDefinition
from farero.store.tables.log_filters import log_queries, log_query_definitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    Rows = tuple[tuple[tuple[str, str], ...], ...]

_LISTED = [column for column in log_queries.c if column.name != "results"]


def insert(db: Connection, query: LogQuery) -> None:
    """Add a query."""
    db.execute(
        sa.insert(log_queries).values(
            id=query.id,
            groups=_json(query.groups),
            text=query.text,
            start_ms=query.start_ms,
            end_ms=query.end_ms,
            row_limit=query.limit,
            status=query.status,
            created_ms=query.created_ms,
            results="[]",
        )
    )


def get(db: Connection, query_id: str) -> LogQuery:
    """Return the query with its rows. Raises NotFound."""
    row = db.execute(sa.select(log_queries).where(log_queries.c.id == query_id)).first()
    if row is None:
        raise NotFound("query", query_id, "The specified query does not exist.")
    return _query(row, rows=msgspec.json.decode(row.results, type=tuple[Any, ...]))


def list_queries(
    db: Connection, *, statuses: Sequence[str] = (), offset: int = 0, limit: int = 1000
) -> list[LogQuery]:
    """Return queries without their rows, the newest first."""
    statement = sa.select(*_LISTED)
    if statuses:
        statement = statement.where(log_queries.c.status.in_(statuses))
    statement = statement.order_by(log_queries.c.created_ms.desc(), log_queries.c.id)
    return [_query(row) for row in db.execute(statement.offset(offset).limit(limit))]


def begin(db: Connection, query_id: str, now_ms: int) -> bool:
    """Take a scheduled query up; False if somebody else has, or it was stopped."""
    table = log_queries
    waits = sa.and_(table.c.id == query_id, table.c.status == "Scheduled")
    values = {"status": "Running", "started_ms": now_ms}
    return db.execute(sa.update(table).where(waits).values(**values)).rowcount == 1


def end(db: Connection, query: LogQuery) -> bool:
    """Write status, figures and rows of a query that ran; False if it was stopped meanwhile."""
    runs = sa.and_(log_queries.c.id == query.id, log_queries.c.status.in_(("Scheduled", "Running")))
    changed = db.execute(
        sa.update(log_queries)
        .where(runs)
        .values(
            status=query.status,
            ended_ms=query.ended_ms,
            matched=query.matched,
            scanned=query.scanned,
            scanned_bytes=query.scanned_bytes,
            results=_json(query.rows),
        )
    )
    return changed.rowcount == 1


def cancel(db: Connection, query_id: str, now_ms: int) -> None:
    """Mark a query as stopped."""
    table = log_queries
    db.execute(
        sa.update(table).where(table.c.id == query_id).values(status="Cancelled", ended_ms=now_ms)
    )


def release(db: Connection) -> None:
    """Let queries that were running when their process ended be taken up again."""
    runs = log_queries.c.status == "Running"
    db.execute(sa.update(log_queries).where(runs).values(status="Scheduled", started_ms=None))


def delete_before(db: Connection, created_ms: int) -> int:
    """Forget old queries; return how many."""
    return db.execute(sa.delete(log_queries).where(log_queries.c.created_ms < created_ms)).rowcount


def put_definition(db: Connection, definition: QueryDefinition) -> None:
    """Add a definition, or replace the one of that id."""
    table = log_query_definitions
    values = {
        "name": definition.name,
        "text": definition.text,
        "groups": _json(definition.groups),
        "changed_ms": definition.changed_ms,
    }
    known = table.c.id == definition.id
    if db.execute(sa.update(table).where(known).values(**values)).rowcount == 0:
        db.execute(sa.insert(table).values(id=definition.id, **values))


def find_definition(db: Connection, definition_id: str) -> QueryDefinition | None:
    """Return the definition, or None."""
    table = log_query_definitions
    row = db.execute(sa.select(table).where(table.c.id == definition_id)).first()
    return None if row is None else _definition(row)


def list_definitions(
    db: Connection, *, prefix: str = "", after: str = "", limit: int = 1000
) -> list[QueryDefinition]:
    """Return definitions by name, those after `after`."""
    table = log_query_definitions
    name = table.c.name
    statement = (
        sa.select(table)
        .where(name > after, sa.func.substr(name, 1, len(prefix)) == prefix)
        .order_by(name)
        .limit(limit)
    )
    return [_definition(row) for row in db.execute(statement)]


def delete_definition(db: Connection, definition_id: str) -> bool:
    """Remove the definition; False if there is none."""
    table = log_query_definitions
    return db.execute(sa.delete(table).where(table.c.id == definition_id)).rowcount == 1


def _query(row: Row[Any], rows: Rows = ()) -> LogQuery:
    return LogQuery(
        id=row.id,
        groups=tuple(msgspec.json.decode(row.groups, type=list[str])),
        text=row.text,
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        limit=row.row_limit,
        status=row.status,
        created_ms=row.created_ms,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        matched=row.matched,
        scanned=row.scanned,
        scanned_bytes=row.scanned_bytes,
        rows=rows,
    )


def _definition(row: Row[Any]) -> QueryDefinition:
    return QueryDefinition(
        id=row.id,
        name=row.name,
        text=row.text,
        groups=tuple(msgspec.json.decode(row.groups, type=list[str])),
        changed_ms=row.changed_ms,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
