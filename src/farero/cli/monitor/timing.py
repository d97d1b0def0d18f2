"""When a schedule runs next, how much it looks at, and which of its windows nobody looked at. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from farero.base.errors import Invalid
from farero.monitoring import windows

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A run is asked for this long after its moment at the latest; on AWS it is up to twenty minutes.
LATE = dt.timedelta(minutes=20)
#: Missed windows that are counted; more are "more".
MOST = 1000


def expression_of(described: dict[str, Any]) -> str:
    """Return the expression of a described schedule."""
    config: dict[str, Any] = described.get("MonitoringScheduleConfig") or {}
    schedule: dict[str, Any] = config.get("ScheduleConfig") or {}
    return str(schedule.get("ScheduleExpression", windows.NOW))


def next_run(described: dict[str, Any]) -> dt.datetime | None:
    """Return the moment of a schedule's next run; None if there will be none."""
    if described["MonitoringScheduleStatus"] != "Scheduled":
        return None
    last = described.get("LastMonitoringExecutionSummary")
    # a rate counts from when it began: one run after another
    before = last["ScheduledTime"] if last else described["LastModifiedTime"]
    return _following(expression_of(described), before)


def span_of(described: dict[str, Any], now: dt.datetime) -> dt.timedelta | None:
    """Return how much time one run of a schedule looks at; None for one that runs once."""
    expression = expression_of(described)
    upcoming = _following(expression, now)
    if upcoming is None:
        return None
    start, end = windows.window(expression, upcoming, now, None, None)
    return end - start


def next_window(
    described: dict[str, Any], offsets: dict[str, Any]
) -> tuple[dt.datetime, dt.datetime] | None:
    """Return what the next run of a schedule looks at; None if there will be none.

    offsets: of its input, StartTimeOffset and EndTimeOffset, for labels that come later than their records.
    """
    at = next_run(described)
    if at is None:
        return None
    plain = windows.window(expression_of(described), at, at, None, None)
    return windows.shifted(at, plain, offsets.get("StartTimeOffset"), offsets.get("EndTimeOffset"))


def missed(
    described: dict[str, Any], executions: Sequence[dict[str, Any]], now: dt.datetime
) -> list[dt.datetime]:
    """Return the moments between a schedule's executions, and after the last one, at which there was none."""
    expression = expression_of(described)
    moments = sorted(one["ScheduledTime"] for one in executions)
    found: list[dt.datetime] = []
    for index, moment in enumerate(moments):
        last = index + 1 == len(moments)
        if last and described["MonitoringScheduleStatus"] != "Scheduled":
            break
        until = now - LATE if last else moments[index + 1]
        before, upcoming = moment, _following(expression, moment)
        # a rate that was changed counts anew: less than half a span early is the next one itself
        while upcoming is not None and upcoming + (upcoming - before) / 2 < until:
            found.append(upcoming)
            if len(found) == MOST:
                return found
            before, upcoming = upcoming, _following(expression, upcoming)
    return found


def _following(expression: str, moment: dt.datetime) -> dt.datetime | None:
    if expression == windows.NOW:
        return None
    try:
        return windows.following(expression, moment, moment)
    except Invalid:
        return None  # a form that AWS has and Farero has not
