"""Objects: what was put is what comes back, with everything said about it."""

import datetime as dt
import hashlib

import pytest
from botocore.exceptions import ClientError


def code_of(caught):
    return (
        caught.value.response["Error"]["Code"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_body_and_etag_come_back(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="a/b", Body=b"hello")
    got = s3.get_object(Bucket=bucket, Key="a/b")

    assert got["Body"].read() == b"hello"
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert got["ContentLength"] == 5
    assert got["AcceptRanges"] == "bytes"
    assert got["ContentType"] == "binary/octet-stream"
    assert abs(got["LastModified"] - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_system_and_user_metadata_come_back(s3, bucket):
    expires = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ContentType="text/csv; charset=utf-8",
        CacheControl="max-age=60",
        ContentDisposition='attachment; filename="a b.csv"',
        ContentEncoding="gzip",
        ContentLanguage="es",
        Expires=expires,
        Metadata={"Model": "iris", "stage": "two words"},
    )

    head = s3.head_object(Bucket=bucket, Key="k")

    assert head["ContentType"] == "text/csv; charset=utf-8"
    assert head["CacheControl"] == "max-age=60"
    assert head["ContentDisposition"] == 'attachment; filename="a b.csv"'
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "es"
    assert head["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    assert head["Metadata"] == {"model": "iris", "stage": "two words"}


def test_every_object_says_it_is_encrypted(s3, bucket):
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def test_storage_class_is_named_unless_it_is_standard(s3, bucket):
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="STANDARD_IA")

    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="plain")
    assert s3.head_object(Bucket=bucket, Key="cold")["StorageClass"] == "STANDARD_IA"


@pytest.mark.parametrize(
    ("header", "body", "content_range"),
    [
        ("bytes=0-2", b"012", "bytes 0-2/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-4", b"6789", "bytes 6-9/10"),
        ("bytes=8-100", b"89", "bytes 8-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_ranges(s3, bucket, header, body, content_range):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")

    got = s3.get_object(Bucket=bucket, Key="k", Range=header)

    assert got["Body"].read() == body
    assert got["ContentRange"] == content_range
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_past_the_end_is_not_satisfiable(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")

    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert code_of(caught) == ("InvalidRange", 416)


def test_several_ranges_are_answered_with_everything(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")

    got = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-1,4-5")

    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert got["Body"].read() == b"0123456789"


def test_response_headers_can_be_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")

    got = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="text/csv",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="no-store",
    )

    assert got["ContentType"] == "text/csv"
    assert got["ContentDisposition"] == "attachment"
    assert got["CacheControl"] == "no-store"


def test_a_missing_key_is_named(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="no/such")

    error = caught.value.response["Error"]
    assert code_of(caught) == ("NoSuchKey", 404)
    assert error["Message"] == "The specified key does not exist."
    assert error["Key"] == "no/such"


def test_a_missing_bucket_is_named(s3):
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="no-such-bucket-here", Key="k")

    error = caught.value.response["Error"]
    assert code_of(caught) == ("NoSuchBucket", 404)
    assert error["Message"] == "The specified bucket does not exist"
    assert error["BucketName"] == "no-such-bucket-here"


def test_head_of_what_is_missing_says_404_without_a_body(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket=bucket, Key="k")
    assert code_of(caught) == ("404", 404)


def test_delete_is_silent_about_what_is_not_there(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    first = s3.delete_object(Bucket=bucket, Key="k")
    second = s3.delete_object(Bucket=bucket, Key="k")

    statuses = [r["ResponseMetadata"]["HTTPStatusCode"] for r in (first, second)]
    assert statuses == [204, 204]


def test_delete_objects_tells_what_went(s3, bucket):
    for key in ("a", "b&<c>", "d/ ü"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    wanted = [{"Key": key} for key in ("a", "b&<c>", "d/ ü", "never")]
    loud = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})

    assert sorted(entry["Key"] for entry in loud["Deleted"]) == ["a", "b&<c>", "d/ ü", "never"]
    assert "Errors" not in loud
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_delete_objects_can_be_quiet(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")

    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}], "Quiet": True})

    assert "Deleted" not in quiet
    assert "Errors" not in quiet


def test_delete_objects_takes_a_thousand_at_most(farero_s3):
    farero_s3.create_bucket(Bucket="many")
    wanted = [{"Key": str(n)} for n in range(1001)]

    with pytest.raises(ClientError) as caught:
        farero_s3.delete_objects(Bucket="many", Delete={"Objects": wanted})
    assert code_of(caught) == ("MalformedXML", 400)


def test_tags_of_an_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="a=1&b=x%20y")

    def tags():
        return s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]

    assert sorted(tags(), key=lambda t: t["Key"]) == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "x y"},
    ]
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": ""}]})
    assert tags() == [{"Key": "c", "Value": ""}]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert tags() == []


def test_eleven_tags_are_too_many(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    tags = [{"Key": str(n), "Value": "v"} for n in range(11)]

    with pytest.raises(ClientError) as caught:
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert code_of(caught) == ("BadRequest", 400)


def test_a_key_of_1024_bytes_is_the_longest(s3, bucket):
    longest = ("ü" * 63 + "/") * 8 + "12345678"

    s3.put_object(Bucket=bucket, Key=longest, Body=b"x")
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key=longest + "x", Body=b"x")

    assert s3.get_object(Bucket=bucket, Key=longest)["Body"].read() == b"x"
    assert code_of(caught) == ("KeyTooLongError", 400)


@pytest.mark.parametrize(
    "key",
    [
        "../../x",
        "%2e%2e/x",
        "a//b",
        "/lead",
        "trail/",
        ".",
        "..",
        "a b+c",
        "käse/🧀",
        "con",
        "a\\b",
        "x?y=z#f",
        "*",
    ],
)
def test_strange_keys_are_keys(farero_s3, key):
    farero_s3.create_bucket(Bucket="strange")

    farero_s3.put_object(Bucket="strange", Key=key, Body=key.encode())

    assert farero_s3.get_object(Bucket="strange", Key=key)["Body"].read() == key.encode()
    listed = farero_s3.list_objects_v2(Bucket="strange")["Contents"]
    assert [entry["Key"] for entry in listed] == [key]


def test_object_attributes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")

    found = s3.get_object_attributes(
        Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"]
    )

    assert found["ETag"] == hashlib.md5(b"hello").hexdigest()
    assert found["ObjectSize"] == 5
    assert found["StorageClass"] == "STANDARD"
    assert found["Checksum"]["ChecksumSHA256"] == "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="


def test_a_body_of_several_pieces_streams(s3, bucket):
    body = hashlib.shake_128(b"seed").digest(3_500_000)

    s3.put_object(Bucket=bucket, Key="k", Body=body)

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    part = s3.get_object(Bucket=bucket, Key="k", Range="bytes=1000000-3000000")["Body"].read()
    assert part == body[1_000_000:3_000_001]


def test_another_owner_is_not_ours(farero_s3):
    farero_s3.create_bucket(Bucket="owned")

    farero_s3.head_bucket(Bucket="owned", ExpectedBucketOwner="123456789012")
    with pytest.raises(ClientError) as caught:
        farero_s3.list_objects_v2(Bucket="owned", ExpectedBucketOwner="999999999999")
    assert code_of(caught) == ("AccessDenied", 403)


def test_active_content_is_sandboxed(farero_s3):
    farero_s3.create_bucket(Bucket="pages")
    farero_s3.put_object(Bucket="pages", Key="k", Body=b"<script>", ContentType="text/html")

    got = farero_s3.get_object(Bucket="pages", Key="k")

    headers = got["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox"
