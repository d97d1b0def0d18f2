"""Copying on the server."""

import hashlib

import pytest
from botocore.exceptions import ClientError

MIB = 1024 * 1024


@pytest.fixture
def source(s3, bucket):
    """An object with everything."""
    s3.put_object(
        Bucket=bucket,
        Key="from me/ü+1",
        Body=b"copied",
        ContentType="text/csv",
        Metadata={"a": "1"},
        Tagging="t=1",
        CacheControl="no-cache",
    )
    return {"Bucket": bucket, "Key": "from me/ü+1"}


def tags(s3, bucket, key):
    return s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]


def test_a_copy_has_the_bytes_the_metadata_and_the_tags(s3, bucket, source):
    result = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)

    got = s3.get_object(Bucket=bucket, Key="to")
    assert got["Body"].read() == b"copied"
    assert result["CopyObjectResult"]["ETag"] == got["ETag"]
    assert (got["ContentType"], got["CacheControl"]) == ("text/csv", "no-cache")
    assert got["Metadata"] == {"a": "1"}
    assert tags(s3, bucket, "to") == [{"Key": "t", "Value": "1"}]


def test_a_copy_outlives_its_source(s3, bucket, source):
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source)

    s3.delete_object(**source)

    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"copied"


def test_directives_replace(s3, bucket, source):
    s3.copy_object(
        Bucket=bucket,
        Key="to",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        ContentType="text/plain",
        TaggingDirective="REPLACE",
        Tagging="u=2",
    )

    head = s3.head_object(Bucket=bucket, Key="to")
    assert head["Metadata"] == {"b": "2"}
    assert head["ContentType"] == "text/plain"
    assert "CacheControl" not in head
    assert tags(s3, bucket, "to") == [{"Key": "u", "Value": "2"}]


def test_a_copy_onto_itself_must_change_something(s3, bucket, source):
    with pytest.raises(ClientError) as caught:
        s3.copy_object(**source, CopySource=source)
    assert caught.value.response["Error"]["Code"] == "InvalidRequest"

    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert s3.head_object(**source)["Metadata"] == {"c": "3"}


def test_a_missing_source_is_not_found(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/nothing")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_an_old_version_can_be_copied(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")

    copied = s3.copy_object(
        Bucket=bucket, Key="to", CopySource={"Bucket": bucket, "Key": "k", "VersionId": old}
    )

    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"old"
    assert copied["CopySourceVersionId"] == old


def test_parts_are_copied_by_range(s3, bucket):
    body = hashlib.shake_128(b"x").digest(6 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    parts = []
    for number, span in ((1, f"bytes=0-{5 * MIB - 1}"), (2, f"bytes={5 * MIB}-{6 * MIB - 1}")):
        part = s3.upload_part_copy(
            Bucket=bucket,
            Key="to",
            UploadId=upload,
            PartNumber=number,
            CopySource=f"{bucket}/k",
            CopySourceRange=span,
        )
        parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})

    s3.complete_multipart_upload(
        Bucket=bucket, Key="to", UploadId=upload, MultipartUpload={"Parts": parts}
    )

    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == body


def test_a_range_outside_the_source_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]

    with pytest.raises(ClientError) as caught:
        s3.upload_part_copy(
            Bucket=bucket,
            Key="to",
            UploadId=upload,
            PartNumber=1,
            CopySource=f"{bucket}/k",
            CopySourceRange="bytes=5-20",
        )
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"
