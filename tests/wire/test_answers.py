"""Answers and errors down to the bytes, where clients care about the bytes."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import logging

import pytest
from botocore.eventstream import EventStreamBuffer

from farero.aws.wire import cbor_body, eventstream, models, protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest

NOW = dt.datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=dt.UTC)
S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


def target(service, operation, wire):
    return protocol.Target(service, wire, operation, models.operation_model(service, operation))


def answer(service, operation, wire, result):
    return protocol.write(target(service, operation, wire), result, "the-id")


def refusal(service, operation, wire, error, request=None):
    return protocol.write_error(target(service, operation, wire), error, "the-id", request=request)


def headers(response):
    return {name.lower(): value for name, value in response.headers}


def body_of(response):
    async def collect():
        return b"".join([piece async for piece in response.stream])

    return asyncio.run(collect())


def asked(method="GET", path="/b/k"):
    return HttpRequest(method=method, path=path, query="", headers=Headers())


def test_json_answers_leave_absent_members_out():
    result = {"EndpointName": "e", "CreationTime": NOW, "FailureReason": None}

    response = answer("sagemaker", "DescribeEndpoint", "json", result)

    assert json.loads(response.body) == {"EndpointName": "e", "CreationTime": 1767607200.123}
    assert headers(response) == {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": "the-id",
    }


def test_an_operation_without_output_answers_an_empty_object():
    response = answer("sagemaker", "DeleteEndpoint", "json", None)

    assert (response.status, response.body) == (200, b"{}")


def test_members_the_model_does_not_know_are_logged_and_not_sent(caplog):
    with caplog.at_level(logging.WARNING):
        response = answer("sagemaker", "CreateModel", "json", {"ModelArn": "a", "Colour": 1})

    assert json.loads(response.body) == {"ModelArn": "a"}
    assert caplog.records[0].members == ["Colour"]


def test_query_answers_are_wrapped_and_carry_the_namespace():
    response = answer("sts", "GetCallerIdentity", "query", {"Account": "1", "Arn": "a<b"})

    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<GetCallerIdentityResult><Account>1</Account><Arn>a&lt;b</Arn></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>the-id</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


@pytest.mark.parametrize(
    ("result", "inner"),
    [
        ({"LocationConstraint": "eu-west-1"}, "eu-west-1"),
        ({"LocationConstraint": None}, ""),
        ({}, ""),
    ],
)
def test_the_location_of_a_bucket_is_a_bare_element(result, inner):
    response = answer("s3", "GetBucketLocation", "rest-xml", result)

    assert response.body.decode().splitlines()[1] == (
        f'<LocationConstraint xmlns="{S3}">{inner}</LocationConstraint>'
    )


@pytest.mark.parametrize(
    ("operation", "root"),
    [
        ("ListObjectsV2", "ListBucketResult"),
        ("ListBuckets", "ListAllMyBucketsResult"),
        ("CreateMultipartUpload", "InitiateMultipartUploadResult"),
        ("CopyObject", "CopyObjectResult"),
        ("DeleteObjects", "DeleteResult"),
        ("GetBucketVersioning", "VersioningConfiguration"),
    ],
)
def test_s3_documents_have_their_own_root(operation, root):
    result = {"CopyObjectResult": {"ETag": '"e"'}} if operation == "CopyObject" else {}

    response = answer("s3", operation, "rest-xml", result)

    assert response.body.decode().splitlines()[1].startswith(f'<{root} xmlns="{S3}">')
    assert headers(response)["content-type"] == "application/xml"


def test_the_model_says_the_status():
    response = answer("s3", "DeleteObject", "rest-xml", {})

    assert (response.status, response.body) == (204, b"")
    assert headers(response).keys() == {"x-amz-request-id", "x-amz-id-2"}


def test_a_range_is_partial_content():
    result = {"Body": b"bc", "ContentRange": "bytes 1-2/4", "LastModified": NOW}

    response = answer("s3", "GetObject", "rest-xml", result)

    assert (response.status, response.body) == (206, b"bc")
    assert headers(response)["content-range"] == "bytes 1-2/4"
    assert headers(response)["last-modified"] == "Mon, 05 Jan 2026 10:00:00 GMT"


def test_a_room_may_set_status_and_headers():
    metadata = {"HTTPStatusCode": 201, "HTTPHeaders": {"Location": "/x"}}
    result = {"Body": b"<x/>", "ResponseMetadata": metadata}

    response = protocol.write(protocol.Target("s3", "rest-xml", "PostObject", None), result, "id")

    assert (response.status, response.body) == (201, b"<x/>")
    assert headers(response)["location"] == "/x"


def test_metadata_travels_in_headers_and_cannot_smuggle_one():
    result = {"Metadata": {"a": "b\r\nX-Evil: 1", "c\r\nd": "e"}, "ETag": '"x"\r\ny'}

    response = answer("s3", "HeadObject", "rest-xml", result)

    assert headers(response)["x-amz-meta-a"] == "b  X-Evil: 1"
    assert headers(response)["x-amz-meta-c--d"] == "e"
    assert not any("\r" in n + v or "\n" in n + v for n, v in response.headers)


def test_a_file_is_streamed_and_closed():
    file = io.BytesIO(b"x" * 600_000)

    response = answer("s3", "GetObject", "rest-xml", {"Body": file, "ContentLength": 600_000})

    assert body_of(response) == b"x" * 600_000
    assert file.closed
    assert headers(response)["content-length"] == "600000"


def test_pieces_pass_through_untouched():
    async def pieces():
        yield b"a"
        yield b"b"

    source = pieces()
    response = answer("sagemaker-runtime", "InvokeEndpoint", "rest-json", {"Body": source})

    assert response.stream is source
    assert "content-type" not in headers(response)


def test_text_that_xml_cannot_hold_is_replaced():
    result = {"Contents": [{"Key": "a\x01b\rc\td"}]}

    response = answer("s3", "ListObjectsV2", "rest-xml", result)

    assert "<Key>a\ufffdb&#13;c\td</Key>" in response.body.decode()


def test_sagemaker_errors_are_small():
    error = AwsError("ValidationException", 'Could not find endpoint "x".')

    response = refusal("sagemaker", "DescribeEndpoint", "json", error)

    assert response.status == 400
    assert json.loads(response.body) == {
        "__type": "ValidationException",
        "message": 'Could not find endpoint "x".',
    }


def test_model_errors_carry_their_members():
    members = {"OriginalStatusCode": 500, "OriginalMessage": "no", "LogStreamArn": None}
    error = AwsError("ModelError", "Received", 424, members=members)

    response = refusal("sagemaker-runtime", "InvokeEndpoint", "rest-json", error)

    assert response.status == 424
    assert headers(response)["x-amzn-errortype"] == "ModelError"
    assert json.loads(response.body) == {
        "Message": "Received",
        "OriginalStatusCode": 500,
        "OriginalMessage": "no",
    }


def test_query_errors_say_whose_fault_it_is():
    error = AwsError("NoSuchEntityException", "no", 404, members={"Hint": "x", "Empty": None})

    text = refusal("iam", "GetRole", "query", error).body.decode()

    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        "<Code>NoSuchEntity</Code><Message>no</Message><Hint>x</Hint></Error>"
        "<RequestId>the-id</RequestId></ErrorResponse>"
    )
    fault = AwsError("ServiceFailure", "no", 500)
    assert b"<Type>Receiver</Type>" in refusal("iam", "GetRole", "query", fault).body


def test_s3_errors_name_resource_and_both_ids():
    error = AwsError("NoSuchKey", "The specified key does not exist.", 404, members={"Key": "k"})

    response = refusal("s3", "GetObject", "rest-xml", error, asked())

    assert response.body.decode().splitlines()[1] == (
        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>k</Key>"
        "<Resource>/b/k</Resource><RequestId>the-id</RequestId>"
        f"<HostId>{headers(response)['x-amz-id-2']}</HostId></Error>"
    )


@pytest.mark.parametrize(("method", "status"), [("HEAD", 404), ("GET", 304)])
def test_answers_without_a_body_have_none_on_error_either(method, status):
    error = AwsError("NoSuchKey", "no", status, headers=[("ETag", '"x"')])

    response = refusal("s3", "GetObject", "rest-xml", error, asked(method))

    assert response.body == b""
    assert headers(response)["etag"] == '"x"'
    assert "content-type" not in headers(response)


@pytest.mark.parametrize("wire", ["json", "smithy-rpc-v2-cbor"])
def test_services_that_once_spoke_query_still_send_the_old_code(wire):
    error = AwsError("DashboardInvalidInputError", "no", 400)

    response = refusal("cloudwatch", "PutDashboard", wire, error)

    assert headers(response)["x-amzn-query-error"] == "InvalidParameterInput;Sender"
    decode = json.loads if wire == "json" else cbor_body.decode
    assert decode(response.body) == {"__type": "DashboardInvalidInputError", "message": "no"}


def test_cbor_errors_hold_values_of_every_kind():
    members = {"A": [1, -300, 1.5, None, True, False], "B": {"c": b"d"}, "E": 2**40}
    error = AwsError("Odd", "no", members=members)

    response = refusal("cloudwatch", "PutDashboard", "smithy-rpc-v2-cbor", error)

    assert cbor_body.decode(response.body) == {"__type": "Odd", "message": "no"} | members
    assert headers(response)["smithy-protocol"] == "rpc-v2-cbor"


def test_an_error_without_a_request_is_json():
    response = protocol.write_error(None, AwsError("Some", "text"), "the-id")

    assert json.loads(response.body) == {"__type": "Some", "message": "text"}


def events_of(response):
    buffer = EventStreamBuffer()
    buffer.add_data(body_of(response))
    return [(dict(event.headers), event.payload) for event in buffer]


def test_an_invocation_is_streamed_in_frames():
    async def parts():
        yield {"PayloadPart": {"Bytes": b"one"}}
        raise AwsError("ModelStreamError", "cut", members={"ErrorCode": "StreamBroken"})

    operation = "InvokeEndpointWithResponseStream"
    response = answer("sagemaker-runtime", operation, "rest-json", {"Body": parts()})

    assert headers(response)["content-type"] == "application/vnd.amazon.eventstream"
    first, last = events_of(response)
    assert first == (
        {
            ":message-type": "event",
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
        },
        b"one",
    )
    assert last[0][":exception-type"] == "ModelStreamError"
    assert json.loads(last[1]) == {"Message": "cut", "ErrorCode": "StreamBroken"}


def test_an_unmodelled_error_ends_a_stream_as_an_error_frame():
    def parts():
        yield {"PayloadPart": {"Bytes": b"one"}}
        raise AwsError("Unheard", "of")

    operation = "InvokeEndpointWithResponseStream"
    response = answer("sagemaker-runtime", operation, "rest-json", {"Body": parts()})

    assert events_of(response)[1] == (
        {":message-type": "error", ":error-code": "Unheard", ":error-message": "of"},
        b"",
    )


def test_frame_headers_have_types():
    values = {"t": True, "f": False, "i": -5, "b": b"\x00", "s": "é", "d": NOW}
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.frame(values, b"payload"))

    event = next(iter(buffer))

    assert event.headers == values | {"d": 1767607200123}
    assert event.payload == b"payload"
