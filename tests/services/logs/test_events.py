import base64
import json

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/Endpoints/iris"
DAY_MS = 86_400_000


def put(logs, stream, events):
    return logs.put_log_events(
        **stream, logEvents=[{"timestamp": ms, "message": text} for ms, text in events]
    )


def texts(answer):
    return [event["message"] for event in answer["events"]]


def code_and_text(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_events_come_back_as_they_went_in(logs, stream, now_ms):
    put(logs, stream, [(now_ms, "one"), (now_ms, "two"), (now_ms + 1, "drei ☃\n")])

    events = logs.get_log_events(**stream)["events"]

    assert events == [
        {"timestamp": now_ms, "message": "one", "ingestionTime": now_ms},
        {"timestamp": now_ms, "message": "two", "ingestionTime": now_ms},
        {"timestamp": now_ms + 1, "message": "drei ☃\n", "ingestionTime": now_ms},
    ]


def test_reading_from_the_head_ends_with_the_same_token(logs, stream, now_ms):
    put(logs, stream, [(now_ms + n, str(n)) for n in range(5)])

    pages, token = [], None
    while True:
        more = {} if token is None else {"nextToken": token}
        page = logs.get_log_events(**stream, startFromHead=True, limit=2, **more)
        pages.append(texts(page))
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    put(logs, stream, [(now_ms + 9, "new")])
    later = logs.get_log_events(**stream, startFromHead=True, nextToken=token)

    assert pages == [["0", "1"], ["2", "3"], ["4"], []]
    assert token.startswith("f/")
    assert texts(later) == ["new"]


def test_reading_from_the_tail_goes_back_page_by_page(logs, stream, now_ms):
    put(logs, stream, [(now_ms + n, str(n)) for n in range(5)])

    last = logs.get_log_events(**stream, limit=2)
    before = logs.get_log_events(**stream, limit=2, nextToken=last["nextBackwardToken"])
    first = logs.get_log_events(**stream, limit=2, nextToken=before["nextBackwardToken"])
    end = logs.get_log_events(**stream, limit=2, nextToken=first["nextBackwardToken"])
    again = logs.get_log_events(**stream, limit=2, nextToken=end["nextForwardToken"])

    assert [texts(page) for page in (last, before, first, end, again)] == [
        ["3", "4"],
        ["1", "2"],
        ["0"],
        [],
        ["0", "1"],
    ]
    assert end["nextBackwardToken"] == first["nextBackwardToken"]


def test_empty_stream_has_tokens_that_find_what_comes(logs, stream, now_ms):
    page = logs.get_log_events(**stream)
    put(logs, stream, [(now_ms, "first")])

    later = logs.get_log_events(**stream, nextToken=page["nextForwardToken"])

    assert page["events"] == []
    assert texts(later) == ["first"]


def test_times_bound_the_events_with_the_end_exclusive(logs, stream, now_ms):
    put(logs, stream, [(now_ms + n, str(n)) for n in range(5)])
    times = {"startTime": now_ms + 1, "endTime": now_ms + 3}

    assert texts(logs.get_log_events(**stream, **times)) == ["1", "2"]
    assert texts(logs.filter_log_events(logGroupName=GROUP, **times)) == ["1", "2"]


def test_page_ends_at_one_megabyte(logs, stream, now_ms):
    for n in range(3):
        put(logs, stream, [(now_ms + n, str(n) * 500_000)])

    head = logs.get_log_events(**stream, startFromHead=True)
    tail = logs.get_log_events(**stream)
    rest = logs.get_log_events(**stream, startFromHead=True, nextToken=head["nextForwardToken"])

    assert [text[0] for text in texts(head)] == ["0", "1"]
    assert [text[0] for text in texts(tail)] == ["1", "2"]
    assert [text[0] for text in texts(rest)] == ["2"]


def test_too_old_and_too_new_events_are_left_out_and_reported(logs, stream, now_ms):
    days = [(now_ms - 15 * DAY_MS, "old"), (now_ms, "good"), (now_ms + 3 * 3_600_000, "new")]

    answer = put(logs, stream, days)

    assert answer["rejectedLogEventsInfo"] == {
        "tooOldLogEventEndIndex": 1,
        "tooNewLogEventStartIndex": 2,
    }
    assert texts(logs.get_log_events(**stream)) == ["good"]


def test_events_older_than_the_retention_are_rejected_hidden_and_deleted(
    logs, domain, clock, stream, now_ms
):
    put(logs, stream, [(now_ms, "today")])
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    expired = put(logs, stream, [(now_ms - 2 * DAY_MS, "gone")])
    clock.advance(hours=25)
    hidden = logs.get_log_events(**stream, startFromHead=True)
    deleted = domain.apply_retention()
    logs.delete_retention_policy(logGroupName=GROUP)
    after = logs.get_log_events(**stream, startFromHead=True)
    group = logs.describe_log_groups()["logGroups"][0]

    assert expired["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert (hidden["events"], deleted, after["events"]) == ([], 1, [])
    assert (group["storedBytes"], "retentionInDays" in group) == (0, False)


# Texts as AWS gives them: CloudWatch Logs API reference and observed answers.
def test_batches_that_break_a_rule_are_refused(logs, stream, now_ms):
    unordered = [{"timestamp": now_ms + 1, "message": "b"}, {"timestamp": now_ms, "message": "a"}]
    too_long = [
        {"timestamp": now_ms - DAY_MS - 1, "message": "a"},
        {"timestamp": now_ms, "message": "b"},
    ]
    too_large = [{"timestamp": now_ms, "message": "x" * 600_000}] * 2

    assert code_and_text(logs.put_log_events, **stream, logEvents=unordered) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    assert code_and_text(logs.put_log_events, **stream, logEvents=too_long) == (
        "InvalidParameterException",
        "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
    )
    assert code_and_text(logs.put_log_events, **stream, logEvents=too_large) == (
        "InvalidParameterException",
        "Upload too large: 1200052 bytes exceeds limit of 1048576",
    )


def test_missing_and_existing_things_have_awss_words(logs, stream):
    missing_group = {"logGroupName": "none", "logStreamName": "s"}
    missing_stream = {"logGroupName": GROUP, "logStreamName": "none"}
    no_group = ("ResourceNotFoundException", "The specified log group does not exist.")
    no_stream = ("ResourceNotFoundException", "The specified log stream does not exist.")

    assert code_and_text(logs.get_log_events, **missing_group) == no_group
    assert code_and_text(logs.get_log_events, **missing_stream) == no_stream
    assert code_and_text(logs.describe_log_streams, logGroupName="none") == no_group
    assert code_and_text(logs.filter_log_events, logGroupName="none") == no_group
    assert code_and_text(logs.delete_log_group, logGroupName="none") == no_group
    assert code_and_text(logs.delete_log_stream, **missing_stream) == no_stream
    assert (
        code_and_text(
            logs.put_log_events, **missing_stream, logEvents=[{"timestamp": 1, "message": "x"}]
        )
        == no_stream
    )
    assert code_and_text(logs.create_log_group, logGroupName=GROUP) == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    assert code_and_text(logs.create_log_stream, **stream) == (
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    )


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("create_log_group", {"logGroupName": "a b"}),
        ("create_log_stream", {"logGroupName": GROUP, "logStreamName": "a:b"}),
        ("put_retention_policy", {"logGroupName": GROUP, "retentionInDays": 2}),
        ("get_log_events", {"logGroupName": GROUP, "logStreamName": "s", "nextToken": "x"}),
        ("get_log_events", {"logStreamName": "s"}),
        ("filter_log_events", {"logGroupName": GROUP, "filterPattern": '"open'}),
        ("filter_log_events", {"logGroupName": GROUP, "nextToken": "%%"}),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "logStreamNames": ["s"], "logStreamNamePrefix": "s"},
        ),
        (
            "describe_log_streams",
            {"logGroupName": GROUP, "orderBy": "LastEventTime", "logStreamNamePrefix": "s"},
        ),
        (
            "describe_log_streams",
            {"logGroupName": GROUP, "nextToken": base64.b64encode(b"x").decode()},
        ),
        ("describe_log_groups", {"logGroupNamePrefix": "a", "logGroupNamePattern": "b"}),
        ("list_tags_for_resource", {"resourceArn": "arn:aws:s3:::b"}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(logs, stream, operation, members):
    code, _ = code_and_text(getattr(logs, operation), **members)

    assert code == "InvalidParameterException"


def test_filter_interleaves_streams_and_pages_to_the_end(logs, stream, now_ms):
    for name in ("a", "b"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        events = [(now_ms + n, f"{name}{n} {'ERROR' if n % 2 else 'ok'}") for n in range(6)]
        put(logs, {"logGroupName": GROUP, "logStreamName": name}, events)

    pages = list(
        logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, filterPattern="ERROR", PaginationConfig={"PageSize": 2}
        )
    )
    events = [event for page in pages for event in page["events"]]

    assert [event["message"][:2] for event in events] == ["a1", "b1", "a3", "b3", "a5", "b5"]
    assert [event["logStreamName"] for event in events] == ["a", "b"] * 3
    assert len({event["eventId"] for event in events}) == 6
    assert "nextToken" not in pages[-1]


def test_filter_chooses_streams_by_name_and_by_prefix(logs, stream, now_ms):
    for name in ("AllTraffic/i-1", "AllTraffic/i-2", "Other/i-3"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        put(logs, {"logGroupName": GROUP, "logStreamName": name}, [(now_ms, name)])

    by_prefix = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="AllTraffic/")
    by_name = logs.filter_log_events(logGroupName=GROUP, logStreamNames=["Other/i-3"])
    none = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="alltraffic")
    newest = logs.filter_log_events(logGroupName=GROUP, startFromHead=False, limit=1)
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    by_arn = logs.filter_log_events(logGroupIdentifier=arn, limit=1)

    assert texts(by_prefix) == ["AllTraffic/i-1", "AllTraffic/i-2"]
    assert texts(by_name) == ["Other/i-3"]
    assert texts(none) == []
    assert (texts(newest), texts(by_arn)) == (["Other/i-3"], ["AllTraffic/i-1"])
    assert code_and_text(logs.filter_log_events, logGroupName=GROUP, logStreamNames=["no"]) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )


