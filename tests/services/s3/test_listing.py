"""Listing: pages, delimiters, markers and encodings, in both versions of the call."""

import pytest
from botocore.exceptions import ClientError

KEYS = ["a", "b/1", "b/2", "b/c/1", "d", "e/1", "é", "z +%&"]


@pytest.fixture
def full(s3, bucket):
    """A bucket with KEYS."""
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def keys(page):
    return [entry["Key"] for entry in page.get("Contents", [])]


def prefixes(page):
    return [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]


def test_everything_in_byte_order(s3, full):
    page = s3.list_objects_v2(Bucket=full)

    assert keys(page) == ["a", "b/1", "b/2", "b/c/1", "d", "e/1", "z +%&", "é"]
    assert page["KeyCount"] == 8
    assert page["IsTruncated"] is False
    assert page["MaxKeys"] == 1000
    first = page["Contents"][0]
    assert (first["Size"], first["StorageClass"]) == (1, "STANDARD")
    assert first["ETag"] == s3.head_object(Bucket=full, Key="a")["ETag"]
    assert "Owner" not in first


def test_prefix_and_delimiter(s3, full):
    page = s3.list_objects_v2(Bucket=full, Prefix="b/", Delimiter="/")

    assert keys(page) == ["b/1", "b/2"]
    assert prefixes(page) == ["b/c/"]
    assert page["KeyCount"] == 3


def test_pages_of_two_hold_everything_once(s3, full):
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=full, Delimiter="/", PaginationConfig={"PageSize": 2}
        )
    )

    assert [len(keys(p)) + len(prefixes(p)) for p in pages] == [2, 2, 2]
    assert [k for p in pages for k in keys(p)] == ["a", "d", "z +%&", "é"]
    assert [k for p in pages for k in prefixes(p)] == ["b/", "e/"]


def test_start_after(s3, full):
    assert keys(s3.list_objects_v2(Bucket=full, StartAfter="b/2")) == [
        "b/c/1",
        "d",
        "e/1",
        "z +%&",
        "é",
    ]


def test_owner_on_request(s3, full):
    page = s3.list_objects_v2(Bucket=full, FetchOwner=True, MaxKeys=1)

    assert page["Contents"][0]["Owner"]["ID"]


def test_nothing_asked_nothing_truncated(s3, full):
    page = s3.list_objects_v2(Bucket=full, MaxKeys=0)

    assert (page["KeyCount"], page["IsTruncated"]) == (0, False)


def test_version_one_goes_on_after_next_marker(s3, full):
    first = s3.list_objects(Bucket=full, Delimiter="/", MaxKeys=2)
    second = s3.list_objects(Bucket=full, Delimiter="/", MaxKeys=2, Marker=first["NextMarker"])

    assert (keys(first), prefixes(first), first["NextMarker"]) == (["a"], ["b/"], "b/")
    assert (keys(second), prefixes(second)) == (["d"], ["e/"])


def test_version_one_has_no_next_marker_without_a_delimiter(s3, full):
    page = s3.list_objects(Bucket=full, MaxKeys=2)

    assert page["IsTruncated"] is True
    assert "NextMarker" not in page


def test_version_one_pages_hold_everything_once(s3, full):
    pages = s3.get_paginator("list_objects").paginate(Bucket=full, PaginationConfig={"PageSize": 3})

    assert [k for p in pages for k in keys(p)] == sorted(KEYS)


def test_a_delimiter_may_be_any_text(s3, bucket):
    for key in ("x--1", "x--2", "x-3", "y"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")

    page = s3.list_objects_v2(Bucket=bucket, Delimiter="--")

    assert (keys(page), prefixes(page)) == (["x-3", "y"], ["x--"])


def test_an_odd_token_is_refused(farero_s3):
    farero_s3.create_bucket(Bucket="things")

    with pytest.raises(ClientError) as caught:
        farero_s3.list_objects_v2(Bucket="things", ContinuationToken="made up")
    assert caught.value.response["Error"]["Code"] == "InvalidArgument"


def test_listing_names_checksums(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    farero_s3.put_object(Bucket="things", Key="k", Body=b"x", ChecksumAlgorithm="SHA1")

    entry = farero_s3.list_objects_v2(Bucket="things")["Contents"][0]

    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == (["SHA1"], "FULL_OBJECT")
