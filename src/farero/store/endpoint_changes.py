"""The rows of what became of endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from farero.records.endpoint import EndpointChange
from farero.store.tables.endpoint_changes import endpoint_changes as table

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from farero.records.endpoint import Endpoint

#: Older changes of an endpoint are forgotten.
MOST_KEPT = 200


def note(db: Connection, endpoint: Endpoint) -> None:
    """Write what an endpoint has become, unless that is what the newest row says."""
    query = sa.select(table).where(table.c.endpoint == endpoint.name)
    last = db.execute(query.order_by(table.c.number.desc()).limit(1)).first()
    fleet = endpoint.pending or endpoint.current
    variants = fleet.variants if fleet else ()
    traffic = [(v.name, v.desired_weight, v.desired_count) for v in variants]
    values: dict[str, Any] = {
        "status": endpoint.status.value,
        "config": fleet.config_name if fleet else "",
        "variants": msgspec.json.encode(traffic).decode(),
        "reason": endpoint.failure_reason,
    }
    if last is not None and all(getattr(last, name) == value for name, value in values.items()):
        return
    number = 1 if last is None else last.number + 1
    db.execute(
        sa.insert(table).values(
            endpoint=endpoint.name, number=number, at=endpoint.modified_at, **values
        )
    )
    db.execute(
        sa.delete(table).where(
            table.c.endpoint == endpoint.name, table.c.number <= number - MOST_KEPT
        )
    )


def forget(db: Connection, endpoint: str) -> None:
    """Remove an endpoint's changes."""
    db.execute(sa.delete(table).where(table.c.endpoint == endpoint))


def newest(db: Connection, endpoint: str, limit: int) -> list[EndpointChange]:
    """Return an endpoint's changes, newest first."""
    query = sa.select(table).where(table.c.endpoint == endpoint)
    rows = db.execute(query.order_by(table.c.number.desc()).limit(limit))
    return [_change(row) for row in rows]


def _change(row: Row[Any]) -> EndpointChange:
    return EndpointChange(
        at=row.at,
        status=row.status,
        config=row.config,
        variants=msgspec.json.decode(row.variants, type=list[tuple[str, float, int]]),
        reason=row.reason,
    )
