"""Schedule expressions of AWS: `rate(5 minutes)` and `cron(0 9 ? * MON-FRI *)`, in UTC. Pure.

Follows "Cron and rate expressions in Amazon EventBridge": six fields, Sunday is day 1, one of the two day fields is
`?`, and `L`, `W` and `#` as there.
"""

from __future__ import annotations

import calendar
import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_VALID = "Parameter ScheduleExpression is not valid."
MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
WEEKDAYS = {
    name: number
    for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)
}
FIRST_YEAR, LAST_YEAR = 1970, 2199
_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s+(minute|hour|day)(s?)\s*\)", re.ASCII)
_CRON = re.compile(r"cron\(([^()]*)\)", re.ASCII)
_PART = re.compile(r"(\*|[A-Z]{3}|[0-9]{1,4})(?:-([A-Z]{3}|[0-9]{1,4}))?(?:/([0-9]{1,4}))?")
_DAY = re.compile(r"(L)|L-([0-9]{1,2})|(LW)|([0-9]{1,2})W")
_WEEKDAY = re.compile(r"([1-7]|[A-Z]{3})(?:(L)|#([1-5]))")


@dataclasses.dataclass(frozen=True)
class Rate:
    """Every so often, counted from when the schedule began."""

    every: dt.timedelta

    def next_after(self, moment: dt.datetime, *, began: dt.datetime) -> dt.datetime | None:
        """Return the first time after a moment."""
        passed = max((moment - began) // self.every, 0)
        return began + (passed + 1) * self.every


@dataclasses.dataclass(frozen=True)
class Cron:
    """Times of a calendar. days, weekdays: what the field says, as text; one of them is `?`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]

    def next_after(
        self, moment: dt.datetime, *, began: dt.datetime | None = None
    ) -> dt.datetime | None:
        """Return the first time after a moment (aware), or None if there will be none."""
        _ = began
        start = moment.astimezone(dt.UTC).replace(second=0, microsecond=0)
        for year in sorted(year for year in self.years if year >= start.year):
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for day in sorted(self._days_of(year, month)):
                    found = self._within(dt.datetime(year, month, day, tzinfo=dt.UTC), start)
                    if found is not None:
                        return found
        return None

    def _within(self, midnight: dt.datetime, start: dt.datetime) -> dt.datetime | None:
        if midnight.date() < start.date():
            return None
        for hour in self.hours:
            for minute in self.minutes:
                at = midnight.replace(hour=hour, minute=minute)
                if at > start:
                    return at
        return None

    def _days_of(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        found: set[int] = set()
        if self.weekdays == "?":
            for part in self.days.split(","):
                found |= _month_days(part, year, month, last)
        else:
            for part in self.weekdays.split(","):
                found |= _week_days(part, year, month, last)
        return {day for day in found if 1 <= day <= last}


def parse(text: str) -> Rate | Cron:
    """Read a schedule expression; raise Invalid in AWS's words if it is none."""
    rate = _RATE.fullmatch(text)
    if rate is not None:
        count, unit, plural = int(rate[1]), rate[2], bool(rate[3])
        _need(count > 0 and plural is (count != 1))
        return Rate(count * dt.timedelta(**{f"{unit}s": 1}))
    cron = _CRON.fullmatch(text)
    fields = cron[1].upper().split() if cron else []
    _need(len(fields) == 6)
    minutes, hours, days, months, weekdays, years = fields
    _need((days == "?") is not (weekdays == "?"))
    read = Cron(
        minutes=tuple(sorted(_numbers(minutes, 0, 59))),
        hours=tuple(sorted(_numbers(hours, 0, 23))),
        days=days,
        months=frozenset(_numbers(months, 1, 12, MONTHS)),
        weekdays=weekdays,
        years=frozenset(_numbers(years, FIRST_YEAR, LAST_YEAR)),
    )
    # Reads each part of the day fields, so that a wrong one is refused now and not when it is due.
    read._days_of(2024, 1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - this module's own class
    return read


def _numbers(field: str, low: int, high: int, names: Mapping[str, int] | None = None) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise Invalid(NOT_VALID)
        step = int(match[3]) if match[3] else 1
        first = low if match[1] == "*" else _number(match[1], names)
        is_open = match[1] == "*" or (match[3] is not None and match[2] is None)
        last = _number(match[2], names) if match[2] else high if is_open else first
        _need(step > 0 and not (match[1] == "*" and match[2]))
        _need(low <= first <= high and low <= last <= high)
        if first <= last:
            found.update(range(first, last + 1, step))
        else:  # FRI-MON goes round
            ring = [*range(first, high + 1), *range(low, last + 1)]
            found.update(ring[::step])
    return found


def _number(text: str, names: Mapping[str, int] | None) -> int:
    if text.isdigit():
        return int(text)
    if names is None or text not in names:
        raise Invalid(NOT_VALID)
    return names[text]


def _month_days(part: str, year: int, month: int, last: int) -> set[int]:
    match = _DAY.fullmatch(part)
    if match is None:
        return _numbers(part, 1, 31)
    if match[1]:
        return {last}
    if match[2]:
        _need(int(match[2]) <= 30)
        return {last - int(match[2])}
    wanted = last if match[3] else int(match[4])
    _need(1 <= wanted <= 31)
    return {_nearest_weekday(wanted, year, month, last)} if wanted <= last else set()


def _nearest_weekday(day: int, year: int, month: int, last: int) -> int:
    """Return the working day nearest to a day, within its month."""
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < last else day - 2
    return day


def _week_days(part: str, year: int, month: int, last: int) -> set[int]:
    match = _WEEKDAY.fullmatch(part)
    if match is None:
        wanted = {7} if part == "L" else _numbers(part, 1, 7, WEEKDAYS)
        return {day for day in range(1, last + 1) if _weekday(year, month, day) in wanted}
    number = _number(match[1], WEEKDAYS)
    days = [day for day in range(1, last + 1) if _weekday(year, month, day) == number]
    if match[2]:
        return {days[-1]}
    return set(days[int(match[3]) - 1 : int(match[3])])


def _weekday(year: int, month: int, day: int) -> int:
    """Return AWS's number of a day: Sunday is 1."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _need(claim: bool) -> None:  # noqa: FBT001 - reads as `need(claim)`
    if not claim:
        raise Invalid(NOT_VALID)