def test_filter_backwards_pages_to_the_oldest(logs, stream, now_ms):
    put(logs, stream, [(now_ms + n, str(n)) for n in range(5)])

    found, token = [], {}
    while True:
        page = logs.filter_log_events(logGroupName=GROUP, startFromHead=False, limit=2, **token)
        found += texts(page)
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}

    assert found == ["4", "3", "2", "1", "0"]


def test_filter_reads_json_events(logs, stream, now_ms):
    for n, level in enumerate(["INFO", "ERROR", "ERROR"]):
        put(logs, stream, [(now_ms + n, json.dumps({"level": level, "ms": n * 100}))])

    page = logs.filter_log_events(
        logGroupName=GROUP, filterPattern='{ $.level = "ERROR" && $.ms > 100 }'
    )

    assert [json.loads(text)["ms"] for text in texts(page)] == [200]


def test_tailing_by_start_time_sees_new_events_once(logs, stream, now_ms):
    """`aws logs tail --follow` asks again from the last timestamp and drops the event ids it has shown."""
    put(logs, stream, [(now_ms, "one"), (now_ms + 5, "two")])
    first = logs.filter_log_events(logGroupName=GROUP, startTime=now_ms)["events"]
    put(logs, stream, [(now_ms + 5, "three")])

    again = logs.filter_log_events(logGroupName=GROUP, startTime=now_ms + 5)["events"]
    shown = {event["eventId"] for event in first}

    assert [e["message"] for e in again if e["eventId"] not in shown] == ["three"]


