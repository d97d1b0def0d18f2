"""The rows of monitoring: job definitions, schedules, executions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farero.base.errors import Conflict, NotFound
from farero.records.monitoring import (
    OVER,
    Definition,
    Execution,
    ExecutionStatus,
    MonitoringType,
    Schedule,
    ScheduleStatus,
)
from farero.store.tables.monitoring import definitions, executions, schedules

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Filters, order and page of a listing; every filter that is None lets all pass."""

    kind: str | None = None
    schedule: str | None = None
    endpoint: str | None = None
    definition: str | None = None
    name_contains: str | None = None
    status: str | None = None
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    modified_after: dt.datetime | None = None
    modified_before: dt.datetime | None = None
    scheduled_after: dt.datetime | None = None
    scheduled_before: dt.datetime | None = None
    #: A column's name.
    sort_by: str = "created_at"
    descending: bool = True
    limit: int = 11
    offset: int = 0


_JUDGED = (ExecutionStatus.COMPLETED.value, ExecutionStatus.WITH_VIOLATIONS.value)


def insert_definition(db: Connection, definition: Definition) -> None:
    """Add a job definition. Raises Conflict if there is one of that name."""
    given = msgspec.json.encode(definition.given).decode()
    try:
        db.execute(
            sa.insert(definitions).values(
                name=definition.name,
                arn=definition.arn,
                kind=definition.kind.value,
                endpoint=definition.endpoint,
                given=given,
                created_at=definition.created_at,
            )
        )
    except IntegrityError as error:
        raise Conflict(
            "job definition", definition.name, f"Job definition {definition.arn} already exists."
        ) from error


def get_definition(db: Connection, kind: MonitoringType, name: str) -> Definition:
    """Return a job definition of a family. Raises NotFound."""
    row = db.execute(sa.select(definitions).where(_is(kind, name))).first()
    if row is None:
        raise NotFound("job definition", name, f"Could not find job definition {name}.")
    return _definition(row)


def delete_definition(db: Connection, kind: MonitoringType, name: str) -> None:
    """Remove a job definition. Raises NotFound."""
    get_definition(db, kind, name)
    db.execute(sa.delete(definitions).where(_is(kind, name)))


def list_definitions(db: Connection, query: Query) -> list[Definition]:
    """Return one page of job definitions."""
    return [_definition(row) for row in _page(db, definitions, query)]


def insert_schedule(db: Connection, schedule: Schedule) -> None:
    """Add a schedule. Raises Conflict if there is one of that name."""
    try:
        db.execute(
            sa.insert(schedules).values(
                name=schedule.name, arn=schedule.arn, **_schedule_columns(schedule)
            )
        )
    except IntegrityError as error:
        raise Conflict(
            "monitoring schedule",
            schedule.name,
            f"Monitoring schedule {schedule.arn} already exists.",
        ) from error


def update_schedule(db: Connection, schedule: Schedule) -> None:
    """Write a schedule over its row."""
    db.execute(
        sa.update(schedules)
        .where(schedules.c.name == schedule.name)
        .values(**_schedule_columns(schedule))
    )


def find_schedule(db: Connection, name: str, *, lock: bool = False) -> Schedule | None:
    """Return a schedule, or None. lock: keep others from changing it until the transaction ends."""
    statement = sa.select(schedules).where(schedules.c.name == name)
    row = db.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else _schedule(row)


def get_schedule(db: Connection, name: str, *, lock: bool = False) -> Schedule:
    """Return a schedule. Raises NotFound."""
    found = find_schedule(db, name, lock=lock)
    if found is None:
        raise NotFound("monitoring schedule", name, f"Could not find monitoring schedule {name}.")
    return found


def delete_schedule(db: Connection, name: str) -> None:
    """Remove a schedule; its executions stay, as on AWS."""
    db.execute(sa.delete(schedules).where(schedules.c.name == name))


def list_schedules(db: Connection, query: Query) -> list[Schedule]:
    """Return one page of schedules."""
    return [_schedule(row) for row in _page(db, schedules, query)]


def active(db: Connection) -> list[str]:
    """Return the names of schedules that are not stopped, and of those with an execution under way."""
    running = sa.select(executions.c.schedule).where(executions.c.status.not_in([*OVER]))
    wanted = sa.select(schedules.c.name).where(schedules.c.status == ScheduleStatus.SCHEDULED.value)
    return [row[0] for row in db.execute(sa.union(running, wanted))]


def put_execution(db: Connection, execution: Execution) -> None:
    """Add an execution, or write it over its row."""
    key = (executions.c.schedule == execution.schedule) & (
        executions.c.scheduled_at == execution.scheduled_at
    )
    columns = {
        name: getattr(execution, name)
        for name in executions.c.keys()  # noqa: SIM118 - a collection of columns, not a dict
    } | {
        "status": execution.status.value,
        "kind": execution.kind.value,
        "given": msgspec.json.encode(execution.given).decode(),
    }
    if db.execute(sa.update(executions).where(key).values(**columns)).rowcount == 0:
        db.execute(sa.insert(executions).values(**columns))


