"""Anomaly detectors, bands and alarms on them, by real boto3 clients."""

import datetime as dt
import json
import math
import random

import pytest
from botocore.exceptions import ClientError

from farero.records.metrics import Datum, Metric

SINGLE = {"Namespace": "Shop", "MetricName": "Errors", "Stat": "Average"}
STAT = {"Metric": {"Namespace": "Shop", "MetricName": "Errors"}, "Period": 300, "Stat": "Average"}
QUERIES = [
    {"Id": "m1", "MetricStat": STAT},
    {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1, 3)"},
]


@pytest.fixture
def client(room):
    return room.client


def fill(room, days, *, level=100.0, name="Errors", skip=()):
    """Give the metric a past: a value each five minutes with a wave a day."""
    draw = random.Random(4)
    now = int(room.clock.now().timestamp()) // 300 * 300
    data = []
    for at in range(now - int(days * 86_400), now, 300):
        if not any(first <= at < last for first, last in skip):
            value = level + 10 * math.sin(2 * math.pi * at / 86_400) + draw.gauss(0, 1)
            moment = dt.datetime.fromtimestamp(at, tz=dt.UTC)
            data.append(Datum(metric=Metric.of("Shop", name, {}), at=moment, values=(value,)))
    room.metrics.put(data)


def put_alarm(room, **changes):
    asked = {
        "AlarmName": "a", "EvaluationPeriods": 1, "ThresholdMetricId": "ad1", "Metrics": QUERIES,
        "ComparisonOperator": "LessThanLowerOrGreaterThanUpperThreshold",
    }  # fmt: skip
    room.client.put_metric_alarm(**asked | changes)


def band(room, queries=QUERIES, *, hours=2.0):
    """Return {id: [{time: value}, ...]} of the last hours."""
    end = room.clock.now()
    found = room.client.get_metric_data(
        MetricDataQueries=queries, StartTime=end - dt.timedelta(hours=hours), EndTime=end
    )["MetricDataResults"]
    answer = {}
    for one in found:
        points = dict(zip(one["Timestamps"], one["Values"], strict=True))
        answer.setdefault(one["Id"], []).append(points)
    return answer


def test_a_graph_shows_the_band_around_the_series_even_where_values_are_missing(room):
    now = room.clock.now().timestamp()
    fill(room, 10, skip=[(now - 3600, now - 1800)])

    found = band(room)

    [series] = found["m1"]
    upper, lower = found["ad1"]
    assert len(upper) == len(lower) == 24
    assert len(series) == 18
    assert sum(lower[at] <= value <= upper[at] for at, value in series.items()) >= 17
    assert all(4 < upper[at] - lower[at] < 9 for at in upper)


def test_without_history_there_is_no_band_and_no_alarm(room):
    fill(room, 0.1)
    put_alarm(room, TreatMissingData="breaching")
    room.pass_time(300)
    room.put_value(10_000, ago=100)
    room.pass_time(600)

    assert [len(points) for points in band(room)["ad1"]] == [0, 0]
    assert room.described()["StateValue"] == "INSUFFICIENT_DATA"
    assert room.told() == []


def test_a_shift_raises_the_alarm_and_its_end_ends_it(room):
    fill(room, 10)
    put_alarm(room, AlarmActions=["arn:aws:sns:us-east-1:123456789012:t"])
    room.pass_time(120)
    calm = room.described()
    room.pass_time(300)
    room.put_value(150, ago=200)
    room.pass_time(180)
    alarm = room.described()
    [(_, message)] = room.told()
    room.pass_time(300)
    room.put_value(94, ago=100)
    room.pass_time(300)

    assert calm["StateValue"] == "OK"
    assert alarm["StateValue"] == "ALARM"
    assert alarm["ThresholdMetricId"] == "ad1"
    assert alarm["StateReason"].startswith(
        "Thresholds Crossed: 1 out of the last 1 datapoints [150.0 ("
    )
    assert " was less than the lower thresholds [" in alarm["StateReason"]
    data = json.loads(alarm["StateReasonData"])
    assert data["recentUpperThresholds"][0] < 150
    assert data["evaluatedDatapoints"][0]["threshold"]["upper"] == data["recentUpperThresholds"][0]
    assert message["Trigger"]["ThresholdMetricId"] == "ad1"


@pytest.mark.parametrize(
    ("operator", "value", "state"),
    [
        ("GreaterThanUpperThreshold", 150, "ALARM"),
        ("GreaterThanUpperThreshold", 20, "OK"),
        ("LessThanLowerThreshold", 20, "ALARM"),
        ("LessThanLowerThreshold", 150, "OK"),
    ],
)
def test_a_band_may_be_watched_on_one_side(room, operator, value, state):
    fill(room, 3)
    put_alarm(room, ComparisonOperator=operator)
    room.pass_time(300)
    room.put_value(value, ago=250)
    room.pass_time(120)

    assert room.described()["StateValue"] == state


def test_a_detector_is_trained_when_there_is_a_band(room, client):
    """A model begins with the last full three hours: what came since then was not learnt."""
    client.put_anomaly_detector(SingleMetricAnomalyDetector=SINGLE)
    room.pass_time(90 * 60)  # 11:30
    fill(room, 4 / 24)
    early, without = client.describe_anomaly_detectors()["AnomalyDetectors"], band(room)
    room.pass_time(60 * 60)  # 12:30
    late, learnt = client.describe_anomaly_detectors()["AnomalyDetectors"], band(room)

    assert (early[0]["StateValue"], without["ad1"]) == ("TRAINED_INSUFFICIENT_DATA", [{}, {}])
    assert late[0]["StateValue"] == "TRAINED"
    assert learnt["ad1"][0]