def test_streams_are_listed_by_name_without_a_token_at_the_end(logs, stream, now_ms):
    for n in range(4):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=f"job/algo-1-{n}")
    put(logs, {"logGroupName": GROUP, "logStreamName": "job/algo-1-2"}, [(now_ms, "x")])

    pages = list(
        logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, logStreamNamePrefix="job/", PaginationConfig={"PageSize": 2}
        )
    )
    one = logs.describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix="job/", orderBy="LogStreamName", limit=4
    )
    by_time = logs.describe_log_streams(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=1
    )

    assert [len(page["logStreams"]) for page in pages] == [2, 2]
    assert "nextToken" not in pages[-1]
    assert "nextToken" not in one
    assert [item["logStreamName"] for item in one["logStreams"]] == [
        f"job/algo-1-{n}" for n in range(4)
    ]
    assert by_time["logStreams"][0] == {
        "logStreamName": "job/algo-1-2",
        "creationTime": now_ms,
        "firstEventTimestamp": now_ms,
        "lastEventTimestamp": now_ms,
        "lastIngestionTime": now_ms,
        "uploadSequenceToken": by_time["logStreams"][0]["uploadSequenceToken"],
        "arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:job/algo-1-2",
        "storedBytes": 0,
    }


def test_groups_are_listed_by_name(logs, now_ms):
    for name in ("/a/2", "/a/1", "/b/1"):
        logs.create_log_group(logGroupName=name)

    pages = list(
        logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    )
    prefixed = logs.describe_log_groups(logGroupNamePrefix="/a")["logGroups"]
    matching = logs.describe_log_groups(logGroupNamePattern="b/")["logGroups"]

    assert [g["logGroupName"] for page in pages for g in page["logGroups"]] == [
        "/a/1",
        "/a/2",
        "/b/1",
    ]
    assert "nextToken" not in pages[-1]
    assert [g["logGroupName"] for g in prefixed] == ["/a/1", "/a/2"]
    assert [g["logGroupName"] for g in matching] == ["/b/1"]
    assert prefixed[0] == {
        "logGroupName": "/a/1",
        "creationTime": now_ms,
        "metricFilterCount": 0,
        "arn": "arn:aws:logs:us-east-1:123456789012:log-group:/a/1:*",
        "logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/a/1",
        "logGroupClass": "STANDARD",
        "storedBytes": 0,
    }


