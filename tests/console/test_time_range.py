"""The stretch of time that an address names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from farero.console import time_range

NOW = datetime(2026, 5, 4, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(("key", "seconds"), time_range.KEYS.items())
def test_a_key_is_a_range_that_ends_now(key: str, seconds: int) -> None:
    found = time_range.from_query({"range": key}, now=NOW)
    assert (found.key, found.end, found.seconds) == (key, NOW, seconds)
    assert found.query == {"range": key}
    assert found.again(NOW + timedelta(minutes=1)).end == NOW + timedelta(minutes=1)


def test_a_start_and_an_end_stay_as_they_are() -> None:
    given = {"start": "2026-05-01T10:00:00Z", "end": "2026-05-01T12:00:00+00:00"}
    found = time_range.from_query(given, now=NOW)
    assert found.seconds == 7200
    assert found.again(NOW) == found
    assert not found.is_live
    assert time_range.from_query(found.query, now=NOW) == found


def test_without_an_end_it_is_now() -> None:
    assert time_range.from_query({"start": "2026-05-04T11:00:30Z"}, now=NOW).seconds == 3600


@pytest.mark.parametrize(
    "given",
    [
        {}, {"range": "9y"}, {"start": "yesterday", "end": "today"}, {"start": "", "end": "2026-05-01T10:00:00Z"},
        {"start": "2026-05-01T12:00:00Z", "end": "2026-05-01T10:00:00Z"}, {"start": "0001-01-01", "end": "9999-12-31"},
        {"start": "2020-01-01T00:00:00Z", "end": "2026-05-01T10:00:00Z"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_the_default(given: dict[str, str]) -> None:
    assert time_range.from_query(given, "3h", now=NOW).key == "3h"


@pytest.mark.parametrize(
    ("key", "period"), [("15m", 60), ("1h", 60), ("3h", 60), ("12h", 300), ("1d", 300), ("3d", 900), ("1w", 3600)]
)  # fmt: skip
def test_a_period_gives_some_hundred_points(key: str, period: int) -> None:
    assert time_range.latest(key).period == period


@pytest.mark.parametrize(("days", "period"), [(1, 60), (20, 300), (100, 3600)])
def test_a_period_is_one_that_is_still_kept(days: int, period: int) -> None:
    start = datetime.now(UTC) - timedelta(days=days)
    assert time_range.Range(start, start + timedelta(hours=1), "").period == period


def test_questions_are_the_same_while_a_period_lasts() -> None:
    now = datetime.now(UTC).replace(second=30)
    asked = time_range.latest("1h", now).aligned()
    assert asked == time_range.latest("1h", now + timedelta(seconds=29)).aligned()
    assert (asked.end - now, asked.seconds) == (
        timedelta(seconds=30, microseconds=-now.microsecond),
        3660,
    )
