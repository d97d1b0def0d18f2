"""Uploads by HTML form: the policy decides, the fields describe. Signatures are tested with identity."""

import base64
import datetime as dt
import json

import pytest
from urllib3.filepost import encode_multipart_formdata

from farero.aws.services.s3.post import check_policy, refuse_form
from farero.aws.wire.messages import AwsError

NOW = dt.datetime(2026, 1, 5, 10, 0, tzinfo=dt.UTC)


def policy(*conditions, expiration="2026-01-05T11:00:00.000Z"):
    text = json.dumps({"expiration": expiration, "conditions": list(conditions)})
    return base64.b64encode(text.encode()).decode()


def check(fields, *conditions, **kwargs):
    given = {"key": "up/a.txt", **fields, "policy": policy(*conditions, **kwargs)}
    return check_policy(given, bucket="things", now=NOW)


KEY = ["starts-with", "$key", "up/"]
BUCKET = {"bucket": "things"}


def test_fields_that_meet_their_conditions_pass():
    sizes = check(
        {"x-amz-meta-a": "1", "Content-Type".lower(): "text/plain", "x-ignore-this": "y"},
        BUCKET,
        KEY,
        ["eq", "$x-amz-meta-a", "1"],
        ["starts-with", "$Content-Type", "text/"],
        ["content-length-range", 1, 10],
    )

    assert sizes == (1, 10)


@pytest.mark.parametrize(
    ("fields", "conditions", "detail"),
    [
        ({}, [{"bucket": "other"}, KEY], 'Policy Condition failed: ["eq", "$bucket", "other"]'),
        (
            {},
            [BUCKET, ["starts-with", "$key", "down/"]],
            'Policy Condition failed: ["starts-with", "$key", "down/"]',
        ),
        ({"acl": "private"}, [BUCKET, KEY], "Extra input fields: acl"),
    ],
    ids=["bucket", "prefix", "extra"],
)
def test_fields_that_do_not_are_refused(fields, conditions, detail):
    with pytest.raises(AwsError) as caught:
        check(fields, *conditions)
    assert (caught.value.code, caught.value.status) == ("AccessDenied", 403)
    assert caught.value.message == f"Invalid according to Policy: {detail}"


def test_an_expired_policy_is_refused():
    with pytest.raises(AwsError) as caught:
        check({}, BUCKET, KEY, expiration="2026-01-05T09:59:59Z")
    assert caught.value.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    "text", ["not base64!", base64.b64encode(b"[]").decode(), policy(["between", 1, 2])]
)
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(AwsError) as caught:
        check_policy({"key": "k", "policy": text}, bucket="things", now=NOW)
    assert caught.value.code == "InvalidPolicyDocument"


def test_a_form_without_a_policy_is_refused():
    with pytest.raises(AwsError) as caught:
        check_policy({"key": "k"}, bucket="things", now=NOW)
    assert caught.value.code == "AccessDenied"


@pytest.fixture
def post(call):
    """Posts a form to the room; the policy allows everything named in it."""

    def send(fields, body, *, limits=(0, 10_000_000), pieces=None):
        conditions = [["starts-with", f"${name}", ""] for name in fields]
        far = "2100-01-01T00:00:00Z"
        text = policy(
            {"bucket": "things"}, ["content-length-range", *limits], *conditions, expiration=far
        )
        form = {**fields, "policy": text, "file": ("dir/pic.png", body, "image/png")}
        data, kind = encode_multipart_formdata(form)
        size = pieces or len(data)
        stream = _pieces([data[i : i + size] for i in range(0, len(data), size)])
        return call("post_object", ContentType=kind, Body=stream)

    return send


async def _pieces(parts):
    for part in parts:
        yield part


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_form_becomes_an_object(post, objects, size):
    body = b"\r\n--almost a boundary\r\n" + bytes(500)

    result = post(
        {
            "key": "up/${filename}",
            "Content-Type": "text/x",
            "x-amz-meta-a": "1",
            "Cache-Control": "no-store",
        },
        body,
        pieces=size,
    )

    stored = objects.get("things", "up/pic.png")
    assert objects.open("things", "up/pic.png").read() == body
    assert (stored.content_type, stored.details.metadata) == ("text/x", {"a": "1"})
    assert stored.details.headers["CacheControl"] == "no-store"
    assert result["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert result["ResponseMetadata"]["HTTPHeaders"]["ETag"] == f'"{stored.etag}"'


def test_status_201_describes_the_object(post):
    result = post({"key": "k", "success_action_status": "201"}, b"x")

    assert result["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert b"<Bucket>things</Bucket><Key>k</Key><ETag>" in result["Body"]


def test_a_redirect_carries_bucket_key_and_etag(post):
    result = post({"key": "a b", "success_action_redirect": "https://example.com/done?x=1"}, b"x")

    assert result["ResponseMetadata"]["HTTPStatusCode"] == 303
    location = result["ResponseMetadata"]["HTTPHeaders"]["Location"]
    assert location.startswith("https://example.com/done?x=1&bucket=things&key=a+b&etag=%22")


@pytest.mark.parametrize(
    ("limits", "code"), [((0, 4), "EntityTooLarge"), ((6, 9), "EntityTooSmall")]
)
def test_the_length_of_the_file_has_limits(post, objects, limits, code):
    with pytest.raises(AwsError) as caught:
        post({"key": "k"}, b"12345", limits=limits)

    assert caught.value.code == code
    assert list(objects.list("things")) == []


def test_fields_before_the_file_have_a_limit(post):
    with pytest.raises(AwsError) as caught:
        post({"key": "k", "x-amz-meta-big": "x" * 30_000}, b"x")
    assert caught.value.code == "MaxPostPreDataLengthExceeded"


def test_a_form_needs_a_file(call):
    data, kind = encode_multipart_formdata({"key": "k"})

    with pytest.raises(AwsError) as caught:
        call("post_object", ContentType=kind, Body=data)
    assert caught.value.message == "POST requires exactly one file upload per request."


def test_a_truncated_form_is_malformed(call, objects):
    data, kind = encode_multipart_formdata(
        {
            "key": "k",
            "policy": policy({"bucket": "things"}, {"key": "k"}, expiration="2100-01-01"),
            "file": ("f", b"12345"),
        }
    )

    with pytest.raises(AwsError) as caught:
        call("post_object", ContentType=kind, Body=data[:-60])

    assert caught.value.code == "MalformedPOSTRequest"
    assert list(objects.list("things")) == []


def test_nobody_gets_in_where_signatures_cannot_be_checked():
    with pytest.raises(AwsError) as caught:
        refuse_form({"key": "k"})
    assert caught.value.status == 403
