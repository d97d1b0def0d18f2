"""The first schema: every table of the first release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.store.tables import endpoints, identity, jobs, logs, objects, tags, work
from farero.store.tables.base import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Named so that importing this module brings every family's tables into the metadata.
FAMILIES = (endpoints, identity, jobs, logs, objects, tags, work)


def upgrade(db: Connection) -> None:
    """Create everything."""
    metadata.create_all(db)
