"""Whatever arrives, the answer is one in AWS's words: never a fault of ours, a traceback or a path (R24)."""

import itertools
import re

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

URL = "http://localhost:4747"
DEEP = b"[" * 5000
TARGETS = {
    "sagemaker": ["SageMaker.CreateModel", "SageMaker.CreateEndpointConfig", "SageMaker.CreateTrainingJob",
                  "SageMaker.AddTags", "SageMaker.ListEndpoints", "SageMaker.Search", "SageMaker.NoSuch", "SageMaker"],
    "logs": ["Logs_20140328.PutLogEvents", "Logs_20140328.FilterLogEvents", "Logs_20140328.DescribeLogGroups",
             "Logs_20140328.", "Nothing"],
}  # fmt: skip
JSON_BODIES = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", DEEP, b'{"a":' * 5000, b"\xff\xfe", b"\x00", b"nan",
    b'{"Tags": {}}', b'{"Tags": [null]}', b'{"MaxResults": 1e400}', b'{"MaxResults": "1"}', b'{"MaxResults": -1}',
    b'{"MaxResults": 99999999999999999999}', b'{"NextToken": "AAAA"}', b'{"NextToken": "\\ud800"}', b'{"nextToken": "%00"}',
    b'{"ModelName": "a\\u0000b"}', b'{"ModelName": ["x"]}', b'{"EndpointConfigName": {}}', b'{"ResourceArn": "arn:aws:x"}',
    b'{"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/x", "Tags": [{"Key": "", "Value": null}]}',
    b'{"CreationTimeAfter": "yesterday"}', b'{"CreationTimeAfter": 1e300}', b'{"CreationTimeAfter": -1e18}',
    b'{"Resource": "Endpoint", "NextToken": "bm90IGEgdG9rZW4="}', b'{"SortBy": "nothing"}',
    b'{"logGroupName": "/a", "logStreamName": "b", "logEvents": [{"timestamp": -1, "message": ""}]}',
    b'{"logGroupName": "/a", "filterPattern": "{ $.a = "}', b'{"logGroupName": "/a", "startTime": 9223372036854775808}',
    b'{"logGroupNamePrefix": "%_\\\\", "limit": 50}', b'{"logGroupNamePrefix": "a\\u0000"}',
]  # fmt: skip
FORMS = [
    b"", b"Action=", b"Action=NoSuch", b"Action=ListRoles&Marker=%00", b"Action=ListRoles&MaxItems=x",
    b"Action=ListRoles&MaxItems=99999999999999999999", b"Action=GetRole&RoleName=%ff", b"Action=GetRole&RoleName=a%00",
    b"Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%5B%5B", b"Action=TagRole&RoleName=r&Tags.member.0.Key=a",
    b"Action=TagRole&RoleName=r&Tags.member.99999999.Key=a", b"Action=TagRole&RoleName=r&Tags=a&Tags.member.1=b",
    b"Action=AssumeRole&RoleArn=x&RoleSessionName=y&DurationSeconds=1e9", b"Action=GetRole&Action=ListRoles",
    b"Action=GetAccessKeyInfo&AccessKeyId=%ED%A0%80", b"Action=GetCallerIdentity&Version=1999", b"%%%=&&&;=",
    b"Action=CreateUser&UserName=a&Path=" + b"/" * 3000, b"Action=ListUsers&Marker=AAAA", b"Action[]=x",
]  # fmt: skip
S3_PATHS = [
    "/", "//", "/%00", "/%ff", "/b", "/B_", "/sagemaker-us-east-1-123456789012", "/sagemaker-us-east-1-123456789012/",
    "/sagemaker-us-east-1-123456789012/%00", "/sagemaker-us-east-1-123456789012/%ff%fe",
    "/sagemaker-us-east-1-123456789012/..%2f..%2fetc/passwd", "/sagemaker-us-east-1-123456789012/../../etc/passwd",
    "/sagemaker-us-east-1-123456789012/" + "k" * 1100, "/sagemaker-us-east-1-123456789012/%", "/../../etc/passwd",
    "/_farero", "/_farero/", "/_farero/../status", "/.well-known/x", "/?", "/*",
]  # fmt: skip
S3_QUERIES = [
    "", "list-type=2&max-keys=x", "list-type=2&continuation-token=AAAA", "max-keys=99999999999999999999", "max-keys=-1",
    "uploadId=x&partNumber=0", "uploadId=x&partNumber=x", "uploads", "versions&key-marker=%00", "versionId=%00",
    "tagging", "acl", "delete", "prefix=%ff&delimiter=%00", "encoding-type=x", "list-type=3", "attributes", "select&select-type=2",
    "response-expires=x", "location", "uploads&max-uploads=x", "partNumber=99999",
]  # fmt: skip
XML = [
    b"", b"<", b"<a/>", b"<Delete></Delete>", b"<Delete><Object/></Delete>", b"\x00", b"<Tagging><TagSet>" * 50,
    b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
]  # fmt: skip
S3_HEADERS = [
    {"Range": "bytes=9-1"}, {"Range": "bytes=-99999999999999999999"}, {"Range": "x"}, {"If-Modified-Since": "x"},
    {"If-None-Match": '"'}, {"x-amz-copy-source": "/"}, {"x-amz-copy-source": "%00/%ff"}, {"x-amz-copy-source-range": "x"},
    {"Content-MD5": "x"}, {"x-amz-checksum-crc32": "x"}, {"x-amz-decoded-content-length": "x"},
    {"x-amz-tagging": "%%&&=="}, {"x-amz-meta-ñ": "ü"}, {"x-amz-sdk-checksum-algorithm": "MD2"},
    {"x-amz-object-lock-retain-until-date": "x"}, {"Expires": "x"}, {"x-amz-expected-bucket-owner": "1"},
    {"Content-Encoding": "aws-chunked"}, {"x-amz-storage-class": "\x01"}, {"x-amz-trailer": "x"},
]  # fmt: skip
INVOKES = [
    ("/endpoints//invocations", {}), ("/endpoints/%00/invocations", {}), ("/endpoints/a/b/invocations", {}),
    ("/endpoints/x/invocations", {"X-Amzn-SageMaker-Target-Variant": "\x7f"}), ("/endpoints/x/nothing", {}),
    ("/endpoints/%ff/invocations", {"Content-Type": "\xff"}), ("/endpoints/" + "x" * 3000 + "/invocations", {}),
    ("/endpoints/x/async-invocations", {}), ("/endpoints/x/invocations-response-stream", {}), ("/endpoints", {}),
]  # fmt: skip
BUCKET = "/sagemaker-us-east-1-123456789012"


