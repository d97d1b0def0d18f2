"""What home makes of an hour's figures, without a browser."""

from __future__ import annotations

from farero.console.charts import Series
from farero.console.glances import Glance, ended, glance, together


def test_the_variants_of_an_endpoint_become_one() -> None:
    found = {
        "r3_0": Series("a", [(0, 60), (60_000, 120)]), "r3_1": Series("b", [(60_000, 60)]),
        "l3_0": Series("a", [(0, 10.0)]), "l3_1": Series("b", [(0, 90.0)]),
        "x3_0": Series("a", [(0, 1)]), "y3_1": Series("b", [(0, 2), (60_000, 3)]), "r4_0": Series("c", [(0, 9)]),
    }  # fmt: skip
    seen = glance(found, 3, 2, 130_000)
    assert seen.requests == [(0, 60), (60_000, 180)]
    assert (seen.rate, seen.slow, seen.share) == (2.0, 90.0, 2.5)


def test_old_requests_are_no_rate_now() -> None:
    requests = [(0.0, 600.0), (60_000.0, 600.0)]
    assert Glance([*requests], [], [], 125_000).rate == 10.0
    assert Glance([*requests], [], [], 365_000).rate == 600 / 5 / 60
    assert Glance([*requests], [], [], 3_600_000).rate == 0.0


def test_without_requests_there_is_no_share_of_errors() -> None:
    idle = Glance([], [], [], 0)
    assert (idle.rate, idle.slow, idle.share) == (0.0, None, None)


def test_a_time_without_any_value_stays_without() -> None:
    assert together([Series("a", [(0, None)])], sum) == [(0, None)]


def test_the_minute_that_goes_on_is_left_out() -> None:
    one = Series("a", [(0, 5), (60_000, 1)])
    assert ended(one, 90_000).points == [(0, 5)]
    assert ended(one, 120_000).points == one.points
