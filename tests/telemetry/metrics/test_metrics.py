"""Metrics in the store: nothing is lost or doubled while they grow old, whoever writes; on every SQL store."""

import contextlib
import datetime as dt
import math
import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.records.metrics import Datum, Metric
from farero.store import metrics as rows
from farero.telemetry.metrics.expressions import compile_expression
from farero.telemetry.metrics.ingest import KEPT, MINUTE, SPAN, Metrics
from farero.telemetry.metrics.search import compile_search
from farero.telemetry.metrics.sketch import Sketch
from farero.telemetry.metrics.statistics import Summary, statistic

METRIC = Metric.of("Shop", "Latency", {"b": "2", "a": "1"})
values = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False).filter(
    lambda v: v == 0 or abs(v) > 1e-9
)


def datum(at, *numbers, metric=METRIC, resolution=60):
    return Datum(
        metric=metric, at=at, values=tuple(float(n) for n in numbers), resolution=resolution
    )


def total(metrics, clock, period_s=MINUTE, *, since=dt.timedelta(days=500)):
    points = metrics.points(
        METRIC,
        start=clock.now() - since,
        end=clock.now() + dt.timedelta(hours=1),
        period_s=period_s,
    )
    return sum(p.summary.count for p in points), sum(p.summary.total for p in points)


@pytest.fixture
def metrics(store, clock):
    return Metrics(store, clock)


def test_what_grows_old_is_neither_lost_nor_doubled(metrics, clock):
    metrics.put([datum(clock.now() + dt.timedelta(minutes=m), m, m + 1) for m in range(600)])
    before = total(metrics, clock, 3600, since=dt.timedelta(hours=1))
    whole = (1200.0, float(sum(2 * m + 1 for m in range(600))))

    clock.advance(hours=20)
    made = metrics.compact()

    assert before < whole
    assert made >= 3  # of minutes, five minutes and hours, once each span is over
    for period in (60, 300, 900, 3600):
        assert total(metrics, clock, period) == whole
    metrics.put([datum(clock.now() - dt.timedelta(hours=15), 7)])  # late
    clock.advance(hours=8)
    metrics.compact()
    for period in (60, 300, 3600):
        assert total(metrics, clock, period) == (whole[0] + 1, whole[1] + 7)


def test_each_length_is_kept_for_its_time(metrics, clock):
    metrics.put([datum(clock.now(), 1, resolution=1)])
    seen = {}
    for days in (0, 1, 16, 64, 456):
        clock.advance(hours=24 * days)
        metrics.compact()
        seen[days] = [total(metrics, clock, period)[0] for period in (1, 60, 300, 3600)]

    assert KEPT[3600] == 455 * 86_400
    assert seen == {
        0: [1, 1, 1, 1], 1: [0, 1, 1, 1], 16: [0, 0, 1, 1], 64: [0, 0, 0, 1], 456: [0, 0, 0, 0],
    }  # fmt: skip


def test_several_writers_lose_nothing(metrics, clock):
    def write():
        for _ in range(20):
            metrics.put([datum(clock.now(), 1, 2)])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert total(metrics, clock) == (160.0, 240.0)


def test_packing_while_others_write_loses_nothing(metrics, clock):
    start = clock.now()
    stop = threading.Event()

    def pack():
        while not stop.is_set():
            metrics.compact()

    thread = threading.Thread(target=pack)
    metrics.put([datum(start, 1)])
    clock.advance(hours=13)
    thread.start()
    for minute in range(200):
        metrics.put([datum(start + dt.timedelta(minutes=minute), 1)])
    stop.set()
    thread.join()

    for period in (60, 300, 3600):
        assert total(metrics, clock, period) == (201.0, 201.0)


def test_only_metrics_with_recent_values_are_listed(metrics, clock):
    metrics.put([datum(clock.now(), 1)])
    first = metrics.list()
    clock.advance(hours=24 * 15)

    assert (first, metrics.list()) == ([METRIC], [])


