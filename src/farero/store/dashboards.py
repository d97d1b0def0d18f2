"""The rows of dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.records.alarms import Dashboard
from farero.store.tables.dashboards import dashboards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


def put(db: Connection, made: Dashboard) -> None:
    """Add a dashboard, or write it anew."""
    values = {"body": made.body, "modified_at": made.modified_at}
    changed = db.execute(sa.update(dashboards).where(dashboards.c.name == made.name).values(values))
    if changed.rowcount == 0:
        db.execute(sa.insert(dashboards).values(name=made.name, **values))


def find(db: Connection, name: str) -> Dashboard | None:
    """Return a dashboard, or None."""
    row = db.execute(sa.select(dashboards).where(dashboards.c.name == name)).first()
    return Dashboard(name=row.name, body=row.body, modified_at=row.modified_at) if row else None


def list_from(db: Connection, *, prefix: str, after: str, limit: int) -> list[Dashboard]:
    """Return dashboards in order of their names, from the one after `after`."""
    query = sa.select(dashboards).where(
        dashboards.c.name > after, dashboards.c.name.startswith(prefix, autoescape=True)
    )
    rows = db.execute(query.order_by(dashboards.c.name).limit(limit))
    return [Dashboard(name=row.name, body=row.body, modified_at=row.modified_at) for row in rows]


def delete(db: Connection, names: Sequence[str]) -> None:
    """Delete dashboards."""
    db.execute(sa.delete(dashboards).where(dashboards.c.name.in_(list(names))))
