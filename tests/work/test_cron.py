"""AWS's schedule expressions, by the examples of EventBridge's guide and against a slow oracle."""

import contextlib
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.base.errors import Invalid
from farero.work import cron

UTC = dt.UTC


def times(expression, start, count):
    schedule, moment, found = cron.parse(expression), dt.datetime.fromisoformat(start), []
    moment = moment.replace(tzinfo=UTC)
    for _ in range(count):
        moment = schedule.next_after(moment)
        if moment is None:
            break
        found.append(moment.strftime("%Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("cron(0 10 * * ? *)", "2026-01-31T10:00", ["2026-02-01 10:00"]),
        ("cron(15 12 * * ? *)", "2026-01-31T12:14:59", ["2026-01-31 12:15"]),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20T18:00", ["2026-11-23 18:00"]),
        ("cron(0 8 1 * ? *)", "2026-12-02T00:00", ["2027-01-01 08:00"]),
        (
            "cron(0/10 * ? * MON-FRI *)",
            "2026-11-20T23:45",
            ["2026-11-20 23:50", "2026-11-23 00:00"],
        ),
        ("cron(0 9 ? * 2#1 *)", "2026-11-21T00:00", ["2026-12-07 09:00", "2027-01-04 09:00"]),
        ("cron(0 9 ? * 6L *)", "2026-11-21T00:00", ["2026-11-27 09:00"]),
        ("cron(0 0 L * ? *)", "2024-02-01T00:00", ["2024-02-29 00:00", "2024-03-31 00:00"]),
        ("cron(0 0 L-2 * ? *)", "2026-11-21T00:00", ["2026-11-28 00:00"]),
        ("cron(0 0 LW * ? *)", "2026-01-02T00:00", ["2026-01-30 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-07-31T00:00", ["2026-08-03 00:00"]),  # Saturday, month's first
        ("cron(0 0 15W * ? *)", "2026-11-01T00:00", ["2026-11-16 00:00"]),  # Sunday
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00", ["2028-02-29 00:00"]),
        ("cron(0 0 1 JAN ? 2027)", "2026-01-01T00:00", ["2027-01-01 00:00"]),
        ("cron(0 * ? * * *)", "2026-11-21T09:10", ["2026-11-21 10:00"]),  # SageMaker's hourly
        ("cron(0 12 ? * L *)", "2026-11-21T12:00", ["2026-11-28 12:00"]),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-23T00:00", ["2026-11-27 00:00"]),
    ],
)
def test_the_next_times_are_those_of_the_calendar(expression, start, expected):
    assert times(expression, start, len(expected)) == expected


@pytest.mark.parametrize(
    "expression", ["cron(0 0 1 1 ? 2020)", "cron(0 0 30 2 ? *)", "cron(0 0 31W 2 ? *)"]
)
def test_a_time_that_never_comes_is_none(expression):
    assert times(expression, "2026-01-01T00:00", 1) == []


@pytest.mark.parametrize(
    "expression",
    [
        "", "cron()", "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
        "cron(0 0 32 * ? *)", "cron(0 0 0W * ? *)", "cron(0 0 32W * ? *)", "cron(0 0 * 13 ? *)",
        "cron(0 0 ? * 8 *)", "cron(0 0 ? * 2#6 *)", "cron(0 0 ? * XXX *)", "cron(0 0 * * ? 1969)",
        "cron(0 0 * * ? 2200)", "cron(0/0 0 * * ? *)", "cron(0 0 * * ?)", "cron(0 0 * * ? * *)",
        "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(5 seconds)", "rate(-1 minutes)", "rate(5)",
        "cron(0 0 L-31 * ? *)", "cron(\u0665 0 * * ? *)",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_in_awss_words(expression):
    with pytest.raises(Invalid, match=r"Parameter ScheduleExpression is not valid\."):
        cron.parse(expression)


def test_a_rate_counts_from_its_beginning():
    began = dt.datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)
    rate = cron.parse("rate(5 minutes)")
    assert rate.next_after(began, began=began) == began + dt.timedelta(minutes=5)
    late = began + dt.timedelta(minutes=12)
    assert rate.next_after(late, began=began) == began + dt.timedelta(minutes=15)
    assert cron.parse("rate(1 day)").every == dt.timedelta(days=1)


@settings(max_examples=60, deadline=None)
@given(
    minute=st.integers(0, 59),
    step=st.integers(1, 23),
    weekday=st.integers(1, 7),
    hours=st.integers(0, 24 * 365 * 15),
)
def test_no_time_is_passed_over(minute, step, weekday, hours):
    start = dt.datetime(2020, 1, 1, 0, 30, 1, tzinfo=UTC) + dt.timedelta(hours=hours)
    found = cron.parse(f"cron({minute} 0/{step} ? * {weekday} *)").next_after(start)
    at = start.replace(second=0, microsecond=0)
    while True:
        at += dt.timedelta(minutes=1)
        is_day = at.isoweekday() % 7 + 1 == weekday
        if is_day and at.minute == minute and at.hour % step == 0:
            break
    assert found == at


@given(st.text(alphabet="cronrate() 0123456789*?,-/LW#MONJAN", max_size=40))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(Invalid):
        cron.parse(text)
