"""What a monitoring job leaves for CloudWatch."""

import datetime as dt
import json

import pytest

from farero.jobs.monitor_metrics import data, namespaces

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
NAMES = namespaces({})
LINE = {
    "MetricName": "feature_data_age", "Timestamp": "2026-01-05T10:00:00Z", "Unit": "None",
    "Dimensions": [{"Name": "Endpoint", "Value": "price"}],
    "StatisticValues": {"SampleCount": 3.0, "Sum": 6.0, "Minimum": 1.0, "Maximum": 3.0},
}  # fmt: skip


def test_a_line_is_a_metric_in_both_spellings():
    found = data(json.dumps(LINE), NOW, NAMES)
    assert [one.metric.namespace for one in found] == [*NAMES]
    assert found[0].metric.dimensions == (("Endpoint", "price"),)
    assert (found[0].statistics.total, found[0].at.hour) == (6.0, 10)
    (value, _) = data(json.dumps({"MetricName": "x", "Value": 0.5}), NOW, NAMES)
    assert (value.values, value.at) == ((0.5,), NOW)


def test_what_says_nothing_is_left_out():
    bad = [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"MetricName": "x"}',
        '{"MetricName": "x", "Value": "a"}',
        '{"MetricName": "x", "Value": 1, "Timestamp": "soon"}',
    ]
    assert data("\n".join([*bad, json.dumps(LINE)]), NOW, NAMES) == data(
        json.dumps(LINE), NOW, NAMES
    )


@pytest.mark.parametrize(
    ("analysis", "source", "expected"),
    [  # "Monitor data quality / model quality / …: CloudWatch metrics"
        ("DATA_QUALITY", "ENDPOINT_INPUT", "aws/sagemaker/Endpoints/data-metrics"),
        ("DATA_QUALITY", "BATCH_TRANSFORM_INPUT", "aws/sagemaker/ModelMonitoring/data-metrics"),
        ("MODEL_QUALITY", "ENDPOINT_INPUT", "aws/sagemaker/Endpoints/model-metrics"),
        ("MODEL_BIAS", "ENDPOINT_INPUT", "aws/sagemaker/Endpoints/bias-metrics"),
        ("MODEL_EXPLAINABILITY", "", "aws/sagemaker/Endpoints/explainability-metrics"),
    ],
)
def test_each_kind_of_monitor_has_its_namespace(analysis, source, expected):
    found = namespaces({"analysis_type": analysis, "monitoring_input_type": source})
    assert found == (expected, f"/{expected}")


def test_a_dimension_without_a_value_is_left_out():
    dimensions = [{"Name": "Endpoint", "Value": ""}, {"Name": "MonitoringSchedule", "Value": "s"}]
    found = data(json.dumps(LINE | {"Dimensions": dimensions}), NOW, NAMES)
    assert found[0].metric.dimensions == (("MonitoringSchedule", "s"),)
