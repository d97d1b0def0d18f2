"""Conditional reads and writes, and the race that only one may win."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

HOUR = dt.timedelta(hours=1)


def status_of(call, **kwargs):
    try:
        return call(**kwargs)["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_conditional_reads(s3, bucket, operation):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    other = '"0123"'

    def read(**conditions):
        return status_of(getattr(s3, operation), Bucket=bucket, Key="k", **conditions)

    assert read(IfMatch=etag) == 200
    assert read(IfMatch=other) == 412
    assert read(IfNoneMatch=etag) == 304
    assert read(IfNoneMatch=other) == 200
    assert read(IfModifiedSince=modified - HOUR) == 200
    assert read(IfModifiedSince=modified) == 304
    assert read(IfUnmodifiedSince=modified) == 200
    assert read(IfUnmodifiedSince=modified - HOUR) == 412


def test_etags_win_over_dates(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="k")["LastModified"]

    def read(**conditions):
        return status_of(s3.get_object, Bucket=bucket, Key="k", **conditions)

    assert read(IfMatch=etag, IfUnmodifiedSince=modified - HOUR) == 200
    assert read(IfNoneMatch=etag, IfModifiedSince=modified - HOUR) == 304


def test_a_failed_condition_is_named(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"0123"')

    error = caught.value.response["Error"]
    assert error["Code"] == "PreconditionFailed"
    assert error["Message"] == "At least one of the pre-conditions you specified did not hold"
    assert error["Condition"] == "If-Match"


def test_put_if_none_match_creates_only(s3, bucket):
    assert status_of(s3.put_object, Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*") == 200
    assert status_of(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*") == 412

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"


def test_put_if_match_replaces_only_what_was_seen(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]

    assert status_of(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfMatch=etag) == 200
    assert status_of(s3.put_object, Bucket=bucket, Key="k", Body=b"3", IfMatch=etag) == 412

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


def test_put_if_match_on_nothing_is_not_found(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfMatch='"0123"')
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_of_many_creators_exactly_one_wins(s3, bucket):
    def put(number):
        return status_of(
            s3.put_object, Bucket=bucket, Key="race", Body=str(number).encode(), IfNoneMatch="*"
        )

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(put, range(16)))

    assert sorted(statuses) == [200] + [412] * 15
    winner = s3.get_object(Bucket=bucket, Key="race")["Body"].read()
    assert winner == str(statuses.index(200)).encode()


def test_complete_if_none_match_creates_only(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"late")
    s3.put_object(Bucket=bucket, Key="k", Body=b"early")

    status = status_of(
        s3.complete_multipart_upload,
        Bucket=bucket,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        IfNoneMatch="*",
    )

    assert status == 412
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"early"


def test_copy_source_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]

    def copy(**conditions):
        return status_of(
            s3.copy_object, Bucket=bucket, Key="c", CopySource=f"{bucket}/k", **conditions
        )

    assert copy(CopySourceIfMatch=etag) == 200
    assert copy(CopySourceIfMatch='"0123"') == 412
    assert copy(CopySourceIfNoneMatch=etag) == 412


def test_copy_if_none_match_creates_only(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = f"{bucket}/k"

    assert (
        status_of(s3.copy_object, Bucket=bucket, Key="c", CopySource=source, IfNoneMatch="*") == 200
    )
    assert (
        status_of(s3.copy_object, Bucket=bucket, Key="c", CopySource=source, IfNoneMatch="*") == 412
    )


def test_delete_if_match(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]

    assert status_of(s3.delete_object, Bucket=bucket, Key="k", IfMatch='"0123"') == 412
    assert status_of(s3.delete_object, Bucket=bucket, Key="k", IfMatch=etag) == 204
