"""Spool files become objects: at once, once, and whatever dies."""

import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

from farero.base.clock import ManualClock
from farero.endpoints.capture import CaptureSpool, CaptureTarget
from farero.endpoints.publish import HEAVY_BYTES, SOON_FULL_BYTES, CapturePublisher
from farero.objects.local import LocalObjects

TARGET = CaptureTarget(endpoint="iris", variant="AllTraffic", destination="s3://bucket/a/prefix/")


class Bench:
    """A spool, a publisher and the bucket between them."""

    def __init__(self, store, tmp_path):
        self.clock = ManualClock()
        self.root = tmp_path / "spool"
        self.objects_dir = tmp_path / "objects"
        self.objects = LocalObjects(store, self.objects_dir, self.clock, region="us-east-1")
        self.objects.ensure_bucket("bucket")
        self.spool = CaptureSpool(self.root, self.clock)
        self.publisher = self.new_publisher()

    def new_publisher(self):
        return CapturePublisher(self.root, self.objects, self.clock, every_s=1.0)

    def records(self):
        found = []
        for info in self.objects.list("bucket"):
            with self.objects.open("bucket", info.key) as body:
                found += body.read().decode().splitlines()
        return found

    def files(self):
        return list(self.root.glob("capture/*/*.jsonl"))


@pytest.fixture
def bench(store, tmp_path):
    made = Bench(store, tmp_path)
    yield made
    made.spool.close()


def test_a_record_is_an_object_at_the_next_tick_under_aws_key(bench):
    bench.spool.append(TARGET, b'{"n":1}\n')

    assert bench.publisher.publish_due() == 1

    (info,) = bench.objects.list("bucket")
    (path,) = bench.files()
    assert info.key == f"a/prefix/iris/AllTraffic/2026/01/05/10/{path.stem[14:]}.jsonl"
    assert info.content_type == "application/x-ndjson"
    assert bench.records() == ['{"n":1}']


def test_the_object_grows_with_its_file_but_not_at_every_tick(bench):
    bench.spool.append(TARGET, b"1\n")
    bench.publisher.publish_due()
    bench.spool.append(TARGET, b"2\n")

    assert bench.publisher.publish_due() == 0
    bench.clock.advance(seconds=1)
    assert bench.publisher.publish_due() == 1

    assert bench.records() == ["1", "2"]
    assert len(list(bench.objects.list("bucket"))) == 1


def test_a_large_file_is_put_less_often(bench):
    bench.spool.append(TARGET, b"1" * HEAVY_BYTES + b"\n")
    bench.publisher.publish_due()
    bench.spool.append(TARGET, b"2\n")

    put = []
    for _ in range(6):
        bench.clock.advance(seconds=1)
        bench.spool.append(TARGET, b"3\n")
        put.append(bench.publisher.publish_due())

    assert put == [0, 0, 1, 0, 0, 1]
    assert bench.records()[1:] == ["2", *["3"] * 6]


def test_a_file_that_is_full_soon_is_put_when_it_is_closed_or_after_a_while(bench):
    bench.spool.append(TARGET, b"1" * SOON_FULL_BYTES + b"\n")
    put = []
    for _ in range(4):
        put.append(bench.publisher.publish_due())
        bench.clock.advance(seconds=1)
    assert put == [0, 0, 0, 1]

    bench.spool.close()
    bench.publisher.publish_due()
    assert bench.files() == []

    bench.spool.append(TARGET, b"2" * SOON_FULL_BYTES + b"\n")
    assert bench.publisher.publish_due() == 0
    bench.spool.close()
    assert bench.publisher.publish_due() == 1
    assert bench.files() == []
    assert [record[0] for record in bench.records()] == ["1", "2"]


def test_a_closed_file_is_put_a_last_time_and_goes(bench):
    bench.spool.append(TARGET, b"1\n")
    bench.publisher.publish_due()
    bench.spool.append(TARGET, b"2\n")
    bench.spool.close()
    bench.clock.advance(seconds=1)

    bench.publisher.publish_due()

    assert bench.files() == []
    assert bench.records() == ["1", "2"]
    assert bench.publisher.publish_due() == 0


