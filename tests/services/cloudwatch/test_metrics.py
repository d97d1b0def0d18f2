"""CloudWatch's metric operations by real boto3 clients, in each protocol that CloudWatch speaks."""

import datetime as dt
import math
import random

import pytest
from botocore.exceptions import ClientError

NOW = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
DIMENSIONS = [{"Name": "EndpointName", "Value": "price"}, {"Name": "VariantName", "Value": "a"}]


@pytest.fixture
def cloudwatch(cloud):
    return cloud.client("cloudwatch")


def ago(**how):
    return NOW - dt.timedelta(**how)


def statistics(client, name="Latency", *, period=60, start=None, end=None, **more):
    return client.get_metric_statistics(
        Namespace="Shop", MetricName=name, Dimensions=DIMENSIONS, Period=period,
        StartTime=start or ago(hours=1), EndTime=end or dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5), **more,
    )["Datapoints"]  # fmt: skip


def put(client, *values, name="Latency", at=None, **more):
    client.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": name, "Dimensions": DIMENSIONS, "Value": v, "Timestamp": at or ago(minutes=5), **more}
            for v in values
        ],
    )  # fmt: skip


@pytest.mark.parametrize("protocol", ["query", "json", "smithy-rpc-v2-cbor"])
def test_values_come_back_in_every_protocol(cloud, protocol, monkeypatch):
    monkeypatch.setattr("botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,))
    monkeypatch.setattr(
        "botocore.args.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,), raising=False
    )
    client = cloud.client("cloudwatch")
    assert client.meta.service_model.resolved_protocol == protocol
    put(client, 1.0, 2.0, 6.0, Unit="Milliseconds")

    [point] = statistics(client, Statistics=["Sum", "Average", "SampleCount", "Minimum", "Maximum"])

    assert point["Timestamp"] == ago(minutes=5)
    assert point["Unit"] == "Milliseconds"
    assert {k: v for k, v in point.items() if k not in ("Timestamp", "Unit")} == {
        "Sum": 9.0, "Average": 3.0, "SampleCount": 3.0, "Minimum": 1.0, "Maximum": 6.0,
    }  # fmt: skip


def test_percentiles_are_within_one_percent(cloudwatch):
    draw = random.Random(3)
    values = sorted(draw.lognormvariate(3, 1) for _ in range(900))
    for start in range(0, 900, 150):
        part = values[start : start + 150]
        cloudwatch.put_metric_data(
            Namespace="Shop",
            MetricData=[{"MetricName": "Latency", "Dimensions": DIMENSIONS, "Timestamp": ago(minutes=5), "Values": part}],
        )  # fmt: skip

    [point] = statistics(cloudwatch, ExtendedStatistics=["p50", "p99", "p99.9", "p0", "p100"])

    found = point["ExtendedStatistics"]
    assert math.isclose(found["p50"], values[449], rel_tol=0.011)
    assert math.isclose(found["p99"], values[890], rel_tol=0.011)
    assert (found["p0"], found["p100"]) == (values[0], values[-1])


def test_statistic_sets_give_no_percentiles_unless_all_values_are_equal(cloudwatch):
    sets = {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}
    same = {"SampleCount": 3, "Sum": 6, "Minimum": 2, "Maximum": 2}
    for minutes, values in ((9, sets), (5, same)):
        cloudwatch.put_metric_data(
            Namespace="Shop",
            MetricData=[{"MetricName": "Latency", "Dimensions": DIMENSIONS, "Timestamp": ago(minutes=minutes), "StatisticValues": values}],
        )  # fmt: skip

    points = statistics(cloudwatch, Statistics=["Sum"])
    percentiles = statistics(cloudwatch, ExtendedStatistics=["p90"])

    assert sorted(p["Sum"] for p in points) == [6.0, 10.0]
    assert [p["ExtendedStatistics"]["p90"] for p in percentiles] == [2.0]


def test_values_with_counts(cloudwatch):
    cloudwatch.put_metric_data(
        Namespace="Shop",
        MetricData=[{"MetricName": "Latency", "Dimensions": DIMENSIONS, "Timestamp": ago(minutes=5), "Values": [1, 10], "Counts": [9, 1]}],
    )  # fmt: skip

    [point] = statistics(cloudwatch, Statistics=["Average", "SampleCount"])

    assert (point["Average"], point["SampleCount"]) == (1.9, 10)


def test_the_end_is_exclusive_and_periods_without_values_are_absent(cloudwatch):
    put(cloudwatch, 1, at=ago(minutes=10))
    put(cloudwatch, 2, at=ago(minutes=8))
    put(cloudwatch, 3, at=ago(minutes=6))

    points = statistics(cloudwatch, Statistics=["Sum"], start=ago(minutes=10), end=ago(minutes=6))
    longer = statistics(cloudwatch, Statistics=["Sum"], period=3600, start=ago(hours=2))

    assert sorted(p["Sum"] for p in points) == [1.0, 2.0]
    assert sum(p["Sum"] for p in longer) == 6.0


def test_dimensions_are_an_exact_set(cloudwatch):
    put(cloudwatch, 1)

    found = cloudwatch.get_metric_statistics(
        Namespace="Shop", MetricName="Latency", Dimensions=DIMENSIONS[:1], Period=60, Statistics=["Sum"],
        StartTime=ago(hours=1), EndTime=NOW,
    )  # fmt: skip

    assert found["Datapoints"] == []
    assert found["Label"] == "Latency"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Period": 61}, "InvalidParameterValue", "Period"),
        ({"StartTime": NOW}, "InvalidParameterValue", "StartTime must be less than"),
        ({"StartTime": ago(days=10)}, "InvalidParameterCombination", "exceeds the limit of 1,440"),
        ({"ExtendedStatistics": ["p101"]}, "InvalidParameterValue", "p101"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused(cloudwatch, changes, code, words):
    asked = {
        "Namespace": "Shop", "MetricName": "x", "Period": 60, "Statistics": ["Sum"],
        "StartTime": ago(hours=1), "EndTime": NOW,
    }  # fmt: skip

    with pytest.raises(ClientError, match=words) as refused:
        cloudwatch.get_metric_statistics(**asked | changes)

    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("namespace", "datum", "code"),
    [
        ("AWS/SageMaker", {"Value": 1.0}, "InvalidParameterValue"),
        ("Shop", {"Value": 1.0, "Timestamp": ago(days=15)}, "InvalidParameterValue"),
        ("Shop", {"Value": 1.0, "Timestamp": NOW + dt.timedelta(days=3)}, "InvalidParameterValue"),
        ("Shop", {"Value": float("nan")}, "InvalidParameterValue"),
        ("Shop", {"Value": 1.0, "Values": [1.0]}, "InvalidParameterCombination"),
        ("Shop", {}, "MissingParameter"),
        ("Shop", {"Values": [1.0, 2.0], "Counts": [1.0]}, "InvalidParameterValue"),
    ],
)
def test_values_that_cannot_be_stored_are_refused(cloudwatch, namespace, datum, code):
    with pytest.raises(ClientError) as refused:
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "x", **datum}])

    assert refused.value.response["Error"]["Code"] == code
    assert cloudwatch.list_metrics()["Metrics"] == []


