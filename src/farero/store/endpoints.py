"""The rows of models, endpoint configs, endpoints and replicas."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.base.errors import NotFound
from farero.records.endpoint import (
    Endpoint,
    EndpointConfig,
    EndpointStatus,
    Fleet,
    Model,
    ModelData,
    Replica,
    ReplicaState,
)
from farero.store import endpoint_changes
from farero.store.tables.endpoints import endpoint_configs, endpoints, models, replicas

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Filters, order and page of a listing; a filter that is None lets all pass."""

    name_contains: str | None = None
    created_before: dt.datetime | None = None
    created_after: dt.datetime | None = None
    modified_before: dt.datetime | None = None
    modified_after: dt.datetime | None = None
    status: str | None = None
    #: `Name`, `CreationTime` or `Status`.
    sort_by: str = "CreationTime"
    descending: bool = True
    limit: int = 10
    #: Rows to skip: those of the pages before.
    offset: int = 0


def insert_model(db: Connection, model: Model) -> None:
    """Add a model; its name must be free."""
    values = {"given": _json(model.given), "data": _json(model.data)}
    db.execute(
        sa.insert(models).values(
            name=model.name, arn=model.arn, created_at=model.created_at, **values
        )
    )


def find_model(db: Connection, name: str) -> Model | None:
    """Return the model, or None."""
    row = db.execute(sa.select(models).where(models.c.name == name)).first()
    return None if row is None else _model(row)


def get_model(db: Connection, name: str, arn: str) -> Model:
    """Return the model. Raises NotFound in AWS's words."""
    found = find_model(db, name)
    if found is None:
        raise NotFound("model", name, f'Could not find model "{arn}".')
    return found


def delete_model(db: Connection, name: str) -> bool:
    """Remove the model; say whether there was one."""
    return db.execute(sa.delete(models).where(models.c.name == name)).rowcount > 0


def list_models(db: Connection, query: ListQuery) -> list[Model]:
    """Return one page of models."""
    return [_model(row) for row in _search(db, models, query)]


def insert_config(db: Connection, config: EndpointConfig) -> None:
    """Add an endpoint config; its name must be free."""
    db.execute(
        sa.insert(endpoint_configs).values(
            name=config.name,
            arn=config.arn,
            created_at=config.created_at,
            given=_json(config.given),
        )
    )


def find_config(db: Connection, name: str) -> EndpointConfig | None:
    """Return the endpoint config, or None."""
    row = db.execute(sa.select(endpoint_configs).where(endpoint_configs.c.name == name)).first()
    return None if row is None else _config(row)


def get_config(db: Connection, name: str, arn: str) -> EndpointConfig:
    """Return the endpoint config. Raises NotFound in AWS's words."""
    found = find_config(db, name)
    if found is None:
        raise NotFound(
            "endpoint configuration", name, f'Could not find endpoint configuration "{arn}".'
        )
    return found


def delete_config(db: Connection, name: str) -> bool:
    """Remove the endpoint config; say whether there was one."""
    gone = db.execute(sa.delete(endpoint_configs).where(endpoint_configs.c.name == name))
    return gone.rowcount > 0


def list_configs(db: Connection, query: ListQuery) -> list[EndpointConfig]:
    """Return one page of endpoint configs."""
    return [_config(row) for row in _search(db, endpoint_configs, query)]


def insert(db: Connection, endpoint: Endpoint) -> None:
    """Add an endpoint; its name must be free."""
    db.execute(
        sa.insert(endpoints).values(name=endpoint.name, arn=endpoint.arn, **_columns(endpoint))
    )
    endpoint_changes.note(db, endpoint)


def update(db: Connection, endpoint: Endpoint) -> None:
    """Write the endpoint over its row."""
    db.execute(
        sa.update(endpoints).where(endpoints.c.name == endpoint.name).values(**_columns(endpoint))
    )
    endpoint_changes.note(db, endpoint)


def delete(db: Connection, name: str) -> None:
    """Remove the endpoint and what became of it."""
    db.execute(sa.delete(endpoints).where(endpoints.c.name == name))
    endpoint_changes.forget(db, name)


def find(db: Connection, name: str) -> Endpoint | None:
    """Return the endpoint, or None."""
    row = db.execute(sa.select(endpoints).where(endpoints.c.name == name)).first()
    return None if row is None else _endpoint(row)


def find_locked(db: Connection, name: str) -> Endpoint | None:
    """Return the endpoint and keep others from changing it until the transaction ends."""
    query = sa.select(endpoints).where(endpoints.c.name == name).with_for_update()
    row = db.execute(query).first()
    return None if row is None else _endpoint(row)


def get(db: Connection, name: str, arn: str) -> Endpoint:
    """Return the endpoint. Raises NotFound in AWS's words."""
    found = find(db, name)
    if found is None:
        raise NotFound("endpoint", name, f'Could not find endpoint "{arn}".')
    return found


def get_locked(db: Connection, name: str, arn: str) -> Endpoint:
    """Return the endpoint as `find_locked` does. Raises NotFound in AWS's words."""
    found = find_locked(db, name)
    if found is None:
        raise NotFound("endpoint", name, f'Could not find endpoint "{arn}".')
    return found


