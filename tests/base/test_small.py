"""ARNs, ids, clocks and log lines."""

import logging
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farero.base import arns, ids
from farero.base.clock import ManualClock, SystemClock
from farero.base.errors import Invalid
from farero.base.logs import KeyValueFormatter


@given(bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}", fullmatch=True), key=st.text())
def test_an_s3_uri_comes_apart_as_it_was_put_together(bucket, key):
    assert arns.parse_s3_uri(f"s3://{bucket}/{key}") == (bucket, key)


@pytest.mark.parametrize("text", ["", "s3:/b/k", "https://b/k", "s3://", "s3:///k"])
def test_what_is_no_s3_uri_is_refused(text):
    with pytest.raises(Invalid):
        arns.parse_s3_uri(text)


def test_names_in_sagemaker_arns_are_lower_cased():
    arn = arns.sagemaker_arn("us-east-1", "123456789012", "endpoint", "My-Endpoint")

    assert arn == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint"


def test_ids_have_aws_shapes():
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", ids.unique_id("AKIA"))
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", ids.secret_key())
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids.new_uuid()
    )
    assert len({ids.new_uuid() for _ in range(1000)}) == 1000

    sources = ids.Uuids(), ids.Uuids()
    many = [source() for _ in range(10_000) for source in sources]
    assert len(set(many)) == len(many)
    assert all(uuid.UUID(one).version == 4 and str(uuid.UUID(one)) == one for one in many)


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock()
    start = clock.now()

    clock.advance(hours=1)
    clock.sleep(30)

    assert (clock.now() - start).total_seconds() == 3630
    assert clock.monotonic() == 3630


def test_the_system_clock_is_aware_and_runs_forward():
    clock = SystemClock()

    assert clock.now().utcoffset().total_seconds() == 0
    assert clock.monotonic() <= clock.monotonic()


def test_a_log_line_ends_with_its_facts():
    record = logging.makeLogRecord(
        {"name": "farero.x", "levelname": "INFO", "msg": "endpoint in service"}
    )
    record.endpoint = "iris"

    assert (
        KeyValueFormatter()
        .format(record)
        .endswith("INFO farero.x endpoint in service endpoint=iris")
    )
