"""Emptying a database: for instances that keep nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from farero.store import versions
from farero.store.tables.base import metadata
from farero.store.tables.base import versions as versions_table
from farero.store.tables.identity import credentials, iam_entities

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Who may call stays, so that clients go on working.
KEPT = (versions_table, credentials, iam_entities)


def empty(db: Connection) -> None:
    """Delete every row but those of identity, and tell the gateways."""
    for table in reversed(metadata.sorted_tables):
        if table not in KEPT:
            db.execute(sa.delete(table))
    versions.raise_routing(db)
