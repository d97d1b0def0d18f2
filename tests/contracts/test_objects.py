"""What every implementation of the blob seam does."""

from __future__ import annotations

import hashlib
import io

import pytest

from farero.base.errors import NotFound
from farero.objects.local import LocalObjects


@pytest.fixture(params=["local"])
def blobs(request, store, clock, tmp_path):
    """Each implementation of ObjectStore, with one bucket."""
    objects = LocalObjects(store, tmp_path / "objects", clock)
    objects.ensure_bucket("things")
    return objects


def test_what_was_put_is_read_back(blobs):
    info = blobs.put("things", "a/b.csv", b"1,2\n", content_type="text/csv")

    with blobs.open("things", "a/b.csv") as file:
        body = file.read()

    assert body == b"1,2\n"
    assert info == blobs.head("things", "a/b.csv")
    assert (info.size_bytes, info.content_type) == (4, "text/csv")
    assert info.etag == hashlib.md5(b"1,2\n").hexdigest()


def test_an_open_object_is_seekable(blobs):
    blobs.put("things", "k", bytes(range(100)))

    with blobs.open("things", "k") as file:
        file.seek(-10, io.SEEK_END)
        tail = file.read()
        file.seek(5)
        middle = file.read(3)

    assert tail == bytes(range(90, 100))
    assert middle == b"\x05\x06\x07"


def test_put_replaces(blobs):
    blobs.put("things", "k", b"old")
    blobs.put("things", "k", io.BytesIO(b"newer"))

    assert blobs.open("things", "k").read() == b"newer"
    assert [info.size_bytes for info in blobs.list("things")] == [5]


def test_an_empty_object_is_an_object(blobs):
    blobs.put("things", "k", b"")

    assert blobs.head("things", "k").size_bytes == 0
    assert blobs.open("things", "k").read() == b""


def test_files_go_in_and_out(blobs, tmp_path):
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(3_000_000))
    target = tmp_path / "target.bin"

    blobs.put_file("things", "k", source)
    info = blobs.download("things", "k", target)

    assert target.read_bytes() == source.read_bytes()
    assert info.size_bytes == 3_000_000


def test_listing_is_in_byte_order_below_a_prefix(blobs):
    for key in ("b/2", "b/10", "a", "b/ä", "b0", "b/Z", "b/\U0001f600", "b/\uffee"):
        blobs.put("things", key, b"x")

    keys = [info.key for info in blobs.list("things", "b/")]

    assert keys == ["b/10", "b/2", "b/Z", "b/ä", "b/\uffee", "b/\U0001f600"]


def test_listing_goes_on_after_a_thousand(blobs):
    for number in range(1003):
        blobs.put("things", f"{number:05}", b"")

    assert [info.key for info in blobs.list("things")] == [f"{n:05}" for n in range(1003)]


def test_listing_begins_behind_a_key(blobs):
    for key in ("a/1", "a/2", "b/1", "b/2", "c"):
        blobs.put("things", key, b"")

    assert [info.key for info in blobs.list("things", "", after="a/2")] == ["b/1", "b/2", "c"]
    assert [info.key for info in blobs.list("things", "b/", after="a0")] == ["b/1", "b/2"]
    assert [info.key for info in blobs.list("things", "b/", after="b/1")] == ["b/2"]


def test_what_was_deleted_is_gone_and_deleting_again_is_no_error(blobs):
    blobs.put("things", "k", b"x")

    blobs.delete("things", "k")
    blobs.delete("things", "k")

    with pytest.raises(NotFound) as caught:
        blobs.head("things", "k")
    assert (caught.value.kind, caught.value.name) == ("object", "s3://things/k")


def test_an_open_reader_outlives_a_delete(blobs):
    blobs.put("things", "k", b"still here")

    with blobs.open("things", "k") as file:
        blobs.delete("things", "k")
        body = file.read()

    assert body == b"still here"


@pytest.mark.parametrize(
    "call",
    [
        lambda blobs: blobs.head("nowhere", "k"),
        lambda blobs: blobs.open("nowhere", "k"),
        lambda blobs: blobs.put("nowhere", "k", b""),
        lambda blobs: blobs.list("nowhere"),
        lambda blobs: blobs.delete("nowhere", "k"),
    ],
    ids=["head", "open", "put", "list", "delete"],
)
def test_a_missing_bucket_is_said_at_once(blobs, call):
    with pytest.raises(NotFound) as caught:
        call(blobs)
    assert (caught.value.kind, caught.value.name) == ("bucket", "nowhere")


def test_ensure_bucket_keeps_what_is_there(blobs):
    blobs.put("things", "k", b"x")

    blobs.ensure_bucket("things")

    assert blobs.head("things", "k").size_bytes == 1
