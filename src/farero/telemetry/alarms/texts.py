"""The exact words, numbers and dates in which CloudWatch tells why an alarm is in its state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from farero.records.alarms import Point, State

#: What a datapoint did, by comparison operator; "not" is put before it on recovery.
PHRASES = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to the threshold",
    "GreaterThanThreshold": "greater than the threshold",
    "LessThanThreshold": "less than the threshold",
    "LessThanOrEqualToThreshold": "less than or equal to the threshold",
    "GreaterThanUpperThreshold": "greater than the upper thresholds",
    "LessThanLowerThreshold": "less than the lower thresholds",
    "LessThanLowerOrGreaterThanUpperThreshold": (
        "less than the lower thresholds {lower} or greater than the upper thresholds"
    ),
}

TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


def number(value: float) -> str:
    """Return a number as Java prints a double: 6.0, 0.059, 1.0E-4, 1.2345678E7."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = repr(float(value))
        return text if "e" not in text else f"{value:.1f}"
    mantissa, _, exponent = f"{value:e}".partition("e")
    digits = repr(value)
    if "e" in digits:
        mantissa, _, exponent = digits.partition("e")
    else:
        exponent = f"{int(exponent)}"
        shown = digits.lstrip("-").replace(".", "").strip("0") or "0"
        mantissa = ("-" if value < 0 else "") + shown[0] + "." + (shown[1:] or "0")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}E{int(exponent)}"


def moment(at: dt.datetime) -> str:
    """Return a time as reason data and messages have it: 2022-09-25T18:50:37.811+0000."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def insufficient(count: int) -> str:
    """Return the reason of an alarm that has no data."""
    if count == 1:
        return "Insufficient Data: 1 datapoint was unknown."
    return f"Insufficient Data: {count} datapoints were unknown."


def transitioned(arn: str, state: State, at: dt.datetime) -> str:
    """Return the reason of a composite whose state follows from a child's change."""
    return f"{arn} transitioned to {state} at {at:%A %d %B, %Y %H:%M:%S} UTC"


def evaluates(arn: str, word: str, state: State) -> str:
    """Return the reason of a composite that has its first state. word: `created` or `updated`."""
    return f"{arn} was {word} and its alarm rule evaluates to {state}"


def no_points(count: int, treatment: str) -> str:
    """Return the reason of an alarm that had nothing but missing datapoints, and treats them as something."""
    periods, points, were = (
        ("period", "datapoint", "was") if count == 1 else ("periods", "datapoints", "were")
    )
    return (
        f"Threshold Crossed: no datapoints were received for {count} {periods} and "
        f"{count} missing {points} {were} treated as [{TREATED[treatment]}]."
    )


def crossed(  # noqa: PLR0913 - one a part of the sentence
    points: Sequence[Point],
    *,
    of: int,
    operator: str,
    threshold: float | None,
    state: State,
    least: int,
    filled: int = 0,
    treatment: str = "missing",
) -> str:
    """Return the reason of an alarm that goes to ALARM or OK by datapoints, newest first."""
    shown = ", ".join(f"{number(p.value)} ({p.at:%d/%m/%y %H:%M:%S})" for p in points)
    verb = "was" if len(points) == 1 else "were"
    negation = " not" if state == "OK" else ""
    phrase = PHRASES[operator]
    if threshold is None:
        start = "Thresholds Crossed"
        phrase = phrase.format(lower=_bounds([p.lower for p in points]))
        bounds = [p.lower if operator == "LessThanLowerThreshold" else p.upper for p in points]
        limit = _bounds(bounds)
    else:
        start = "Threshold Crossed"
        limit = f"({number(threshold)})"
    extra = ""
    if filled and treatment in TREATED:
        points_word, were = ("datapoint", "was") if filled == 1 else ("datapoints", "were")
        extra = f" and {filled} missing {points_word} {were} treated as [{TREATED[treatment]}]"
    change = "OK -> ALARM" if state == "ALARM" else "ALARM -> OK"
    noun = "datapoint" if least == 1 else "datapoints"
    return (
        f"{start}: {len(points)} out of the last {of} datapoints [{shown}] {verb}{negation} "
        f"{phrase} {limit}{extra} (minimum {least} {noun} for {change} transition)."
    )


def reason_data(
    config: Mapping[str, Any],
    window: Sequence[Point | None],
    *,
    now: dt.datetime,
    start: dt.datetime | None,
) -> dict[str, Any]:
    """Return what DescribeAlarms gives as StateReasonData, before it is made JSON. window: oldest first."""
    real = [point for point in window if point is not None]
    answer: dict[str, Any] = {"version": "1.0", "queryDate": moment(now)}
    if start is not None:
        answer["startDate"] = moment(start)
    if unit := config.get("Unit"):
        answer["unit"] = unit
    if statistic := config.get("Statistic") or config.get("ExtendedStatistic"):
        answer["statistic"] = statistic
    answer["period"] = period_of(config)
    answer["recentDatapoints"] = [point.value for point in real]
    if "Threshold" in config:
        answer["threshold"] = float(config["Threshold"])
    else:
        answer["recentLowerThresholds"] = [point.lower for point in real]
        answer["recentUpperThresholds"] = [point.upper for point in real]
    answer["evaluatedDatapoints"] = [_evaluated(point) for point in reversed(real)]
    return answer


def period_of(config: Mapping[str, Any]) -> int:
    """Return the period of an alarm: its own, or the longest of its metrics."""
    if "Period" in config:
        return int(config["Period"])
    periods = [
        one["MetricStat"]["Period"] if "MetricStat" in one else one.get("Period", 0)
        for one in config.get("Metrics", ())
    ]
    return int(max(periods, default=0)) or 60


def _bounds(values: Sequence[float | None]) -> str:
    return f"[{', '.join(number(v) for v in values if v is not None)}]"


def _evaluated(point: Point) -> dict[str, Any]:
    answer: dict[str, Any] = {"timestamp": moment(point.at)}
    if point.samples is not None:
        answer["sampleCount"] = float(point.samples)
    answer["value"] = point.value
    if point.upper is not None:
        answer["threshold"] = {"lower": point.lower, "upper": point.upper}
    return answer
