"""Tables of metrics: series, points that are young, and chunks of points that are old."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from farero.store.tables.base import metadata
from farero.store.tables.logs import RowId

metric_series = Table(
    "metric_series",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    #: SHA-256 over namespace, name, dimensions and unit.
    Column("digest", String(64), nullable=False, unique=True),
    Column("namespace", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("dimensions", Text, nullable=False),
    Column("unit", String(32), nullable=False),
    #: Seconds since 1970 of the newest value.
    Column("last_at", BigInteger, nullable=False),
)
Index("metric_series_name", metric_series.c.namespace, metric_series.c.name)

#: A bucket may have several rows, each a part; whoever reads adds them up.
metric_points = Table(
    "metric_points",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("series_id", BigInteger, nullable=False),
    #: Seconds a bucket is long.
    Column("tier", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("samples", Float, nullable=False),
    Column("total", Float, nullable=False),
    Column("least", Float, nullable=False),
    Column("most", Float, nullable=False),
    #: NULL if all values are equal, or if they were folded before they came.
    Column("sketch", LargeBinary),
)
Index("metric_points_series", metric_points.c.series_id, metric_points.c.tier, metric_points.c.at)
Index("metric_points_age", metric_points.c.tier, metric_points.c.at)

metric_chunks = Table(
    "metric_chunks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("series_id", BigInteger, nullable=False),
    Column("tier", Integer, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
Index(
    "metric_chunks_series", metric_chunks.c.series_id, metric_chunks.c.tier, metric_chunks.c.start
)
Index("metric_chunks_age", metric_chunks.c.tier, metric_chunks.c.start)
