"""How much a year of metrics takes on disk, and how long a month's graph takes to read.

python benchmarks/metrics_store.py [VALUES A MINUTE]

One metric lives through DAYS days minute by minute and is packed each day as the worker packs it. The bytes that a
point takes are then scaled to as many points as each tier keeps, and to 1,000 metrics; no year is really waited for.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import sys
import tempfile
import time

import sqlalchemy as sa

from farero.base.clock import ManualClock
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.store.tables.metrics import metric_chunks
from farero.telemetry.metrics.chunks import unpack
from farero.telemetry.metrics.ingest import FIVE, HOUR, KEPT, Metrics
from farero.telemetry.metrics.statistics import statistic

DAYS = 32
METRICS = 1000
METRIC = Metric.of("Shop", "Latency", {"Route": "pay"})


def main() -> int:
    """Fill a database, and print sizes and times."""
    values = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/telemetry.db", durable=False)
        migrations.upgrade(store)
        clock = ManualClock()
        metrics = Metrics(store, clock)
        for _ in range(DAYS):
            start = clock.now()
            metrics.put(
                [
                    Datum(
                        metric=METRIC,
                        at=start + dt.timedelta(minutes=minute),
                        values=tuple(draw.lognormvariate(3, 0.5) for _ in range(values)),
                    )
                    for minute in range(24 * 60)
                ]
            )
            clock.advance(hours=24)
            metrics.compact()
        _sizes(store)
        for period, stat in itertools.product((FIVE, HOUR), ("Average", "p99")):
            took: list[float] = []
            count = 0
            for _ in range(20):
                began = time.perf_counter()
                function = statistic(stat)
                points = metrics.points(
                    METRIC,
                    start=clock.now() - dt.timedelta(days=30),
                    end=clock.now(),
                    period_s=period,
                )
                count = len([function(point.summary) for point in points])
                took.append(time.perf_counter() - began)
            print(f"30 days by {period} s, {stat}: {count} points in {min(took) * 1000:.0f} ms")
        store.close()
    return 0


def _sizes(store: Store) -> None:
    chunks = metric_chunks.c
    sizes: dict[int, int] = {}
    points: dict[int, int] = {}
    with store.read() as db:
        for tier, data in db.execute(sa.select(chunks.tier, chunks.data)):
            sizes[tier] = sizes.get(tier, 0) + len(data)
            points[tier] = points.get(tier, 0) + len(unpack(data))
    total = 0.0
    for tier in sorted(sizes):
        each = sizes[tier] / points[tier]
        total += each * KEPT[tier] / tier
        print(f"{tier} s: {each:.1f} bytes a point, {KEPT[tier] // tier:,} points when full")
    print(f"a year of {METRICS:,} metrics: {total * METRICS / 1e9:.2f} GB, ", end="")
    print(
        f"{total * METRICS / 1e9 * _share_of_pages(store):.2f} GB with pages and indexes of SQLite"
    )


def _share_of_pages(store: Store) -> float:
    """Return how much larger a file of nothing but chunks is than what they hold, beyond an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        other = Store(f"sqlite:///{folder}/chunks.db", durable=False)
        migrations.upgrade(other)
        with store.read() as source:
            rows = [dict(row._mapping) for row in source.execute(sa.select(metric_chunks))]  # noqa: SLF001 - SQLAlchemy's name
        sizes: list[int] = []
        for some in ([], rows):
            with other.begin() as db:
                for row in some:
                    db.execute(sa.insert(metric_chunks).values(row))
                pages = db.execute(sa.text("PRAGMA page_count")).scalar_one()
                sizes.append(pages * db.execute(sa.text("PRAGMA page_size")).scalar_one())
        other.close()
        return (sizes[1] - sizes[0]) / sum(len(row["data"]) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
