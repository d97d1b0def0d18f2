"""Captured records: exactly AWS's bytes, and what comes back out of them."""

import base64
import datetime as dt
import fcntl
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base.clock import ManualClock
from farero.endpoints.capture import CaptureSpool, CaptureTarget, is_sampled
from farero.endpoints.capture_lines import Invocation, Payload, Recorder, ending_at, make_record
from farero.endpoints.publish import object_key

AT = dt.datetime(2022, 4, 18, 0, 21, 48, 123456, tzinfo=dt.UTC)


def target(**changes):
    facts = {
        "endpoint": "iris",
        "variant": "AllTraffic",
        "destination": "s3://bucket/prefix",
        "csv_types": frozenset({"text/csv"}),
        "json_types": frozenset({"application/json"}),
    }
    return CaptureTarget(**(facts | changes))


def invocation(**changes):
    facts = {
        "event_id": "f04a8538-696c-4648-8064-8b680b2e3318",
        "at": AT,
        "request": Payload(content_type="text/csv", body=b"1.0,2.5,x"),
        "response": Payload(content_type="text/csv; charset=utf-8", body=b"0.0363977"),
    }
    return Invocation(**(facts | changes))


BODIES = st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode))
KINDS = st.sampled_from([None, "text/csv", "application/json", "Text/CSV; charset=utf-8", "x/y"])
GIVEN = st.one_of(st.none(), st.text(max_size=9))


@given(BODIES, BODIES, KINDS, KINDS, GIVEN, GIVEN, st.booleans(), st.booleans())
def test_recorder_writes_what_a_record_by_itself_would_be(
    body, answer, kind, answer_kind, inference_id, attributes, has_input, has_output
):
    aim = target(captures_input=has_input, captures_output=has_output)
    one = invocation(
        request=Payload(kind, body),
        response=Payload(answer_kind, answer),
        inference_id=inference_id,
        custom_attributes=attributes,
    )

    recorder = Recorder(aim, kind, answer_kind, inference_id, attributes)
    line = recorder.line(one.event_id.encode(), AT, ending_at(AT), body, answer)

    assert line == make_record(aim, one)


def test_record_is_byte_for_byte_what_aws_writes():
    # The example of the data capture reference, observed on AWS.
    record = make_record(target(), invocation(inference_id="caller-1", custom_attributes="k=v"))

    assert record == (
        b'{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"1.0,2.5,x",'
        b'"encoding":"CSV"},"endpointOutput":{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT",'
        b'"data":"0.0363977","encoding":"CSV"}},"eventMetadata":{"eventId":"f04a8538-696c-4648-8064-8b680b2e3318",'
        b'"inferenceId":"caller-1","customAttributes":["k=v"],"inferenceTime":"2022-04-18T00:21:48Z"},'
        b'"eventVersion":"0"}\n'
    )


def test_ids_and_attributes_are_left_out_when_the_caller_gave_none():
    record = json.loads(make_record(target(), invocation()))

    assert list(record["eventMetadata"]) == ["eventId", "inferenceTime"]


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/csv", "CSV"),
        ("text/csv; charset=utf-8", "CSV"),
        ("TEXT/CSV", "CSV"),
        ("application/json", "JSON"),
        ("application/json;charset=utf-8", "JSON"),
        ("application/x-npy", "BASE64"),
        ("text/html; charset=utf-8", "BASE64"),
        (None, "BASE64"),
    ],
)
def test_encoding_follows_the_content_type_without_its_parameters(content_type, encoding):
    request = Payload(content_type=content_type, body=b'{"a": "1,2"}')

    half = json.loads(make_record(target(), invocation(request=request)))["captureData"][
        "endpointInput"
    ]

    assert half["encoding"] == encoding
    assert half.get("observedContentType") == content_type


def test_everything_is_base64_without_a_content_type_header():
    bare = target(csv_types=frozenset(), json_types=frozenset())

    half = json.loads(make_record(bare, invocation()))["captureData"]["endpointInput"]

    assert half["data"] == base64.b64encode(b"1.0,2.5,x").decode()
    assert half["encoding"] == "BASE64"


def test_several_rows_stay_one_record():
    request = Payload(content_type="text/csv", body=b"1,2\n3,4\n")

    record = make_record(target(), invocation(request=request))

    assert record.count(b"\n") == 1
    assert json.loads(record)["captureData"]["endpointInput"]["data"] == "1,2\n3,4\n"


def test_an_error_leaves_the_input_alone():
    record = json.loads(make_record(target(), invocation(response=None)))

    assert list(record["captureData"]) == ["endpointInput"]


@pytest.mark.parametrize(
    ("modes", "halves"),
    [
        ({"captures_output": False}, ["endpointInput"]),
        ({"captures_input": False}, ["endpointOutput"]),
        ({}, ["endpointInput", "endpointOutput"]),
    ],
)
def test_only_what_was_asked_for_is_captured(modes, halves):
    assert list(json.loads(make_record(target(**modes), invocation()))["captureData"]) == halves


def _decoded(half):
    if half["encoding"] == "BASE64":
        return base64.b64decode(half["data"])
    return half["data"].encode()


@given(
    body=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
    kind=st.sampled_from(["text/csv", "application/json", "application/x-npy", None]),
    attributes=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=50),
)
def test_every_payload_comes_back_as_it_was(body, kind, attributes):
    payload = Payload(content_type=kind, body=body)

    line = make_record(
        target(), invocation(request=payload, response=payload, custom_attributes=attributes)
    )

    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    record = json.loads(line)
    assert _decoded(record["captureData"]["endpointInput"]) == body
    assert _decoded(record["captureData"]["endpointOutput"]) == body
    assert record["eventMetadata"].get("customAttributes", [None]) == [attributes]


