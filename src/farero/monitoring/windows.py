"""When a schedule runs and which window it then looks at. Pure.

`cron(0 * ? * * *)` and the like as on AWS, any other AWS cron, `rate(…)` down to a minute as an extension, and `NOW`.
A run looks at what came between the moment before and its own; NOW at what its offsets say.
"""

from __future__ import annotations

import datetime as dt
import re

from farero.base.errors import Invalid
from farero.work import cron

NOW = "NOW"
#: How far back the moment before is looked for, in growing steps.
_BACK = (
    dt.timedelta(minutes=2), dt.timedelta(hours=2), dt.timedelta(days=2), dt.timedelta(days=32),
    dt.timedelta(days=400),
)  # fmt: skip
_DURATION = re.compile(r"(-?)P(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?", re.ASCII)


def check(expression: str, start: str | None, end: str | None) -> None:
    """Raise Invalid for a schedule that could never run."""
    if expression == NOW:
        if start is None or end is None:
            raise Invalid(
                "A schedule NOW needs DataAnalysisStartTime and DataAnalysisEndTime, as -PT1H and -PT0H."
            )
        if offset(start) >= offset(end):
            raise Invalid("DataAnalysisStartTime must be before DataAnalysisEndTime.")
        return
    if start is not None or end is not None:
        raise Invalid(
            "DataAnalysisStartTime and DataAnalysisEndTime belong to a schedule NOW alone."
        )
    cron.parse(expression)


def check_offsets(start: str | None, end: str | None) -> None:
    """Raise Invalid for a StartTimeOffset and EndTimeOffset that leave no window."""
    if start is not None and end is not None and _back(start) <= _back(end):
        raise Invalid(
            f"StartTimeOffset {start} must lie further back than EndTimeOffset {end}: both are subtracted."
        )
    for text in (start, end):
        if text is not None:
            offset(text)


def shifted(
    at: dt.datetime, plain: tuple[dt.datetime, dt.datetime], start: str | None, end: str | None
) -> tuple[dt.datetime, dt.datetime]:
    """Return the window of a definition with offsets, for labels that come late.

    Both are subtracted from the moment of the run, whatever their sign: at 2020-01-09T13:00, -P8D and -P1D look at
    2020-01-01T13:00 to 2020-01-08T13:00 ("Schedule model quality monitoring jobs"). With EndTimeOffset alone the
    window keeps its length, so that windows still follow one another.
    """
    if start is None and end is None:
        return plain
    until = plain[1] if end is None else at - _back(end)
    return until - (plain[1] - plain[0]) if start is None else at - _back(start), until


def _back(text: str) -> dt.timedelta:
    return abs(offset(text))


def following(expression: str, moment: dt.datetime, began: dt.datetime) -> dt.datetime | None:
    """Return the first moment of a schedule after another one; None if there is none."""
    if expression == NOW:
        return began if moment < began else None
    return cron.parse(expression).next_after(moment, began=began)


def window(
    expression: str, at: dt.datetime, began: dt.datetime, start: str | None, end: str | None
) -> tuple[dt.datetime, dt.datetime]:
    """Return start and end of what a run at a moment looks at."""
    if expression == NOW:
        return at + offset(start or "-PT1H"), at + offset(end or "-PT0H")
    schedule = cron.parse(expression)
    if isinstance(schedule, cron.Rate):
        return at - schedule.every, at
    for back in _BACK:
        before, moment = None, at - back
        while (found := schedule.next_after(moment, began=began)) is not None and found < at:
            before = moment = found
        if before is not None:
            return before, at
    return began, at


def offset(text: str) -> dt.timedelta:
    """Read an ISO 8601 duration of days, hours and minutes, as `-PT1H`. Raises Invalid."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()[1:]):
        raise Invalid(f"'{text}' is no duration such as -PT1H or -P1D.")
    sign, days, hours, minutes = found.groups()
    span = dt.timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0))
    return -span if sign else span
