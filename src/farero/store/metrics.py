"""The rows of metrics."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from farero.records.metrics import Metric
from farero.store.tables.metrics import metric_chunks, metric_points, metric_series

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    from sqlalchemy import Connection, Row


class Series(NamedTuple):
    """One metric in one unit."""

    id: int
    metric: Metric
    unit: str
    #: Seconds since 1970 of its newest value.
    last_at: int


class Part(NamedTuple):
    """Some values of one bucket."""

    #: Seconds since 1970 at which the bucket begins.
    at: int
    samples: float
    total: float
    least: float
    most: float
    sketch: bytes | None


def ensure_series(
    db: Connection, wanted: Collection[tuple[Metric, str]]
) -> dict[tuple[Metric, str], int]:
    """Return the ids of metrics by metric and unit, making those that are new."""
    digests = {_digest(metric, unit): (metric, unit) for metric, unit in wanted}
    found = _ids(db, digests)
    new = digests.keys() - found.keys()
    if new:
        rows = [
            {
                "digest": digest,
                "namespace": digests[digest][0].namespace,
                "name": digests[digest][0].name,
                "dimensions": msgspec.json.encode(digests[digest][0].dimensions).decode(),
                "unit": digests[digest][1],
                "last_at": 0,
            }
            for digest in sorted(new)
        ]
        if db.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert

            db.execute(
                insert(metric_series).on_conflict_do_nothing(index_elements=["digest"]), rows
            )
        else:
            db.execute(sa.insert(metric_series), rows)
        found |= _ids(db, new)
    return {digests[digest]: row_id for digest, row_id in found.items()}


#: What gateways do each second; to build a statement takes longer than to run it.
_IDS = sa.select(metric_series.c.digest, metric_series.c.id).where(
    metric_series.c.digest.in_(sa.bindparam("digests", expanding=True))
)
_TOUCH = (
    sa.update(metric_series)
    .where(metric_series.c.id == sa.bindparam("one"), metric_series.c.last_at < sa.bindparam("new"))
    .values(last_at=sa.bindparam("new"))
)


def _ids(db: Connection, digests: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    rest = list(digests)
    while rest:
        some, rest = rest[:500], rest[500:]
        found |= {row.digest: row.id for row in db.execute(_IDS, {"digests": some})}
    return found


def _digest(metric: Metric, unit: str) -> str:
    text = msgspec.json.encode([metric.namespace, metric.name, metric.dimensions, unit])
    return hashlib.sha256(text).hexdigest()


def add_parts(db: Connection, parts: Iterable[tuple[int, int, Part]]) -> None:
    """Append (series id, tier, part)."""
    rows = [{"series_id": one, "tier": tier, **part._asdict()} for one, tier, part in parts]
    if rows:
        db.execute(sa.insert(metric_points), rows)


#: What a graph of many series asks again and again; to build a statement takes longer than to run it.
_SERIES_OF = sa.select(metric_series).where(
    metric_series.c.namespace == sa.bindparam("namespace"),
    metric_series.c.name == sa.bindparam("name"),
    metric_series.c.dimensions == sa.bindparam("dimensions"),
)
_POINTS = sa.select(
    metric_points.c.at, metric_points.c.samples, metric_points.c.total, metric_points.c.least,
    metric_points.c.most, metric_points.c.sketch,
).where(
    metric_points.c.series_id.in_(sa.bindparam("ids", expanding=True)),
    metric_points.c.tier == sa.bindparam("tier"),
    metric_points.c.at >= sa.bindparam("start"), metric_points.c.at < sa.bindparam("end"),
)  # fmt: skip
_CHUNKS = sa.select(metric_chunks.c.data).where(
    metric_chunks.c.series_id.in_(sa.bindparam("ids", expanding=True)),
    metric_chunks.c.tier == sa.bindparam("tier"),
    metric_chunks.c.start >= sa.bindparam("start"), metric_chunks.c.start < sa.bindparam("end"),
)  # fmt: skip


def touch(db: Connection, newest: dict[int, int]) -> None:
    """Raise the time of the newest value of series."""
    if newest:
        db.execute(_TOUCH, [{"one": one, "new": newest[one]} for one in sorted(newest)])


def find_series(
    db: Connection, *, namespace: str = "", name: str = "", since: int = 0
) -> list[Series]:
    """Return series by namespace and name (empty: any) that had values at or after `since`, in order of name."""
    table = metric_series.c
    query = sa.select(metric_series).order_by(table.namespace, table.name, table.dimensions)
    if namespace:
        query = query.where(table.namespace == namespace)
    if name:
        query = query.where(table.name == name)
    if since:
        query = query.where(table.last_at >= since)
    return [_series(row) for row in db.execute(query)]


def series_of(db: Connection, metric: Metric, unit: str | None) -> list[Series]:
    """Return the series of one metric, in one unit or in all."""
    given = {
        "namespace": metric.namespace,
        "name": metric.name,
        "dimensions": msgspec.json.encode(metric.dimensions).decode(),
    }
    found = [_series(row) for row in db.execute(_SERIES_OF, given)]
    return [one for one in found if unit in {None, one.unit}]


def points(
    db: Connection, series_ids: Sequence[int], tier: int, start: int, end: int
) -> list[Part]:
    """Return the young parts of series in [start, end)."""
    given = {"ids": series_ids, "tier": tier, "start": start, "end": end}
    return [Part(*row) for row in db.execute(_POINTS, given)]


def latest(
    db: Connection, *, namespace: str, tier: int, since: int
) -> list[tuple[Metric, int, float]]:
    """Return (metric, seconds since 1970, average) of every young part at or after `since`, oldest first."""
    series, point = metric_series.c, metric_points.c
    query = (
        sa.select(
            series.namespace, series.name, series.dimensions, point.at,
            sa.func.sum(point.total).label("total"), sa.func.sum(point.samples).label("samples"),
        )
        .join(metric_points, point.series_id == series.id)
        .where(series.namespace == namespace, series.last_at >= since, point.tier == tier, point.at >= since)
        .group_by(series.id, series.namespace, series.name, series.dimensions, point.at)
        .order_by(point.at)
    )  # fmt: skip
    return [
        (_metric(row), row.at, row.total / row.samples) for row in db.execute(query) if row.samples
    ]


def chunks(
    db: Connection, series_ids: Sequence[int], tier: int, start: int, end: int
) -> list[bytes]:
    """Return the chunks of series that begin in [start, end)."""
    given = {"ids": series_ids, "tier": tier, "start": start, "end": end}
    return [row.data for row in db.execute(_CHUNKS, given)]


def add_chunk(db: Connection, series_id: int, tier: int, start: int, data: bytes) -> None:
    """Keep one chunk."""
    db.execute(
        sa.insert(metric_chunks).values(series_id=series_id, tier=tier, start=start, data=data)
    )


def old_series(db: Connection, tier: int, before: int, *, limit: int) -> list[int]:
    """Return ids of series that have young points of a tier before a time."""
    table = metric_points.c
    query = (
        sa.select(table.series_id)
        .where(table.tier == tier, table.at < before)
        .distinct()
        .limit(limit)
    )
    return list(db.execute(query).scalars())


def scattered_series(db: Connection, tier: int, since: int, before: int) -> list[int]:
    """Return ids of series that have several young parts of one bucket in [since, before)."""
    table = metric_points.c
    query = (
        sa.select(table.series_id)
        .where(table.tier == tier, table.at >= since, table.at < before)
        .group_by(table.series_id, table.at)
        .having(sa.func.count() > 1)
        .distinct()
    )
    return list(db.execute(query).scalars())


def take_points(
    db: Connection, series_id: int, tier: int, before: int, *, since: int = 0
) -> list[Part]:
    """Remove and return the young parts of a series before a time, and not before another."""
    table = metric_points.c
    gone = (
        sa.delete(
            metric_points
        )  # one statement, so that no part can come between looking and removing
        .where(
            table.series_id == series_id,
            table.tier == tier,
            table.at < before,
            table.at >= since,
        )
        .returning(table.at, table.samples, table.total, table.least, table.most, table.sketch)
    )
    return [Part(*row) for row in db.execute(gone)]


def drop_old(db: Connection, tier: int, before: int) -> None:
    """Delete chunks of a tier that begin before a time."""
    table = metric_chunks.c
    db.execute(sa.delete(metric_chunks).where(table.tier == tier, table.start < before))


def drop_silent(db: Connection, before: int) -> None:
    """Forget series whose newest value is older than anything that is kept."""
    db.execute(sa.delete(metric_series).where(metric_series.c.last_at < before))


def _series(row: Row[Any]) -> Series:
    return Series(id=row.id, metric=_metric(row), unit=row.unit, last_at=row.last_at)


def _metric(row: Any) -> Metric:
    pairs = msgspec.json.decode(row.dimensions, type=tuple[tuple[str, str], ...])
    return Metric(namespace=row.namespace, name=row.name, dimensions=pairs)
