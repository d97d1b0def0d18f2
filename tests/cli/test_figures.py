"""An endpoint's last hour in words, and the one period that holds it."""

import datetime as dt

import pytest

from farero.cli.figures import Figures, duration, spanning_period, worst

HOUR = dt.timedelta(hours=1)


def test_every_hour_of_a_day_lies_in_one_period():
    ends = [dt.datetime(2026, 1, 5, tzinfo=dt.UTC) + dt.timedelta(minutes=n) for n in range(1440)]
    for end in ends:
        period = spanning_period(end - HOUR, end)
        first, last = (end - HOUR).timestamp() // period, (end.timestamp() - 1) // period
        assert (first, period % 60) == (last, 0)
        assert HOUR.total_seconds() <= period <= 86400


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "-"), (412.4, "0.412 ms"), (1500, "1.5 ms"), (123456, "123 ms"), (2_500_000, "2.5 s")],
)
def test_latencies_have_a_unit_that_people_read(microseconds, text):
    assert duration(microseconds) == text


def test_no_requests_are_dashes_and_no_rate():
    assert Figures().cells == ["-", "-", "-", "-"]
    assert Figures().as_json == {"requests": 0, "error_rate": None, "p50_us": None, "p99_us": None}


def test_several_variants_count_together_and_the_slowest_gives_the_times():
    a = Figures(requests=30, errors=3, p50=1000, p99=5000)
    b = Figures(requests=10, errors=0, p50=2000, p99=3000)

    assert worst([a, b]).cells == ["40", "7.5 %", "2 ms", "5 ms"]
    assert worst([]) == Figures()
