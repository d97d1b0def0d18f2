"""All four families of job definitions, labels and alerts: the tables of monitoring get columns, and two are new.

The tables are made anew around their rows: SQLite cannot change a primary key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from farero.store.migrations import m0003_processing
from farero.store.tables.base import metadata
from farero.store.tables.monitoring import definitions, executions, schedules

if TYPE_CHECKING:
    from sqlalchemy import Connection

#: Named so that importing this module brings every family's tables into the metadata.
FAMILIES = m0003_processing.FAMILIES
#: Values of the columns that rows of schema 3 lack; there were data quality monitors of endpoints alone.
_NEW: dict[sa.Table, dict[str, Any]] = {
    definitions: {"endpoint": ""},
    schedules: {"kind": "DataQuality"},
    executions: {"kind": "DataQuality", "given": "{}", "merge_job": ""},
}


def upgrade(db: Connection) -> None:
    """Change what is as it was in schema 3; create what is not there."""
    for table, new in _NEW.items():
        inspector = sa.inspect(db)
        have = {column["name"] for column in inspector.get_columns(table.name)}
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        if have >= {*new} and {*key} == {*table.primary_key.columns.keys()}:
            continue
        old = sa.Table(table.name, sa.MetaData(), autoload_with=db)
        rows = [{**row} | new for row in db.execute(sa.select(old)).mappings()]
        for row in rows if table is definitions else ():
            row["endpoint"] = json.loads(row["given"])["DataQualityJobInput"]["EndpointInput"][
                "EndpointName"
            ]
        old.drop(db)
        table.create(db)
        if rows:
            # Values go from column to column as they lie there, past the types of today's tables.
            plain = sa.Table(table.name, sa.MetaData(), autoload_with=db)
            db.execute(sa.insert(plain), rows)
    metadata.create_all(db)
