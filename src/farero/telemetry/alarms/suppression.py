"""Whether another alarm keeps a composite from acting. Pure.

A composite with an ActionsSuppressor does not act while that alarm is in ALARM, nor for the extension period after it.
A change of state that nobody suppresses waits for the wait period first, in case the suppressor is about to follow.
What was kept back is told when the suppression ends, unless the composite is back in the state that it told last.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.records.alarms import State

Suppressor = Literal["", "Alarm", "WaitPeriod", "ExtensionPeriod"]


@dataclass(frozen=True, slots=True)
class Hold:
    """How it stands with the actions of a composite."""

    #: The state whose actions were taken last.
    told: State
    by: Suppressor = ""
    #: When a period ends.
    until: dt.datetime | None = None


def advance(
    hold: Hold,
    config: Mapping[str, Any],
    *,
    state: State,
    is_suppressing: bool,
    now: dt.datetime,
) -> Hold:
    """Return how it stands now; nobody suppresses and `told` is another state than `state`: act, and tell.

    is_suppressing: the suppressor is in ALARM.
    """
    if is_suppressing:
        return replace(hold, by="Alarm", until=None)
    if hold.by == "Alarm":
        return _during(hold, "ExtensionPeriod", config, now)
    if hold.by:
        is_over = hold.until is None or now >= hold.until
        is_moot = hold.by == "WaitPeriod" and state == hold.told
        return replace(hold, by="", until=None) if is_over or is_moot else hold
    return hold if state == hold.told else _during(hold, "WaitPeriod", config, now)


def name_of(config: Mapping[str, Any]) -> str:
    """Return the name of the alarm that suppresses, "" if there is none; it may be given by its ARN."""
    given: str = config.get("ActionsSuppressor", "")
    return given.split(":alarm:", 1)[-1] if given.startswith("arn:") else given


def reason(by: Suppressor) -> str:
    """Return what DescribeAlarms says of a suppression."""
    return f"Actions suppressed by {by}" if by else ""


def _during(
    hold: Hold,
    by: Literal["WaitPeriod", "ExtensionPeriod"],
    config: Mapping[str, Any],
    now: dt.datetime,
) -> Hold:
    seconds = int(config.get(f"ActionsSuppressor{by}", 0))
    if seconds <= 0:
        return replace(hold, by="", until=None)
    return replace(hold, by=by, until=now + dt.timedelta(seconds=seconds))
