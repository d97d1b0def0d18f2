"""Writers that meet on one key, on every kind of SQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from farero.base.errors import Conflict, DomainError
from farero.objects.conditions import Conditions
from farero.objects.errors import BucketNotEmpty, NoSuchUpload
from farero.objects.listing import Wish
from farero.objects.local import LocalObjects
from farero.objects.uploads import NamedPart
from farero.records.objects import Draft


@pytest.fixture
def shared(store, tmp_path, clock):
    """Objects on each kind of SQL in turn."""
    made = LocalObjects(store, tmp_path / "objects", clock)
    made.ensure_bucket("things")
    return made


def together(calls):
    """Run all calls at once; returns each one's result or its domain error."""

    def guarded(call):
        try:
            return call()
        except DomainError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(guarded, calls))


def write(objects, body, **conditions):
    def call():
        writer = objects.begin_write()
        writer.write(body)
        return objects.commit(
            writer, "things", "k", draft=Draft(), conditions=Conditions(**conditions)
        )

    return call


def test_exactly_one_creator_wins(shared):
    results = together([write(shared, bytes([n]), if_none_match="*") for n in range(8)])

    winners = [n for n, result in enumerate(results) if not isinstance(result, DomainError)]
    assert len(winners) == 1
    assert shared.open("things", "k").read() == bytes(winners)


def test_exactly_one_replacer_wins(shared):
    etag = shared.put("things", "k", b"first").etag

    results = together([write(shared, bytes([n]), if_match=etag) for n in range(8)])

    assert sum(not isinstance(result, DomainError) for result in results) == 1


def test_unconditional_writers_leave_one_version_and_one_file(shared, tmp_path):
    together([write(shared, bytes([n]) * 10) for n in range(8)])

    found = shared.listing.versions("things", Wish()).items
    assert [(item.version_id, item.is_latest) for item in found] == [("null", True)]
    assert len([path for path in (tmp_path / "objects").rglob("*") if path.is_file()]) == 1


def test_versioned_writers_leave_one_latest(shared):
    shared.buckets.set_versioning("things", "Enabled")

    together([write(shared, bytes([n])) for n in range(8)])

    found = shared.listing.versions("things", Wish()).items
    assert [item.is_latest for item in found] == [True] + [False] * 7
    assert shared.get("things", "k").version_id == found[0].version_id


def test_completing_at_once_makes_one_object(shared):
    upload = shared.uploads.create("things", "k", Draft())
    writer = shared.begin_write()
    writer.write(b"part")
    part = shared.uploads.commit_part(writer, upload, 1)
    named = [NamedPart(number=1, etag=part.etag)]

    def complete():
        return shared.uploads.complete("things", "k", upload.upload_id, named)

    def abort():
        shared.uploads.abort("things", "k", upload.upload_id)

    results = together([complete, complete, abort])

    assert any(isinstance(result, NoSuchUpload) for result in results)
    is_there = not isinstance(results[0], DomainError) or not isinstance(results[1], DomainError)
    assert [info.key for info in shared.list("things")] == (["k"] if is_there else [])
    assert shared.sweep() == 0


def test_a_bucket_is_not_deleted_below_a_write(shared):
    results = together([write(shared, b"x"), lambda: shared.buckets.delete("things")])

    if isinstance(results[1], BucketNotEmpty):
        assert shared.open("things", "k").read() == b"x"
    else:
        assert isinstance(results[0], DomainError)
    assert shared.sweep() == 0


def test_one_of_many_creates_the_bucket(shared):
    results = together([lambda: shared.buckets.create("fresh", "us-east-1")] * 4)

    assert sum(isinstance(result, Conflict) for result in results) == 3
