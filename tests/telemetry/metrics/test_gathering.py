"""A minute that came in sixty parts is one row a few minutes later, and says the same."""

import datetime as dt
import random
import threading

import pytest
import sqlalchemy as sa
from tests.telemetry.metrics.test_metrics import METRIC, datum, total

from farero.records.metrics import Datum, Metric, StatisticSet
from farero.store.tables.metrics import metric_points
from farero.telemetry.metrics.ingest import GATHERED_AFTER, GATHERED_FOR, Metrics
from farero.telemetry.metrics.statistics import statistic


@pytest.fixture
def metrics(store, clock):
    return Metrics(store, clock)


def count_rows(store, tier=60):
    with store.read() as db:
        query = sa.select(sa.func.count()).where(metric_points.c.tier == tier)
        return db.execute(query).scalar_one()


def read(metrics, clock, *stats):
    points = metrics.points(
        METRIC, start=clock.now() - dt.timedelta(hours=1), end=clock.now(), period_s=60
    )
    return [[at, *(statistic(stat)(found) for stat in stats)] for at, found in points]


def test_minutes_that_are_over_become_one_row_each(metrics, store, clock):
    draw = random.Random(1)
    other = Metric.of("Shop", "Other", {})
    for _ in range(180):
        numbers = [draw.lognormvariate(3, 0.5) for _ in range(3)]
        metrics.put([datum(clock.now(), *numbers), datum(clock.now(), *numbers, metric=other)])
        clock.advance(seconds=1)
    stats = ("SampleCount", "Sum", "Minimum", "Maximum", "p10", "p50", "p99")
    before = read(metrics, clock, *stats)
    assert (count_rows(store), len(before)) == (360, 3)

    metrics.compact()  # the first minute is over long enough, the others are not
    assert count_rows(store) == 2 + 240
    clock.advance(seconds=GATHERED_AFTER + 60)
    metrics.compact()

    assert count_rows(store) == 6
    after = read(metrics, clock, *stats)
    for one, two in zip(before, after, strict=True):
        assert two == pytest.approx(one, rel=1e-12)


def test_what_comes_late_is_joined_too_or_left_to_the_packing(metrics, store, clock):
    start = clock.now()
    metrics.put([datum(start, 1)])
    clock.advance(seconds=GATHERED_AFTER + 120)
    metrics.put([datum(start, 2)])
    metrics.compact()
    assert count_rows(store) == 1

    clock.advance(seconds=GATHERED_FOR + GATHERED_AFTER)
    metrics.put([datum(start, 4)])
    metrics.compact()

    assert count_rows(store) == 2
    assert total(metrics, clock) == (3.0, 7.0)
    clock.advance(hours=13)
    metrics.compact()
    assert count_rows(store) == 0
    assert total(metrics, clock) == (3.0, 7.0)


def test_joining_while_others_write_loses_nothing(metrics, clock):
    start = clock.now()
    clock.advance(seconds=GATHERED_AFTER + 120)
    stop = threading.Event()

    def gather():
        while not stop.is_set():
            metrics.compact()

    thread = threading.Thread(target=gather)
    thread.start()
    for number in range(200):
        metrics.put([datum(start + dt.timedelta(minutes=number % 2), 1)])
    stop.set()
    thread.join()

    assert total(metrics, clock) == (200.0, 200.0)


def test_unknown_percentiles_stay_unknown(metrics, clock):
    folded = StatisticSet(count=4, total=10, least=1, most=4)
    metrics.put([Datum(metric=METRIC, at=clock.now(), statistics=folded), datum(clock.now(), 2)])
    metrics.put([datum(clock.now(), 9)])
    clock.advance(seconds=GATHERED_AFTER + 60)
    metrics.compact()

    assert read(metrics, clock, "Sum", "Maximum", "p50")[0][1:] == [21, 9, None]
