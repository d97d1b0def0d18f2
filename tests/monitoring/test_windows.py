"""When schedules run and what they look at."""

import datetime as dt

import pytest

from farero.base.errors import Invalid
from farero.monitoring import windows

UTC = dt.UTC
BEGAN = dt.datetime(2026, 1, 5, 10, 30, tzinfo=UTC)


def at(day, hour, minute=0):
    return dt.datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "moment", "start"),
    [
        ("cron(0 * ? * * *)", at(5, 13), at(5, 12)),
        ("cron(0 0 ? * * *)", at(6, 0), at(5, 0)),
        ("cron(0 17/6 ? * * *)", at(5, 23), at(5, 17)),
        ("cron(0 12 * * ? *)", at(6, 12), at(5, 12)),
        ("cron(0 9 ? * MON *)", at(12, 9), at(5, 9)),
        ("cron(*/5 * * * ? *)", at(5, 13), at(5, 12, 55)),
        ("rate(1 minute)", at(5, 13), at(5, 12, 59)),
        ("rate(1 hour)", at(5, 13), at(5, 12)),
    ],
)
def test_a_run_looks_at_what_came_since_the_one_before(expression, moment, start):
    assert windows.window(expression, moment, BEGAN, None, None) == (start, moment)


def test_now_looks_where_its_offsets_say():
    assert windows.window("NOW", at(5, 13), BEGAN, "-PT2H30M", "-PT0H") == (
        at(5, 10, 30),
        at(5, 13),
    )
    assert windows.window("NOW", at(9, 13), BEGAN, "-P1DT1H", "-P1D") == (at(8, 12), at(8, 13))
    assert windows.following("NOW", BEGAN, BEGAN) is None


@pytest.mark.parametrize(
    ("expression", "start", "end", "said"),
    [
        ("NOW", None, None, "needs DataAnalysisStartTime"),
        ("NOW", "-PT0H", "-PT1H", "must be before"),
        ("NOW", "yesterday", "-PT1H", "'yesterday' is no duration"),
        ("NOW", "P", "-PT1H", "'P' is no duration"),
        ("cron(0 * ? * * *)", "-PT1H", "-PT0H", "belong to a schedule NOW alone"),
        ("hourly", None, None, "not valid"),
    ],
)
def test_what_could_never_run_is_refused(expression, start, end, said):
    with pytest.raises(Invalid, match=said):
        windows.check(expression, start, end)
