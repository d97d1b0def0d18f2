"""The metrics that a monitoring job leaves in its folder `output/metrics/cloudwatch`, as data to store."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from farero.records.metrics import Datum, Metric, StatisticSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: analysis_type of a monitoring job → the last part of its namespace.
_KINDS = {
    "DATA_QUALITY": "data-metrics",
    "MODEL_QUALITY": "model-metrics",
    "MODEL_BIAS": "bias-metrics",
    "MODEL_EXPLAINABILITY": "explainability-metrics",
}
FILE = "metrics/cloudwatch/cloudwatch_metrics.jsonl"
#: More than this is not read: about 40,000 metrics.
LIMIT_BYTES = 16 * 1024 * 1024


def namespaces(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return where a job's metrics belong: AWS's pages spell it both ways, and so do people's alarms."""
    of_batch = environment.get("monitoring_input_type") == "BATCH_TRANSFORM_INPUT"
    kind = _KINDS.get(environment.get("analysis_type", ""), _KINDS["DATA_QUALITY"])
    name = f"aws/sagemaker/{'ModelMonitoring' if of_batch else 'Endpoints'}/{kind}"
    return name, f"/{name}"


def data(text: str, now: dt.datetime, names: tuple[str, ...]) -> list[Datum]:
    """Return what the lines say, under each namespace; a line that says nothing sensible is left out."""
    found: list[Datum] = []
    for line in text.splitlines():
        try:
            found += _of_line(json.loads(line), now, names)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def _of_line(item: dict[str, Any], now: dt.datetime, names: tuple[str, ...]) -> Iterator[Datum]:
    at = dt.datetime.fromisoformat(item["Timestamp"]) if item.get("Timestamp") else now
    # A batch transform has no endpoint; CloudWatch takes no empty values.
    dimensions = {
        str(one["Name"]): str(one["Value"]) for one in item.get("Dimensions", ()) if one["Value"]
    }
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
    for namespace in names:
        yield Datum(
            metric=Metric.of(namespace, str(item["MetricName"])[:255], dimensions),
            at=at if at.tzinfo else at.replace(tzinfo=dt.UTC), values=values, statistics=statistics,
            unit=str(item.get("Unit", "None")),
        )  # fmt: skip
