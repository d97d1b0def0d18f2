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
    JobSpec,
    JobStatus,
    Phase,
    Secondary,
    Transition,
)
from farero.store.tables.jobs import jobs, processing_jobs

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection, Row

#: What AWS says of a job that does not exist.
UNKNOWN = "Requested resource not found."

_ORDER = {"Name": "name", "CreationTime": "created_at", "Status": "status"}


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


class JobRows:
    """The rows of one kind of job; names are unique within a kind."""

    def __init__(self, table: sa.Table, kind: str) -> None:
        """kind: as AWS's messages call it, e.g. `training job`."""
        self._table = table
        self.kind = kind

    def insert(self, db: Connection, job: Job) -> None:
        """Add a new job. Raises Conflict with AWS's words if there is one of that name."""
        try:
            db.execute(
                sa.insert(self._table).values(name=job.name, arn=job.arn, **self._columns(job))
            )
        except IntegrityError as error:
            raise Conflict(
                self.kind,
                job.name,
                f"{self.kind.capitalize()} names must be unique within an AWS account and region, and a {self.kind} "
                f"with this name already exists ({job.arn})",
            ) from error

    def update(self, db: Connection, job: Job) -> None:
        """Write the job over its row."""
        db.execute(
            sa.update(self._table)
            .where(self._table.c.name == job.name)
            .values(**self._columns(job))
        )

    def delete(self, db: Connection, name: str) -> None:
        """Remove the row."""
        db.execute(sa.delete(self._table).where(self._table.c.name == name))

    def find(self, db: Connection, name: str) -> Job | None:
        """Return the job, or None."""
        row = db.execute(sa.select(self._table).where(self._table.c.name == name)).first()
        return None if row is None else _record(row)

    def get_locked(self, db: Connection, name: str) -> Job:
        """Return the job and keep others from changing it until the transaction ends. Raises NotFound."""
        row = db.execute(
            sa.select(self._table).where(self._table.c.name == name).with_for_update()
        ).first()
        if row is None:
            raise NotFound(self.kind, name, UNKNOWN)
        return _record(row)

    def get(self, db: Connection, name: str) -> Job:
        """Return the job. Raises NotFound with AWS's words."""
        job = self.find(db, name)
        if job is None:
            raise NotFound(self.kind, name, UNKNOWN)
        return job

    def search(self, db: Connection, query: JobQuery) -> list[Job]:
        """Return one page of the jobs that pass every filter."""
        order = self._table.c[_ORDER[query.sort_by]]
        turn = sa.desc if query.descending else sa.asc
        statement = (
            sa.select(self._table)
            .where(*self._conditions(query))
            .order_by(turn(order), turn(self._table.c.name))
            .limit(query.limit)
            .offset(query.offset)
        )
        return [_record(row) for row in db.execute(statement)]

    def unfinished(self, db: Connection) -> list[str]:
        """Return the names of jobs that still have a way to go."""
        done = [status.value for status in FINISHED]
        rows = db.execute(sa.select(self._table.c.name).where(self._table.c.status.not_in(done)))
        return [row.name for row in rows]

    def _conditions(self, query: JobQuery) -> list[sa.ColumnElement[bool]]:
        table = self._table.c
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

    def _columns(self, job: Job) -> dict[str, Any]:
        found = {
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
        if "exit_message" in self._table.c:
            found["exit_message"] = job.exit_message
        return found


def _record(row: Row[Any]) -> Job:
    return Job(
        name=row.name,
        arn=row.arn,
        spec=msgspec.json.decode(row.spec, type=JobSpec),
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
        exit_message=getattr(row, "exit_message", None),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


training = JobRows(jobs, "training job")
processing = JobRows(processing_jobs, "processing job")
