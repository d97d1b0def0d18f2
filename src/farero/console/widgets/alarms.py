"""What an alarm page tells: the alarm in words, the queries of its graph, its states over time. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero.console.widgets.marks import Mark, number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Json = dict[str, Any]

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
_SYMBOLS = {
    "GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}  # fmt: skip
_BANDS = {
    "GreaterThanUpperThreshold": "above_band", "LessThanLowerThreshold": "below_band",
    "LessThanLowerOrGreaterThanUpperThreshold": "outside_band",
}  # fmt: skip
_MICROSECONDS = ("ModelLatency", "OverheadLatency", "ModelSetupTime")
_NAME = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A figure that the form offers: the metric, its statistic and what one of the form's unit is worth."""

    metric: str
    statistic: str
    unit: str
    worth: float = 1.0
    #: What the form begins with.
    example: float = 1.0


#: By the name the form shows.
FIGURES = {
    "p50": Watched(metric="ModelLatency", statistic="p50", unit="ms", worth=1000, example=100),
    "p90": Watched(metric="ModelLatency", statistic="p90", unit="ms", worth=1000, example=150),
    "p99": Watched(metric="ModelLatency", statistic="p99", unit="ms", worth=1000, example=200),
    "errors": Watched(metric="InvocationModelErrors", statistic="Sum", unit="", example=1),
    "errors %": Watched(
        metric="InvocationModelErrors", statistic="Average", unit="%", worth=0.01, example=5
    ),
    "4xx": Watched(metric="Invocation4XXErrors", statistic="Sum", unit="", example=1),
    "5xx": Watched(metric="Invocation5XXErrors", statistic="Sum", unit="", example=1),
    "requests": Watched(metric="Invocations", statistic="Sum", unit="", example=100),
}
OPERATORS = {
    ">": "GreaterThanThreshold", "≥": "GreaterThanOrEqualToThreshold", "<": "LessThanThreshold",
    "≤": "LessThanOrEqualToThreshold",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What somebody filled into the form."""

    name: str
    endpoint: str
    variant: str
    figure: str
    operator: str
    value: float
    least: int
    of: int
    period: int
    topic: str = ""


def wanted(form: Form) -> Json:
    """Return PutMetricAlarm's members for a form; raises ValueError with the name of the field that is wrong."""
    if not _NAME.fullmatch(form.name):
        raise ValueError("name")
    for field in ("endpoint", "variant"):
        if not getattr(form, field):
            raise ValueError(field)
    if form.figure not in FIGURES:
        raise ValueError("figure")
    if form.operator not in OPERATORS:
        raise ValueError("operator")
    if not 1 <= form.least <= form.of <= 100:
        raise ValueError("m_of_n")
    watched = FIGURES[form.figure]
    member = "ExtendedStatistic" if watched.statistic.startswith("p") else "Statistic"
    # Without requests there is nothing to be slow or wrong, but too few of them is just that.
    is_too_few = form.figure == "requests" and form.operator in "<≤"
    return {
        "AlarmName": form.name,
        "Namespace": "AWS/SageMaker",
        "MetricName": watched.metric,
        "Dimensions": [
            {"Name": "EndpointName", "Value": form.endpoint},
            {"Name": "VariantName", "Value": form.variant},
        ],
        member: watched.statistic,
        "Period": form.period,
        "EvaluationPeriods": form.of,
        "DatapointsToAlarm": form.least,
        "ComparisonOperator": OPERATORS[form.operator],
        "Threshold": form.value * watched.worth,
        "TreatMissingData": "breaching" if is_too_few else "notBreaching",
        "AlarmActions": [form.topic] if form.topic else [],
        "OKActions": [form.topic] if form.topic else [],
    }


def in_words(alarm: Json, t: dict[str, str]) -> list[str]:
    """Return sentences that say what an alarm watches and does."""
    if rule := alarm.get("AlarmRule"):
        return [t["alarm_rule"].format(rule=rule)]
    of = int(alarm.get("EvaluationPeriods", 1))
    least = int(alarm.get("DatapointsToAlarm", of))
    operator = alarm.get("ComparisonOperator", "")
    limit = t[_BANDS[operator]] if operator in _BANDS else limit_words(alarm)
    missing: str = alarm.get("TreatMissingData", "missing")
    sentences = [
        t["alarm_when"].format(
            what=subject(alarm), limit=limit, least=least, of=of, period=span(period_of(alarm))
        ),
        t[f"missing_{missing}"],
    ]
    if low := alarm.get("EvaluateLowSampleCountPercentile"):
        sentences.append(t["low_samples"].format(how=low))
    return sentences


def limit_words(alarm: Json) -> str:
    """Return the comparison with the limit, in a unit that people read: `> 200 ms`."""
    operator = alarm.get("ComparisonOperator", "")
    factor, sign = unit(alarm)
    return f"{_SYMBOLS.get(operator, operator)} {alarm.get('Threshold', 0) * factor:g}{sign}"


def unit(alarm: Json) -> tuple[float, str]:
    """Return by what values are multiplied to be read, and the sign behind them."""
    metric, is_ours = alarm.get("MetricName", ""), alarm.get("Namespace") == "AWS/SageMaker"
    if alarm.get("Unit") == "Microseconds" or (is_ours and metric in _MICROSECONDS):
        return 0.001, " ms"
    if is_ours and "Error" in metric and alarm.get("Statistic") == "Average":
        return 100.0, " %"  # one sample a request, 0 or 1
    return 1.0, ""


def level(alarm: Json) -> Mark | None:
    """Return the limit as a graph shows it, with its bad side; None for an alarm on a band."""
    threshold = number(alarm.get("Threshold"))
    if threshold is None:
        return None
    at, is_low = threshold * unit(alarm)[0], "Less" in alarm.get("ComparisonOperator", "")
    ends = (None, at) if is_low else (at, None)
    return Mark(at=ends[0], to=ends[1], is_band=True, label=limit_words(alarm))


def subject(alarm: Json) -> str:
    """Return the name of what is watched: statistic, metric and dimensions, or the expression."""
    if "MetricName" in alarm:
        return _metric_words(alarm, alarm.get("Statistic") or alarm.get("ExtendedStatistic") or "")
    for query in alarm.get("Metrics", []):
        if query.get("ReturnData", True):
            if "Expression" in query:
                return str(query.get("Label") or query["Expression"])
            return _metric_words(query["MetricStat"]["Metric"], query["MetricStat"]["Stat"])
    return str(alarm.get("AlarmRule", ""))


def queries(alarm: Json, period: int) -> list[Json]:
    """Return the queries of an alarm's graph; no finer than `period`. A composite has none."""
    if "MetricName" in alarm:
        metric = {
            "Namespace": alarm["Namespace"],
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm.get("Dimensions", []),
        }
        stat: Json = {
            "Metric": metric,
            "Period": max(int(alarm["Period"]), period),
            "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        }
        if "Unit" in alarm:
            stat["Unit"] = alarm["Unit"]
        return [{"Id": "m1", "Label": alarm["MetricName"], "MetricStat": stat, "ReturnData": True}]
    found: list[Json] = []
    for given in alarm.get("Metrics", []):
        query: Json = json.loads(json.dumps(given))
        held = query.get("MetricStat", query)
        held["Period"] = max(int(held.get("Period") or 60), period)
        if query["Id"] == alarm.get("ThresholdMetricId"):
            query["ReturnData"] = True
        found.append(query)
    return found


def period_of(alarm: Json) -> int:
    """Return the seconds of an alarm's period."""
    if "Period" in alarm:
        return int(alarm["Period"])
    periods = [q.get("MetricStat", q).get("Period") or 0 for q in alarm.get("Metrics", [])]
    return int(max(periods, default=0)) or 60


def shades(
    history: Sequence[Json], state: str, start: float, end: float
) -> list[tuple[float, float, str]]:
    """Return (from, to, state) in milliseconds for a time range, oldest first.

    history: DescribeAlarmHistory's items of any kind, in any order; state: the one now.
    """
    changes: list[tuple[float, str, str]] = []
    for item in history:
        if str(item.get("HistorySummary", "")).endswith('" created'):
            start = max(start, item["Timestamp"].timestamp() * 1000)
        if item.get("HistoryItemType") != "StateUpdate":
            continue
        try:
            data = json.loads(item.get("HistoryData") or "{}")
            old, new = data["oldState"]["stateValue"], data["newState"]["stateValue"]
        except (ValueError, KeyError, TypeError):
            continue
        at: datetime = item["Timestamp"]
        changes.append((at.timestamp() * 1000, str(old), str(new)))
    changes.sort(key=lambda one: one[0])
    found: list[tuple[float, float, str]] = []
    since, now = start, changes[0][1] if changes else state
    for moment, _, new in changes:
        if since < moment and moment > start:
            found.append((max(since, start), min(moment, end), now))
        since, now = max(moment, start), new
        if moment >= end:
            return found
    if since < end:
        found.append((since, end, now))
    return found


def span(seconds: int) -> str:
    """Return a duration as people write it: 10 s, 5 min, 1 h."""
    for size, word in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} s"


def topics(alarm: Json) -> set[str]:
    """Return the ARNs of everybody an alarm tells."""
    kinds = ("AlarmActions", "OKActions", "InsufficientDataActions")
    return {str(arn) for kind in kinds for arn in alarm.get(kind, [])}


def _metric_words(metric: Json, stat: str) -> str:
    where = ", ".join(f"{d['Name']} {d['Value']}" for d in metric.get("Dimensions", []))
    name = f"{stat} {metric['Namespace']} {metric['MetricName']}".strip()
    return f"{name} ({where})" if where else name
