"""T22 and the codes and texts with which AWS refuses, per kind of service."""

import datetime as dt
import re
from urllib.parse import parse_qs

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from tests.identity import conftest as signed

from farero.identity.bodies import ChunkedDecoder, HashCheck
from farero.identity.refusals import SignatureError

STAMP = r"\d{8}T\d{6}Z"


def signed_at(message):
    return dt.datetime.strptime(dict(message.headers)["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(
        tzinfo=dt.UTC
    )


def refusal(verifier, service, message, **more):
    with pytest.raises(SignatureError) as refused:
        signed.verify(verifier, service, message, **more)
    return refused.value


def request_to(service):
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    return signed.sign(signer, service, "POST", "/bucket/key", body=b"body")


def with_header(message, name, value):
    """The message with a header replaced, or taken away for None."""
    rest = [pair for pair in message.headers if pair[0] != name]
    return message._replace(headers=rest if value is None else [*rest, (name, value)])


def with_authorization(message, old, new):
    text = dict(message.headers)["authorization"]
    assert re.search(old, text)
    return with_header(message, "authorization", re.sub(old, new, text))


@pytest.mark.parametrize(("service", "seconds"), [("sagemaker", 299), ("iam", 299), ("s3", 899)])
@pytest.mark.parametrize("sign", [1, -1])
def test_request_within_the_window_is_accepted(verifier, service, seconds, sign):
    message = request_to(service)

    now = signed_at(message) + dt.timedelta(seconds=seconds * sign)

    assert signed.verify(verifier, service, message, now=now).credential == signed.KEY


def test_late_request_says_signature_expired_with_the_server_time(verifier):
    message = request_to("sagemaker")
    sent = signed_at(message)

    error = refusal(verifier, "sagemaker", message, now=sent + dt.timedelta(seconds=301))

    assert error.code == "InvalidSignatureException"
    edge, here = sent + dt.timedelta(seconds=1), sent + dt.timedelta(seconds=301)
    assert error.message == (
        f"Signature expired: {sent:%Y%m%dT%H%M%SZ} is now earlier than {edge:%Y%m%dT%H%M%SZ} "
        f"({here:%Y%m%dT%H%M%SZ} - 5 min.)"
    )


def test_early_request_says_signature_not_yet_current(verifier):
    message = request_to("iam")
    sent = signed_at(message)

    error = refusal(verifier, "iam", message, now=sent - dt.timedelta(seconds=301))

    assert error.code == "SignatureDoesNotMatch"
    pattern = (
        rf"Signature not yet current: {STAMP} is still later than {STAMP} \({STAMP} \+ 5 min.\)"
    )
    assert re.fullmatch(pattern, error.message)


@pytest.mark.parametrize("seconds", [901, -901])
def test_s3_says_request_time_too_skewed_with_its_time(verifier, seconds):
    message = request_to("s3")
    now = signed_at(message) + dt.timedelta(seconds=seconds)

    error = refusal(verifier, "s3", message, now=now)

    assert (error.code, error.status) == ("RequestTimeTooSkewed", 403)
    assert error.extra["ServerTime"] == f"{now:%Y-%m-%dT%H:%M:%SZ}"
    assert error.extra["MaxAllowedSkewMilliseconds"] == "900000"


UNKNOWN = signed.credential("AKIAFARERO0000000009")
NO_TOKEN = signed.credential(signed.TEMPORARY.access_key_id)
OTHER_TOKEN = signed.credential(signed.TEMPORARY.access_key_id, session_token="other")
SUPERFLUOUS = signed.credential(session_token="FwoGZX")


@pytest.mark.parametrize(
    ("service", "code", "message"),
    [
        ("sagemaker", "UnrecognizedClientException", "The security token included in the request is invalid."),
        ("sts", "InvalidClientTokenId", "The security token included in the request is invalid."),
        ("s3", "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    ],
)  # fmt: skip
def test_unknown_key_is_refused_in_the_words_of_the_service(verifier, service, code, message):
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth

    error = refusal(verifier, service, signed.sign(signer, service, "GET", "/", key=UNKNOWN))

    assert (error.code, error.message, error.status) == (code, message, 403)


@pytest.mark.parametrize(
    "key", [NO_TOKEN, OTHER_TOKEN, SUPERFLUOUS], ids=["missing", "other", "superfluous"]
)
@pytest.mark.parametrize(
    ("service", "code"),
    [("sagemaker", "UnrecognizedClientException"), ("iam", "InvalidClientTokenId"), ("s3", "InvalidToken")],
)  # fmt: skip
def test_wrong_session_token_is_refused(verifier, key, service, code):
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth

    error = refusal(verifier, service, signed.sign(signer, service, "GET", "/", key=key))

    assert error.code == code


@pytest.mark.parametrize(
    ("service", "code"),
    [("sagemaker", "ExpiredTokenException"), ("iam", "ExpiredToken"), ("s3", "ExpiredToken")],
)
def test_ended_session_is_refused(service, code):
    ended = signed.credential(
        "ASIAFARERO0000000003", session_token="t", expires_at=dt.datetime.now(dt.UTC)
    )
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    verifier = signed.Verifier({ended.access_key_id: ended}.get)

    error = refusal(verifier, service, signed.sign(signer, service, "GET", "/", key=ended))

    assert error.code == code


@pytest.mark.parametrize(
    ("service", "code", "text"),
    [
        ("sagemaker", "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("iam", "MissingAuthenticationToken", "Request is missing Authentication Token"),
        ("s3", "AccessDenied", "Access Denied"),
    ],
)
def test_unsigned_request_is_refused(verifier, service, code, text):
    message = with_header(request_to(service), "authorization", None)

    error = refusal(verifier, service, message)

    assert (error.code, error.message) == (code, text)


MALFORMED = {
    "no signature": (r", Signature=\w+", "", "IncompleteSignature", "Authorization header requires 'Signature' parameter."),
    "no signed headers": (r"SignedHeaders=[^,]+, ", "", "IncompleteSignature", "Authorization header requires 'SignedHeaders' parameter."),
    "short credential": (r"/aws4_request", "", "IncompleteSignature", "Credential must have exactly 5 slash-delimited elements"),
    "other terminator": (r"aws4_request", "aws3_request", "SignatureDoesNotMatch", "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws3_request'."),
    "other service": (r"/iam/", "/sqs/", "SignatureDoesNotMatch", "Credential should be scoped to correct service: 'iam'."),
    "other date": (r"/20\d{6}/", "/20010101/", "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD"),
    "unsigned host": (r"=host;", "=", "SignatureDoesNotMatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
    "asymmetric": (r"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "IncompleteSignature", "Unsupported AWS 'algorithm'"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_authorization_that_cannot_hold_says_what_is_wrong(verifier, case):
    old, new, code, text = MALFORMED[case]

    error = refusal(verifier, "iam", with_authorization(request_to("iam"), old, new))

    assert error.code == code
    assert error.message.startswith(text)


def test_s3_request_without_a_payload_hash_is_held_to_the_body_at_hand(verifier):
    message = signed.sign(auth.SigV4Auth, "s3", "POST", "/bucket/key", body=b"body")
    assert "x-amz-content-sha256" not in dict(message.headers)

    assert signed.verify(verifier, "s3", message).credential == signed.KEY
    assert refusal(verifier, "s3", message._replace(body=b"bodY")).code == "SignatureDoesNotMatch"
    assert refusal(verifier, "s3", message._replace(body=None)).code == "InvalidRequest"


def test_added_amazon_header_is_refused_by_name(verifier):
    message = with_header(request_to("s3"), "x-amz-acl", "public-read")

    error = refusal(verifier, "s3", message)

    assert error.message == "There were headers present in the request which were not signed"
    assert error.extra == {"HeadersNotSigned": "x-amz-acl"}


def test_s3_shows_what_it_calculated_from(verifier):
    error = refusal(verifier, "s3", request_to("s3")._replace(method="PUT"))

    assert error.code == "SignatureDoesNotMatch"
    assert error.extra["CanonicalRequest"].startswith("PUT\n/bucket/key\n")
    assert error.extra["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert signed.KEY.secret_access_key not in str(error.extra)


def test_body_other_than_its_hash_is_refused(verifier):
    error = refusal(verifier, "s3", request_to("s3")._replace(body=b"bodY"))

    assert (error.code, error.status) == ("XAmzContentSHA256Mismatch", 400)


def test_streamed_body_other_than_its_hash_is_refused_at_its_end(verifier):
    check = signed.verify(verifier, "s3", request_to("s3")._replace(body=None)).body_check
    assert isinstance(check, HashCheck)
    check.feed(b"bo")
    check.feed(b"dY")

    with pytest.raises(SignatureError, match="XAmzContentSHA256Mismatch"):
        check.finish()


def presigned(expires=600):
    return signed.sign(auth.S3SigV4QueryAuth, "s3", "GET", "/bucket/key", expires=expires)


def test_presigned_url_ends(verifier):
    message = presigned()
    [at] = parse_qs(message.query)["X-Amz-Date"]
    now = dt.datetime.strptime(at, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)

    assert signed.verify(verifier, "s3", message, now=now + dt.timedelta(seconds=598)).is_presigned
    error = refusal(verifier, "s3", message, now=now + dt.timedelta(seconds=602))

    assert (error.code, error.message) == ("AccessDenied", "Request has expired")
    assert error.extra["X-Amz-Expires"] == "600"


def test_presigned_url_for_more_than_a_week_is_refused(verifier):
    error = refusal(verifier, "s3", presigned(604_801))

    assert (error.code, error.status) == ("AuthorizationQueryParametersError", 400)
    assert error.message == "X-Amz-Expires must be less than a week (in seconds) that is 604800"


def test_presigned_url_without_a_parameter_is_refused(verifier):
    message = presigned()
    shorter = "&".join(p for p in message.query.split("&") if not p.startswith("X-Amz-Expires"))

    error = refusal(verifier, "s3", message._replace(query=shorter))

    assert error.message.startswith("Query-string authentication version 4 requires")


def test_version_2_url_ends(verifier):
    message = signed.presign_v2("GET", "/bucket/key", expires=100)
    now = dt.datetime.now(dt.UTC)

    error = refusal(verifier, "s3", message, now=now + dt.timedelta(seconds=102))

    assert (error.code, error.message) == ("AccessDenied", "Request has expired")


def test_version_2_url_takes_its_content_type_and_amazon_headers_along(verifier):
    headers = {"Content-Type": "text/csv", "x-amz-meta-colour": "blue"}
    message = signed.presign_v2("PUT", "/bucket/a%20key", headers=headers, key=signed.TEMPORARY)

    assert signed.verify(verifier, "s3", message).credential == signed.TEMPORARY


def test_version_2_parameter_cannot_pass_for_a_line_of_what_is_signed(verifier):
    message = signed.presign_v2("PUT", "/bucket/key", headers={"Content-Type": "text/csv"})
    moved = message.query.replace("content-type=text%2Fcsv", "content-md5=%0Atext%2Fcsv")
    assert moved != message.query

    assert refusal(verifier, "s3", message._replace(query=moved)).code == "SignatureDoesNotMatch"


def test_version_2_header_is_accepted(verifier):
    request = AWSRequest("GET", f"http://{signed.HOST}/bucket/key?acl")
    auth.HmacV1Auth(signed.as_botocore(signed.KEY)).add_auth(request)
    message = signed.as_message(request)

    assert signed.verify(verifier, "s3", message).credential == signed.KEY
    assert refusal(verifier, "s3", message._replace(query="")).code == "SignatureDoesNotMatch"


def test_two_signatures_are_refused(verifier):
    message = presigned()
    both = with_header(message, "authorization", dict(request_to("s3").headers)["authorization"])

    assert refusal(verifier, "s3", both).message.startswith("Only one auth mechanism allowed")


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_unsigned_chunks_are_decoded_whatever_the_pieces(size):
    body = b"5\r\nhello\r\n3;ignored=1\r\n me\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    decoder = ChunkedDecoder(signer=None, decoded_length=8, trailers=["x-amz-checksum-crc32"])

    payload = [p for i in range(0, len(body), size) for p in decoder.feed(body[i : i + size])]

    assert b"".join(payload) == b"hello me"
    assert decoder.finish() == {"x-amz-checksum-crc32": "AAAAAA=="}


def read_whole(decoder, body):
    payload = b"".join(decoder.feed(body))
    decoder.finish()
    return payload


BROKEN = {
    "no number": (b"xyz\r\nhello\r\n", "InvalidRequest"),
    "endless line": (b"5" * 2000, "InvalidRequest"),
    "missing line end": (b"5\r\nhello!!0\r\n", "InvalidRequest"),
    "too much": (b"9\r\n123456789\r\n0\r\n\r\n", "IncompleteBody"),
    "too little": (b"3\r\nabc\r\n0\r\n\r\n", "IncompleteBody"),
    "ended early": (b"5\r\nhel", "IncompleteBody"),
    "trailer not announced": (
        b"5\r\nhello\r\n0\r\nx-amz-meta-a:1\r\n\r\n",
        "MalformedTrailerError",
    ),
    "bytes after the end": (b"5\r\nhello\r\n0\r\n\r\n5\r\nhello\r\n", "InvalidRequest"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_chunks_are_refused(case):
    body, code = BROKEN[case]
    decoder = ChunkedDecoder(signer=None, decoded_length=5, trailers=[])

    with pytest.raises(SignatureError) as refused:
        read_whole(decoder, body)

    assert refused.value.code == code


def test_a_key_does_not_show_its_secret():
    assert signed.KEY.secret_access_key not in repr(signed.TEMPORARY)
    assert signed.TEMPORARY.session_token not in repr(signed.TEMPORARY)
