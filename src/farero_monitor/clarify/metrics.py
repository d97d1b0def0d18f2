"""What a monitoring run tells CloudWatch: `bias_metric_<NAME>`, `feature_<name>` and `ExpectedValue`.

Names and dimensions: "CloudWatch Metrics for Bias Drift Analysis" and "CloudWatch Metrics for Feature Drift Analysis".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from farero_monitor.aws.content import section
from farero_monitor.clarify.violations import metrics_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What stands for infinity, as SageMaker publishes it.
INFINITE = 2.348543e108
_STAGES = {
    "pre_training_bias_metrics": "Pre-training",
    "post_training_bias_metrics": "Post-Training",
}


def lines(
    analysis: Mapping[str, Any], endpoint: str, schedule: str, time: str
) -> list[dict[str, Any]]:
    """Return the metrics of an analysis, as PutMetricData would take them."""
    frame = {"Timestamp": time, "Unit": "None"}
    place = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    found: list[dict[str, Any]] = []
    for (name, facet, group, metric), held in metrics_of(analysis):
        value = value_of(held)
        if value is None:
            continue
        told = section(analysis, name)
        dimensions = place | {
            "BiasStage": _STAGES[name], "Label": str(told.get("label", "")),
            "LabelValue": str(told.get("label_value_or_threshold", "")),
            "Facet": facet, "FacetValue": group,
        }  # fmt: skip
        number = math.copysign(INFINITE, value) if math.isinf(value) else value
        found.append(_line(f"bias_metric_{metric}", number, dimensions, frame))
    for label, held in section(section(analysis, "explanations"), "kernel_shap").items():
        shap = place | {"ExplainabilityMethod": "KernelShap", "Label": label}
        for feature, value in section(held, "global_shap_values").items():
            dimensions = shap | {"ValueType": "GlobalShapValues"}
            found.append(_line(f"feature_{feature}", float(value), dimensions, frame))
        expected = shap | {"ValueType": "ExpectedValue"}
        found.append(_line("ExpectedValue", float(held["expected_value"]), expected, frame))
    return found


def _line(
    name: str, value: float, dimensions: Mapping[str, str], frame: Mapping[str, str]
) -> dict[str, Any]:
    named = [{"Name": key, "Value": held} for key, held in dimensions.items()]
    return {"MetricName": name, "Value": value, "Dimensions": named, **frame}
