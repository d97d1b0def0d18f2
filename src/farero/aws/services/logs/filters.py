"""Metric filters: events that match a pattern become values of a metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.logs.names import read_offset, wrap
from farero.base.errors import Invalid
from farero.records.logs import Transformation
from farero.telemetry.filter_extract import compile_extracted
from farero.telemetry.filter_patterns import compile_pattern

if TYPE_CHECKING:
    from farero.aws.services.logs.names import Value
    from farero.base.context import Context
    from farero.records.logs import MetricFilter
    from farero.telemetry.filter_apply import MetricFilters


class Filters:
    """Operations on metric filters."""

    def __init__(self, filters: MetricFilters) -> None:
        self._filters = filters

    def put_metric_filter(self, ctx: Context, req: Value) -> Value:
        """Add or replace a filter of a group."""
        _ = ctx
        [wish] = req["metricTransformations"]
        for member in ("metricName", "metricNamespace", "metricValue"):
            if not wish[member]:
                raise Invalid(f"Invalid metric transformation: {member} must not be empty.")
        transformation = Transformation(
            namespace=wish["metricNamespace"],
            name=wish["metricName"],
            value=wish["metricValue"],
            default=wish.get("defaultValue"),
            dimensions=wish.get("dimensions", {}),
            unit=wish.get("unit", "None"),
        )
        self._filters.put(
            req["logGroupName"], req["filterName"], req["filterPattern"], transformation
        )
        return {}

    def delete_metric_filter(self, ctx: Context, req: Value) -> Value:
        """Remove a filter of a group."""
        _ = ctx
        self._filters.delete(req["logGroupName"], req["filterName"])
        return {}

    def describe_metric_filters(self, ctx: Context, req: Value) -> Value:
        """List filters: of a group, by the start of their names, or those that make a metric."""
        _ = ctx
        if ("metricName" in req) != ("metricNamespace" in req):
            raise Invalid("metricName and metricNamespace must be given together.")
        found = [
            one
            for one in self._filters.list(req.get("logGroupName"))
            if one.name.startswith(req.get("filterNamePrefix", ""))
            and req.get("metricName", one.transformation.name) == one.transformation.name
            and req.get("metricNamespace", one.transformation.namespace)
            == one.transformation.namespace
        ]
        start = read_offset(req["nextToken"]) if "nextToken" in req else 0
        limit: int = req.get("limit", 50)
        answer: Value = {"metricFilters": [_filter(one) for one in found[start : start + limit]]}
        if len(found) > start + limit:
            answer["nextToken"] = wrap(str(start + limit))
        return answer

    def test_metric_filter(self, ctx: Context, req: Value) -> Value:
        """Say which of the given messages match, and what the pattern finds in them."""
        _ = ctx
        pattern = req["filterPattern"]
        matches, extracted = compile_pattern(pattern), compile_extracted(pattern)
        return {
            "matches": [
                {
                    "eventNumber": number,
                    "eventMessage": message,
                    "extractedValues": extracted(message),
                }
                for number, message in enumerate(req["logEventMessages"], start=1)
                if matches(message)
            ]
        }


def _filter(found: MetricFilter) -> Value:
    wish = found.transformation
    transformation: Value = {
        "metricName": wish.name,
        "metricNamespace": wish.namespace,
        "metricValue": wish.value,
        "unit": wish.unit,
    }
    if wish.default is not None:
        transformation["defaultValue"] = wish.default
    if wish.dimensions:
        transformation["dimensions"] = wish.dimensions
    return {
        "filterName": found.name,
        "filterPattern": found.pattern,
        "metricTransformations": [transformation],
        "creationTime": int(found.created_at.timestamp() * 1000),
        "logGroupName": found.group,
        "applyOnTransformedLogs": False,
    }