def oldest_open(db: Connection, schedule: str) -> Execution | None:
    """Return the oldest execution of a schedule that is not over yet."""
    statement = (
        sa.select(executions)
        .where(executions.c.schedule == schedule, executions.c.status.not_in([*OVER]))
        .order_by(executions.c.scheduled_at)
        .limit(1)
    )
    row = db.execute(statement).first()
    return None if row is None else _execution(row)


def last_judged(
    db: Connection, schedule: str, *, since: dt.datetime, limit: int
) -> list[ExecutionStatus]:
    """Return how a schedule's last executions that judged anything ended, the newest first."""
    table = executions.c
    statement = (
        sa.select(table.status)
        .where(table.schedule == schedule, table.status.in_(_JUDGED), table.created_at >= since)
        .order_by(table.scheduled_at.desc())
        .limit(limit)
    )
    return [ExecutionStatus(row[0]) for row in db.execute(statement)]


def judged_before(db: Connection, schedule: str, at: dt.datetime, *, limit: int) -> list[Execution]:
    """Return a schedule's executions before a moment that judged anything, the newest first."""
    table = executions.c
    statement = (
        sa.select(executions)
        .where(table.schedule == schedule, table.status.in_(_JUDGED), table.scheduled_at < at)
        .order_by(table.scheduled_at.desc())
        .limit(limit)
    )
    return [_execution(row) for row in db.execute(statement)]


def list_executions(db: Connection, query: Query) -> list[Execution]:
    """Return one page of executions."""
    return [_execution(row) for row in _page(db, executions, query)]


def _is(kind: MonitoringType, name: str) -> sa.ColumnElement[bool]:
    return (definitions.c.kind == kind.value) & (definitions.c.name == name)


def _page(db: Connection, table: sa.Table, query: Query) -> list[Row[Any]]:
    column = table.c
    found: list[sa.ColumnElement[bool]] = [
        column[name] == getattr(query, name)
        for name in ("kind", "schedule", "endpoint", "definition", "status")
        if getattr(query, name) is not None
    ]
    if query.name_contains is not None:
        found.append(
            sa.func.lower(column.name).contains(query.name_contains.lower(), autoescape=True)
        )
    for name, after, before in (
        ("created_at", query.created_after, query.created_before),
        ("modified_at", query.modified_after, query.modified_before),
        ("scheduled_at", query.scheduled_after, query.scheduled_before),
    ):
        if after is not None:
            found.append(column[name] > after)
        if before is not None:
            found.append(column[name] < before)
    # Rows of one moment keep their order from page to page.
    order = (column[query.sort_by], *table.primary_key.columns)
    statement = (
        sa.select(table)
        .where(*found)
        .order_by(*(sa.desc(one) if query.descending else sa.asc(one) for one in order))
        .limit(query.limit)
        .offset(query.offset)
    )
    return list(db.execute(statement))


def _schedule_columns(schedule: Schedule) -> dict[str, Any]:
    return {
        "kind": schedule.kind.value,
        "config": msgspec.json.encode(schedule.config).decode(),
        "definition": schedule.definition,
        "endpoint": schedule.endpoint,
        "expression": schedule.expression,
        "status": schedule.status.value,
        "created_at": schedule.created_at,
        "modified_at": schedule.modified_at,
        "began_at": schedule.began_at,
        "next_at": schedule.next_at,
    }


def _definition(row: Row[Any]) -> Definition:
    return Definition(
        name=row.name,
        arn=row.arn,
        kind=MonitoringType(row.kind),
        endpoint=row.endpoint,
        given=msgspec.json.decode(row.given),
        created_at=row.created_at,
    )


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        name=row.name,
        arn=row.arn,
        kind=MonitoringType(row.kind),
        config=msgspec.json.decode(row.config),
        definition=row.definition,
        endpoint=row.endpoint,
        expression=row.expression,
        status=ScheduleStatus(row.status),
        created_at=row.created_at,
        modified_at=row.modified_at,
        began_at=row.began_at,
        next_at=row.next_at,
    )


def _execution(row: Row[Any]) -> Execution:
    return Execution(
        schedule=row.schedule,
        scheduled_at=row.scheduled_at,
        start=row.start,
        end=row.end,
        kind=MonitoringType(row.kind),
        definition=row.definition,
        endpoint=row.endpoint,
        given=msgspec.json.decode(row.given),
        merge_job=row.merge_job,
        job=row.job,
        job_arn=row.job_arn,
        status=ExecutionStatus(row.status),
        failure_reason=row.failure_reason,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