def test_sampling_takes_about_its_share():
    draws = iter([number / 1000 for number in range(1000)])

    taken = sum(is_sampled(target(percentage=20.0), lambda: next(draws)) for _ in range(1000))

    assert taken == 200


def test_key_has_the_layout_of_aws():
    stem = "2022-04-18-00-20-48-871-0b7bfd33-c8a7-4adf-a09a-98fd0af79974"

    assert object_key("datacapture", "DEMO-x", "AllTraffic", stem) == (
        "datacapture/DEMO-x/AllTraffic/2022/04/18/00/20-48-871-0b7bfd33-c8a7-4adf-a09a-98fd0af79974.jsonl"
    )
    assert object_key("", "e", "v", stem).startswith("e/v/2022/")


@pytest.fixture
def spool(tmp_path):
    clock = ManualClock()
    made = CaptureSpool(tmp_path, clock)
    made.clock = clock
    yield made
    made.close()


def files(tmp_path):
    return sorted((tmp_path / "capture").glob("*/*.jsonl"))


def test_a_record_is_in_its_file_when_append_returns(spool, tmp_path):
    assert spool.append(target(), b"one\n")
    assert spool.append(target(), b"two\n")

    (path,) = files(tmp_path)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.name.startswith("2026-01-05-10-00-00-000-")
    assert json.loads((path.parent / "target.json").read_text()) == {
        "bucket": "bucket",
        "prefix": "prefix",
        "endpoint": "iris",
        "variant": "AllTraffic",
        "kms_key_id": "",
    }


def test_a_file_is_locked_while_it_is_written_and_free_afterwards(spool, tmp_path):
    spool.append(target(), b"one\n")
    (path,) = files(tmp_path)

    with path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        spool.close()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


@pytest.mark.parametrize("step", [{"seconds": 60}, {"minutes": 61}], ids=["minute", "hour"])
def test_a_file_ends_after_a_minute(spool, tmp_path, step):
    spool.append(target(), b"one\n")
    spool.clock.advance(**step)
    spool.append(target(), b"two\n")

    assert [path.read_bytes() for path in files(tmp_path)] == [b"one\n", b"two\n"]


def test_a_file_ends_with_its_hour(tmp_path):
    clock = ManualClock(dt.datetime(2026, 1, 5, 10, 59, 59, tzinfo=dt.UTC))
    spool = CaptureSpool(tmp_path, clock)
    spool.append(target(), b"one\n")
    clock.advance(seconds=2)
    spool.append(target(), b"two\n")
    spool.close()

    assert [path.name[:13] for path in files(tmp_path)] == ["2026-01-05-10", "2026-01-05-11"]


def test_a_file_ends_at_four_mebibytes(spool, tmp_path):
    for _ in range(5):
        spool.append(target(), b"x" * (1024 * 1024 - 1) + b"\n")

    assert [path.stat().st_size for path in files(tmp_path)] in (
        [4 << 20, 1 << 20],
        [1 << 20, 4 << 20],
    )


def test_a_full_file_is_brought_to_the_disk_and_closed_by_a_sync_not_by_a_request(spool, tmp_path):
    for _ in range(5):
        spool.append(target(), b"x" * (1024 * 1024 - 1) + b"\n")
    full = max(files(tmp_path), key=lambda path: path.stat().st_size)

    with full.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert spool.is_dirty
        spool.sync()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not spool.is_dirty


def test_closing_frees_what_nobody_writes_to(spool, tmp_path):
    spool.append(target(), b"one\n")
    spool.clock.advance(seconds=61)
    assert spool.retire_old()
    spool.close_retired()

    (path,) = files(tmp_path)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_record_that_cannot_be_written_is_counted_and_said(tmp_path, caplog):
    (tmp_path / "capture").write_text("a file where the folder should be")
    spool = CaptureSpool(tmp_path, ManualClock())

    assert not spool.append(target(), b"one\n")

    assert spool.stats()["dropped"] == 1
    assert spool.stats()["last_error"]
    assert [record.message for record in caplog.records] == ["capture record dropped"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from farero.base.clock import SystemClock
from farero.endpoints.capture import CaptureSpool, CaptureTarget
target = CaptureTarget(endpoint="e", variant="v", destination="s3://bucket/prefix")
spool = CaptureSpool(Path(sys.argv[1]), SystemClock())
assert spool.append(target, b"one\\n")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
assert not spool.append(target, b"a record too long\\n")
assert spool.stats()["dropped"] == 1
"""


def test_a_full_disk_leaves_no_half_record(tmp_path):
    # A limit on the size of files meets the writer half-way, as a full disk does.
    subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], check=True)

    (path,) = files(tmp_path)
    assert path.read_bytes() == b"one\n"


ROOM_FOR_TWO = (
    FULL_DISK.partition("assert not spool")[0].replace("(10, 10)", "(13, 13)")
    + """
now = SystemClock().now()
for line in (b"two\\n", b"three\\n", b"four\\n"):
    spool.gather(target, [line], now)
spool.flush()
assert (spool.stats()["recorded"], spool.dropped) == (3, 1), spool.stats()
"""
)


def test_of_records_that_are_written_together_a_full_disk_takes_those_that_fit(tmp_path):
    subprocess.run([sys.executable, "-c", ROOM_FOR_TWO, tmp_path], check=True)

    (path,) = files(tmp_path)
    assert path.read_bytes() == b"one\ntwo\nfour\n"


def test_gathered_records_are_written_when_their_file_is_closed(spool, tmp_path):
    for line in (b"one\n", b"two\n"):
        spool.gather(target(), [line], spool.clock.now())
    assert files(tmp_path)[0].read_bytes() == b""

    spool.close()

    assert files(tmp_path)[0].read_bytes() == b"one\ntwo\n"
