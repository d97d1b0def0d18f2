"""Bodies in pieces: trailers, memory, clients that leave."""

import asyncio
import base64
import zlib

import pytest

from farero.aws.services.s3 import bodies
from farero.aws.wire.messages import AwsError

MIB = 1024 * 1024


class Stream:
    """A body as the gateway hands it over: pieces, then trailers."""

    def __init__(self, pieces, trailers=None, names=()):
        self._pieces = pieces
        self._coming = trailers or {}
        self.trailer_names = names
        self.trailers = {}

    async def __aiter__(self):
        for piece in self._pieces:
            yield piece
        self.trailers = self._coming


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_a_checksum_in_a_trailer_is_verified_and_kept(call, objects):
    body = Stream(
        [b"12345", b"6789"], {"x-amz-checksum-crc32": crc32(b"123456789")}, ["x-amz-checksum-crc32"]
    )

    result = call("put_object", Body=body)

    assert result["ChecksumCRC32"] == crc32(b"123456789")
    assert objects.get("things", "k").details.checksums == {"CRC32": crc32(b"123456789")}


def test_a_wrong_trailer_is_refused(call, objects):
    body = Stream(
        [b"123456789"], {"x-amz-checksum-crc32": crc32(b"else")}, ["x-amz-checksum-crc32"]
    )

    with pytest.raises(AwsError) as caught:
        call("put_object", Body=body)

    assert caught.value.code == "BadDigest"
    assert list(objects.list("things")) == []


def test_a_promised_trailer_must_come(call):
    with pytest.raises(AwsError) as caught:
        call("put_object", Body=Stream([b"x"], {}, ["x-amz-checksum-crc32"]))
    assert caught.value.code == "MalformedTrailerError"


def test_a_trailer_nobody_named_is_refused(call):
    with pytest.raises(AwsError) as caught:
        call("put_object", Body=Stream([b"x"], {"x-amz-checksum-sha256": "A" * 43 + "="}))
    assert caught.value.code == "InvalidRequest"


def test_a_client_that_leaves_leaves_nothing(call, objects, tmp_path):
    class LeftError(Exception):
        pass

    class Leaving(Stream):
        async def __aiter__(self):
            yield bytes(3 * MIB)
            raise LeftError

    with pytest.raises(LeftError):
        call("put_object", Body=Leaving([]))

    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


def test_small_pieces_are_written_in_large_ones(objects):
    sizes = []

    class Recorder:
        size_bytes = 0

        def write(self, data):
            sizes.append(len(data))

    asyncio.run(bodies.receive(Stream([bytes(64 * 1024)] * 40), Recorder()))

    assert sizes == [MIB // 2] * 5


def test_a_large_body_is_sent_in_pieces(call, objects):
    objects.put("things", "k", bytes(5 * MIB))

    async def sizes():
        return [len(piece) async for piece in call_body]

    call_body = call("get_object")["Body"]
    assert asyncio.run(sizes()) == [MIB // 2] * 10
