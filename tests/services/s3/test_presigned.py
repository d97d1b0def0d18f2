"""Presigned requests and uploads with trailers, signed and checked for real."""

import base64
import hashlib
import zlib
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from urllib3.filepost import encode_multipart_formdata

UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.fixture
def send(cloud):
    """Sends a plain HTTP request; returns status and body."""

    def plain(method, url, data=b"", headers=None):
        request = AWSRequest(method=method, url=url, data=data, headers=headers or {}).prepare()
        answer = cloud.send(request)
        return answer.status_code, answer.content

    return plain


@pytest.fixture(params=["s3v4", "s3"], ids=["version 4", "version 2"])
def signer(request, cloud):
    """A client that signs URLs in one of the two ways."""
    return cloud.client("s3", signature_version=request.param)


def test_presigned_get_and_put(cloud, signer, send):
    where = {"Bucket": cloud.bucket, "Key": "a b/ü.txt"}

    put = send("PUT", signer.generate_presigned_url("put_object", Params=where), b"by url")
    got = send("GET", signer.generate_presigned_url("get_object", Params=where))

    assert put[0] == 200
    assert got == (200, b"by url")


def test_a_presigned_get_may_override_headers(cloud, signer, send):
    signer.put_object(Bucket=cloud.bucket, Key="k", Body=b"x")
    url = signer.generate_presigned_url(
        "get_object",
        Params={"Bucket": cloud.bucket, "Key": "k", "ResponseContentType": "text/csv"},
    )

    assert send("GET", url)[0] == 200
    assert send("GET", url.replace("text%2Fcsv", "text%2Fhtml"))[0] == 403


def test_a_presigned_post(cloud, signer, send):
    s3 = cloud.client("s3")
    form = signer.generate_presigned_post(
        cloud.bucket,
        "up/${filename}",
        Fields={"acl": "private", "x-amz-meta-a": "1"},
        Conditions=[{"acl": "private"}, {"x-amz-meta-a": "1"}, ["content-length-range", 1, 100]],
    )

    def post(fields, body):
        data, kind = encode_multipart_formdata({**fields, "file": ("pic.png", body)})
        return send("POST", form["url"], data, {"Content-Type": kind})[0]

    (signature,) = form["fields"].keys() & {"signature", "x-amz-signature"}
    assert urlsplit(form["url"]).path == f"/{cloud.bucket}"
    assert post(form["fields"], b"by form") == 204
    assert post({**form["fields"], "key": "elsewhere"}, b"by form") == 403
    assert post({**form["fields"], signature: "0" * 64}, b"by form") == 403
    assert post(form["fields"], bytes(101)) == 400
    got = s3.get_object(Bucket=cloud.bucket, Key="up/pic.png")
    assert (got["Body"].read(), got["Metadata"]) == (b"by form", {"a": "1"})
    assert s3.list_objects_v2(Bucket=cloud.bucket)["KeyCount"] == 1


class Streaming(S3SigV4Auth):
    """Signs a request whose body says for itself what it is."""

    def payload(self, request):  # noqa: ARG002 - botocore's signature
        return UNSIGNED


def chunked(body, trailer):
    return b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer)


@pytest.mark.parametrize(("value", "status"), [("right", 200), ("wrong", 400)])
def test_an_unsigned_trailer_is_verified(cloud, value, status):
    s3 = cloud.client("s3")
    body = hashlib.shake_128(b"t").digest(1_500_000)
    checksum = zlib.crc32(body if value == "right" else b"else").to_bytes(4, "big")
    trailer = b"x-amz-checksum-crc32:" + base64.b64encode(checksum)

    request = AWSRequest(
        "PUT",
        f"http://localhost:4747/{cloud.bucket}/k",
        data=chunked(body, trailer),
        headers={
            "x-amz-content-sha256": UNSIGNED,
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": str(len(body)),
            "Content-Encoding": "gzip,aws-chunked",
        },
    )
    credentials = Credentials(cloud.owner["access_key_id"], cloud.owner["secret_access_key"])
    Streaming(credentials, "s3", "us-east-1").add_auth(request)
    answer = cloud.send(request.prepare())

    assert answer.status_code == status, answer.content
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=cloud.bucket).get("Contents", [])]
    assert keys == (["k"] if value == "right" else [])
    if keys:
        got = s3.get_object(Bucket=cloud.bucket, Key="k")
        assert got["Body"].read() == body
        assert got["ContentEncoding"] == "gzip"
        assert got["ChecksumCRC32"] == base64.b64encode(checksum).decode()