def test_a_detector_is_kept_described_and_deleted(room, client):
    client.put_anomaly_detector(SingleMetricAnomalyDetector=SINGLE)
    [new] = client.describe_anomaly_detectors()["AnomalyDetectors"]
    fill(room, 0.1)
    [young] = client.describe_anomaly_detectors(Namespace="Shop")["AnomalyDetectors"]
    fill(room, 2)
    client.put_anomaly_detector(**SINGLE, Configuration={"MetricTimezone": "Europe/Madrid"})
    [old] = client.describe_anomaly_detectors(MetricName="Errors", Dimensions=[])[
        "AnomalyDetectors"
    ]

    assert new["StateValue"] == "PENDING_TRAINING"
    assert new["SingleMetricAnomalyDetector"] == {**SINGLE, "Dimensions": []}
    assert young["StateValue"] == "TRAINED_INSUFFICIENT_DATA"
    assert (old["StateValue"], old["AnomalyDetectorId"]) == ("TRAINED", new["AnomalyDetectorId"])
    assert old["Configuration"]["MetricTimezone"] == "Europe/Madrid"
    assert client.describe_anomaly_detectors(Namespace="Other")["AnomalyDetectors"] == []
    client.delete_anomaly_detector(SingleMetricAnomalyDetector=SINGLE)
    assert client.describe_anomaly_detectors()["AnomalyDetectors"] == []
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.delete_anomaly_detector(**SINGLE)


def test_detectors_come_by_page(client):
    for number in range(3):
        client.put_anomaly_detector(**{**SINGLE, "MetricName": f"m{number}"})

    first = client.describe_anomaly_detectors(MaxResults=2)
    rest = client.describe_anomaly_detectors(MaxResults=2, NextToken=first["NextToken"])

    assert (len(first["AnomalyDetectors"]), len(rest["AnomalyDetectors"])) == (2, 1)
    assert "NextToken" not in rest


def test_excluded_times_are_forgotten(room, client):
    """Half of the past was a load test; without it the band is what it was before."""
    fill(room, 10)
    room.clock.advance(hours=8 * 24)
    fill(room, 8, level=900)
    room.clock.advance(hours=1)
    spoilt = band(room, hours=0.5)["ad1"][0]
    now = room.clock.now()
    client.put_anomaly_detector(
        **SINGLE,
        Configuration={
            "ExcludedTimeRanges": [{"StartTime": now - dt.timedelta(days=9), "EndTime": now}]
        },
    )
    upper, lower = band(room, hours=0.5)["ad1"]

    assert max(spoilt.values()) > 800
    assert max(upper.values()) < 120
    assert min(lower.values()) > 80


def test_a_band_around_an_expression_has_a_detector_of_its_own(room, client):
    fill(room, 3)
    fill(room, 3, name="Other", level=1000)
    other = {**STAT, "Metric": {"Namespace": "Shop", "MetricName": "Other"}}
    queries = [
        {"Id": "m1", "MetricStat": STAT, "ReturnData": False},
        {"Id": "m2", "MetricStat": other, "ReturnData": False},
        {"Id": "e1", "Expression": "m1 + m2"},
    ]
    client.put_anomaly_detector(MetricMathAnomalyDetector={"MetricDataQueries": queries})
    found = band(room, [*queries, {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(e1)"}])
    twice = band(room, [*queries, {"Id": "ad1", "Expression": "ANOMALY_DETECTION_BAND(m1 * 2)"}])

    upper, lower = found["ad1"]
    [series] = found["e1"]
    assert all(1070 < lower[at] < upper[at] < 1130 for at in series)
    assert all(180 < value < 230 for value in twice["ad1"][0].values())
    assert client.describe_anomaly_detectors()["AnomalyDetectors"] == []
    [one] = client.describe_anomaly_detectors(AnomalyDetectorTypes=["METRIC_MATH"])[
        "AnomalyDetectors"
    ]
    assert one["StateValue"] == "TRAINED"
    client.delete_anomaly_detector(AnomalyDetectorId=one["AnomalyDetectorId"])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "Exactly one"),
        ({"Namespace": "Shop", "MetricName": "Errors"}, "parameter Stat is required"),
        ({**SINGLE, "SingleMetricAnomalyDetector": SINGLE}, "Exactly one"),
        ({**SINGLE, "Configuration": {"MetricTimezone": "Mars/Base"}}, "not a known time zone"),
        ({"MetricMathAnomalyDetector": {"MetricDataQueries": []}}, "MetricDataQueries"),
        ({"MetricMathAnomalyDetector": {"MetricDataQueries": QUERIES}}, "Exactly one element"),
        (
            {
                **SINGLE,
                "Configuration": {
                    "ExcludedTimeRanges": [
                        {
                            "StartTime": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
                            "EndTime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
                        }
                    ]
                },
            },
            "must end after",
        ),
    ],
)
def test_a_detector_that_cannot_be_is_refused(client, asked, words):
    with pytest.raises(ClientError, match=words):
        client.put_anomaly_detector(**asked)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Threshold": 5.0}, "Threshold must not"),
        ({"ThresholdMetricId": "m1"}, "the id of an ANOMALY_DETECTION_BAND"),
        ({"ThresholdMetricId": "none"}, "the id of an ANOMALY_DETECTION_BAND"),
        (
            {"Metrics": [{**QUERIES[0], "ReturnData": False}, QUERIES[1]]},
            "Exactly one element",
        ),
        ({"Metrics": [QUERIES[0], {**QUERIES[1], "ReturnData": False}]}, "must return data"),
    ],
)
def test_a_band_alarm_that_cannot_be_is_refused(room, changes, words):
    with pytest.raises(ClientError, match=words):
        put_alarm(room, **changes)
