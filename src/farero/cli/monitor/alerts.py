"""What tells somebody about a monitor: SageMaker's monitoring alerts, and CloudWatch alarms on its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Part of the namespaces that monitors publish under, with and without a leading slash.
NAMESPACES = ("data-metrics", "data-metric", "model-metrics", "bias-metrics", "explainability-metrics")  # fmt: skip


def alerts_of(endpoint: str, schedules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return name, kind and state of every alert of an endpoint's schedules and metrics."""
    found: list[dict[str, Any]] = []
    for one in schedules:
        found += _monitoring_alerts(one["MonitoringScheduleName"])
    pages = client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm"])  # fmt: skip
    alarms = guarded(lambda: [alarm for page in pages for alarm in page["MetricAlarms"]])
    return found + [
        {"name": alarm["AlarmName"], "kind": "alarm", "state": alarm["StateValue"]}
        for alarm in alarms
        if alarm.get("Namespace", "").rpartition("/")[2] in NAMESPACES
        and {"Name": "Endpoint", "Value": endpoint} in alarm.get("Dimensions", [])
    ]


def _monitoring_alerts(schedule: str) -> list[dict[str, Any]]:
    sagemaker = client("sagemaker")
    page = guarded(lambda: sagemaker.list_monitoring_alerts(MonitoringScheduleName=schedule))
    return [
        {
            "name": one["MonitoringAlertName"], "kind": "monitoring alert", "schedule": schedule,
            "state": one["AlertStatus"],
        }
        for one in page["MonitoringAlertSummaries"]
    ]  # fmt: skip
