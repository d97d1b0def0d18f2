"""The rows of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farero.base.errors import Conflict, NotFound
from farero.records.job import (
    FINISHED,
    FinalMetric,
    Job,
    JobStatus,
    Phase,
    Secondary,
    TrainingSpec,
    Transition,
)
from farero.store.tables.jobs import jobs

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection, Row

#: What AWS says of a job that does not exist.
UNKNOWN = "Requested resource not found."

_ORDER = {"Name": jobs.c.name, "CreationTime": jobs.c.created_at, "Status": jobs.c.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Filters, order and page of a listing; every filter that is None lets all pass."""

    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    modified_after: dt.datetime | None = None
    modified_before: dt.datetime | None = None
    name_contains: str | None = None
    status: str | None = None
    #: `Name`, `CreationTime` or `Status`.
    sort_by: str = "CreationTime"
    descending: bool = False
    limit: int = 10
    #: Rows to skip: those of the pages before.
    offset: int = 0


def insert(db: Connection, job: Job) -> None:
    """Add a new job. Raises Conflict with AWS's words if there is one of that name."""
    try:
        db.execute(sa.insert(jobs).values(name=job.name, arn=job.arn, **_columns(job)))
    except IntegrityError as error:
        raise Conflict(
            "training job",
            job.name,
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists ({job.arn})",
        ) from error


def update(db: Connection, job: Job) -> None:
    """Write the job over its row."""
    db.execute(sa.update(jobs).where(jobs.c.name == job.name).values(**_columns(job)))


def delete(db: Connection, name: str) -> None:
    """Remove the row."""
    db.execute(sa.delete(jobs).where(jobs.c.name == name))


def find(db: Connection, name: str) -> Job | None:
    """Return the job, or None."""
    row = db.execute(sa.select(jobs).where(jobs.c.name == name)).first()
    return None if row is None else _record(row)


def get_locked(db: Connection, name: str) -> Job:
    """Return the job and keep others from changing it until the transaction ends. Raises NotFound."""
    row = db.execute(sa.select(jobs).where(jobs.c.name == name).with_for_update()).first()
    if row is None:
        raise NotFound("training job", name, UNKNOWN)
    return _record(row)


def get(db: Connection, name: str) -> Job:
    """Return the job. Raises NotFound with AWS's words."""
    job = find(db, name)
    if job is None:
        raise NotFound("training job", name, UNKNOWN)
    return job


def search(db: Connection, query: JobQuery) -> list[Job]:
    """Return one page of the jobs that pass every filter."""
    order = _ORDER[query.sort_by]
    turn = sa.desc if query.descending else sa.asc
    statement = (
        sa.select(jobs)
        .where(*_conditions(query))
        .order_by(turn(order), turn(jobs.c.name))
        .limit(query.limit)
        .offset(query.offset)
    )
    return [_record(row) for row in db.execute(statement)]


def unfinished(db: Connection) -> list[str]:
    """Return the names of jobs that still have a way to go."""
    done = [status.value for status in FINISHED]
    rows = db.execute(sa.select(jobs.c.name).where(jobs.c.status.not_in(done)))
    return [row.name for row in rows]


def _conditions(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    table = jobs.c
    found: list[sa.ColumnElement[bool]] = []
    if query.created_after is not None:
        found.append(table.created_at >= query.created_after)
    if query.created_before is not None:
        found.append(table.created_at <= query.created_before)
    if query.modified_after is not None:
        found.append(table.modified_at >= query.modified_after)
    if query.modified_before is not None:
        found.append(table.modified_at <= query.modified_before)
    if query.name_contains is not None:
        found.append(
            sa.func.lower(table.name).contains(query.name_contains.lower(), autoescape=True)
        )
    if query.status is not None:
        found.append(table.status == query.status)
    return found


def _columns(job: Job) -> dict[str, Any]:
    return {
        "spec": _json(job.spec),
        "given": _json(job.given),
        "status": job.status.value,
        "secondary": job.secondary.value,
        "transitions": _json(job.transitions),
        "created_at": job.created_at,
        "modified_at": job.modified_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "failure_reason": job.failure_reason,
        "metrics": _json(job.metrics),
        "phase": job.phase.value,
        "attempt": job.attempt,
        "stop_requested_at": job.stop_requested_at,
        "stop_sent": job.stop_sent,
        "ran_too_long": job.ran_too_long,
        "exit_code": job.exit_code,
        "out_of_memory": job.out_of_memory,
    }


def _record(row: Row[Any]) -> Job:
    return Job(
        name=row.name,
        arn=row.arn,
        spec=msgspec.json.decode(row.spec, type=TrainingSpec),
        given=msgspec.json.decode(row.given),
        status=JobStatus(row.status),
        secondary=Secondary(row.secondary),
        transitions=msgspec.json.decode(row.transitions, type=tuple[Transition, ...]),
        created_at=row.created_at,
        modified_at=row.modified_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        failure_reason=row.failure_reason,
        metrics=msgspec.json.decode(row.metrics, type=tuple[FinalMetric, ...]),
        phase=Phase(row.phase),
        attempt=row.attempt,
        stop_requested_at=row.stop_requested_at,
        stop_sent=row.stop_sent,
        ran_too_long=row.ran_too_long,
        exit_code=row.exit_code,
        out_of_memory=row.out_of_memory,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
