import json
import time

import pytest
from botocore.exceptions import ClientError

from .conftest import GROUP

ACCOUNT = "123456789012"
ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{GROUP}"


def refused(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response


def test_query_by_boto3_from_start_to_result(cloud, wait_for):
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    now = int(time.time())
    logs.put_log_events(
        logGroupName=GROUP,
        logStreamName="s",
        logEvents=[
            {"timestamp": now * 1000 - 2000, "message": json.dumps({"level": "ERROR", "ms": 5})},
            {"timestamp": now * 1000 - 1000, "message": json.dumps({"level": "INFO", "ms": 7})},
        ],
    )

    started = logs.start_query(
        logGroupName=GROUP,
        startTime=now - 60,
        endTime=now,
        queryString="filter ms > 1 | stats count(*) as n, max(ms) as most by level | sort level",
    )

    def ended():
        cloud.run()
        answer = logs.get_query_results(queryId=started["queryId"])
        return answer if answer["status"] == "Complete" else None

    answer = wait_for(ended, 30)
    assert answer["results"] == [
        [
            {"field": "level", "value": "ERROR"},
            {"field": "n", "value": "1"},
            {"field": "most", "value": "5"},
        ],
        [
            {"field": "level", "value": "INFO"},
            {"field": "n", "value": "1"},
            {"field": "most", "value": "7"},
        ],
    ]
    assert answer["statistics"] == {
        "recordsMatched": 2.0,
        "recordsScanned": 2.0,
        "bytesScanned": 53.0,
        "estimatedRecordsSkipped": 0.0,
        "estimatedBytesSkipped": 0.0,
        "logGroupsScanned": 1.0,
        "resultCount": 2.0,
    }
    [listed] = logs.describe_queries(logGroupName=GROUP, status="Complete")["queries"]
    assert (listed["queryId"], listed["bytesScanned"]) == (started["queryId"], 53.0)

    row = logs.start_query(
        logGroupIdentifiers=[ARN], startTime=now - 60, endTime=now, queryString="filter ms = 7"
    )
    started = row
    [[shown_time, message, pointer]] = wait_for(ended, 30)["results"]
    record = logs.get_log_record(logRecordPointer=pointer["value"])["logRecord"]
    assert (shown_time["field"], message["field"], pointer["field"]) == (
        "@timestamp",
        "@message",
        "@ptr",
    )
    assert (record["level"], record["ms"], record["@logStream"]) == ("INFO", "7", "s")


def test_malformed_query_says_where(logs, stream):
    response = refused(
        logs.start_query, logGroupName=GROUP, startTime=0, endTime=1, queryString="filter |"
    )

    assert response["Error"]["Code"] == "MalformedQueryException"
    assert response["queryCompileError"] == {
        "location": {"startCharOffset": 7, "endCharOffset": 8},
        "message": "unexpected symbol found | at line 1 and position 7",
    }


def test_query_waits_until_it_is_stopped(logs, stream):
    query = logs.start_query(
        logGroupNames=[GROUP], startTime=0, endTime=1, queryString="fields @message"
    )

    stopped = logs.stop_query(queryId=query["queryId"])
    answer = logs.get_query_results(queryId=query["queryId"])
    again = refused(logs.stop_query, queryId=query["queryId"])
    none = refused(logs.get_query_results, queryId="none")

    assert (stopped["success"], answer["status"], answer["results"]) == (True, "Cancelled", [])
    assert again["Error"]["Code"] == "InvalidParameterException"
    assert none["Error"]["Code"] == "ResourceNotFoundException"


def test_definitions_are_kept_changed_listed_and_removed(logs):
    made = logs.put_query_definition(
        name="errors/all", queryString="filter level = 'ERROR'", logGroupNames=[GROUP]
    )["queryDefinitionId"]
    logs.put_query_definition(name="other", queryString="fields 1")
    logs.put_query_definition(
        name="errors/new", queryString="fields @message", queryDefinitionId=made
    )

    [found] = logs.describe_query_definitions(queryDefinitionNamePrefix="errors/")[
        "queryDefinitions"
    ]
    first = logs.describe_query_definitions(maxResults=1)
    second = logs.describe_query_definitions(maxResults=1, nextToken=first["nextToken"])
    taken = refused(logs.put_query_definition, name="other", queryString="fields 2")

    assert (found["name"], found["queryString"], found["queryDefinitionId"]) == (
        "errors/new",
        "fields @message",
        made,
    )
    names = [page["queryDefinitions"][0]["name"] for page in (first, second)]
    assert (names, "nextToken" in second) == (["errors/new", "other"], False)
    assert taken["Error"]["Code"] == "ResourceAlreadyExistsException"
    assert logs.delete_query_definition(queryDefinitionId=made)["success"]
    assert not logs.delete_query_definition(queryDefinitionId=made)["success"]
