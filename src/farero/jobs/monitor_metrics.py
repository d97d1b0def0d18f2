"""The metrics that a monitoring job leaves in its folder `output/metrics/cloudwatch`, as data to store."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from farero.records.metrics import Datum, Metric, StatisticSet

if TYPE_CHECKING:
    from collections.abc import Iterator

#: AWS's pages spell it both ways, and so do people's alarms.
NAMESPACES = ("aws/sagemaker/Endpoints/data-metrics", "/aws/sagemaker/Endpoints/data-metrics")
FILE = "metrics/cloudwatch/cloudwatch_metrics.jsonl"
#: More than this is not read: about 40,000 metrics.
LIMIT_BYTES = 16 * 1024 * 1024


def data(text: str, now: dt.datetime) -> list[Datum]:
    """Return what the lines say, under both namespaces; a line that says nothing sensible is left out."""
    found: list[Datum] = []
    for line in text.splitlines():
        try:
            found += _of_line(json.loads(line), now)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _of_line(item: dict[str, Any], now: dt.datetime) -> Iterator[Datum]:
    at = dt.datetime.fromisoformat(item["Timestamp"]) if item.get("Timestamp") else now
    dimensions = {str(one["Name"]): str(one["Value"]) for one in item.get("Dimensions", ())}
    values: tuple[float, ...] = ()
    statistics = None
    if "StatisticValues" in item:
        held = item["StatisticValues"]
        statistics = StatisticSet(
            count=float(held["SampleCount"]), total=float(held["Sum"]),
            least=float(held["Minimum"]), most=float(held["Maximum"]),
        )  # fmt: skip
    else:
        values = (float(item["Value"]),)
    for namespace in NAMESPACES:
        yield Datum(
            metric=Metric.of(namespace, str(item["MetricName"])[:255], dimensions),
            at=at if at.tzinfo else at.replace(tzinfo=dt.UTC), values=values, statistics=statistics,
            unit=str(item.get("Unit", "None")),
        )  # fmt: skip
