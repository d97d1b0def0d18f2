"""Captured records read back: of all variants in the order of time, or of one, from spool and objects alike."""

import datetime as dt
import json

import pytest

from farero.base.clock import ManualClock
from farero.endpoints.capture import CaptureSpool, CaptureTarget
from farero.endpoints.spooled import read_after
from farero.objects.local import LocalObjects
from farero.records.endpoint import Endpoint, EndpointStatus, Fleet
from farero.store import endpoints

NOW = dt.datetime(2026, 5, 1, 10, tzinfo=dt.UTC)
CAPTURE = {
    "DestinationS3Uri": "s3://bucket/a", "InitialSamplingPercentage": 100, "CaptureOptions": [],
}  # fmt: skip


def line(number):
    at = f"2026-05-01T10:00:{number:02}Z"
    metadata = {"customAttributes": ['"inferenceTime":"9999'], "inferenceTime": at}
    return json.dumps({"n": number, "eventMetadata": metadata}, separators=(",", ":"))


class Bench:
    """Two variants of one endpoint: records 0 and 3 of `blue` and 1 and 2 of `green` are objects, 4 to 7 in the spool."""

    def __init__(self, store, folder):
        self.store, self.folder = store, folder
        self.objects = LocalObjects(store, folder / "objects", ManualClock(), region="us-east-1")
        self.objects.ensure_bucket("bucket")
        self.spool = CaptureSpool(folder, ManualClock())
        fleet = Fleet(
            generation=1, config_name="c", config={"DataCaptureConfig": CAPTURE}, variants=(), began_at=NOW
        )  # fmt: skip
        made = Endpoint(
            name="iris", arn="arn", status=EndpointStatus.IN_SERVICE, created_at=NOW, modified_at=NOW, current=fleet
        )  # fmt: skip
        with store.begin() as db:
            endpoints.insert(db, made)
        for variant, old, new in (("blue", (0, 3), (4, 7)), ("green", (1, 2), (5, 6))):
            for number in old:
                key = f"a/iris/{variant}/2026/05/01/10/00-{number:02}-000-x.jsonl"
                self.objects.put("bucket", key, f"{line(number)}\n".encode())
            target = CaptureTarget(endpoint="iris", variant=variant, destination="s3://bucket/a")
            for number in new:
                self.spool.append(target, f"{line(number)}\n".encode())

    def read(self, *, last=99, variant="", position=""):
        found, after = read_after(
            self.store, self.objects, self.folder, "iris", position, last, variant
        )
        return [(json.loads(one.line)["n"], one.variant) for one in found], after


@pytest.fixture
def bench(store, tmp_path):
    made = Bench(store, tmp_path)
    yield made
    made.spool.close()


def test_records_of_all_variants_come_in_the_order_of_time(bench):
    found, _ = bench.read()

    assert [number for number, _ in found] == list(range(8))
    assert {variant for number, variant in found if number in (0, 3, 4, 7)} == {"blue"}


@pytest.mark.parametrize(
    ("variant", "expected"), [("blue", [0, 3, 4, 7]), ("green", [1, 2, 5, 6]), ("red", [])]
)
def test_records_of_one_variant_alone(bench, variant, expected):
    found, _ = bench.read(variant=variant)

    assert found == [(number, variant) for number in expected]


def test_the_last_ones_are_the_newest_whichever_variant_had_them(bench):
    assert [number for number, _ in bench.read(last=3)[0]] == [5, 6, 7]
    assert [number for number, _ in bench.read(last=6)[0]] == [2, 3, 4, 5, 6, 7]
    assert [number for number, _ in bench.read(last=3, variant="blue")[0]] == [3, 4, 7]


def test_what_came_after_a_position_of_one_variant(bench):
    _, position = bench.read(variant="blue")
    for variant, number in (("green", 8), ("blue", 9)):
        target = CaptureTarget(endpoint="iris", variant=variant, destination="s3://bucket/a")
        bench.spool.append(target, f"{line(number)}\n".encode())

    assert bench.read(variant="blue", position=position)[0] == [(9, "blue")]
