"""The newest minutes of a namespace, as `/metrics` reads them."""

import datetime as dt

from farero.records.metrics import Datum, Metric
from farero.store import metrics as rows
from farero.telemetry.metrics.ingest import Metrics


def test_the_newest_minutes_are_averaged_and_come_oldest_first(store, clock):
    metrics = Metrics(store, clock)
    now = clock.now().replace(second=0, microsecond=0)
    cpu, other = Metric.of("A", "CPU", {"V": "x"}), Metric.of("B", "CPU", {"V": "x"})
    for minutes, values in ((9, (99.0,)), (1, (10.0,)), (1, (20.0, 60.0)), (0, (5.0,))):
        at = now - dt.timedelta(minutes=minutes)
        metrics.put([Datum(metric=one, at=at, values=values) for one in (cpu, other)])
    metrics.put([Datum(metric=cpu, at=now, values=(7.0,), resolution=1)])

    start = int(now.timestamp())
    with store.read() as db:
        found = rows.latest(db, namespace="A", tier=60, since=start - 180)

    assert found == [(cpu, start - 60, 30.0), (cpu, start, 5.0)]
