"""What is learnt of synthetic series: how much of what follows lies in the band, and what does not."""

import datetime as dt
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.telemetry.alarms import baseline

#: A Monday, 00:00 UTC.
START = int(dt.datetime(2026, 1, 5, tzinfo=dt.UTC).timestamp())
DAY = baseline.DAY


def series(seed, days, *, period=300, daily=10.0, weekend=5.0, trend=0.0, noise=1.0):
    """Return values with a wave a day, quiet weekends, a change per day, and normal noise."""
    draw = random.Random(seed)
    found = []
    for at in range(START, START + int(days * DAY), period):
        day = (at - START) / DAY
        value = 100 + daily * math.sin(2 * math.pi * day) + trend * day + draw.gauss(0, noise)
        # Weekends come softly: the profile is drawn from hour to hour.
        value -= weekend * max(0.0, math.sin(2 * math.pi * (day % 7 - 4.5) / 5)) * (day % 7 > 4.5)
        found.append((at, value))
    return found


def learn(points, days, *, period=300, offset=baseline.no_offset):
    cut = START + int(days * DAY)
    known = [point for point in points if point[0] < cut]
    model = baseline.train(known, origin=cut, period_s=period, offset=offset)
    return model, [point for point in points if point[0] >= cut]


def share_within(model, points, width):
    inside = 0
    for at, value in points:
        upper, lower = model.band(at, width)
        inside += lower <= value <= upper
    return inside / len(points)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    daily=st.floats(0, 30),
    weekend=st.floats(0, 15),
    trend=st.floats(-1, 1),
    noise=st.floats(0.3, 5),
    width=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_as_much_lies_within_the_band_as_its_width_says(seed, daily, weekend, trend, noise, width):
    points = series(seed, 15, daily=daily, weekend=weekend, trend=trend, noise=noise)
    model, later = learn(points, 14)

    nominal = math.erf(width / math.sqrt(2))
    assert abs(share_within(model, later, width) - nominal) < 0.1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(8, 50), sign=st.sampled_from([-1, 1]))
def test_a_shift_lies_outside(seed, size, sign):
    model, later = learn(series(seed, 15, weekend=0), 14)
    shifted = [(at, value + sign * size) for at, value in later]

    assert share_within(model, shifted, 2) < 0.02


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({"daily": 0, "weekend": 0}, baseline.FLAT),
        ({"weekend": 0}, baseline.DAILY),
        ({"weekend": 15}, baseline.WEEKLY),
    ],
)
@pytest.mark.parametrize("period", [300, 3600])
def test_the_profile_is_as_long_as_the_series_repeats(shape, size, period):
    found = [
        len(learn(series(seed, 14, period=period, **shape), 14, period=period)[0].profile)
        for seed in range(5)
    ]

    assert found == [size] * 5


def test_an_outage_in_the_history_hardly_moves_the_band():
    calm = series(1, 15, weekend=0)
    outage = range(START + 12 * DAY, START + 12 * DAY + 6 * 3600)
    broken = [(at, 0.0 if at in outage else value) for at, value in calm]
    model, later = learn(calm, 14)
    other, _ = learn(broken, 14)

    moves = [
        abs(a - b)
        for at, _ in later
        for a, b in zip(model.band(at, 2), other.band(at, 2), strict=True)
    ]
    assert max(moves) < 1.0


def test_a_trend_goes_on():
    model, later = learn(series(3, 15, daily=0, weekend=0, trend=3), 14)

    assert model.slope * DAY == pytest.approx(3, abs=0.2)
    assert share_within(model, later, 3) > 0.97


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(START + 300 * n, 1.0) for n in range(23)],
        [(START + 60 * n, 1.0) for n in range(179)],
    ],
)
def test_nothing_is_learnt_from_too_little(points):
    assert baseline.train(points, origin=START + DAY, period_s=60) is None


def test_a_constant_is_expected_to_stay_and_nothing_negative_where_nothing_was():
    model, _ = learn([(START + 300 * n, 7.0) for n in range(300)], 2)
    upper, lower = model.band(START + 2 * DAY, 2)
    assert lower <= 7.0 <= upper
    assert upper - lower < 0.001

    rare = [(START + 300 * n, 5.0 if n % 50 == 0 else 0.0) for n in range(2000)]
    model, _ = learn(rare, 7)
    upper, lower = model.band(START + 7 * DAY, 2)
    assert lower == 0.0
    assert 0.0 < upper < 5.0


def test_the_day_is_that_of_the_local_clock():
    """Clocks go forward an hour at the end of the history; the wave follows them."""
    change = START + 14 * DAY

    def offset(at):
        return 3600 if at >= change else 0

    wave = [
        (at, 50 + 40 * math.sin(2 * math.pi * (at + offset(at) - START) / DAY) + (at % 7) / 7)
        for at in range(START, START + 15 * DAY, 300)
    ]
    local, later = learn(wave, 14, offset=offset)
    fixed, _ = learn(wave, 14)

    assert share_within(local, later, 3) > 0.95
    assert share_within(fixed, later, 3) < 0.3


def test_hours_that_were_never_seen_lie_between_their_neighbours():
    """A shop that is open from 8 to 20."""
    points = [
        (at, value)
        for at, value in series(5, 14, weekend=0)
        if 8 <= (at - START) % DAY // 3600 < 20
    ]
    model, _ = learn(points, 14)

    uppers = [model.band(START + 14 * DAY + hour * 3600, 2)[0] for hour in range(24)]
    assert all(85 < upper < 115 for upper in uppers)
