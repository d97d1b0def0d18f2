"""A schedule is looked at when it is made: certain mistakes are refused, likely ones told in its log."""

import json

import pytest

from farero.base.errors import Invalid
from farero.monitoring.checks import LOG_GROUP
from farero.records.monitoring import MonitoringType
from farero.store import endpoints as endpoint_rows
from farero.telemetry.logs import Logs, Window

DATA = MonitoringType.DATA_QUALITY
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CONFIG = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "c",
}
CONSTRAINTS = "s3://data/baseline/constraints.json"


def resource(uri=CONSTRAINTS):
    return {"DataQualityBaselineConfig": {"ConstraintsResource": {"S3Uri": uri}}}


def output(uri):
    place = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/output"}
    return {"DataQualityJobOutputConfig": {"MonitoringOutputs": [{"S3Output": place}]}}


def create(watch, **changes):
    watch.define(DATA, "c", **changes)
    return watch.schedules.create(watch.ctx(), "s", CONFIG, ())


def baseline(watch, *names):
    features = [{"name": name} for name in names]
    watch.objects.put("data", "baseline/constraints.json", json.dumps({"features": features}).encode())  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (resource("s3://data/nothing.json"), "Could not find s3://data/nothing.json of ConstraintsResource"),
        (resource("s3://nowhere/x.json"), "Could not find s3://nowhere/x.json of ConstraintsResource"),
        (resource("s3://data/broken.json"), "are no JSON object: "),
        (resource("s3://data/list.json"), "are no JSON object"),
        (resource("s3://data/other.json"), "have no list of features"),
        ({"DataQualityBaselineConfig": {"BaseliningJobName": "j"}}, "Could not find the processing job j"),
        (output("s3://nowhere/x"), "Could not find the bucket 'nowhere' of MonitoringOutputs"),
        ({"DataQualityAppSpecification": {"ImageUri": "me/mine:1"}}, "cannot run here"),
        (
            {"DataQualityAppSpecification": {"ImageUri": IMAGE, "RecordPreprocessorSourceUri": "s3://data/p.py"}},
            "Could not find s3://data/p.py of RecordPreprocessorSourceUri",
        ),
        (
            {"DataQualityJobInput": {"EndpointInput": {"EndpointName": "gone", "LocalPath": "/opt/ml/x"}}},
            'Could not find endpoint "gone"',
        ),
    ],
)  # fmt: skip
def test_what_can_never_run_is_refused_and_leaves_nothing(watch, changes, said):
    for name, content in (("broken", b"{"), ("list", b"[]"), ("other", b"{}")):
        watch.objects.put("data", f"{name}.json", content)
    with pytest.raises(Invalid) as caught:
        create(watch, **changes)
    assert said in str(caught.value)
    assert watch.executions() == []
    watch.definitions.delete(DATA, "c")  # no schedule uses it


def test_an_endpoint_that_captures_nothing_is_refused(watch):
    with watch.store.begin() as db:
        found = endpoint_rows.find(db, "price")
        found.current.config["DataCaptureConfig"]["EnableCapture"] = False
        endpoint_rows.update(db, found)
    with pytest.raises(Invalid, match="captures nothing"):
        create(watch)


def told(watch):
    logs = Logs(watch.store, watch.clock)
    if not logs.groups(prefix=LOG_GROUP):
        return []
    return [event.message for event in logs.read_page(LOG_GROUP, "s", Window()).events]


def capture(watch, request, answer="3.5"):
    halves = {"endpointInput": {"data": request, "encoding": "CSV"}, "endpointOutput": {"data": answer, "encoding": "CSV"}}  # fmt: skip
    at = watch.clock.now()
    key = f"captured/price/A/{at:%Y/%m/%d/%H/%M-%S}-000-x.jsonl"
    watch.objects.put("data", key, json.dumps({"captureData": halves}).encode() + b"\n{broken\n")
    watch.clock.advance(minutes=1)


def test_a_baseline_without_the_answer_is_told_in_the_schedules_log(watch):
    baseline(watch, *(f"f{number}" for number in range(11)))
    capture(watch, ",".join("1" * 11))
    create(watch, **resource())
    (line,) = told(watch)
    assert line.startswith(
        "WARNING A captured record has 12 columns (1 of the answer, then 11 of the request), the "
        "baseline 11: the baseline lacks the model's answer, which comes first in a record."
    )
    watch.clock.advance(minutes=1)
    watch.schedules.update(watch.ctx(), "s", CONFIG)
    assert len(told(watch)) == 2


def test_a_baseline_that_fits_and_one_nothing_was_captured_for_are_told_nothing(watch):
    baseline(watch, "price", "rooms")
    create(watch, **resource())
    watch.schedules.delete("s")
    capture(watch, "1")
    watch.schedules.create(watch.ctx(), "s", CONFIG, ())
    assert told(watch) == []
