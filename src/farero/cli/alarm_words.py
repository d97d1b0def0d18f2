"""The words of `farero alarm add`: metrics, comparisons, values with units, and who is told. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from farero.base.errors import Invalid

INVOCATIONS = "AWS/SageMaker"
RESOURCES = "/aws/sagemaker/Endpoints"
COMPARISONS = {
    ">": "GreaterThanThreshold",
    ">=": "GreaterThanOrEqualToThreshold",
    "<": "LessThanThreshold",
    "<=": "LessThanOrEqualToThreshold",
}
#: For those who would rather not quote.
SPELLED = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "above": ">", "below": "<"}
SYMBOLS = {name: symbol for symbol, name in COMPARISONS.items()}
_COUNTS = {
    "errors": "InvocationModelErrors",
    "4xx": "Invocation4XXErrors",
    "5xx": "Invocation5XXErrors",
}
_SHARES = {"cpu": "CPUUtilization", "memory": "MemoryUtilization", "disk": "DiskUtilization"}
_US = {"us": 1, "µs": 1, "ms": 1e3, "s": 1e6, "m": 60e6}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")
_VALUE = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(us|µs|ms|s|m|%|/s|/m|/h)?")
_SPAN = re.compile(r"(\d+)([smhd])")
_OF = re.compile(r"(\d+)(?:(?:/| of )(\d+))?")
_MAIL = re.compile(r"(?:mailto|mail|email):(.+@.+)")
_URL = re.compile(r"(https?)://\S+")
_SLACK = re.compile(r"(https?)://[^/\s]+/(?:services|workflows|triggers)/\S+")
_APPRISE = re.compile(r"(?:apprise:)?([a-z][a-z0-9+]*://\S+)")
WORDS = "p50, p90, p99, latency, errors, 4xx, 5xx, requests, cpu, memory, disk, or Namespace/Metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What PutMetricAlarm is told about the metric and its limit."""

    namespace: str
    metric: str
    #: `Statistic` or `ExtendedStatistic` and its value.
    statistic: dict[str, str]
    threshold: float
    #: TreatMissingData unless the user says otherwise.
    missing: str
    #: Whether it is measured for each variant of an endpoint.
    of_endpoint: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Somebody to be told: a subscription of the alarm's own topic, or a topic that there is."""

    protocol: str
    endpoint: str


def watched(word: str, value: str, *, comparison: str, period_s: int) -> Watched:
    """Return what a metric's word and a value with its unit mean. Raises Invalid with what may be written instead."""
    low = word.lower()
    if low == "latency" or _PERCENTILE.fullmatch(low):
        number, unit = _value(value, ("us", "µs", "ms", "s", "m"), "200ms or 1.5s")
        if not unit:
            raise Invalid(f"'{value}' has no unit; write {value}ms or {value}s")
        kind = {"Statistic": "Average"} if low == "latency" else {"ExtendedStatistic": low}
        return _invocations("ModelLatency", kind, number * _US[unit], "notBreaching")
    if low in _COUNTS:
        number, unit = _value(value, ("%",), "5 or 1%")
        # One sample a request, 0 or 1: the average is the share of requests that failed.
        kind = {"Statistic": "Average" if unit else "Sum"}
        return _invocations(_COUNTS[low], kind, number / 100 if unit else number, "notBreaching")
    if low == "requests":
        number, unit = _value(value, ("/s", "/m", "/h"), "100, 5/s or 300/m")
        limit = number * period_s / _SECONDS[unit[1]] if unit else number
        # No data is no traffic: an alarm on too little of it must hear that.
        missing = "breaching" if comparison.startswith("<") else "notBreaching"
        return _invocations("Invocations", {"Statistic": "Sum"}, limit, missing)
    if low in _SHARES:
        number, _ = _value(value, ("%",), "80%")
        return Watched(
            namespace=RESOURCES, metric=_SHARES[low], statistic={"Statistic": "Average"},
            threshold=number, missing="missing", of_endpoint=True,
        )  # fmt: skip
    namespace, _, metric = word.rpartition("/")
    if not namespace or not metric:
        raise Invalid(f"'{word}' is no metric; write {WORDS}")
    number, _ = _value(value, (), "a number")
    return Watched(
        namespace=namespace, metric=metric, statistic={"Statistic": "Average"}, threshold=number,
        missing="missing", of_endpoint=namespace in (INVOCATIONS, RESOURCES),
    )  # fmt: skip


def statistic(text: str) -> dict[str, str]:
    """Return PutMetricAlarm's member for a statistic's name."""
    simple = {
        name.lower(): name for name in ("Average", "Sum", "Minimum", "Maximum", "SampleCount")
    }
    found = simple.get(text.lower())
    return {"Statistic": found} if found else {"ExtendedStatistic": text}


