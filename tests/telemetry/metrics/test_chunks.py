"""Packed periods say what they said before, percentiles within a percent."""

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farero.telemetry.metrics import chunks
from farero.telemetry.metrics.chunks import FEW, GRID, Point, pack, unpack
from farero.telemetry.metrics.sketch import ACCURACY
from farero.telemetry.metrics.statistics import Summary, statistic

SHARES = (
    "p1",
    "p5",
    "p10",
    "p25",
    "p50",
    "p75",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "p99.99",
    "p0.1",
    "p100",
)
finite = st.floats(-1e300, 1e300).filter(lambda value: value == 0 or abs(value) > 1e-290)


def summary(values):
    made = Summary()
    for value in values:
        made.add(value)
    return made


def packed(*summaries):
    points = [Point(1_700_000_000 + 60 * n, one) for n, one in enumerate(summaries)]
    found = unpack(pack(points))
    assert [point.at for point in found] == [point.at for point in points]
    return [point.summary for point in found]


def exact(values, share):
    """The smallest value that is not exceeded by that share of all."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered) * (1 - 1e-12)) - 1)]


@given(
    st.lists(
        st.lists(finite | st.integers(-5, 5).map(float), min_size=1, max_size=FEW),
        min_size=1,
        max_size=4,
    )
)
@example([[0.0, -1.5, 1.5, 2.5], [3.0] * FEW, [1e-300]])
@settings(max_examples=60, deadline=None)
def test_few_values_lose_nothing_but_the_eighth_digit(groups):
    for values, found in zip(groups, packed(*map(summary, groups)), strict=True):
        before = summary(values)
        assert found.count == before.count
        for name in ("total", "least", "most"):
            assert getattr(found, name) == pytest.approx(getattr(before, name), rel=1.1e-7, abs=0)
        assert found.sketch.items() == before.sketch.items()


@given(st.lists(st.integers(0, 2**52).map(float), min_size=1, max_size=300))
@settings(max_examples=30, deadline=None)
def test_whole_numbers_stay_as_they_are(values):
    (found,) = packed(summary(values))

    assert (found.least, found.most) == (min(values), max(values))
    if sum(values) < 2**53:
        assert found.total == sum(values)


@pytest.mark.parametrize("count", [10, FEW, FEW + 1, 1_000, 20_000])
@pytest.mark.parametrize("shape", ["lognormal", "two peaks", "both signs", "steps", "one far out"])
def test_percentiles_are_true_within_a_percent(count, shape):
    draw = random.Random(count)
    make = {
        "lognormal": lambda: draw.lognormvariate(3, 0.5),
        "two peaks": lambda: draw.choice((1.0, 1000.0)) * draw.uniform(0.9, 1.1),
        "both signs": lambda: draw.gauss(0, 10),
        "steps": lambda: float(draw.randrange(4)),
        "one far out": lambda: 1e9 if draw.random() < 0.001 else draw.expovariate(1),
    }[shape]
    values = [make() for _ in range(count)]

    (found,) = packed(summary(values))

    for name in SHARES:
        true = exact(values, float(name[1:]) / 100)
        assert statistic(name)(found) == pytest.approx(true, rel=ACCURACY * 1.0001), name
        assert statistic(name)(summary(values)) == pytest.approx(true, rel=ACCURACY * 1.0001), name
    by_sketch = found.sketch
    assert found.percentile(0.9) == pytest.approx(by_sketch.percentile(0.9), rel=1e-9)


def test_every_rank_that_is_cut_at_is_answered_as_before_packing():
    draw = random.Random(3)
    before = summary([draw.lognormvariate(0, 2) for _ in range(5_000)])

    (found,) = packed(before)

    for share in GRID[:-1]:
        assert found.percentile(share) == pytest.approx(before.percentile(share), rel=1e-6)
    for share in [draw.random() for _ in range(300)]:  # others are of a rank near by
        assert before.percentile(max(0.0, share - 0.005)) * 0.999 <= found.percentile(share)
        assert found.percentile(share) <= before.percentile(min(1.0, share + 0.005)) * 1.001


def test_packed_periods_added_up_keep_their_ranks():
    draw = random.Random(4)
    hours = [[draw.lognormvariate(hour / 24, 0.5) for _ in range(2_000)] for hour in range(24)]
    day = Summary()
    for found in packed(*map(summary, hours)):
        day.merge(found)
    values = [value for hour in hours for value in hour]

    assert day.count == len(values)
    for percent in (1, 10, 50, 90, 95, 99):
        low, high = (exact(values, (percent + side) / 100) for side in (-0.2, 0.2))
        assert low * 0.99 <= day.percentile(percent / 100) <= high * 1.01
    assert statistic("TM(10%:90%)")(day) == pytest.approx(
        statistic("TM(10%:90%)")(summary(values)), rel=0.01
    )


def test_what_is_unknown_equal_or_in_parts_of_one_stays_so():
    folded = Summary()
    folded.add_set(10, 100, 1, 20)
    fractions = Summary()
    fractions.add(1.0, 0.25)
    fractions.add(4.0, 0.75)

    unknown, equal, parts = packed(folded, summary([7.5] * 4), fractions)

    assert (unknown.count, unknown.total, unknown.least, unknown.most) == (10, 100, 1, 20)
    assert statistic("p90")(unknown) is None
    assert statistic("p90")(equal) == 7.5
    assert equal.values() == [(7.5, 4)]
    assert statistic("p25")(parts) == pytest.approx(1.0, rel=0.01)
    assert statistic("p50")(parts) == pytest.approx(4.0, rel=0.01)


def test_reading_an_average_unpacks_no_sketch(monkeypatch):
    (found, other) = packed(summary([1.0, 2.0]), summary([3.0, 5.0]))
    monkeypatch.setattr(chunks.Row, "__call__", lambda _: pytest.fail("unpacked"))

    found.merge(other)

    assert statistic("Average")(found) == 2.75
    assert statistic("Maximum")(found) == 5


def test_a_python_without_lzma_packs_and_reads_too(monkeypatch):
    monkeypatch.setattr(chunks, "lzma", None)
    before = summary([1.5, 2.5, 3.5])

    (found,) = packed(before)

    assert found.sketch.items() == before.sketch.items()
