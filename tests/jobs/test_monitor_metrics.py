"""What a monitoring job leaves for CloudWatch."""

import datetime as dt
import json

from farero.jobs.monitor_metrics import NAMESPACES, data

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
LINE = {
    "MetricName": "feature_data_age", "Timestamp": "2026-01-05T10:00:00Z", "Unit": "None",
    "Dimensions": [{"Name": "Endpoint", "Value": "price"}],
    "StatisticValues": {"SampleCount": 3.0, "Sum": 6.0, "Minimum": 1.0, "Maximum": 3.0},
}  # fmt: skip


def test_a_line_is_a_metric_in_both_spellings():
    found = data(json.dumps(LINE), NOW)
    assert [one.metric.namespace for one in found] == [*NAMESPACES]
    assert found[0].metric.dimensions == (("Endpoint", "price"),)
    assert (found[0].statistics.total, found[0].at.hour) == (6.0, 10)
    (value, _) = data(json.dumps({"MetricName": "x", "Value": 0.5}), NOW)
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
    assert data("\n".join([*bad, json.dumps(LINE)]), NOW) == data(json.dumps(LINE), NOW)
