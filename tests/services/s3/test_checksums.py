"""Checksums and digests: verified when they come, returned when they are asked for."""

import base64
import hashlib
import zlib

import pytest
from awscrt import checksums as crt
from botocore.exceptions import ClientError

BODY = b"123456789"


def text(value, size):
    return base64.b64encode(value.to_bytes(size, "big")).decode()


def digest(name):
    return base64.b64encode(hashlib.new(name, BODY).digest()).decode()


#: Check values of the string 123456789: CRC-32 cbf43926, CRC-32C e3069283, CRC-64/NVME ae8b14860a799888 (reveng catalogue).
VALUES = {
    "CRC32": text(0xCBF43926, 4),
    "CRC32C": text(0xE3069283, 4),
    "CRC64NVME": text(0xAE8B14860A799888, 8),
    "SHA1": digest("sha1"),
    "SHA256": digest("sha256"),
}
NEWER = {
    "SHA512": digest("sha512"),
    "MD5": digest("md5"),
    "XXHASH64": base64.b64encode(crt.XXHash.compute_xxhash64(BODY)).decode(),
    "XXHASH3": base64.b64encode(crt.XXHash.compute_xxhash3_64(BODY)).decode(),
    "XXHASH128": base64.b64encode(crt.XXHash.compute_xxhash3_128(BODY)).decode(),
}


@pytest.mark.parametrize("algorithm", VALUES)
def test_the_checksum_the_client_chose_comes_back(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=BODY, ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")

    assert put[f"Checksum{algorithm}"] == VALUES[algorithm]
    assert got[f"Checksum{algorithm}"] == VALUES[algorithm]
    assert got["Body"].read() == BODY


@pytest.mark.parametrize("algorithm", NEWER)
def test_newer_algorithms(farero_s3, algorithm):
    farero_s3.create_bucket(Bucket="things")

    announced = {f"Checksum{algorithm}": NEWER[algorithm]}
    farero_s3.put_object(Bucket="things", Key="k", Body=BODY, **announced)
    got = farero_s3.head_object(Bucket="things", Key="k", ChecksumMode="ENABLED")

    assert got[f"Checksum{algorithm}"] == NEWER[algorithm]


@pytest.mark.parametrize("algorithm", VALUES)
def test_a_wrong_checksum_is_refused_and_nothing_is_stored(s3, bucket, algorithm):
    wrong = base64.b64encode(bytes(len(base64.b64decode(VALUES[algorithm])))).decode()

    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=BODY, **{f"Checksum{algorithm}": wrong})

    assert caught.value.response["Error"]["Code"] == "BadDigest"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_checksum_of_the_wrong_length_is_refused(farero_s3):
    farero_s3.create_bucket(Bucket="things")

    with pytest.raises(ClientError) as caught:
        farero_s3.put_object(Bucket="things", Key="k", Body=BODY, ChecksumCRC32="AAAA")
    assert (
        caught.value.response["Error"]["Message"]
        == "Value for x-amz-checksum-crc32 header is invalid."
    )


def test_a_part_with_a_wrong_checksum_is_refused(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32")

    with pytest.raises(ClientError) as caught:
        s3.upload_part(
            Bucket=bucket,
            Key="k",
            UploadId=upload["UploadId"],
            PartNumber=1,
            Body=BODY,
            ChecksumCRC32=text(zlib.crc32(b"else"), 4),
        )
    assert caught.value.response["Error"]["Code"] == "BadDigest"


def test_content_md5_is_verified(s3, bucket):
    s3.put_object(Bucket=bucket, Key="good", Body=BODY, ContentMD5=NEWER["MD5"])

    with pytest.raises(ClientError) as caught:
        s3.put_object(
            Bucket=bucket, Key="bad", Body=BODY, ContentMD5=base64.b64encode(bytes(16)).decode()
        )

    assert caught.value.response["Error"]["Code"] == "BadDigest"


def test_an_md5_that_is_none_is_refused(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="bad", Body=BODY, ContentMD5="nonsense")
    assert caught.value.response["Error"]["Code"] == "InvalidDigest"


def test_checksums_are_silent_unless_asked(farero_s3):
    farero_s3.create_bucket(Bucket="things")
    farero_s3.put_object(Bucket="things", Key="k", Body=BODY, ChecksumAlgorithm="SHA1")
    farero_s3.meta.config.response_checksum_validation = "when_required"

    assert "ChecksumSHA1" not in farero_s3.head_object(Bucket="things", Key="k")