def comparison(text: str) -> str:
    """Return the symbol of a comparison. Raises Invalid."""
    symbol = SPELLED.get(text.lower(), text)
    if symbol not in COMPARISONS:
        raise Invalid(
            f"'{text}' is no comparison; write '>', '>=', '<' or '<=' in quotes, or gt, ge, lt, le"
        )
    return symbol


def m_of_n(text: str) -> tuple[int, int]:
    """Return M and N of `3/5`; `3` means 3 of 3. Raises Invalid."""
    found = _OF.fullmatch(text)
    m, n = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= m <= n:
        raise Invalid(
            f"'{text}' is no 'M of N periods'; write --for 3/5 (three bad periods of five)"
        )
    return m, n


def span(text: str) -> int | None:
    """Return the seconds of `30s`, `5m`, `1h`, `1d`; None for what is no such span."""
    found = _SPAN.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] if found else None


def seconds(text: str) -> int:
    """Return the seconds of `10s`, `1m`, `1h`. Raises Invalid unless CloudWatch has such periods."""
    period = span(text) or 0
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise Invalid(f"'{text}' is no period; write 10s, 20s, 30s, or minutes: 1m, 5m, 1h")
    return period


def target(text: str) -> Target:
    """Return who a `--notify` means. Raises Invalid."""
    if text.startswith("slack:"):
        url = _SLACK.fullmatch(text.removeprefix("slack:"))
        if url is None:
            raise Invalid(
                f"'{text}' is no Slack webhook; it looks like slack:https://hooks.slack.com/services/T…/B…/…"
            )
        return Target(protocol=url[1], endpoint=url[0])
    if mail := _MAIL.fullmatch(text):
        return Target(protocol="email", endpoint=mail[1])
    if url := _URL.fullmatch(text.removeprefix("webhook:")):
        return Target(protocol=url[1], endpoint=url[0])
    for service in ("sns", "sqs"):
        if text.startswith((f"{service}:", f"arn:aws:{service}:")):
            return Target(protocol=service, endpoint=text.removeprefix(f"{service}:"))
    if url := _APPRISE.fullmatch(text):
        return Target(protocol="application", endpoint=url[1])
    raise Invalid(
        f"'{text}' is nobody to tell; write slack:https://…, mailto:ana@example.com, https://…, sns:TOPIC or sqs:QUEUE"
    )


def described(alarm: dict[str, Any]) -> str:
    """Return what an alarm of DescribeAlarms watches, on one line."""
    if rule := alarm.get("AlarmRule"):
        return str(rule)
    name = alarm.get("MetricName") or "an expression"
    stat = alarm.get("Statistic") or alarm.get("ExtendedStatistic") or ""
    symbol = SYMBOLS.get(alarm.get("ComparisonOperator", ""), alarm.get("ComparisonOperator", ""))
    limit = _limit(alarm) if "Threshold" in alarm else "the band"
    n = alarm.get("EvaluationPeriods", 1)
    many = f"{alarm.get('DatapointsToAlarm', n)}/{n}"
    period = f" of {alarm['Period']} s" if "Period" in alarm else ""
    return f"{stat} {name} {symbol} {limit}, {many}{period}".strip()


def _limit(alarm: dict[str, Any]) -> str:
    """Return a threshold as somebody would type it: times and shares of an endpoint's requests with their unit."""
    value, metric = float(alarm["Threshold"]), alarm.get("MetricName", "")
    if alarm.get("Namespace") == INVOCATIONS and metric.endswith("Latency"):
        return f"{value / 1e6:g} s" if value >= 1e6 else f"{value / 1e3:g} ms"
    if (
        alarm.get("Namespace") == INVOCATIONS
        and metric.endswith("Errors")
        and alarm.get("Statistic") == "Average"
    ):
        return f"{100 * value:g} %"
    return f"{value:g}"


def topic_name(alarm: str) -> str:
    """Return the name of the topic that is an alarm's own; no two alarms share one."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", alarm)[:200]
    mark = "" if plain == alarm else "-" + hashlib.sha256(alarm.encode()).hexdigest()[:8]
    return f"farero-alarm-{plain}{mark}"


def _invocations(metric: str, kind: dict[str, str], limit: float, missing: str) -> Watched:
    return Watched(
        namespace=INVOCATIONS, metric=metric, statistic=kind, threshold=limit, missing=missing,
        of_endpoint=True,
    )  # fmt: skip


def _value(text: str, units: tuple[str, ...], example: str) -> tuple[float, str]:
    found = _VALUE.fullmatch(text)
    unit = (found[2] or "") if found else ""
    if found is None or (unit and unit not in units):
        raise Invalid(f"'{text}' is no value of this metric; write {example}")
    return float(found[1]), unit
