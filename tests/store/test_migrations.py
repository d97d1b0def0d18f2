"""A database of an earlier release gets what it lacks, and keeps what it has."""

import pytest
import sqlalchemy as sa

from farero.base.errors import Conflict
from farero.store import migrations, versions
from farero.store.tables.base import metadata

#: Tables that came with schema 3.
THIRD = (
    "processing_jobs", "monitoring_definitions", "monitoring_schedules", "monitoring_executions", "event_buses",
    "event_rules", "event_targets", "endpoint_changes", "alarm_holds",
)  # fmt: skip


def test_a_database_of_schema_2_gets_the_tables_of_schema_3(store):
    with store.begin() as db:
        for name in THIRD:
            metadata.tables[name].drop(db)
        versions.put(db, versions.SCHEMA, 2)
        versions.put(db, versions.ROUTING, 7)
    assert migrations.upgrade(store) == 1
    with store.begin() as db:
        assert {*THIRD} <= {*sa.inspect(db).get_table_names()}
        assert versions.get(db, versions.SCHEMA) == len(migrations.STEPS)
        assert versions.get(db, versions.ROUTING) == 7
    assert migrations.upgrade(store) == 0


def test_a_database_of_a_newer_release_is_left_alone(store):
    with store.begin() as db:
        versions.put(db, versions.SCHEMA, 99)
    with pytest.raises(Conflict, match="this program knows"):
        migrations.upgrade(store)
