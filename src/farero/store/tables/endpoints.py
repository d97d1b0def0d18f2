"""Tables of the endpoints family: models, endpoint configs, endpoints, replicas."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

models = Table(
    "models",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("arn", String(256), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    #: JSON of the request; JSON of records.endpoint.ModelData or null.
    Column("given", Text, nullable=False),
    Column("data", Text, nullable=False),
)
Index("models_created", models.c.created_at)

endpoint_configs = Table(
    "endpoint_configs",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("arn", String(256), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("given", Text, nullable=False),
)
Index("endpoint_configs_created", endpoint_configs.c.created_at)

endpoints = Table(
    "endpoints",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("arn", String(256), nullable=False),
    Column("status", String(32), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("modified_at", UtcTime, nullable=False),
    #: JSON of records.endpoint.Fleet or null.
    Column("current", Text, nullable=False),
    Column("pending", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("failure_reason", Text),
    Column("deployment", Text, nullable=False),
    Column("revision", Integer, nullable=False),
)
Index("endpoints_created", endpoints.c.created_at)

replicas = Table(
    "replicas",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("endpoint", String(63), nullable=False),
    Column("variant", String(63), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("socket_path", String(256), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", UtcTime),
    Column("ready_at", UtcTime),
    Column("start_after", UtcTime),
    Column("stop_after", UtcTime),
    Column("stop_sent", Boolean, nullable=False),
    #: JSON list of times.
    Column("deaths", Text, nullable=False),
)
Index("replicas_endpoint", replicas.c.endpoint)
