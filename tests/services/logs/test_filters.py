import datetime as dt
import json
import time

import pytest
from botocore.exceptions import ClientError

from farero.records.metrics import Datum, Metric

from .conftest import GROUP

APACHE = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


def put_filter(logs, pattern, **transformation):
    wish = {"metricName": "M", "metricNamespace": "N", "metricValue": "1"} | transformation
    logs.put_metric_filter(
        logGroupName=GROUP, filterName="f", filterPattern=pattern, metricTransformations=[wish]
    )


def put(logs, stream, now_ms, *messages):
    events = [{"timestamp": now_ms, "message": message} for message in messages]
    logs.put_log_events(**stream, logEvents=events)


def values(counted):
    return [
        (dict(datum.metric.dimensions), dict(zip(datum.values, datum.counts, strict=True)))
        for datum in counted
    ]


def error_of(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_matching_events_become_one_datum_a_minute(logs, stream, now_ms, counted, clock):
    put_filter(logs, "ERROR", unit="Count")

    put(logs, stream, now_ms, "ERROR one", "fine", "ERROR two")

    assert counted == [
        Datum(
            metric=Metric.of("N", "M", {}),
            at=clock.now().replace(second=0, microsecond=0),
            values=(1.0,),
            counts=(2.0,),
            unit="Count",
        )
    ]


def test_events_are_counted_at_their_own_time(logs, stream, now_ms, counted):
    put_filter(logs, "")

    events = [{"timestamp": now_ms - 90_000, "message": "a"}, {"timestamp": now_ms, "message": "b"}]
    logs.put_log_events(**stream, logEvents=events)

    assert [datum.at for datum in counted] == [
        dt.datetime(2026, 1, 5, 9, 58, tzinfo=dt.UTC),
        dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC),
    ]


def test_value_and_dimensions_come_from_json(logs, stream, now_ms, counted):
    put_filter(
        logs,
        "{ $.ms > 0 }",
        metricValue="$.ms",
        dimensions={"Route": "$.route", "Zone": "$.at.zone"},
    )
    messages = [
        {"ms": 5, "route": "/a", "at": {"zone": 1}},
        {"ms": "7.5", "route": "/a", "at": {"zone": 1}},
        {"ms": 7, "route": "/b"},
    ]

    put(logs, stream, now_ms, *map(json.dumps, messages), "no json")

    assert values(counted) == [({"Route": "/a", "Zone": "1"}, {5.0: 1.0, 7.5: 1.0})]


@pytest.mark.parametrize(
    "pattern",
    [
        "[ip, id, user, timestamp, request, status = 404, size]",
        "[..., status = 4*, size]",
    ],
)
def test_value_comes_from_a_column(logs, stream, now_ms, counted, pattern):
    put_filter(logs, pattern, metricValue="$size", dimensions={"Status": "$status"})

    put(logs, stream, now_ms, APACHE, APACHE.replace("404", "200"))

    assert values(counted) == [({"Status": "404"}, {1534.0: 1.0})]


def test_a_dimension_with_a_thousand_values_makes_no_more_metrics(
    logs, stream, now_ms, counted, clock
):
    put_filter(logs, "{ $.id >= 0 }", dimensions={"Id": "$.id"})

    put(logs, stream, now_ms, *[f'{{"id": {number}}}' for number in range(1_200)])
    put(logs, stream, now_ms, '{"id": 7}', '{"id": 5000}')
    put(logs, stream, now_ms + 3_600_000, '{"id": 5000}')

    assert len(counted) == 1_000 + 1 + 1


@pytest.mark.parametrize("value", ["1e309", '"x"', "null", "true", "[1]"])
def test_what_is_no_number_is_not_counted(logs, stream, now_ms, counted, value):
    put_filter(logs, "{ $.ok IS TRUE }", metricValue="$.x")

    put(logs, stream, now_ms, f'{{"ok": true, "x": {value}}}')

    assert counted == []


def test_minutes_with_events_and_no_match_tell_the_default(
    logs, stream, now_ms, counted, clock, filters
):
    put_filter(logs, "ERROR", defaultValue=0)
    put(logs, stream, now_ms, "fine")
    clock.advance(minutes=1)
    put(logs, stream, now_ms + 60_000, "fine", "ERROR")
    early = filters.tell_defaults()
    clock.advance(minutes=3)

    assert (early, filters.tell_defaults(), filters.tell_defaults()) == (0, 1, 0)
    assert [(datum.at.minute, datum.values) for datum in counted] == [(1, (1.0,)), (0, (0.0,))]


