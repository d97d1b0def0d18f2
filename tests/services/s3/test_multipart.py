"""Multipart uploads."""

import base64
import hashlib
import io
import zlib

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1024 * 1024
FIRST = hashlib.shake_128(b"first").digest(5 * MIB)
LAST = b"the end"


def code_of(caught):
    return caught.value.response["Error"]["Code"]


def begin(s3, bucket, **kwargs):
    return s3.create_multipart_upload(Bucket=bucket, Key="k", **kwargs)["UploadId"]


def upload(s3, bucket, upload_id, number, body, **kwargs):
    part = s3.upload_part(
        Bucket=bucket, Key="k", UploadId=upload_id, PartNumber=number, Body=body, **kwargs
    )
    found = {name: part[name] for name in part if name.startswith("Checksum")}
    return {"PartNumber": number, "ETag": part["ETag"], **found}


def complete(s3, bucket, upload_id, parts, **kwargs):
    return s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload_id, MultipartUpload={"Parts": parts}, **kwargs
    )


def test_parts_become_one_object(s3, bucket):
    upload_id = begin(s3, bucket, ContentType="text/x", Metadata={"a": "b"})
    second = upload(s3, bucket, upload_id, 7, LAST)
    first = upload(s3, bucket, upload_id, 2, FIRST)

    done = complete(s3, bucket, upload_id, [first, second])

    digests = hashlib.md5(FIRST).digest() + hashlib.md5(LAST).digest()
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == FIRST + LAST
    assert (got["ContentType"], got["Metadata"]) == ("text/x", {"a": "b"})
    assert got["ETag"] == done["ETag"]


def test_ranges_cross_parts(s3, bucket):
    upload_id = begin(s3, bucket)
    parts = [upload(s3, bucket, upload_id, 1, FIRST), upload(s3, bucket, upload_id, 2, LAST)]
    complete(s3, bucket, upload_id, parts)

    got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")

    assert got["Body"].read() == FIRST[-3:] + LAST[:3]


def test_one_part_can_be_read_by_number(s3, bucket):
    upload_id = begin(s3, bucket)
    parts = [upload(s3, bucket, upload_id, 1, FIRST), upload(s3, bucket, upload_id, 2, LAST)]
    complete(s3, bucket, upload_id, parts)

    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)

    assert got["Body"].read() == LAST
    assert got["PartsCount"] == 2
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_part_can_be_sent_again(s3, bucket):
    upload_id = begin(s3, bucket)
    upload(s3, bucket, upload_id, 1, b"wrong")
    part = upload(s3, bucket, upload_id, 1, b"right")

    complete(s3, bucket, upload_id, [part])

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"right"


def test_small_parts_are_refused(s3, bucket):
    upload_id = begin(s3, bucket)
    parts = [upload(s3, bucket, upload_id, n, b"x") for n in (1, 2)]

    with pytest.raises(ClientError) as caught:
        complete(s3, bucket, upload_id, parts)
    assert code_of(caught) == "EntityTooSmall"


def test_parts_out_of_order_are_refused(s3, bucket):
    upload_id = begin(s3, bucket)
    parts = [upload(s3, bucket, upload_id, 1, FIRST), upload(s3, bucket, upload_id, 2, LAST)]

    with pytest.raises(ClientError) as caught:
        complete(s3, bucket, upload_id, parts[::-1])
    assert code_of(caught) == "InvalidPartOrder"


@pytest.mark.parametrize(
    "part", [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}, {"PartNumber": 9}]
)
def test_parts_that_do_not_match_are_refused(s3, bucket, part):
    upload_id = begin(s3, bucket)
    sent = upload(s3, bucket, upload_id, 1, b"x")

    with pytest.raises(ClientError) as caught:
        complete(s3, bucket, upload_id, [sent | part])
    assert code_of(caught) == "InvalidPart"


def test_an_unknown_upload_is_not_found(s3, bucket):
    with pytest.raises(ClientError) as caught:
        complete(s3, bucket, "0" * 32, [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}])
    assert code_of(caught) == "NoSuchUpload"


@pytest.mark.parametrize("number", [0, 10001])
def test_part_numbers_have_limits(s3, bucket, number):
    upload_id = begin(s3, bucket)

    with pytest.raises(ClientError) as caught:
        upload(s3, bucket, upload_id, number, b"x")
    assert code_of(caught) == "InvalidArgument"


