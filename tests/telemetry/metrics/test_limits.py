"""No query, however odd, ends in anything but an answer or a refusal."""

import contextlib
import datetime as dt

import hypothesis.strategies as given_by
import pytest
from hypothesis import HealthCheck, given, settings

from farero.base.clock import ManualClock
from farero.base.errors import Invalid
from farero.records.metrics import Datum, Metric
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.telemetry.metrics.search import compile_search
from farero.telemetry.metrics.sketch import Sketch

METRIC = Metric.of("Shop", "Latency", {"Route": "pay"})
STAT = {
    "Id": "e",
    "MetricStat": {
        "Metric": {
            "Namespace": "Shop",
            "MetricName": "Latency",
            "Dimensions": [{"Name": "Route", "Value": "pay"}],
        },
        "Period": 60,
        "Stat": "Sum",
    },
}
WORDS = [
    "e",
    "1",
    "2.5",
    "+",
    "-",
    "*",
    "/",
    "^",
    "(",
    ")",
    "[",
    "]",
    ",",
    "<",
    "==",
    "AND",
    "OR",
    "IF",
    "SUM",
    "METRICS",
    "FILL",
    "SORT",
    "MAX",
    "REPEAT",
    "LINEAR",
    "SLICE",
    "SEARCH",
    "'a'",
    "TIME_SERIES",
    "RATE",
    "DIFF",
    "RUNNING_SUM",
    "FIRST",
    "STDDEV",
    "LOG",
    "PERIOD",
    "REMOVE_EMPTY",
    "ANOMALY_DETECTION_BAND",
    "MONTH",
]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('metrics')}/telemetry.db", durable=False)
    migrations.upgrade(store)
    clock = ManualClock()
    metrics = Metrics(store, clock)
    at = clock.now() - dt.timedelta(minutes=3)
    metrics.put([Datum(metric=METRIC, at=at, values=(2.0,))])
    queries = MetricQueries(metrics)
    start = clock.now() - dt.timedelta(minutes=9)
    yield lambda *asked: queries.evaluate(asked, start=start, end=clock.now())
    store.close()


def expression(text):
    return {"Id": "x", "Expression": text}


@pytest.mark.parametrize("period", [0, 7, 61, 90])
def test_periods_that_do_not_divide_into_minutes_are_refused(ask, period):
    with pytest.raises(Invalid, match="Period"):
        ask({**STAT, "MetricStat": {**STAT["MetricStat"], "Period": period}})
    with pytest.raises(Invalid, match="Period"):
        ask(expression(f"SEARCH('{{Shop,Route}} latency', 'Sum', {period})"))


def test_a_sum_of_a_thousand_terms_is_added_up(ask):
    [_, found] = ask(STAT, expression("e" + "+e" * 999))

    assert [value for _, value in found.points] == [2000.0]


def test_depth_is_refused(ask):
    chain = [{"Id": f"q{i}", "Expression": f"q{i + 1} + 1"} for i in range(499)]
    for queries in (
        [STAT, expression("-" * 2000 + "e")],
        [expression("SEARCH('{Shop} " + "- " * 980 + "x', 'Sum', 60)")],
        [expression("SEARCH('{Shop} " + "(" * 900 + "x', 'Sum', 60)")],
        [*chain, {**STAT, "Id": "q499"}],
    ):
        with pytest.raises(Invalid, match="deeply"):
            ask(*queries)


@pytest.mark.parametrize("text", ["1 / 0", "FILL(e, 1 / 0)", "e / 0"])
def test_what_is_no_number_is_no_point(ask, text):
    [_, found] = ask(STAT, expression(text))

    assert all(value == 2.0 for _, value in found.points)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_by.lists(given_by.sampled_from(WORDS), max_size=14))
def test_any_expression_is_answered_or_refused(ask, words):
    with contextlib.suppress(Invalid):  # anything else fails the test
        assert len(ask(STAT, expression(" ".join(words)))) >= 1


@settings(max_examples=300, deadline=None)
@given(given_by.text("{}N,A =()\"'-OR NTx", max_size=20))
def test_any_search_is_answered_or_refused(text):
    with contextlib.suppress(Invalid):
        assert compile_search(text)(METRIC) in (True, False)


@settings(max_examples=100, deadline=None)
@given(
    given_by.lists(given_by.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-9)),
    given_by.lists(given_by.floats(-1e12, 1e12).filter(lambda v: v == 0 or abs(v) > 1e-9)),
)
def test_merged_sketches_are_the_sketch_of_all_values_within_one_percent(left, right):
    merged = Sketch.of(left)
    merged.merge(Sketch.from_bytes(Sketch.of(right).to_bytes()))

    assert merged.items() == Sketch.of([*left, *right]).items()
    there = [value for value, count in merged.items() for _ in range(int(count))]
    assert len(there) == len(left) + len(right)
    for mine, true in zip(there, sorted([*left, *right]), strict=True):
        assert mine == pytest.approx(true, rel=0.0101)
