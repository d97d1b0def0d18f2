"""What was learned of a baseline with labels goes along with its other files into every run of a schedule."""

import pytest

from farero.records.monitoring import MonitoringType
from farero.store import jobs as job_rows

HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "b",
    "MonitoringType": "DataQuality",
}


@pytest.mark.parametrize("labelled", [True, False], ids=["with labels", "without"])
def test_the_job_gets_what_was_learned_of_a_baseline(watch, labelled):
    for file in ("constraints.json", *(["baseline.estimate"] if labelled else [])):
        watch.objects.put("data", f"base/{file}", b'{"features": []}')
    told = {"ConstraintsResource": {"S3Uri": "s3://data/base/constraints.json"}}
    watch.define(MonitoringType.DATA_QUALITY, "b", DataQualityBaselineConfig=told)
    watch.capture(watch.clock.now())
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)

    watch.settle()

    with watch.store.read() as db:
        spec = job_rows.processing.get(db, watch.executions()[0].job).spec
    given = {one.local_path: one.s3_uri for one in spec.inputs}
    place = spec.environment.get("baseline_estimate")
    assert (place is not None) == labelled
    assert given.get(place) == ("s3://data/base/baseline.estimate" if labelled else None)
