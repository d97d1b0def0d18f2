"""SageMaker's files of model quality: statistics, suggested constraints, violations, and metrics for CloudWatch.

Shapes: "Model Quality Metrics" of the Developer Guide; a violation is `{constraint_check_type, description,
metric_name}` with the comparison operator as its type, as AWS's sample container for own metrics writes it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from farero_monitor.aws.content import section
from farero_monitor.quality import tallies
from farero_monitor.quality.measure import Band, Measured, compare
from farero_monitor.quality.metrics import ERRORS, PROMISED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from farero_monitor.quality.gather import Gathering
    from farero_monitor.quality.measure import State
    from farero_monitor.quality.sources import Problem

#: First part of AWS's keys.
_KEYS: dict[Problem, str] = {
    "Regression": "regression", "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}  # fmt: skip
OPERATORS = ("GreaterThanThreshold", "LessThanThreshold")


def metrics_key(problem: Problem) -> str:
    """Return where `statistics.json` has its metrics."""
    return f"{_KEYS[problem]}_metrics"


def constraints_key(problem: Problem) -> str:
    """Return where `constraints.json` has its thresholds."""
    return f"{_KEYS[problem]}_constraints"


def statistics(
    problem: Problem, gathered: Gathering, found: Mapping[str, Measured], now: str
) -> dict[str, Any]:
    """Return the content of `statistics.json`. now: ISO 8601."""
    made: dict[str, Any] = {}
    tally = gathered.tally
    if isinstance(tally, tallies.Binary):
        made["confusion_matrix"] = two_by_two(tally, gathered.names)
    elif isinstance(tally, tallies.Multiclass):
        made["confusion_matrix"] = confusion(tally)
    for one in found.values():
        made[one.name] = {"value": _known(one.value), "standard_deviation": _known(one.deviation)}
        if one.name == "false_negative_rate" and isinstance(tally, tallies.Binary):
            made |= tally.curves()
    return {
        "version": 0.0,
        "dataset": {"item_count": tally.rows, "evaluation_time": now},
        metrics_key(problem): made,
    }


def two_by_two(tally: tallies.Binary, names: tuple[str, str]) -> dict[str, dict[str, int]]:
    """Return the confusion matrix, label → prediction → rows."""
    tn, fp, fn, tp = tally.confusion.tolist()
    negative, positive = names
    return {negative: {negative: tn, positive: fp}, positive: {negative: fn, positive: tp}}


def confusion(tally: tallies.Multiclass) -> dict[str, dict[str, int]]:
    """Return the confusion matrix, label → prediction → rows."""
    names = tally.names
    return {name: {said: tally.counts.get((name, said), 0) for said in names} for name in names}


def suggest(problem: Problem, gathered: Gathering, found: Mapping[str, Measured]) -> dict[str, Any]:
    """Return the content of `constraints.json`: each metric of the baseline is the threshold, as on SageMaker.

    Its band (see `measure.sure`) goes into `additional_properties`, so that a later verdict knows how sure the baseline
    itself is.
    """
    made: dict[str, Any] = {}
    for name in PROMISED[problem]:
        one = found.get(name)
        if one is None or not math.isfinite(one.value):
            continue
        made[name] = {
            "threshold": one.value,
            "comparison_operator": OPERATORS[0] if name in ERRORS else OPERATORS[1],
            "additional_properties": asdict(one.sure) if one.sure.known else None,
        }
    content: dict[str, Any] = {"version": 0.0, constraints_key(problem): made}
    if problem == "BinaryClassification":
        content["labels"] = {"negative": gathered.names[0], "positive": gathered.names[1]}
    return content


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a baseline promises of one metric."""

    name: str
    threshold: float
    operator: str
    #: Of the threshold, if it was measured.
    band: Band | None = None

    def holds(self, value: float) -> bool:
        """Tell whether a value keeps the promise, as SageMaker sees it; one that is not there does."""
        if not math.isfinite(value):
            return True
        return value <= self.threshold if self.operator == OPERATORS[0] else value >= self.threshold