def test_filters_are_replaced_listed_counted_and_removed(logs, stream, now_ms, counted):
    put_filter(logs, "OLD")
    put_filter(logs, "NEW", defaultValue=2.5)

    put(logs, stream, now_ms, "OLD")
    listed = logs.describe_metric_filters(logGroupName=GROUP)["metricFilters"]
    groups = logs.describe_log_groups()["logGroups"]
    logs.delete_metric_filter(logGroupName=GROUP, filterName="f")
    put(logs, stream, now_ms, "NEW")

    assert counted == []
    assert listed == [
        {
            "filterName": "f",
            "filterPattern": "NEW",
            "metricTransformations": [
                {
                    "metricName": "M",
                    "metricNamespace": "N",
                    "metricValue": "1",
                    "defaultValue": 2.5,
                    "unit": "None",
                }
            ],
            "creationTime": now_ms,
            "logGroupName": GROUP,
            "applyOnTransformedLogs": False,
        }
    ]
    assert [group["metricFilterCount"] for group in groups] == [1]
    assert logs.describe_metric_filters()["metricFilters"] == []


def test_filters_are_found_by_name_and_by_metric_page_by_page(logs, stream):
    for name in ("ab", "aa", "b"):
        logs.put_metric_filter(
            logGroupName=GROUP,
            filterName=name,
            filterPattern="",
            metricTransformations=[
                {"metricName": name, "metricNamespace": "N", "metricValue": "1"}
            ],
        )

    pages = logs.get_paginator("describe_metric_filters").paginate(
        filterNamePrefix="a", PaginationConfig={"PageSize": 1}
    )
    found = logs.describe_metric_filters(metricName="b", metricNamespace="N")["metricFilters"]

    assert [one["filterName"] for page in pages for one in page["metricFilters"]] == ["aa", "ab"]
    assert [one["filterName"] for one in found] == ["b"]


def test_a_filter_goes_with_its_group(logs, stream):
    put_filter(logs, "x", defaultValue=1)

    logs.delete_log_group(logGroupName=GROUP)
    logs.create_log_group(logGroupName=GROUP)

    assert logs.describe_metric_filters(logGroupName=GROUP)["metricFilters"] == []


def test_what_cannot_be_a_filter_is_refused(logs, stream):
    refused = [
        ({"dimensions": {"D": "$.d"}, "defaultValue": 0}, "mutually exclusive properties."),
        ({"metricValue": "$nope"}, "'$nope' is not in the filter pattern"),
        ({"metricValue": "many"}, "'many' is not in the filter pattern"),
    ]
    for transformation, words in refused:
        with pytest.raises(ClientError, match="InvalidParameterException") as caught:
            put_filter(logs, "{ $.d = 1 }", **transformation)
        assert words in str(caught.value)
    wish = {"metricName": "M", "metricNamespace": "N", "metricValue": "1"}
    missing = error_of(
        logs.put_metric_filter,
        logGroupName="none",
        filterName="f",
        filterPattern="",
        metricTransformations=[wish],
    )
    gone = error_of(logs.delete_metric_filter, logGroupName=GROUP, filterName="f")
    assert missing == ("ResourceNotFoundException", "The specified log group does not exist.")
    assert gone == ("ResourceNotFoundException", "The specified metric filter does not exist.")


def test_test_metric_filter_shows_what_it_finds(logs):
    fields = logs.test_metric_filter(
        filterPattern="[ip, id, user, ..., status=404, size]", logEventMessages=["x", APACHE]
    )
    members = logs.test_metric_filter(
        filterPattern='{ $.a.b = "x" || $.n > 1 }',
        logEventMessages=['{"a": {"b": "x"}, "n": 2.5}', '{"n": 1}'],
    )
    terms = logs.test_metric_filter(filterPattern="x", logEventMessages=["ax", "b"])

    assert [(one["eventNumber"], one["extractedValues"]) for one in fields["matches"]] == [
        (
            2,
            {
                "$ip": "127.0.0.1",
                "$id": "-",
                "$user": "frank",
                "$4": "10/Oct/2000:13:25:15 -0700",
                "$5": "GET /index.html HTTP/1.0",
                "$status": "404",
                "$size": "1534",
            },
        )
    ]
    assert [one["extractedValues"] for one in members["matches"]] == [{"$.a.b": "x", "$.n": "2.5"}]
    assert terms["matches"] == [{"eventNumber": 1, "eventMessage": "ax", "extractedValues": {}}]


def test_counted_lines_are_a_metric_of_the_platform(cloud):
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    put_filter(logs, "{ $.ms > 100 }", metricValue="$.ms", unit="Milliseconds")
    now_ms = int(time.time() * 1000)

    put(logs, {"logGroupName": GROUP, "logStreamName": "s"}, now_ms, '{"ms": 250}', '{"ms": 50}')
    path = cloud.settings.logs_dir / "out.log"
    path.write_text('{"ms": 350}\n')
    cloud.worker.shipper.follow(path, GROUP, "t")
    cloud.run()

    now = dt.datetime.now(dt.UTC)
    points = cloud.app.metrics.points(
        Metric.of("N", "M", {}),
        start=now - dt.timedelta(hours=1),
        end=now + dt.timedelta(hours=1),
        period_s=3600,
        unit="Milliseconds",
    )
    assert sum(point.summary.count for point in points) == 2
    assert sum(point.summary.total for point in points) == 600
