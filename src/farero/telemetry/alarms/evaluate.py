"""Turn datapoints into a state: M of N, the four ways to treat missing data, AWS's words. No clock, no database.

The evaluation range is two periods wider than N. If it holds N real datapoints or more, the newest N decide and the
setting for missing data plays no part. If it holds fewer, all of them count and the setting fills the rest.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from farero.records.alarms import Verdict
from farero.telemetry.alarms import texts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from farero.records.alarms import Point, State

#: How many periods the range is wider than EvaluationPeriods.
EXTRA = 2
#: A percentile needs 10 / (1 - p) samples to mean something, p below a half 10 / p.
ENOUGH = 10

_COMPARE = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def evaluate(
    config: Mapping[str, Any],
    window: Sequence[Point | None],
    *,
    now: dt.datetime,
    start: dt.datetime | None = None,
    current: State = "INSUFFICIENT_DATA",
) -> Verdict | None:
    """Return the state that the window gives, or None when the alarm stays as it is.

    config: of the alarm. window: one entry a period of the evaluation range, oldest first; None where data is missing.
    """
    n = int(config["EvaluationPeriods"])
    m = int(config.get("DatapointsToAlarm", n))
    treatment: str = config.get("TreatMissingData", "missing")
    real = [point for point in window if point is not None and _counts(config, point)]
    if not real and any(point is not None for point in window):
        return None  # only percentiles of too few samples, which are to be ignored
    used = real[-n:]
    missing = n - len(used)
    data = texts.reason_data(config, used, now=now, start=start)
    if not used:
        return _of_nothing(treatment, n, data)
    bad = [point for point in used if breaches(config, point)]
    good = [point for point in used if not breaches(config, point)]
    filled_bad = missing if treatment == "breaching" else 0
    state = _decide(window, bad, good, m=m, filled_bad=filled_bad, config=config)
    if state is None:
        return None
    shown = bad if state == "ALARM" else good
    if not shown:
        return Verdict(state=state, reason=texts.no_points(missing, treatment), reason_data=data)
    _ = current
    reason = texts.crossed(
        shown[::-1],
        of=n,
        operator=config["ComparisonOperator"],
        threshold=config.get("Threshold"),
        state=state,
        least=m if state == "ALARM" else n - m + 1,
        filled=missing,
        treatment=treatment,
    )
    return Verdict(state=state, reason=reason, reason_data=data)


def breaches(config: Mapping[str, Any], point: Point) -> bool:
    """Say whether a datapoint is on the bad side."""
    name = config["ComparisonOperator"]
    if name in _COMPARE:
        return _COMPARE[name](point.value, float(config["Threshold"]))
    above = point.upper is not None and point.value > point.upper
    below = point.lower is not None and point.value < point.lower
    if name == "GreaterThanUpperThreshold":
        return above
    if name == "LessThanLowerThreshold":
        return below
    return above or below


def _of_nothing(treatment: str, n: int, data: dict[str, Any]) -> Verdict | None:
    if treatment == "ignore":
        return None
    if treatment == "missing":
        return Verdict(state="INSUFFICIENT_DATA", reason=texts.insufficient(n), reason_data=data)
    state: State = "ALARM" if treatment == "breaching" else "OK"
    return Verdict(state=state, reason=texts.no_points(n, treatment), reason_data=data)


def _decide(  # noqa: PLR0913 - each is a part of the rule
    window: Sequence[Point | None],
    bad: Sequence[Point],
    good: Sequence[Point],
    *,
    m: int,
    filled_bad: int,
    config: Mapping[str, Any],
) -> State | None:
    if len(bad) + filled_bad >= m:
        return "ALARM"
    n = int(config["EvaluationPeriods"])
    treatment = config.get("TreatMissingData", "missing")
    if good or len(bad) == n or treatment in texts.TREATED:
        return "OK"
    if treatment == "ignore":
        return None
    # Everything there is breaches, but it is less than M: that is enough once the oldest is M periods old.
    age = len(window) - next(i for i, point in enumerate(window) if point is bad[0])
    return "ALARM" if age >= m else None


def _counts(config: Mapping[str, Any], point: Point) -> bool:
    """Say whether a datapoint may be judged: a percentile of few samples may not, if the alarm says so."""
    if config.get("EvaluateLowSampleCountPercentile") != "ignore" or point.samples is None:
        return True
    statistic = str(config.get("ExtendedStatistic", ""))
    if not statistic.startswith("p"):
        return True
    share = float(statistic[1:]) / 100
    rest = min(share, 1 - share)
    return rest <= 0 or point.samples >= ENOUGH / rest
