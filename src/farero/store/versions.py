"""Two counters: the schema's migration number, and the routing version that gateways watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.store.tables.base import versions

if TYPE_CHECKING:
    from sqlalchemy import Connection

SCHEMA = 1
ROUTING = 2


def get(db: Connection, which: int) -> int:
    """Return the counter's value; 0 when it was never set."""
    row = db.execute(sa.select(versions.c.value).where(versions.c.id == which)).scalar()
    return row or 0


def put(db: Connection, which: int, value: int) -> None:
    """Set the counter."""
    changed = db.execute(sa.update(versions).where(versions.c.id == which).values(value=value))
    if changed.rowcount == 0:
        db.execute(sa.insert(versions).values(id=which, value=value))


def raise_routing(db: Connection) -> None:
    """Tell every gateway that routes or credentials have changed."""
    changed = db.execute(
        sa.update(versions).where(versions.c.id == ROUTING).values(value=versions.c.value + 1)
    )
    if changed.rowcount == 0:
        db.execute(sa.insert(versions).values(id=ROUTING, value=1))
