"""Numbered, forward-only changes of the schema; `upgrade` runs those that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.base.errors import Conflict
from farero.store import versions
from farero.store.migrations import (
    m0001_initial,
    m0002_observability,
    m0003_processing,
    m0004_monitoring,
)
from farero.store.tables.base import versions as versions_table

if TYPE_CHECKING:
    from farero.store.engine import Store

STEPS = (
    m0001_initial.upgrade,
    m0002_observability.upgrade,
    m0003_processing.upgrade,
    m0004_monitoring.upgrade,
)


def upgrade(store: Store) -> int:
    """Bring the database to this program's schema; return how many steps ran.

    Raises Conflict if the database was written by a newer program.
    """
    with store.begin() as db:
        versions_table.create(db, checkfirst=True)
        have = versions.get(db, versions.SCHEMA)
        if have > len(STEPS):
            raise Conflict(
                "database",
                str(sa.make_url(store.engine.url).database),
                f"the database has schema {have}, this program knows {len(STEPS)}; upgrade Farero",
            )
        for step in STEPS[have:]:
            step(db)
        versions.put(db, versions.SCHEMA, len(STEPS))
    return len(STEPS) - have