def test_metrics_are_listed_by_name_and_dimension_in_pages(cloudwatch):
    for start in range(0, 600, 300):
        cloudwatch.put_metric_data(
            Namespace="Many",
            MetricData=[
                {"MetricName": f"m{i:03}", "Value": 1, "Dimensions": [{"Name": "k", "Value": str(i % 2)}]}
                for i in range(start, start + 300)
            ],
        )  # fmt: skip
    put(cloudwatch, 1)

    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Many"))
    odd = cloudwatch.list_metrics(Namespace="Many", Dimensions=[{"Name": "k", "Value": "1"}])
    one = cloudwatch.list_metrics(MetricName="Latency", Dimensions=[{"Name": "VariantName"}])

    assert [len(page["Metrics"]) for page in pages] == [500, 100]
    assert len(odd["Metrics"]) == 300
    assert [m["Dimensions"] for m in one["Metrics"]] == [DIMENSIONS]


def data(client, *queries, **more):
    answer = client.get_metric_data(
        MetricDataQueries=list(queries), StartTime=ago(hours=1), EndTime=NOW, **more
    )
    return {r["Id"]: r for r in answer["MetricDataResults"]}


def stat(name, metric, how="Sum", **more):
    found = {"Namespace": "Shop", "MetricName": metric, "Dimensions": DIMENSIONS}
    return {"Id": name, "MetricStat": {"Metric": found, "Period": 60, "Stat": how}, **more}