def test_deleting_takes_streams_and_events_along(logs, stream, now_ms):
    put(logs, stream, [(now_ms, "abc")])
    size = logs.describe_log_groups()["logGroups"][0]["storedBytes"]
    logs.delete_log_stream(**stream)
    after = logs.describe_log_groups()["logGroups"][0]["storedBytes"]
    logs.create_log_stream(**stream)
    events = logs.get_log_events(**stream)["events"]
    logs.delete_log_group(logGroupName=GROUP)

    assert (size, after, events) == (29, 0, [])
    assert logs.describe_log_groups()["logGroups"] == []


def test_groups_carry_tags_by_arn_and_by_name(logs):
    logs.create_log_group(logGroupName=GROUP, tags={"a": "1"})
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"

    logs.tag_resource(resourceArn=arn, tags={"b": "2"})
    logs.tag_log_group(logGroupName=GROUP, tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a"])
    both = logs.list_tags_for_resource(resourceArn=arn)["tags"]
    logs.untag_log_group(logGroupName=GROUP, tags=["b"])

    assert both == {"b": "2", "c": "3"}
    assert logs.list_tags_log_group(logGroupName=GROUP)["tags"] == {"c": "3"}


def test_scan_stops_after_a_while_and_goes_on_from_its_token(logs, domain, stream, now_ms):
    for start in range(0, 60_000, 10_000):
        put(logs, stream, [(now_ms, "x")] * 9_999 + [(now_ms, f"needle {start}")])

    page = logs.filter_log_events(logGroupName=GROUP, filterPattern="needle")
    rest = logs.filter_log_events(
        logGroupName=GROUP, filterPattern="needle", nextToken=page["nextToken"]
    )

    assert texts(page) + texts(rest) == [f"needle {n}" for n in range(0, 60_000, 10_000)]
    assert "nextToken" not in rest
