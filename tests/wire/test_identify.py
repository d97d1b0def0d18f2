"""One host for all services: who is meant by a request."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farero.aws.wire import models, protocol
from farero.aws.wire.messages import AwsError, Headers, HttpRequest

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def request(method, url, *, host="127.0.0.1:4747", scope="", body=b"", **headers):
    path, _, query = url.partition("?")
    items = [(name.replace("_", "-"), value) for name, value in headers.items()]
    items.append(("Host", host))
    if scope:
        credential = f"AKIA/20260105/us-east-1/{scope}/aws4_request"
        items.append(("Authorization", f"AWS4-HMAC-SHA256 Credential={credential}, Signature=x"))
    return HttpRequest(method=method, path=path, query=query, headers=Headers(items), body=body)


def found(method, url, **rest):
    target = protocol.identify(request(method, url, **rest))
    return target.service, target.operation_name


def refused(method, url, **rest):
    with pytest.raises(AwsError) as caught:
        protocol.identify(request(method, url, **rest))
    return caught.value.code, caught.value.status


@pytest.mark.parametrize("service", sorted(models.SERVICES))
def test_the_table_of_services_equals_botocores_models(service):
    metadata = models.service_model(service).metadata

    assert models.SERVICES[service] == models.Entry(
        metadata.get("signingName") or metadata["endpointPrefix"],
        metadata.get("targetPrefix", ""),
        metadata["apiVersion"],
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("SageMaker.CreateModel", ("sagemaker", "CreateModel")),
        ("Logs_20140328.PutLogEvents", ("logs", "PutLogEvents")),
        ("GraniteServiceVersion20100801.PutMetricData", ("cloudwatch", "PutMetricData")),
        ("AmazonSQS.SendMessage", ("sqs", "SendMessage")),
        ("AWSEvents.PutEvents", ("events", "PutEvents")),
    ],
)
def test_the_target_header_names_service_and_operation(target, expected):
    assert found("POST", "/", x_amz_target=target) == expected


def test_rpc_v2_cbor_is_known_by_path_and_header():
    url = "/service/GraniteServiceVersion20100801/operation/PutMetricData"

    target = protocol.identify(request("POST", url, smithy_protocol="rpc-v2-cbor"))

    assert (target.service, target.protocol) == ("cloudwatch", "smithy-rpc-v2-cbor")


@pytest.mark.parametrize(
    ("scope", "version", "action", "service"),
    [
        ("sts", "2011-06-15", "GetCallerIdentity", "sts"),
        ("", "2011-06-15", "AssumeRoleWithWebIdentity", "sts"),
        ("iam", "2010-05-08", "CreateRole", "iam"),
        ("monitoring", "2010-08-01", "PutMetricData", "cloudwatch"),
        ("monitoring", "", "PutMetricData", "cloudwatch"),
        ("ses", "2010-12-01", "SendEmail", "ses"),
    ],
)
def test_query_requests_are_known_by_action(scope, version, action, service):
    text = f"Action={action}&Version={version}"

    posted = found("POST", "/", scope=scope, content_type=FORM, body=text.encode())
    fetched = found("GET", f"/?{text}", scope=scope)

    assert posted == fetched == (service, action)


def test_a_presigned_query_request_is_known_by_its_credential():
    url = (
        "/?Action=GetCallerIdentity&Version=2011-06-15"
        "&X-Amz-Credential=AKIA%2F20260105%2Fus-east-1%2Fsts%2Faws4_request"
    )

    target = protocol.identify(request("GET", url))

    assert (target.service, target.operation_name) == ("sts", "GetCallerIdentity")
    assert protocol.read(target, request("GET", url)) == {}


@pytest.mark.parametrize(
    ("url", "operation"),
    [
        ("/endpoints/e/invocations", "InvokeEndpoint"),
        ("/endpoints/e/async-invocations", "InvokeEndpointAsync"),
        ("/endpoints/e/invocations-response-stream", "InvokeEndpointWithResponseStream"),
    ],
)
@pytest.mark.parametrize("scope", ["sagemaker", ""])
def test_the_runtime_is_known_by_path(url, operation, scope):
    assert found("POST", url, scope=scope) == ("sagemaker-runtime", operation)


def test_a_form_sent_to_an_endpoint_is_an_invocation():
    expected = ("sagemaker-runtime", "InvokeEndpoint")
    url = "/endpoints/e/invocations"

    assert found("POST", url, scope="sagemaker", content_type=FORM, body=b"Action=1") == expected


@pytest.mark.parametrize(
    ("method", "url", "operation"),
    [
        ("GET", "/", "ListBuckets"),
        ("PUT", "/b", "CreateBucket"),
        ("PUT", "/b/", "CreateBucket"),
        ("DELETE", "/b", "DeleteBucket"),
        ("HEAD", "/b", "HeadBucket"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b?prefix=x&max-keys=1", "ListObjects"),
        ("GET", "/b?list-type=2", "ListObjectsV2"),
        ("GET", "/b?list-type=1", "ListObjects"),
        ("GET", "/b?location", "GetBucketLocation"),
        ("GET", "/b?versioning", "GetBucketVersioning"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b?uploads", "ListMultipartUploads"),
        ("GET", "/b?tagging", "GetBucketTagging"),
        ("GET", "/b?acl=", "GetBucketAcl"),
        ("GET", "/b?policy", "GetBucketPolicy"),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("GET", "/b?notification", "GetBucketNotificationConfiguration"),
        ("GET", "/b?analytics", "ListBucketAnalyticsConfigurations"),
        ("GET", "/b?analytics&id=1", "GetBucketAnalyticsConfiguration"),
        ("PUT", "/b?versioning", "PutBucketVersioning"),
        ("POST", "/b?delete", "DeleteObjects"),
        ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?x-id=GetObject", "GetObject"),
        ("GET", "/b/k?versionId=1", "GetObject"),
        ("GET", "/b/k?uploadId=u", "ListParts"),
        ("GET", "/b/k?tagging", "GetObjectTagging"),
        ("GET", "/b/k?acl", "GetObjectAcl"),
        ("HEAD", "/b/k", "HeadObject"),
        ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("PUT", "/b/k?tagging", "PutObjectTagging"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
        ("POST", "/b/k?select&select-type=2", "SelectObjectContent"),
        ("DELETE", "/b/k", "DeleteObject"),
        ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k?tagging", "DeleteObjectTagging"),
    ],
)
def test_s3_operations_are_told_apart_by_their_sub_resources(method, url, operation):
    assert found(method, url, scope="s3") == ("s3", operation)


def test_copies_are_known_by_their_source_header():
    assert found("PUT", "/b/k", x_amz_copy_source="a/b") == ("s3", "CopyObject")
    part = found("PUT", "/b/k?partNumber=1&uploadId=u", x_amz_copy_source="a/b")
    assert part == ("s3", "UploadPartCopy")


def test_a_form_with_a_file_is_post_object():
    form = request("POST", "/b", content_type="multipart/form-data; boundary=x", body=b"--x--")

    target = protocol.identify(form)

    assert (target.service, target.operation_name, target.operation) == ("s3", "PostObject", None)
    assert target.python_name == "post_object"
    assert target.streams_in
    assert protocol.read(target, form) == {
        "Bucket": "b",
        "ContentType": "multipart/form-data; boundary=x",
        "Body": b"--x--",
    }


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A/20260105/us-east-1/s3/aws4_request",
        "AWSAccessKeyId=A&Signature=x%2Fy&Expires=1",
    ],
    ids=["sigv4", "sigv2"],
)
def test_presigned_urls_belong_to_s3(query):
    assert found("GET", f"/endpoints/k?{query}") == ("s3", "GetObject")
    assert found("PUT", f"/endpoints/k?{query}") == ("s3", "PutObject")


def test_the_old_s3_signature_belongs_to_s3():
    assert found("POST", "/endpoints/k/invocations?uploads", authorization="AWS A:b")[0] == "s3"


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("my-bucket.localhost:4747", "my-bucket"),
        ("my.dotted.bucket.localhost", "my.dotted.bucket"),
        ("my-bucket.s3.us-east-1.localhost:4747", "my-bucket"),
        ("my-bucket.s3.us-east-1.amazonaws.com", "my-bucket"),
        ("my-bucket.s3.localhost", "my-bucket"),
    ],
)
def test_a_bucket_may_stand_in_the_host(host, bucket):
    target = protocol.identify(request("GET", "/dir/a%20b", host=host, scope="s3"))
    listing = protocol.identify(request("GET", "/?list-type=2", host=host, scope="s3"))

    assert dict(target.labels) == {"Bucket": bucket, "Key": "dir/a b"}
    assert (listing.operation_name, dict(listing.labels)) == ("ListObjectsV2", {"Bucket": bucket})


@pytest.mark.parametrize(
    "host",
    [
        "localhost:4747",
        "127.0.0.1:4747",
        "[::1]:4747",
        "s3.localhost",
        "s3.us-east-1.amazonaws.com",
        "",
    ],
)
def test_other_hosts_leave_the_bucket_in_the_path(host):
    target = protocol.identify(request("GET", "/b/k", host=host, scope="s3"))

    assert dict(target.labels) == {"Bucket": "b", "Key": "k"}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/a%2Fb", "a/b"),
        ("/b/a%252Fb", "a%2Fb"),
        ("/b/a+b%20c%2B", "a+b c+"),
        ("/b/%C3%B1%F0%9F%98%80", "ñ😀"),
        ("/b/../../etc/passwd", "../../etc/passwd"),
        ("/b//lead//", "/lead//"),
        ("/b/a%0Ab", "a\nb"),
        ("/b/{Key+}", "{Key+}"),
    ],
)
def test_keys_are_decoded_once_and_exactly(path, key):
    target = protocol.identify(request("GET", path, scope="s3"))

    assert target.labels["Key"] == key


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"url": "/", "x_amz_target": "DynamoDB_20120810.ListTables"},
            ("UnknownOperationException", 400),
        ),
        ({"url": "/", "x_amz_target": "SageMaker.MakeCoffee"}, ("UnknownOperationException", 400)),
        ({"url": "/", "x_amz_target": "nonsense"}, ("UnknownOperationException", 400)),
        (
            {"url": "/service/X/operation/Y", "smithy_protocol": "rpc-v2-cbor"},
            ("UnknownOperationException", 400),
        ),
        ({"url": "/?Action=Nope&Version=2011-06-15", "scope": "sts"}, ("InvalidAction", 400)),
        ({"url": "/nowhere", "scope": "sagemaker"}, ("UnknownOperationException", 404)),
        ({"url": "/", "scope": "dynamodb"}, ("UnknownOperationException", 404)),
        ({"url": "/b", "scope": "s3"}, ("MethodNotAllowed", 405)),
        ({"url": "/b/%FF?uploads", "scope": "s3"}, ("InvalidURI", 400)),
        ({"url": "/b?%FF", "scope": "s3"}, ("InvalidURI", 400)),
    ],
)
def test_what_nobody_serves_is_refused_with_a_code(arguments, expected):
    assert refused("POST", **arguments) == expected


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=30),
    scope=st.sampled_from(["", "s3", "sagemaker", "lambda", "sts", "apigateway", "x/y"]),
    value=st.text(max_size=20),
)
def test_any_request_is_identified_or_refused_in_some_protocol(method, path, query, scope, value):
    asked = request(
        method,
        f"/{path}?{query}",
        scope=scope,
        host=value,
        content_type=FORM,
        x_amz_date=value,
        body=b"Action=\xff",
    )
    with contextlib.suppress(AwsError):
        protocol.identify(asked)

    response = protocol.write_error(None, AwsError("Some", "text", 418), "id", request=asked)

    assert response.status == 418


def test_streams_are_for_streaming_payloads_only():
    assert protocol.identify(request("PUT", "/b/k", scope="s3")).streams_in
    assert protocol.identify(request("PUT", "/b/k?partNumber=1&uploadId=u", scope="s3")).streams_in
    assert not protocol.identify(request("PUT", "/b/k?tagging", scope="s3")).streams_in
    assert not protocol.identify(request("POST", "/endpoints/e/invocations")).streams_in
    assert not protocol.identify(
        request("POST", "/", x_amz_target="SageMaker.ListModels")
    ).streams_in
    assert not protocol.identify(
        request("POST", "/", x_amz_target="AmazonSQS.ListQueues")
    ).streams_in


def test_a_form_with_a_file_goes_to_a_bucket_not_a_key():
    kind = "multipart/form-data; boundary=x"

    assert refused("POST", "/b/k", content_type=kind) == ("MethodNotAllowed", 405)


def test_arguments_of_s3_outside_the_body_are_named():
    asked = request("PUT", "/b/k?partNumber=one&uploadId=u", scope="s3")
    target = protocol.identify(asked)

    with pytest.raises(AwsError) as caught:
        protocol.read(target, asked)

    assert (caught.value.code, caught.value.status) == ("InvalidArgument", 400)
    assert caught.value.message == "PartNumber: 'one' is not an integer"
