"""The rows of the queue."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.records.work import WorkItem
from farero.store.tables.base import UtcTime
from farero.store.tables.work import work_items

if TYPE_CHECKING:
    from sqlalchemy import Connection


#: Due time of an item that runs and was not put again.
NEVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


def upsert(db: Connection, kind: str, key: str, *, due: dt.datetime) -> None:
    """Insert the item, or bring its due time forward and raise its version."""
    table = work_items.c
    changed = db.execute(
        sa.update(work_items)
        .where(table.kind == kind, table.key == key)
        .values(
            due=sa.case((table.due < due, table.due), else_=sa.literal(due, UtcTime())),
            version=table.version + 1,
        )
    )
    if changed.rowcount == 0:
        db.execute(sa.insert(work_items).values(kind=kind, key=key, due=due, attempts=0, version=1))


def take_due(db: Connection, *, now: dt.datetime, until: dt.datetime, limit: int) -> list[WorkItem]:
    """Lease due items until `until`; oldest first."""
    table = work_items.c
    is_free = sa.and_(table.leased_until.is_(None), table.due <= now)
    query = (
        sa.select(work_items)
        .where(sa.or_(is_free, table.leased_until <= now))
        .order_by(table.due)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = db.execute(query).all()
    for row in rows:
        db.execute(
            sa.update(work_items)
            .where(table.kind == row.kind, table.key == row.key)
            .values(leased_until=until, due=NEVER)
        )
    return [
        WorkItem(
            kind=row.kind, key=row.key, due=row.due, attempts=row.attempts, version=row.version
        )
        for row in rows
    ]


def renew(db: Connection, item: WorkItem, *, until: dt.datetime) -> None:
    """Keep the item for its holder until `until`."""
    table = work_items.c
    db.execute(
        sa.update(work_items)
        .where(table.kind == item.kind, table.key == item.key, table.leased_until.is_not(None))
        .values(leased_until=until)
    )


def finish(db: Connection, item: WorkItem) -> dt.datetime | None:
    """Delete the item if nobody put it since; otherwise free it and return when it is due."""
    table = work_items.c
    gone = db.execute(
        sa.delete(work_items).where(
            table.kind == item.kind, table.key == item.key, table.version == item.version
        )
    )
    if gone.rowcount:
        return None
    is_it = sa.and_(table.kind == item.kind, table.key == item.key)
    db.execute(sa.update(work_items).where(is_it).values(leased_until=None, attempts=0, error=None))
    return db.execute(sa.select(table.due).where(is_it)).scalar()


def give_back(db: Connection, item: WorkItem, *, due: dt.datetime, error: str) -> None:
    """Free the item for another try at `due`, or at once if somebody put it since."""
    table = work_items.c
    again_now = sa.and_(table.version != item.version, table.due < due)
    db.execute(
        sa.update(work_items)
        .where(table.kind == item.kind, table.key == item.key)
        .values(
            due=sa.case((again_now, table.due), else_=sa.literal(due, UtcTime())),
            leased_until=None,
            attempts=item.attempts + 1,
            error=error,
        )
    )


def free_all(db: Connection, *, now: dt.datetime) -> int:
    """Free every lease: for the start of the only worker, whose forerunner died holding them."""
    table = work_items.c
    result = db.execute(
        sa.update(work_items)
        .where(table.leased_until.is_not(None))
        .values(leased_until=None, due=now)
    )
    return result.rowcount


def next_due(db: Connection) -> dt.datetime | None:
    """Return when the next item may be taken, or None if there is none; one that somebody holds waits for its lease."""
    moment = sa.func.coalesce(work_items.c.leased_until, work_items.c.due)
    return db.execute(sa.select(sa.func.min(moment, type_=UtcTime()))).scalar()


def counts(db: Connection) -> dict[str, int]:
    """Return how many items there are of each kind."""
    kind = work_items.c.kind
    rows = db.execute(sa.select(kind, sa.func.count()).group_by(kind))
    return {str(name): int(count) for name, count in rows}


def list_all(db: Connection) -> list[WorkItem]:
    """Return every item, oldest due first; for the doctor and for tests."""
    rows = db.execute(sa.select(work_items).order_by(work_items.c.due)).all()
    return [
        WorkItem(
            kind=row.kind, key=row.key, due=row.due, attempts=row.attempts, version=row.version
        )
        for row in rows
    ]