def list_page(db: Connection, query: ListQuery) -> list[Endpoint]:
    """Return one page of endpoints."""
    return [_endpoint(row) for row in _search(db, endpoints, query)]


def names(db: Connection) -> list[str]:
    """Return the name of every endpoint."""
    return list(db.execute(sa.select(endpoints.c.name).order_by(endpoints.c.name)).scalars())


def routed(db: Connection) -> list[Endpoint]:
    """Return every endpoint; for the gateways' routing tables."""
    return [_endpoint(row) for row in db.execute(sa.select(endpoints))]


def insert_replica(db: Connection, replica: Replica) -> None:
    """Add a replica."""
    db.execute(
        sa.insert(replicas).values(
            id=replica.id,
            endpoint=replica.endpoint,
            variant=replica.variant,
            generation=replica.generation,
            socket_path=replica.socket_path,
            created_at=replica.created_at,
            **_replica_columns(replica),
        )
    )


def update_replica(db: Connection, replica: Replica) -> None:
    """Write the replica over its row."""
    db.execute(
        sa.update(replicas).where(replicas.c.id == replica.id).values(**_replica_columns(replica))
    )


def delete_replica(db: Connection, replica_id: str) -> None:
    """Remove a replica."""
    db.execute(sa.delete(replicas).where(replicas.c.id == replica_id))


def list_replicas(db: Connection, endpoint: str | None = None) -> list[Replica]:
    """Return the replicas of one endpoint or of all, oldest first."""
    query = sa.select(replicas).order_by(replicas.c.created_at, replicas.c.id)
    if endpoint is not None:
        query = query.where(replicas.c.endpoint == endpoint)
    return [_replica(row) for row in db.execute(query)]


def _search(db: Connection, table: Table, query: ListQuery) -> list[Row[Any]]:
    columns = {"Name": "name", "CreationTime": "created_at", "Status": "status"}
    order = table.c[columns[query.sort_by]]
    turn = sa.desc if query.descending else sa.asc
    statement = (
        sa.select(table)
        .where(*_conditions(table, query))
        .order_by(turn(order), turn(table.c.name))
        .limit(query.limit)
        .offset(query.offset)
    )
    return list(db.execute(statement))


def _conditions(table: Table, query: ListQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.name_contains is not None:
        wanted = query.name_contains.lower()
        found.append(sa.func.lower(table.c.name).contains(wanted, autoescape=True))
    if query.created_before is not None:
        found.append(table.c.created_at <= query.created_before)
    if query.created_after is not None:
        found.append(table.c.created_at >= query.created_after)
    if query.modified_before is not None:
        found.append(table.c.modified_at <= query.modified_before)
    if query.modified_after is not None:
        found.append(table.c.modified_at >= query.modified_after)
    if query.status is not None:
        found.append(table.c.status == query.status)
    return found


def _model(row: Row[Any]) -> Model:
    return Model(
        name=row.name,
        arn=row.arn,
        created_at=row.created_at,
        given=msgspec.json.decode(row.given),
        data=msgspec.json.decode(row.data, type=ModelData | None),
    )


def _config(row: Row[Any]) -> EndpointConfig:
    return EndpointConfig(
        name=row.name, arn=row.arn, created_at=row.created_at, given=msgspec.json.decode(row.given)
    )


def _columns(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "status": endpoint.status.value,
        "created_at": endpoint.created_at,
        "modified_at": endpoint.modified_at,
        "current": _json(endpoint.current),
        "pending": _json(endpoint.pending),
        "generation": endpoint.generation,
        "failure_reason": endpoint.failure_reason,
        "deployment": _json(endpoint.deployment),
        "revision": endpoint.revision,
    }


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        name=row.name,
        arn=row.arn,
        status=EndpointStatus(row.status),
        created_at=row.created_at,
        modified_at=row.modified_at,
        current=msgspec.json.decode(row.current, type=Fleet | None),
        pending=msgspec.json.decode(row.pending, type=Fleet | None),
        generation=row.generation,
        failure_reason=row.failure_reason,
        deployment=msgspec.json.decode(row.deployment),
        revision=row.revision,
    )


def _replica_columns(replica: Replica) -> dict[str, Any]:
    return {
        "state": replica.state.value,
        "attempt": replica.attempt,
        "started_at": replica.started_at,
        "ready_at": replica.ready_at,
        "start_after": replica.start_after,
        "stop_after": replica.stop_after,
        "stop_sent": replica.stop_sent,
        "deaths": _json(replica.deaths),
    }


def _replica(row: Row[Any]) -> Replica:
    return Replica(
        id=row.id,
        endpoint=row.endpoint,
        variant=row.variant,
        generation=row.generation,
        state=ReplicaState(row.state),
        socket_path=row.socket_path,
        created_at=row.created_at,
        attempt=row.attempt,
        started_at=row.started_at,
        ready_at=row.ready_at,
        start_after=row.start_after,
        stop_after=row.stop_after,
        stop_sent=row.stop_sent,
        deaths=msgspec.json.decode(row.deaths, type=tuple[dt.datetime, ...]),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
