"""Whatever botocore signs, with any key, query, header and body, is accepted."""

import string
from urllib.parse import quote

import pytest
from botocore import auth
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.identity import conftest as signed

from farero.identity.sigv4 import Verifier

TEXT = st.text(
    st.one_of(
        st.sampled_from(
            string.ascii_letters + string.digits + " +~!*'();:@&=$,?#[]/._-%\"<>\\^`{|}"
        ),
        st.characters(blacklist_categories=("Cs", "Cc")),
    ),
    min_size=1,
    max_size=20,
)
NAMES = st.text(string.ascii_lowercase + "-", min_size=1, max_size=10)
HEADER_VALUES = st.text(string.ascii_letters + string.digits + " ;,/=\"'", max_size=30)
KEYS = st.sampled_from([signed.KEY, signed.TEMPORARY])
VERIFIER = Verifier(signed.KEYS.get)


def target(key, query, safe="/~"):
    path = "/bucket/" + quote(key, safe=safe)
    pairs = [f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query.items()]
    return path + ("?" + "&".join(pairs) if pairs else "")


def accepted(service, message):
    verified = signed.verify(VERIFIER, service, message)
    return verified.credential


@given(TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.binary(max_size=50), KEYS)
def test_s3_request_with_any_key_and_query(key, query, body, credential):
    message = signed.sign(
        auth.S3SigV4Auth, "s3", "PUT", target(key, query), body=body, key=credential
    )

    assert accepted("s3", message) == credential


@given(st.dictionaries(NAMES, HEADER_VALUES, max_size=4))
def test_any_metadata(values):
    headers = {f"x-amz-meta-{name}": value for name, value in values.items()}
    message = signed.sign(auth.S3SigV4Auth, "s3", "PUT", "/bucket/key", headers=headers)

    assert accepted("s3", message) == signed.KEY


@given(TEXT, st.dictionaries(NAMES, TEXT, max_size=3), KEYS)
def test_presigned_url_of_any_key(key, query, credential):
    message = signed.sign(
        auth.S3SigV4QueryAuth, "s3", "GET", target(key, query), key=credential, expires=60
    )

    assert accepted("s3", message) == credential


@given(TEXT, st.dictionaries(st.sampled_from(["versionId", "uploadId", "response-content-type", "prefix"]), TEXT, max_size=2), KEYS)  # fmt: skip
def test_version_2_url_of_any_key(key, query, credential):
    message = signed.presign_v2("GET", target(key, query), key=credential)

    assert accepted("s3", message) == credential


@given(TEXT, st.binary(max_size=50), KEYS)
def test_path_of_any_other_service(name, body, credential):
    path = f"/endpoints/{quote(name, safe='-_.~')}/invocations"
    message = signed.sign(auth.SigV4Auth, "sagemaker", "POST", path, body=body, key=credential)

    assert accepted("sagemaker", message) == credential


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3", "anywhere"])
def test_any_region(region):
    message = signed.sign(auth.SigV4Auth, "iam", "POST", "/", body=b"Action=x", region=region)

    assert accepted("iam", message) == signed.KEY


@settings(max_examples=30)
@given(HEADER_VALUES.filter(str.strip), st.sampled_from(["é", "ñandú", "日本"]))
def test_header_beyond_ascii_is_accepted_as_the_bytes_that_come(value, more):
    text = f"{value}{more}"
    message = signed.sign(auth.SigV4Auth, "sagemaker", "POST", "/", headers={"x-amzn-custom": text})
    wire = [
        (n, v.encode().decode("latin-1") if n == "x-amzn-custom" else v) for n, v in message.headers
    ]

    assert accepted("sagemaker", message._replace(headers=wire)) == signed.KEY


@pytest.mark.parametrize("query", ["location", "prefix=a%20b&delimiter=/", "b=2&a=1"])
def test_query_signed_as_old_curl_does_is_accepted(query):
    class Curl(auth.S3SigV4Auth):
        def canonical_query_string(self, request):
            assert request.url.endswith(query)
            return query

    message = signed.sign(Curl, "s3", "GET", f"/bucket?{query}")

    assert accepted("s3", message) == signed.KEY
