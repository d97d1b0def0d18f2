"""What a window holds in S3, and what an execution without data says."""

import datetime as dt
import json

import pytest

from farero.monitoring import captured
from farero.objects.local import LocalObjects
from farero.records.job import JobStatus
from farero.records.monitoring import ExecutionStatus

UTC = dt.UTC
HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "d",
}
PLACE = captured.place("s3://data/captured/", "price")


def at(day, hour, minute=0):
    return dt.datetime(2026, 1, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def objects(store, clock, tmp_path):
    made = LocalObjects(store, tmp_path / "objects", clock)
    made.ensure_bucket("data")
    return made


def put(objects, variant, moment, *times):
    lines = [json.dumps({"eventMetadata": {"inferenceTime": f"{t:%Y-%m-%dT%H:%M:%SZ}"}}) for t in times]  # fmt: skip
    body = "".join(f"{line}\n" for line in lines).encode() or b"x"
    objects.put("data", f"captured/price/{variant}/{moment:%Y/%m/%d/%H/%M-%S}-000-u.jsonl", body)


def test_the_hours_of_every_variant_are_found_and_no_others(objects):
    for variant in ("A", "A-2", "A0", "B"):
        for hour in (9, 10, 11):
            put(objects, variant, at(5, hour))
    objects.put("data", "captured/price-2/A/2026/01/05/10/00-00-000-u.jsonl", b"x")
    found = captured.folders(objects, PLACE, at(5, 10), at(5, 11))
    assert [one.path for one in found] == [
        f"price/{variant}/2026/01/05/10" for variant in ("A-2", "A", "A0", "B")
    ]
    assert found[0].uri.startswith("s3://data/captured/price/A")


def test_a_window_of_minutes_holds_files_that_were_open_in_it(objects, clock):
    hour = clock.now().replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
    clock.advance(seconds=(hour - clock.now()).total_seconds() + 10 * 60)
    put(objects, "A", hour + dt.timedelta(minutes=9))  # written at :10

    def minutes(start, end):
        window = (hour + dt.timedelta(minutes=start), hour + dt.timedelta(minutes=end))
        return len(captured.folders(objects, PLACE, *window))

    assert [minutes(8, 9), minutes(9, 10), minutes(10, 11), minutes(11, 12)] == [0, 1, 1, 0]


def test_labels_and_batches_lie_right_below_their_prefix(objects):
    objects.put("data", "labels/2026/01/05/10/x.jsonl", b"x")
    found = captured.folders(objects, captured.place("s3://data/labels"), at(5, 9), at(6, 0))
    assert found == [captured.Folder("s3://data/labels/2026/01/05/10/", "2026/01/05/10")]


@pytest.mark.parametrize("before", [at(5, 12), at(7, 0), at(31, 23)])
def test_the_last_record_before_a_moment_is_found_in_whatever_hour_it_lies(objects, before):
    put(objects, "A", at(4, 23), at(4, 23, 1))
    put(objects, "B", at(5, 10, 58), at(5, 10, 58), at(5, 11, 3))
    put(objects, "A", at(31, 23, 30), at(31, 23, 30))
    assert captured.find_last(objects, PLACE, before) == at(5, 11, 3)


def test_there_may_be_no_last_record(objects):
    put(objects, "A", at(5, 10), at(5, 10))
    assert captured.find_last(objects, PLACE, at(5, 10)) is None
    assert captured.find_last(objects, captured.place("s3://data/x", "price"), at(5, 10)) is None


def test_a_file_that_tells_no_time_counts_as_when_it_was_begun(objects):
    put(objects, "A", at(5, 10, 7))
    assert captured.find_last(objects, PLACE, at(6, 0)) == at(5, 10, 7)


def test_an_execution_without_data_says_when_the_last_record_came(watch):
    first = watch.clock.now()
    watch.capture(first)
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=2, minutes=1)
    watch.settle()
    failed = watch.executions()[1]
    assert failed.status is ExecutionStatus.FAILED
    assert failed.failure_reason.startswith('No S3 objects found under S3 URL "s3://data/captured/price"')  # fmt: skip
    assert failed.failure_reason.endswith(
        f"The window was {failed.start:%Y-%m-%dT%H:%M:%SZ} to {failed.end:%Y-%m-%dT%H:%M:%SZ}. "
        f"The last record before it came at {first:%Y-%m-%dT%H:%M:%SZ}."
    )
    assert len(failed.failure_reason) <= 1024


def test_an_endpoint_that_never_captured_anything_is_told_as_such(watch):
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    assert watch.executions()[0].failure_reason.endswith("No record came before it.")


def test_a_job_that_finds_no_record_in_its_folder_says_when_the_last_one_came(watch):
    watch.capture(watch.clock.now())
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.worker.run_due()
    watch.finish(None, status=JobStatus.FAILED, failure_reason="No record was captured.")
    watch.clock.advance(seconds=2)
    watch.worker.run_due()
    (failed,) = watch.executions()
    assert failed.failure_reason.startswith("No record was captured. The window was ")
    assert failed.failure_reason.endswith("No record came before it.")
