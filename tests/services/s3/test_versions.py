"""Versioning: ids, delete markers, suspension, listing."""

import pytest
from botocore.exceptions import ClientError


def enable(s3, bucket, status="Enabled"):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3, bucket, body, key="k"):
    return s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId")


def read(s3, bucket, **kwargs):
    return s3.get_object(Bucket=bucket, Key="k", **kwargs)["Body"].read()


def code_of(caught):
    return caught.value.response["Error"]["Code"]


def test_versioning_is_off_until_set(s3, bucket):
    before = s3.get_bucket_versioning(Bucket=bucket)
    enable(s3, bucket)

    assert "Status" not in before
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_every_version_can_be_read(s3, bucket):
    put(s3, bucket, b"zero")
    enable(s3, bucket)
    one, two = put(s3, bucket, b"one"), put(s3, bucket, b"two")

    assert read(s3, bucket) == b"two"
    assert read(s3, bucket, VersionId=one) == b"one"
    assert read(s3, bucket, VersionId=two) == b"two"
    assert read(s3, bucket, VersionId="null") == b"zero"


def test_a_delete_marker_hides_and_its_removal_brings_back(s3, bucket):
    enable(s3, bucket)
    version = put(s3, bucket, b"one")

    marker = s3.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(ClientError) as caught:
        read(s3, bucket)

    assert marker["DeleteMarker"] is True
    assert code_of(caught) == "NoSuchKey"
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    assert read(s3, bucket, VersionId=version) == b"one"
    gone = s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert gone["DeleteMarker"] is True
    assert read(s3, bucket) == b"one"


def test_a_delete_marker_itself_cannot_be_read(s3, bucket):
    enable(s3, bucket)
    put(s3, bucket, b"one")
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]

    with pytest.raises(ClientError) as caught:
        read(s3, bucket, VersionId=marker)
    assert code_of(caught) == "MethodNotAllowed"


def test_removing_the_newest_version_uncovers_the_one_before(s3, bucket):
    enable(s3, bucket)
    put(s3, bucket, b"one")
    two = put(s3, bucket, b"two")

    s3.delete_object(Bucket=bucket, Key="k", VersionId=two)

    assert read(s3, bucket) == b"one"


def test_suspended_writes_replace_the_null_version_only(s3, bucket):
    enable(s3, bucket)
    one = put(s3, bucket, b"one")
    enable(s3, bucket, "Suspended")
    put(s3, bucket, b"two")
    put(s3, bucket, b"three")

    found = s3.list_object_versions(Bucket=bucket)["Versions"]

    assert [(v["VersionId"], v["IsLatest"]) for v in found] == [("null", True), (one, False)]
    assert read(s3, bucket) == b"three"
    assert read(s3, bucket, VersionId=one) == b"one"


def test_versions_are_listed_newest_first(s3, bucket):
    enable(s3, bucket)
    ids = [put(s3, bucket, str(n).encode()) for n in range(3)]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    other = put(s3, bucket, b"x", key="other")

    page = s3.list_object_versions(Bucket=bucket)

    assert [v["VersionId"] for v in page["Versions"]] == [*reversed(ids), other]
    assert [(m["VersionId"], m["IsLatest"]) for m in page["DeleteMarkers"]] == [(marker, True)]
    assert [v["IsLatest"] for v in page["Versions"]] == [False, False, False, True]


def test_pages_of_versions_hold_each_once(s3, bucket):
    enable(s3, bucket)
    wanted = []
    for key in ("a", "k", "z"):
        wanted += reversed([put(s3, bucket, b"x", key=key) for _ in range(3)])

    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 2}
    )

    assert [v["VersionId"] for page in pages for v in page["Versions"]] == wanted


def test_an_unknown_version_is_not_found(s3, bucket):
    enable(s3, bucket)
    put(s3, bucket, b"one")

    with pytest.raises(ClientError) as caught:
        read(s3, bucket, VersionId="0" * 32)
    assert code_of(caught) == "NoSuchVersion"


def test_a_bucket_with_old_versions_is_not_empty(s3, bucket):
    enable(s3, bucket)
    put(s3, bucket, b"one")
    s3.delete_object(Bucket=bucket, Key="k")

    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=bucket)
    assert code_of(caught) == "BucketNotEmpty"


def test_delete_objects_lays_markers_and_removes_versions(s3, bucket):
    enable(s3, bucket)
    one = put(s3, bucket, b"one")

    laid = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})["Deleted"][0]
    removed = s3.delete_objects(
        Bucket=bucket,
        Delete={
            "Objects": [
                {"Key": "k", "VersionId": one},
                {"Key": "k", "VersionId": laid["DeleteMarkerVersionId"]},
            ]
        },
    )["Deleted"]

    assert laid["DeleteMarker"] is True
    assert {entry.get("VersionId") for entry in removed} == {one, laid["DeleteMarkerVersionId"]}
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)
