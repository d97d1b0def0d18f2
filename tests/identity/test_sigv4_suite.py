"""AWS's published Signature Version 4 test suite, from botocore's source distribution, and S3's printed examples."""

import datetime as dt
from pathlib import Path

import pytest

from farero.identity.canonical import Message
from farero.identity.refusals import SignatureError, Style
from farero.identity.sigv4 import Verifier
from farero.records.identity import Credential

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
NAMES = [
    "get-header-key-duplicate",
    "get-header-value-multiline",
    "get-header-value-order",
    "get-header-value-trim",
    "get-unreserved",
    "get-utf8",
    "get-vanilla",
    "get-vanilla-empty-query-key",
    "get-vanilla-query",
    "get-vanilla-query-order-encoded",
    "get-vanilla-query-order-key",
    "get-vanilla-query-order-key-case",
    "get-vanilla-query-order-value",
    "get-vanilla-query-unreserved",
    "get-vanilla-utf8-query",
    "get-vanilla-with-session-token",
    "post-header-key-case",
    "post-header-key-sort",
    "post-header-value-case",
    "post-vanilla",
    "post-vanilla-empty-query-value",
    "post-vanilla-query",
    "post-x-www-form-urlencoded",
    "post-x-www-form-urlencoded-parameters",
    "normalize-path/get-relative",
    "normalize-path/get-relative-relative",
    "normalize-path/get-slash",
    "normalize-path/get-slash-dot-slash",
    "normalize-path/get-slash-pointless-dot",
    "normalize-path/get-slashes",
    "normalize-path/get-space",
    "normalize-path/get-special-character",
    "post-sts-token/post-sts-header-after",
    "post-sts-token/post-sts-header-before",
]


@pytest.fixture(scope="module")
def suite_dir(botocore_tests):
    return botocore_tests / "auth" / "aws4_testsuite"


def read_signed_request(path):
    head, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    first, _, rest = head.decode("latin-1").partition("\n")
    method, _, target = first.removesuffix(" HTTP/1.1").partition(" ")
    path_text, _, query = target.partition("?")
    headers = []
    for line in rest.split("\n"):
        if line.startswith(" "):  # a folded header goes on
            name, value = headers.pop()
            headers.append((name, f"{value}\n{line}"))
        else:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value))
    # One .sreq (get-vanilla-with-session-token) holds a placeholder; .authz has the signature of all.
    headers = [pair for pair in headers if pair[0] != "authorization"]
    headers.append(("authorization", path.with_suffix(".authz").read_text().strip()))
    return Message(method, path_text, query, headers, body)


def key_of(message):
    token = dict(message.headers).get("x-amz-security-token")
    return Credential(
        access_key_id="AKIDEXAMPLE", secret_access_key=SECRET, principal_arn="", user_id="",
        session_token=token,
    )  # fmt: skip


@pytest.mark.network
@pytest.mark.parametrize("name", NAMES)
def test_published_request_is_accepted(suite_dir, name):
    message = read_signed_request(suite_dir / name / f"{Path(name).name}.sreq")
    verifier = Verifier({"AKIDEXAMPLE": key_of(message)}.get)

    verified = verifier.verify(message, style=Style.JSON, services={"service"}, now=NOW)

    assert (verified.region, verified.service) == ("us-east-1", "service")


@pytest.mark.network
def test_the_suite_is_complete(suite_dir):
    found = {str(p.parent.relative_to(suite_dir)) for p in suite_dir.rglob("*.sreq")}

    assert found == set(NAMES)


# "Signature Calculations for the Authorization Header" and "Authenticating Requests: Using Query Parameters"
# (S3 API reference): examples with their signatures.
S3_NOW = dt.datetime(2013, 5, 24, tzinfo=dt.UTC)
S3_HOST = ("host", "examplebucket.s3.amazonaws.com")
S3_SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def s3_message(method, path, query, headers, signed, signature, body=b""):
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={S3_SCOPE},SignedHeaders={signed},Signature={signature}"
    )
    stamped = [S3_HOST, ("x-amz-date", "20130524T000000Z"), *headers]
    return Message(method, path, query, [*stamped, ("authorization", authorization)], body)


S3_EXAMPLES = {
    "get object": s3_message(
        "GET", "/test.txt", "", [("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY)],
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": s3_message(
        "PUT", "/test$file.text", "",
        [
            ("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
        ],
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        b"Welcome to Amazon S3.",
    ),
    "get bucket lifecycle": s3_message(
        "GET", "/", "lifecycle", [("x-amz-content-sha256", EMPTY)],
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": s3_message(
        "GET", "/", "max-keys=2&prefix=J", [("x-amz-content-sha256", EMPTY)],
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    "presigned get": Message(
        "GET", "/test.txt",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        [S3_HOST], b"",
    ),
}  # fmt: skip


@pytest.fixture
def s3_verifier():
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    key = Credential(
        access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=secret, principal_arn="", user_id=""
    )
    return Verifier({key.access_key_id: key}.get)


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_printed_example_of_s3_is_accepted(s3_verifier, name):
    verified = s3_verifier.verify(S3_EXAMPLES[name], style=Style.S3, services={"s3"}, now=S3_NOW)

    assert verified.credential.access_key_id == "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_printed_example_of_s3_with_another_method_is_refused(s3_verifier, name):
    message = S3_EXAMPLES[name]._replace(method="DELETE")

    with pytest.raises(SignatureError, match="SignatureDoesNotMatch"):
        s3_verifier.verify(message, style=Style.S3, services={"s3"}, now=S3_NOW)


CHUNK_SIGNATURES = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]


def test_printed_example_of_a_chunked_upload_is_accepted(s3_verifier):
    payloads = [b"a" * 65536, b"a" * 1024, b""]
    body = b"".join(
        b"%x;chunk-signature=%s\r\n%s\r\n" % (len(payload), signature.encode(), payload)
        for payload, signature in zip(payloads, CHUNK_SIGNATURES, strict=True)
    )
    message = s3_message(
        "PUT", "/examplebucket/chunkObject.txt", "",
        [
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("content-encoding", "aws-chunked"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-decoded-content-length", "66560"), ("content-length", "66824"),
        ],
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
        "x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        None,
    )  # fmt: skip
    message = message._replace(headers=[("host", "s3.amazonaws.com"), *message.headers[1:]])

    check = s3_verifier.verify(message, style=Style.S3, services={"s3"}, now=S3_NOW).body_check

    assert b"".join(check.feed(body)) == b"a" * 66560
    assert check.finish() == {}