@given(
    st.lists(values, min_size=1, max_size=300), st.sampled_from([0, 0.01, 0.25, 0.5, 0.9, 0.99, 1])
)
def test_a_percentile_is_within_one_percent_of_a_real_value(numbers, share):
    summary = Summary()
    for number in numbers:
        summary.add(number)

    found = statistic(f"p{share * 100:g}")(summary)

    expected = np.percentile(numbers, share * 100, method="inverted_cdf")
    assert math.isclose(found, expected, rel_tol=0.0101, abs_tol=1e-9)


def test_one_slow_request_of_three_is_the_p99():
    summary = Summary()
    for number in (1, 1, 300):
        summary.add(number)

    assert statistic("p99")(summary) == pytest.approx(300, rel=0.011)


@given(st.lists(values, max_size=60), st.lists(values, max_size=60))
def test_merged_sketches_are_the_sketch_of_everything(one, other):
    merged = Sketch.of(one)
    merged.merge(Sketch.of(other))

    assert merged.items() == Sketch.of(one + other).items()
    assert Sketch.from_bytes(merged.to_bytes()).items() == merged.items()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tm50", 3.0), ("TM(10%:90%)", 5.5), ("TC(:50%)", 5.0), ("TS(50%:)", 40.0), ("PR(:5.5)", 50.0),
        ("PR(3.5:7.5)", 40.0), ("IQM", 5.5), ("wm90", 5.4), ("Average", 5.5),
    ],
)  # fmt: skip
def test_trimmed_statistics(name, expected):
    summary = Summary()
    for number in range(1, 11):
        summary.add(number)

    assert statistic(name)(summary) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ["", "p", "p101", "median", "TM(90%:10%)", "TM(a:b)", "sum"])
def test_unknown_statistics_are_refused(name):
    with pytest.raises(Invalid):
        statistic(name)


@given(st.text(alphabet="mM1 2.+-*/^()[],'\"<>=&|ANDORFILSUMSEARCH_e", max_size=60))
def test_no_expression_breaks_the_parser(text):
    for read in (compile_expression, compile_search):
        with contextlib.suppress(Invalid):
            read(text)


def test_deep_nesting_is_refused_and_not_followed():
    with pytest.raises(Invalid, match="nested too deeply"):
        compile_expression("(" * 500 + "1" + ")" * 500)
    with pytest.raises(Invalid, match="nested too deeply"):
        compile_search("(" * 500 + "a" + ")" * 500)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("{Shop,a,b}", True), ("{Shop}", True), ("{Shop,a}", False), ("{Other}", False),
        ('MetricName="Latency"', True), ('MetricName="Late"', False), ("late", False), ("LATENCY", True),
        ("a=1", True), ("a=2", False), ("a=(1 OR 2)", True), ("-latency", False), ("NOT shop", False),
        ("shop AND (nothing OR latency)", True), ("{Shop,a,b} shop -b", False),
    ],
)  # fmt: skip
def test_search_terms(text, matches):
    assert compile_search(text)(METRIC) is matches


def test_percentiles_survive_the_packing(metrics, clock):
    draw = random.Random(5)
    numbers = [draw.lognormvariate(2, 1) for _ in range(2000)]
    start = clock.now()
    metrics.put([datum(start + dt.timedelta(minutes=i % 50), n) for i, n in enumerate(numbers)])
    clock.advance(hours=48)
    metrics.compact()

    [point] = metrics.points(METRIC, start=start, end=start + dt.timedelta(hours=1), period_s=3600)

    assert statistic("p99")(point.summary) == pytest.approx(sorted(numbers)[1979], rel=0.011)


def test_a_span_that_cannot_be_read_costs_itself_alone(metrics, store, clock, caplog):
    metrics.put([datum(clock.now(), 1, 2, 3)])
    start = int(clock.now().timestamp()) // SPAN[MINUTE] * SPAN[MINUTE]
    with store.begin() as db:
        (series,) = rows.ensure_series(db, {(METRIC, "None")}).values()
        for index, data in enumerate((b"", b"\x93\x01\x02\x03", b"{}")):
            rows.add_chunk(db, series, MINUTE, start - index * SPAN[MINUTE], data)
    caplog.set_level("ERROR")
    assert total(metrics, clock) == (3, 6)