class Constraints:
    """A `constraints.json` of model quality, ours or SageMaker's. Raises ValueError for one that is not."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        held: list[Problem] = [
            problem for problem in _KEYS if isinstance(content.get(constraints_key(problem)), dict)
        ]
        if len(held) != 1:
            other = " It is one of data quality." if "features" in content else ""
            raise ValueError(
                f"constraints.json has none of {', '.join(map(constraints_key, _KEYS))}, so it is no baseline of "
                f"model quality.{other}"
            )
        self.problem: Problem = held[0]
        given = section(content, constraints_key(self.problem))
        self.metrics = {name: _constraint(name, section(given, name)) for name in given}
        self.positive = str(section(content, "labels").get("positive", ""))
        #: Whether only what is surely worse counts as a violation.
        self.calibrated = content.get("comparison_method") == "Calibrated"


def _constraint(name: str, given: Mapping[str, Any]) -> Constraint:
    threshold, operator = given.get("threshold"), given.get("comparison_operator")
    if not isinstance(threshold, int | float) or operator not in OPERATORS:
        raise ValueError(
            f"constraint {name} needs a number `threshold` and a `comparison_operator` ({' or '.join(OPERATORS)})."
        )
    band = _band(section(given, "additional_properties"))
    if band is not None and not band.low <= threshold <= band.high:
        band = None  # a threshold that was set by hand is meant as it stands
    return Constraint(name, float(threshold), str(operator), band)


def _band(given: Mapping[str, Any]) -> Band | None:
    low, high = given.get("low"), given.get("high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return Band(float(low), float(high))
    return None


@dataclass(slots=True)
class Judged:
    """What is said of one metric against its threshold."""

    constraint: Constraint
    measured: Measured
    state: State
    #: Value minus threshold, with the certainty of `measure.sure`.
    gap: Band


def judge(constraints: Constraints, found: Mapping[str, Measured], rows: int) -> dict[str, Judged]:
    """Compare every metric that is promised and there."""
    made: dict[str, Judged] = {}
    for name, promised in constraints.metrics.items():
        one = found.get(name)
        if one is not None:
            state, gap = compare(one, rows, promised.threshold, promised.operator, promised.band)
            made[name] = Judged(promised, one, state, gap)
    return made


def violations(constraints: Constraints, judged: Mapping[str, Judged]) -> list[dict[str, str]]:
    """Return the entries of `constraint_violations.json`."""
    broken = [
        one
        for one in judged.values()
        if (
            one.state == "worse"
            if constraints.calibrated
            else not one.constraint.holds(one.measured.value)
        )
    ]
    return [_violation(one) for one in broken]


def _violation(one: Judged) -> dict[str, str]:
    deviation = _known(one.measured.deviation)
    return {
        "constraint_check_type": one.constraint.operator,
        "description": (
            f"Metric {one.measured.name} with {one.measured.value} +/- {deviation} was "
            f"{one.constraint.operator} '{one.constraint.threshold}'"
        ),
        "metric_name": one.measured.name,
    }


def cloudwatch(
    found: Mapping[str, Measured], endpoint: str, schedule: str, time: str
) -> Iterator[dict[str, Any]]:
    """Yield what CloudWatch is told: each metric, and its standard deviation where there is one."""
    names = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    frame = {
        "Timestamp": time,
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items() if value],
        "Unit": "None",
    }
    for one in found.values():
        for name, value in (
            (one.name, one.value),
            (f"{one.name}_standard_deviation", one.deviation),
        ):
            if math.isfinite(value):
                yield {"MetricName": name, "Value": value} | frame


def _known(value: float) -> float | str:
    """Return a number as AWS's files have it: the text NaN where there is none."""
    return value if math.isfinite(value) else "NaN"