def test_an_aborted_upload_is_gone(s3, bucket):
    upload_id = begin(s3, bucket)
    part = upload(s3, bucket, upload_id, 1, b"x")

    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload_id)

    with pytest.raises(ClientError) as caught:
        complete(s3, bucket, upload_id, [part])
    assert code_of(caught) == "NoSuchUpload"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_completing_twice_is_no_error(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    upload_id = begin(farero_s3, "things")
    part = upload(farero_s3, "things", upload_id, 1, b"x")

    first = complete(farero_s3, "things", upload_id, [part])
    second = complete(farero_s3, "things", upload_id, [part])

    assert first["ETag"] == second["ETag"]


def test_parts_are_listed_in_pages(s3, bucket):
    upload_id = begin(s3, bucket)
    for number in (1, 3, 5):
        upload(s3, bucket, upload_id, number, bytes(number))

    pages = list(
        s3.get_paginator("list_parts").paginate(
            Bucket=bucket, Key="k", UploadId=upload_id, PaginationConfig={"PageSize": 2}
        )
    )

    assert [[(p["PartNumber"], p["Size"]) for p in page["Parts"]] for page in pages] == [
        [(1, 1), (3, 3)],
        [(5, 5)],
    ]


def test_uploads_are_listed_in_pages(s3, bucket):
    ids = {}
    for key in ("b/1", "a", "a", "b/2", "c"):
        made = s3.create_multipart_upload(Bucket=bucket, Key=key)
        ids.setdefault(key, []).append(made["UploadId"])

    everything = [
        (entry["Key"], entry["UploadId"])
        for page in s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 2}
        )
        for entry in page["Uploads"]
    ]
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")

    assert sorted(everything) == sorted((key, i) for key, found in ids.items() for i in found)
    assert [key for key, _ in everything] == ["a", "a", "b/1", "b/2", "c"]
    assert [entry["Prefix"] for entry in rolled["CommonPrefixes"]] == ["b/"]


def test_a_composite_checksum(s3, bucket):
    upload_id = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    parts = [
        upload(s3, bucket, upload_id, n, body, ChecksumAlgorithm="SHA256")
        for n, body in ((1, FIRST), (2, LAST))
    ]

    done = complete(s3, bucket, upload_id, parts)

    raw = hashlib.sha256(FIRST).digest() + hashlib.sha256(LAST).digest()
    wanted = base64.b64encode(hashlib.sha256(raw).digest()).decode() + "-2"
    assert done["ChecksumSHA256"] == wanted
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (wanted, "COMPOSITE")


def test_a_full_object_checksum(s3, bucket):
    upload_id = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = [
        upload(s3, bucket, upload_id, n, body, ChecksumAlgorithm="CRC32")
        for n, body in ((1, FIRST), (2, LAST))
    ]

    done = complete(s3, bucket, upload_id, parts, ChecksumType="FULL_OBJECT")

    wanted = base64.b64encode(zlib.crc32(FIRST + LAST).to_bytes(4, "big")).decode()
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == (wanted, "FULL_OBJECT")


def test_a_wrong_checksum_of_the_whole_is_refused(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    upload_id = begin(farero_s3, "things", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    part = upload(farero_s3, "things", upload_id, 1, b"x", ChecksumAlgorithm="CRC32")

    with pytest.raises(ClientError) as caught:
        complete(farero_s3, "things", upload_id, [part], ChecksumCRC32="AAAAAA==")
    assert code_of(caught) == "BadDigest"


def test_parts_of_a_composite_upload_need_their_checksums(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    upload_id = begin(farero_s3, "things", ChecksumAlgorithm="SHA256")
    part = upload(farero_s3, "things", upload_id, 1, b"x", ChecksumAlgorithm="SHA256")
    del part["ChecksumSHA256"]

    with pytest.raises(ClientError) as caught:
        complete(farero_s3, "things", upload_id, [part])
    assert code_of(caught) == "InvalidRequest"


def test_attributes_name_the_parts(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    upload_id = begin(farero_s3, "things", ChecksumAlgorithm="CRC32")
    parts = [
        upload(farero_s3, "things", upload_id, n, body, ChecksumAlgorithm="CRC32")
        for n, body in ((1, FIRST), (2, LAST))
    ]
    complete(farero_s3, "things", upload_id, parts)

    found = farero_s3.get_object_attributes(
        Bucket="things", Key="k", ObjectAttributes=["ObjectParts", "ObjectSize"], MaxParts=1
    )

    assert found["ObjectSize"] == 5 * MIB + 7
    assert found["ObjectParts"]["TotalPartsCount"] == 2
    assert found["ObjectParts"]["IsTruncated"] is True
    assert found["ObjectParts"]["Parts"] == [
        {"PartNumber": 1, "Size": 5 * MIB, "ChecksumCRC32": parts[0]["ChecksumCRC32"]}
    ]


def test_boto3_transfers_a_large_file_both_ways(s3, bucket):
    body = hashlib.shake_128(b"large").digest(17 * MIB)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB)

    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config)
    target = io.BytesIO()
    s3.download_fileobj(bucket, "large", target, Config=config)

    assert hashlib.sha256(target.getvalue()).digest() == hashlib.sha256(body).digest()
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')


def test_boto3_copies_a_large_object(s3, bucket):
    body = hashlib.shake_128(b"large").digest(12 * MIB)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB)
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config)

    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied", Config=config)

    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == body
