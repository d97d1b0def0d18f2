"""A database of an earlier release gets what it lacks, and keeps what it has."""

import json

import pytest
import sqlalchemy as sa

from farero.base.errors import Conflict
from farero.records.monitoring import MonitoringType
from farero.store import migrations, versions
from farero.store import monitoring as rows
from farero.store.tables.base import from_micros, metadata

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
    assert migrations.upgrade(store) == len(migrations.STEPS) - 2
    with store.begin() as db:
        assert {*THIRD} <= {*sa.inspect(db).get_table_names()}
        assert versions.get(db, versions.SCHEMA) == len(migrations.STEPS)
        assert versions.get(db, versions.ROUTING) == 7
    assert migrations.upgrade(store) == 0


def test_monitors_of_schema_3_are_kept_and_get_their_family(store):
    given = {"DataQualityJobInput": {"EndpointInput": {"EndpointName": "price", "LocalPath": "/x"}}}
    at = 1_700_000_000_000_000
    third = sa.MetaData()
    text, number = sa.String(256), sa.BigInteger
    definition = sa.Table(
        "monitoring_definitions", third,
        sa.Column("name", sa.String(63), primary_key=True), sa.Column("arn", text, unique=True),
        sa.Column("kind", text), sa.Column("given", sa.Text), sa.Column("created_at", number),
    )  # fmt: skip
    schedule = sa.Table(
        "monitoring_schedules", third,
        sa.Column("name", sa.String(63), primary_key=True), sa.Column("arn", text, unique=True),
        *(sa.Column(name, text) for name in ("config", "definition", "endpoint", "expression", "status")),
        *(sa.Column(name, number) for name in ("created_at", "modified_at", "began_at", "next_at")),
    )  # fmt: skip
    execution = sa.Table(
        "monitoring_executions", third,
        sa.Column("schedule", sa.String(63), primary_key=True),
        sa.Column("scheduled_at", number, primary_key=True),
        *(sa.Column(name, number) for name in ("start", "end", "created_at", "modified_at")),
        *(
            sa.Column(name, text)
            for name in ("definition", "endpoint", "job", "job_arn", "status", "failure_reason")
        ),
    )  # fmt: skip
    times = {"created_at": at, "modified_at": at}
    with store.begin() as db:
        for name in ("monitoring_alerts", "monitoring_alert_changes", *third.tables):
            metadata.tables[name].drop(db)
        third.create_all(db)
        db.execute(
            sa.insert(definition).values(
                name="d", arn="arn:d", kind="DataQuality", given=json.dumps(given), created_at=at
            )
        )
        db.execute(
            sa.insert(schedule).values(
                name="s", arn="arn:s", config='{"MonitoringJobDefinitionName": "d"}', definition="d",
                endpoint="price", expression="cron(0 * ? * * *)", status="Scheduled", began_at=at,
                next_at=at, **times,
            )
        )  # fmt: skip
        db.execute(
            sa.insert(execution).values(
                schedule="s", scheduled_at=at, start=at, end=at, definition="d", endpoint="price",
                job="j", job_arn="arn:j", status="Completed", **times,
            )
        )  # fmt: skip
        versions.put(db, versions.SCHEMA, 3)
    assert migrations.upgrade(store) == 1
    with store.begin() as db:
        kept = rows.get_definition(db, MonitoringType.DATA_QUALITY, "d")
        (made,) = rows.list_schedules(db, rows.Query())
        (ran,) = rows.list_executions(db, rows.Query())
    assert (kept.given, kept.endpoint) == (given, "price")
    assert (made.kind, made.next_at) == (MonitoringType.DATA_QUALITY, from_micros(at))
    assert (ran.kind, ran.given, ran.merge_job, ran.job) == (
        MonitoringType.DATA_QUALITY,
        {},
        "",
        "j",
    )


def test_a_database_of_a_newer_release_is_left_alone(store):
    with store.begin() as db:
        versions.put(db, versions.SCHEMA, 99)
    with pytest.raises(Conflict, match="this program knows"):
        migrations.upgrade(store)
