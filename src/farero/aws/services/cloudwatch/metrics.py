"""Metrics: PutMetricData, GetMetricStatistics, GetMetricData, ListMetrics."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from farero.aws.services.cloudwatch import pages
from farero.aws.wire.messages import AwsError
from farero.records.metrics import Datum, Metric, StatisticSet
from farero.telemetry.metrics.ingest import MINUTE
from farero.telemetry.metrics.statistics import statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.base.context import Context
    from farero.telemetry.metrics.ingest import Metrics
    from farero.telemetry.metrics.queries import MetricQueries

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

#: "MetricDatum": values, and how far from now a timestamp may lie.
_LARGEST = 2.0**360
_OLDEST, _NEWEST = dt.timedelta(weeks=2), dt.timedelta(hours=2)
_MOST_DATA, _MOST_DIMENSIONS, _MOST_VALUES = 1000, 30, 150
_MOST_POINTS = 1440
_PAGE = 500
_MOST_QUERIES, _MOST_RESULT_POINTS = 500, 100_800
_SHORT_PERIODS = (1, 5, 10, 20, 30)


class MetricFamily:
    """The operations on metrics."""

    def __init__(self, metrics: Metrics, queries: MetricQueries) -> None:
        self._metrics = metrics
        self._queries = queries

    def put_metric_data(self, ctx: Context, req: Value) -> Value:
        """Store values of metrics."""
        namespace: str = req["Namespace"]
        if namespace.startswith("AWS/"):
            raise _invalid_value("The value AWS/ for parameter Namespace is invalid.")
        given: list[Value] = req.get("MetricData", [])
        for group in req.get("EntityMetricData", []):
            given = [*given, *group.get("MetricData", [])]
        if not given:
            raise AwsError("MissingParameter", "The parameter MetricData is required.", 400)
        if len(given) > _MOST_DATA:
            raise _invalid_value(
                f"The collection MetricData must not have a size greater than {_MOST_DATA}."
            )
        self._metrics.put(
            [
                _datum(ctx, namespace, one, f"MetricData.member.{i}")
                for i, one in enumerate(given, 1)
            ]
        )
        return {}

    def get_metric_statistics(self, ctx: Context, req: Value) -> Value:
        """Return statistics of one metric by period, in no order."""
        period: int = req["Period"]
        _check_period(period)
        names: list[str] = [*req.get("Statistics", []), *req.get("ExtendedStatistics", [])]
        if not names:
            raise AwsError(
                "InvalidParameterCombination",
                "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
                400,
            )
        start, end = _aligned(ctx, req["StartTime"], period), _seconds(req["EndTime"])
        if start >= end:
            raise _invalid_value("The parameter StartTime must be less than the parameter EndTime.")
        count = math.ceil((end - start) / period)
        if count > _MOST_POINTS:
            raise AwsError(
                "InvalidParameterCombination",
                f"You have requested up to {count:,} datapoints, which exceeds the limit of {_MOST_POINTS:,}. "
                "You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
                400,
            )
        metric = Metric.of(
            req["Namespace"], req["MetricName"], _dimensions(req.get("Dimensions", []))
        )
        functions = {name: statistic(name) for name in names}
        asked: str | None = req.get("Unit")
        points: list[Value] = []
        for unit in [asked] if asked else self._metrics.units(metric):
            for at, summary in self._metrics.points(
                metric, start=_moment(start), end=_moment(end), period_s=period, unit=unit
            ):
                point: Value = {"Timestamp": _moment(at), "Unit": unit}
                values = {name: function(summary) for name, function in functions.items()}
                known = {name: value for name, value in values.items() if value is not None}
                simple = set(req.get("Statistics", []))
                point |= {name: value for name, value in known.items() if name in simple}
                if extended := {name: v for name, v in known.items() if name not in simple}:
                    point["ExtendedStatistics"] = extended
                if known:
                    points.append(point)
        return {"Label": req["MetricName"], "Datapoints": points}

    def get_metric_data(self, ctx: Context, req: Value) -> Value:
        """Return the series of several queries."""
        _ = ctx
        queries: list[Value] = req["MetricDataQueries"]
        if len(queries) > _MOST_QUERIES:
            raise _invalid_value(
                f"The collection MetricDataQueries must not have a size greater than {_MOST_QUERIES}."
            )
        start, end = req["StartTime"], req["EndTime"]
        if start >= end:
            raise AwsError(
                "ValidationError",
                "The parameter StartTime must be less than the parameter EndTime.",
                400,
            )
        series = self._queries.evaluate(queries, start=start, end=end)
        newest_first = req.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        most = min(req.get("MaxDatapoints", _MOST_RESULT_POINTS), _MOST_RESULT_POINTS)
        skip = pages.offset(req.get("NextToken", ""))
        results: list[Value] = []
        seen = 0
        for one in series:
            points = sorted(one.points, reverse=newest_first)
            part = points[max(0, skip - seen) : max(0, skip + most - seen)]
            seen += len(points)
            results.append(
                {
                    "Id": one.id,
                    "Label": one.label,
                    "Timestamps": [_moment(at) for at, _ in part],
                    "Values": [value for _, value in part],
                    "StatusCode": "Complete" if seen <= skip + most else "PartialData",
                }
            )
        answer: Value = {"MetricDataResults": results, "Messages": []}
        if seen > skip + most:
            answer["NextToken"] = pages.token(skip + most)
        return answer

    def list_metrics(self, ctx: Context, req: Value) -> Value:
        """Return metrics that had values in the last two weeks, by page."""
        _ = ctx
        recent = 3 * 3600 if req.get("RecentlyActive") else 14 * 86_400
        found = self._metrics.list(
            namespace=req.get("Namespace", ""), name=req.get("MetricName", ""), recent_s=recent
        )
        wanted = [(one["Name"], one.get("Value")) for one in req.get("Dimensions", [])]
        matching = [metric for metric in found if _has(metric, wanted)]
        skip = pages.offset(req.get("NextToken", ""))
        answer: Value = {
            "Metrics": [
                {
                    "Namespace": metric.namespace,
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in metric.dimensions],
                }
                for metric in matching[skip : skip + _PAGE]
            ]
        }
        if len(matching) > skip + _PAGE:
            answer["NextToken"] = pages.token(skip + _PAGE)
        return answer


def _datum(ctx: Context, namespace: str, given: Value, where: str) -> Datum:
    dimensions = _dimensions(given.get("Dimensions", []))
    if len(dimensions) > _MOST_DIMENSIONS:
        raise _invalid_value(
            f"The collection {where}.Dimensions must not have a size greater than {_MOST_DIMENSIONS}."
        )
    at: dt.datetime = given.get("Timestamp") or ctx.now
    if not ctx.now - _OLDEST <= at <= ctx.now + _NEWEST:
        raise _invalid_value(
            f"The parameter {where}.Timestamp must specify a time within the past two weeks, "
            "or up to two hours into the future."
        )
    values: list[float] = given.get("Values", [])
    counts: list[float] = given.get("Counts", [])
    given_kinds = [kind for kind in ("Value", "Values", "StatisticValues") if kind in given]
    if len(given_kinds) != 1:
        raise AwsError(
            "InvalidParameterCombination" if given_kinds else "MissingParameter",
            f"The parameters {where}.Value, {where}.Values and {where}.StatisticValues are mutually exclusive "
            "and one of them is required.",
            400,
        )
    if len(values) > _MOST_VALUES or (counts and len(counts) != len(values)):
        raise _invalid_value(
            f"The parameters {where}.Values and {where}.Counts must be of the same size, at most {_MOST_VALUES}."
        )
    statistics = None
    if sets := given.get("StatisticValues"):
        statistics = StatisticSet(
            count=sets["SampleCount"],
            total=sets["Sum"],
            least=sets["Minimum"],
            most=sets["Maximum"],
        )
        numbers = [sets["SampleCount"], sets["Sum"], sets["Minimum"], sets["Maximum"]]
    else:
        values = values or [given["Value"]]
        numbers = [*values, *counts]
    for number in numbers:
        if not math.isfinite(number) or abs(number) > _LARGEST:
            raise _invalid_value(f"The value {number} for parameter {where}.Value is invalid.")
    return Datum(
        metric=Metric.of(namespace, given["MetricName"], dimensions),
        at=at,
        values=() if statistics else tuple(values),
        counts=tuple(counts),
        statistics=statistics,
        unit=given.get("Unit", "None"),
        resolution=1 if given.get("StorageResolution") == 1 else 60,
    )


def _dimensions(given: Sequence[Value]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in given}


def _has(metric: Metric, wanted: Sequence[tuple[str, str | None]]) -> bool:
    there = dict(metric.dimensions)
    return all(name in there and value in (None, there[name]) for name, value in wanted)


def _check_period(period: int) -> None:
    if period not in _SHORT_PERIODS and (period < MINUTE or period % MINUTE):
        raise _invalid_value(
            f"The parameter Period must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60; it is {period}."
        )


def _aligned(ctx: Context, start: dt.datetime, period: int) -> int:
    """Round a start down: to the period, and by its age to one, five or sixty minutes (GetMetricStatistics)."""
    age = ctx.now - start
    step = 1 if period < MINUTE else MINUTE
    if age > dt.timedelta(days=63):
        step = 3600
    elif age > dt.timedelta(days=15):
        step = 300
    step = max(step, period)
    return _seconds(start) // step * step


def _seconds(moment: dt.datetime) -> int:
    return math.floor(moment.timestamp())


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)


def _invalid_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message, 400)
