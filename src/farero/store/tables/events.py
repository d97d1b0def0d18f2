"""Event buses, rules, and the targets of rules."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

#: Buses that somebody made; the default bus is always there and has no row.
event_buses = Table(
    "event_buses",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("arn", String(512), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    #: Members of CreateEventBus as given, as JSON.
    Column("given", Text, nullable=False),
)

event_rules = Table(
    "event_rules",
    metadata,
    Column("bus", String(256), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("arn", String(512), nullable=False, unique=True),
    Column("pattern", Text, nullable=False, default=""),
    Column("schedule", String(256), nullable=False, default=""),
    Column("state", String(64), nullable=False),
    #: Hears of events: has a pattern and is enabled. What the platform asks before it writes an event down.
    Column("listens", Boolean, nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("role_arn", Text, nullable=False, default=""),
    #: What a rate is counted from.
    Column("began_at", UtcTime, nullable=False),
    #: When the schedule is due; NULL without one.
    Column("next_at", UtcTime),
)
Index("event_rules_listening", event_rules.c.listens, event_rules.c.bus)

event_targets = Table(
    "event_targets",
    metadata,
    Column("bus", String(256), primary_key=True),
    Column("rule", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    #: Names the target to deliveries; stays when the target is given another configuration.
    Column("uid", String(64), nullable=False, unique=True),
    Column("arn", Text, nullable=False),
    #: The target as PutTargets was given it, as JSON.
    Column("given", Text, nullable=False),
)
