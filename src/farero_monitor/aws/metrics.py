"""What the analyzer tells CloudWatch, a line each, under the names of SageMaker Model Monitor.

`feature_data_<column>` is a set of statistics, `feature_non_null_<column>` the completeness, and
`feature_baseline_drift_<column>` the distance from the baseline by the method of its constraints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero_monitor.aws import checks

if TYPE_CHECKING:
    from farero_monitor.monitor import Baseline, Result


def lines(
    result: Result, baseline: Baseline, endpoint: str, schedule: str, time: str
) -> list[dict[str, Any]]:
    """Return the metrics of a judged window, as PutMetricData would take them."""
    constraints = baseline.constraints
    if not constraints.enabled("emit_metrics"):
        return []
    frame = {
        "Timestamp": time,
        "Dimensions": [
            {"Name": "Endpoint", "Value": endpoint},
            {"Name": "MonitoringSchedule", "Value": schedule},
        ],
        "Unit": "None",
    }
    method = "Simple" if constraints.method == "Simple" else "Robust"
    found: list[dict[str, Any]] = []
    for column in result.profile.columns.values():
        moments = column.moments
        if moments.count and not column.text:
            statistics = {
                "SampleCount": float(moments.count), "Sum": moments.total,
                "Minimum": moments.least, "Maximum": moments.most,
            }  # fmt: skip
            found.append(
                {"MetricName": f"feature_data_{column.name}", "StatisticValues": statistics} | frame
            )
        found.append(
            {"MetricName": f"feature_non_null_{column.name}", "Value": column.completeness} | frame
        )
        reference = baseline.references.get(column.name)
        measured = checks.distance(column, reference, method) if reference else None
        if measured is not None:
            name = f"feature_baseline_drift_{column.name}"
            found.append({"MetricName": name, "Value": measured[1]} | frame)
    return found