def test_a_closed_file_becomes_the_object_without_being_copied(bench):
    bench.spool.append(TARGET, b"1\n2\n")
    bench.spool.close()
    (path,) = bench.files()
    inode = path.stat().st_ino

    bench.publisher.publish_due()

    (info,) = bench.objects.list("bucket")
    with bench.objects.open("bucket", info.key) as body:
        assert body.read() == b"1\n2\n"
    assert info.size_bytes == 4
    assert re.fullmatch(r"[0-9a-f]{32}-1", info.etag)
    assert [p.stat().st_ino for p in bench.objects_dir.glob("?/?/*")] == [inode]
    assert bench.objects.sweep() == 0
    assert bench.records() == ["1", "2"]


def test_a_closed_file_is_copied_where_it_cannot_have_two_names(bench, monkeypatch):
    def refuse(*_args, **_named):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    bench.spool.append(TARGET, b"1\n")
    bench.spool.close()

    bench.publisher.publish_due()

    (info,) = bench.objects.list("bucket")
    assert info.etag == hashlib.md5(b"1\n", usedforsecurity=False).hexdigest()
    assert (bench.records(), bench.files()) == (["1"], [])


def test_an_open_file_stays_until_its_gateway_lets_go(bench):
    bench.spool.append(TARGET, b"1\n")
    for _ in range(3):
        bench.publisher.publish_due()
        bench.clock.advance(seconds=2)

    assert len(bench.files()) == 1


def test_a_publisher_that_died_anywhere_leaves_every_record_once(bench):
    bench.spool.append(TARGET, b"1\n")
    bench.publisher.publish_due()
    bench.spool.append(TARGET, b"2\n")
    bench.spool.close()

    after = bench.new_publisher()
    after.publish_due()

    assert bench.records() == ["1", "2"]
    assert bench.files() == []


KILLED = """
import os, sys
from pathlib import Path
from farero.base.clock import SystemClock
from farero.endpoints.capture import CaptureSpool, CaptureTarget
target = CaptureTarget(endpoint="iris", variant="AllTraffic", destination="s3://bucket/a")
CaptureSpool(Path(sys.argv[1]), SystemClock()).append(target, b"acknowledged\\n")
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_gateway_left_is_published(bench):
    subprocess.run([sys.executable, "-c", KILLED, bench.root], check=False)

    bench.publisher.publish_due()

    assert bench.records() == ["acknowledged"]
    assert bench.files() == []


def test_a_torn_last_line_is_left_out_counted_and_said(bench, caplog):
    bench.spool.append(TARGET, b"whole\n")
    bench.spool.close()
    (path,) = bench.files()
    with path.open("ab") as file:
        file.write(b'{"half')

    bench.publisher.publish_due()

    assert bench.records() == ["whole"]
    assert bench.publisher.stats()["torn_records"] == 1
    assert "half-written capture record left out" in caplog.text


def test_records_wait_for_a_missing_bucket_and_the_failure_shows(bench, caplog):
    lost = CaptureTarget(endpoint="e", variant="v", destination="s3://nowhere/x")
    bench.spool.append(lost, b"1\n")
    bench.spool.close()

    assert bench.publisher.publish_due() == 0

    stats = bench.publisher.stats()
    assert stats["failed_puts"] == 1
    assert stats["waiting_bytes"] == 2
    assert "nowhere" in stats["last_error"]
    assert "captured records not published" in caplog.text
    bench.objects.ensure_bucket("nowhere")
    bench.clock.advance(seconds=6)
    assert bench.publisher.publish_due() == 1
    assert [info.key for info in bench.objects.list("nowhere")]


def test_two_gateways_write_side_by_side(bench):
    other = CaptureSpool(bench.root, bench.clock)
    for number in range(10):
        bench.spool.append(TARGET, f"a{number}\n".encode())
        other.append(TARGET, f"b{number}\n".encode())
    other.close()
    bench.spool.close()

    bench.publisher.publish_due()

    expected = [f"{gateway}{number}" for gateway in "ab" for number in range(10)]
    assert sorted(bench.records()) == expected


def test_a_file_that_is_being_made_is_not_taken_for_an_orphan(bench):
    bench.spool.append(TARGET, b"1\n")
    (path,) = bench.files()
    hidden = path.with_name("2026-01-05-10-00-00-001-x.new")
    with hidden.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        bench.publisher.publish_due()

        assert hidden.exists()
    assert json.loads((path.parent / "target.json").read_text())["bucket"] == "bucket"
