"""What a minute of alarms costs: 1,000 of them, each on a metric of its own that got its value this minute.

python benchmarks/alarms.py [ALARMS] [FOLDER]

The databases are those of a platform: the control database syncs each commit, the one of metrics does not. One worker
does all that is due in one thread, as it would on a machine with one core to spare; nothing else runs.
"""

from __future__ import annotations

import datetime as dt
import random
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from farero.base.clock import ManualClock
from farero.records.alarms import Alarm
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.alarms.anomaly import Bands
from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.work.outbox import DISPATCH
from farero.work.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTES = 3
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"


def main() -> int:
    """Make the alarms, let minutes pass, and print what each took."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    folder = sys.argv[2] if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory(dir=folder) as home:
        store = Store(f"sqlite:///{home}/farero.db")
        telemetry = Store(f"sqlite:///{home}/telemetry.db", durable=False)
        for one in (store, telemetry):
            migrations.upgrade(one)
        clock = ManualClock()
        metrics = Metrics(telemetry, clock)
        queries = MetricQueries(metrics, Bands(store, clock).band)
        alarms = Alarms(store, clock, metrics, queries)
        worker = Worker(
            store,
            clock,
            {EVALUATE: alarms.evaluate, TURN: alarms.turn, DISPATCH: lambda _item: None},
        )
        for number in range(count):
            alarms.put(_alarm(number, clock.now()))
        _fill(metrics, clock, count, lambda _number: 1.0)
        worker.run_due(most=10 * count)
        draw = random.Random(1)
        for share in (0.0, 0.01, 1.0):
            took: list[float] = []
            used: list[float] = []
            done = 0
            for minute in range(MINUTES):
                clock.advance(seconds=60)
                bad = {n for n in range(count) if draw.random() < share}
                is_bad = minute % 2 == 0
                _fill(
                    metrics, clock, count, lambda n, b=bad, i=is_bad: 9.0 if i and n in b else 1.0
                )
                began, before = time.perf_counter(), time.process_time()
                done += worker.run_due(most=10 * count)
                took.append(time.perf_counter() - began)
                used.append(time.process_time() - before)
            took.sort()
            used.sort()
            print(
                f"{count} alarms, {share:4.0%} change: {used[len(used) // 2]:.2f} s of CPU, "
                f"{took[len(took) // 2]:.2f} s ({took[0]:.2f} to {took[-1]:.2f}) a minute; {done / MINUTES:.0f} items"
            )
        store.close()
        telemetry.close()
    return 0


def _alarm(number: int, now: dt.datetime) -> Alarm:
    name = f"alarm-{number:04}"
    return Alarm(
        name=name,
        arn=f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}",
        kind="MetricAlarm",
        config={
            "Namespace": "Shop",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "Endpoint", "Value": str(number)}],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [TOPIC],
        },
        actions_enabled=True,
        configured_at=now,
        updated_at=now,
        transitioned_at=now,
    )


def _fill(metrics: Metrics, clock: ManualClock, count: int, value: Callable[[int], float]) -> None:
    at = clock.now() - dt.timedelta(seconds=70)
    metrics.put(
        [
            Datum(
                metric=Metric.of("Shop", "Errors", {"Endpoint": str(n)}), at=at, values=(value(n),)
            )
            for n in range(count)
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