def test_metric_math_over_two_metrics(cloudwatch):
    for minutes, (errors, requests) in {10: (1, 4), 9: (2, 8), 8: (0, 0)}.items():
        put(cloudwatch, errors, name="Errors", at=ago(minutes=minutes))
        put(cloudwatch, requests, name="Requests", at=ago(minutes=minutes))

    found = data(
        cloudwatch,
        stat("e", "Errors", ReturnData=False),
        stat("r", "Requests"),
        {"Id": "rate", "Expression": "e / r * 100", "Label": "rate, at most ${MAX}"},
        {"Id": "filled", "Expression": "FILL(IF(r > 4, r), 0)"},
    )

    assert set(found) == {"r", "rate", "filled"}
    assert found["rate"]["Values"] == [25.0, 25.0]  # nothing can be divided by nothing
    assert found["rate"]["Label"] == "rate, at most 25"
    assert found["r"]["Timestamps"] == [ago(minutes=m) for m in (8, 9, 10)]
    assert sum(found["filled"]["Values"]) == 8.0
    assert len(found["filled"]["Values"]) == 60


def test_search_finds_metrics_by_words(cloudwatch):
    put(cloudwatch, 5, name="ModelLatency")
    put(cloudwatch, 7, name="OverheadLatency")
    put(cloudwatch, 9, name="Invocations")

    found = cloudwatch.get_metric_data(
        MetricDataQueries=[
            {"Id": "s", "Expression": "SEARCH('{Shop,EndpointName,VariantName} latency', 'Sum', 60)"},
            {"Id": "t", "Expression": "SUM(SEARCH('{Shop,EndpointName,VariantName}', 'Sum', 60))"},
        ],
        StartTime=ago(hours=1), EndTime=NOW,
    )["MetricDataResults"]  # fmt: skip

    assert {(r["Id"], r["Label"], *r["Values"]) for r in found} == {
        ("s", "ModelLatency", 5.0), ("s", "OverheadLatency", 7.0), ("t", "t", 21.0),
    }  # fmt: skip


def test_series_are_sorted_as_awss_guide_writes_it(cloudwatch):
    for name, value in (("ModelLatency", 5), ("OverheadLatency", 7), ("OtherLatency", 1)):
        put(cloudwatch, value, name=name)

    def found(expression):
        query = {"Id": "s", "Expression": expression}
        return [r["Values"][0] for r in cloudwatch.get_metric_data(
            MetricDataQueries=[query], StartTime=ago(hours=1), EndTime=NOW
        )["MetricDataResults"]]  # fmt: skip

    search = "SEARCH('{Shop,EndpointName,VariantName} latency', 'Sum', 60)"
    assert found(f"SORT({search}, AVG, DESC, 2)") == [7.0, 5.0]
    assert found(f"SORT({search}, MAX, ASC)") == [1.0, 5.0, 7.0]
    assert found(f"SORT({search}, 'SUM', 'DESC', 1)") == [7.0]


@pytest.mark.parametrize(
    "expression", ["e +", "e / x", "NOPE(e)", "((((", "'a'", "e ++ e", "m1[", "METRICS(", "1 % 2"]
)
def test_expressions_that_cannot_be_read_are_refused(cloudwatch, expression):
    with pytest.raises(ClientError, match="expression"):
        data(cloudwatch, stat("e", "Errors"), {"Id": "x", "Expression": expression})


def test_pages_of_data_hold_as_many_points_as_asked(cloudwatch):
    for minutes in range(2, 22):
        put(cloudwatch, minutes, at=ago(minutes=minutes))

    answers, token = [], {}
    while True:
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[stat("a", "Latency")], StartTime=ago(hours=1), EndTime=NOW, MaxDatapoints=7,
            ScanBy="TimestampAscending", **token,
        )  # fmt: skip
        answers += answer["MetricDataResults"][0]["Values"]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}

    assert answers == [float(m) for m in range(21, 1, -1)]


def test_seconds_are_kept_and_are_part_of_their_minute(cloudwatch):
    at = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(seconds=30)
    put(cloudwatch, 1, at=at, StorageResolution=1)
    put(cloudwatch, 2, at=at + dt.timedelta(seconds=1), StorageResolution=1)

    points = statistics(
        cloudwatch, period=1, start=at, end=at + dt.timedelta(seconds=5), Statistics=["Sum"]
    )
    minute = statistics(cloudwatch, Statistics=["Sum"])

    assert sorted(p["Sum"] for p in points) == [1.0, 2.0]
    assert sum(p["Sum"] for p in minute) == 3.0


def test_a_question_without_a_statistic_is_refused(cloudwatch):
    with pytest.raises(ClientError, match="At least one of the parameters Statistics"):
        statistics(cloudwatch)