def malformed():
    """Every request of the table: service it is signed for, method, path, query, headers, body."""
    for service, targets in TARGETS.items():
        for target, body in itertools.product(targets, JSON_BODIES):
            kind = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
            yield service, "POST", "/", "", kind, body
    for service, body in itertools.product(("iam", "sts"), FORMS):
        yield service, "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded"}, body
        yield service, "GET", "/", body.decode("latin-1"), {}, b""
    for path, method in itertools.product(S3_PATHS, ("GET", "PUT", "HEAD", "DELETE", "POST", "PATCH", "OPTIONS", "FOO")):  # fmt: skip
        yield "s3", method, path, "", {}, b""
    for query, method in itertools.product(S3_QUERIES, ("GET", "PUT", "POST", "DELETE")):
        yield "s3", method, f"{BUCKET}/key", query, {}, b""
        yield "s3", method, BUCKET, query, {}, b"<x/>"
    for query, body in itertools.product(
        ("delete", "tagging", "acl", "cors", "versioning", "uploadId=x", "policy", "lifecycle"), XML
    ):
        yield "s3", "POST", BUCKET, query, {}, body
        yield "s3", "PUT", BUCKET, query, {}, body
    for headers, method in itertools.product(S3_HEADERS, ("GET", "PUT", "HEAD")):
        yield "s3", method, f"{BUCKET}/there", "", headers, b"x"
    for path, headers in INVOKES:
        yield "sagemaker", "POST", path, "", headers, b"1,2"
    for name, method in itertools.product(
        ("capture?last=x", "capture?endpoint=x&last=x", "capture?endpoint=x&after=%00", "capture",
         "capture?endpoint=../../x", "capture?endpoint=%00", "capture?endpoint=x&last=-1",
         "capture?endpoint=x&last=99999999999999999999"), ("GET", "POST"),
    ):  # fmt: skip
        page, _, query = name.partition("?")
        yield "farero", method, f"/_farero/{page}", query, {}, b""


def prepared(cloud, service, method, path, query, headers, body):
    """A request that carries the owner's good signature over whatever it is."""
    url = URL + path + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    owner = Credentials(cloud.owner["access_key_id"], cloud.owner["secret_access_key"])
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(owner, service, cloud.settings.region).add_auth(request)
    return request.prepare()


def leaks(cloud, text):
    """What of our insides a body shows."""
    inside = (
        str(cloud.settings.data_dir),
        "Traceback",
        "site-packages",
        "/src/farero",
        "sqlalchemy",
        "sqlite3",
    )
    return [word for word in inside if word in text] + re.findall(r'File "[^"]+", line', text)


def test_no_malformed_request_is_met_with_a_fault_of_ours(cloud):
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="there", Body=b"12345")
    cloud.client("logs").create_log_group(logGroupName="/a")
    cloud.client("logs").create_log_stream(logGroupName="/a", logStreamName="b")
    wrong, sent = [], 0

    for case in malformed():
        sent += 1
        answer = cloud.send(prepared(cloud, *case))
        text = answer.content.decode("utf-8", "replace")
        if (answer.status_code >= 500 and answer.status_code != 501) or leaks(cloud, text):
            wrong.append((answer.status_code, *(str(part)[:120] for part in case), text[:100]))

    assert sent > 300
    assert wrong == []


RAW = [
    {"Authorization": value} for value in (
        "", "x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
        "AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/s3/aws4_request, SignedHeaders=, Signature=",
        "AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=\xff",
        "AWS a:b", "Basic YTpi", "Bearer x", "AWS4-ECDSA-P256-SHA256 Credential=a", "AWS4-HMAC-SHA256 " + "a=b," * 2000,
    )
] + [{"X-Amz-Date": "x"}, {"X-Amz-Security-Token": "x"}, {"Content-Length": "x"}, {"Content-Length": "9" * 400}]  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/b/k", "/endpoints/x/invocations", "/_farero/status"])
def test_no_broken_signature_is_met_with_a_fault_of_ours(cloud, path):
    queries = ("", "?X-Amz-Algorithm=AWS4-HMAC-SHA256", "?X-Amz-Signature=x&X-Amz-Date=x&X-Amz-Expires=x",
               "?AWSAccessKeyId=a&Signature=b&Expires=x", "?X-Amz-Credential=%00&X-Amz-Signature=%ff")  # fmt: skip
    wrong = []

    for headers, query, method in itertools.product(RAW, queries, ("GET", "POST")):
        request = AWSRequest(method, URL + path + query, headers=headers, data=b"").prepare()
        for name, value in headers.items():
            request.headers[name] = value
        answer = cloud.send(request)
        text = answer.content.decode("utf-8", "replace")
        if not 400 <= answer.status_code < 500 or leaks(cloud, text):
            wrong.append((answer.status_code, headers, query, method, text[:100]))

    assert wrong == []
