"""Runs that need labels: they are merged with what was captured, then judged; each step once, whatever dies between."""

import datetime as dt

import pytest

from farero.base.errors import Invalid
from farero.monitoring.requests import job_name, merge_name
from farero.records.job import JobStatus
from farero.records.monitoring import ExecutionStatus, MonitoringType

QUALITY = MonitoringType.MODEL_QUALITY
ENDPOINT = {"EndpointName": "price", "LocalPath": "/opt/ml/processing/input_data", "InferenceAttribute": "0"}  # fmt: skip
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
HOURLY = {
    "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
    "MonitoringJobDefinitionName": "q",
    "MonitoringType": "ModelQuality",
}


BATCH = {
    "DataCapturedDestinationS3Uri": "s3://data/batches/", "LocalPath": "/opt/ml/x", "DatasetFormat": {"Csv": {}},
}  # fmt: skip


def define(watch, **offsets):
    return watch.define(
        QUALITY, "q",
        ModelQualityAppSpecification={"ImageUri": IMAGE, "ProblemType": "Regression"},
        ModelQualityJobInput={
            "EndpointInput": ENDPOINT | offsets, "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
        },
    )  # fmt: skip


@pytest.fixture
def labelled(watch):
    """An hour's captures with their labels, and an hourly schedule of model quality; the run is due."""
    watch.captured_at = watch.clock.now()
    watch.capture(watch.captured_at)
    watch.label(watch.captured_at)
    define(watch)
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    return watch


def only(watch):
    (one,) = watch.executions()
    return one


def test_labels_are_merged_then_judged(labelled):
    labelled.worker.run_due()
    first = only(labelled)
    (merging,) = labelled.jobs()
    assert (first.status, first.merge_job, first.job) == (
        ExecutionStatus.IN_PROGRESS, merge_name(first), "",
    )  # fmt: skip
    assert first.job_arn == merging.arn
    hour = f"{first.start:%Y/%m/%d/%H}"
    assert merging.spec.image.endswith("/sagemaker-model-monitor-groundtruth-merger")
    assert merging.spec.environment == {
        "dataset_source": "/opt/ml/processing/input_data",
        "ground_truth_source": "/opt/ml/processing/groundtruth",
        "output_path": "/opt/ml/processing/output",
    }
    assert [(one.s3_uri, one.local_path) for one in merging.spec.inputs] == [
        (f"s3://data/labels/{hour}/", f"/opt/ml/processing/groundtruth/{hour}"),
        (
            f"s3://data/captured/price/AllTraffic/{hour}/",
            f"/opt/ml/processing/input_data/price/AllTraffic/{hour}",
        ),
    ]
    assert merging.spec.outputs[0].s3_uri == "s3://data/reports/merge"

    labelled.merge(labelled.captured_at)
    labelled.settle("CompletedWithViolations: Job completed successfully with 1 violations.")

    done = only(labelled)
    assert done.status is ExecutionStatus.WITH_VIOLATIONS
    _, analysis = labelled.jobs()
    assert (analysis.name, analysis.arn) == (job_name(done), done.job_arn)
    assert analysis.name.startswith("model-quality-monitoring-")
    assert (
        analysis.spec.environment.items()
        >= {
            "analysis_type": "MODEL_QUALITY",
            "problem_type": "Regression",
            "inference_attribute": "0",
            "dataset_format": '{"sagemakerMergeJson":{"captureIndexNames":["endpointOutput"]}}',
            "start_time": f"{done.start:%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{done.end:%Y-%m-%dT%H:%M:%SZ}",
            "sagemaker_endpoint_name": "price",
        }.items()
    )
    assert [(one.s3_uri, one.local_path) for one in analysis.spec.inputs] == [
        (
            f"s3://data/reports/merge/price/AllTraffic/{hour}/",
            f"/opt/ml/processing/input_data/price/AllTraffic/{hour}",
        )
    ]
    assert analysis.spec.outputs[0].s3_uri == f"s3://data/reports/price/s/{done.scheduled_at:%Y/%m/%d/%H}"  # fmt: skip


@pytest.mark.parametrize("step", ["merge", "analysis"])
def test_a_death_between_job_and_row_loses_and_doubles_nothing(labelled, monkeypatch, step):
    labelled.merge(labelled.captured_at)
    if step == "analysis":
        labelled.worker.run_due()
        labelled.finish("Completed: merged")
        labelled.clock.advance(seconds=2)

    def die(*_, **__):
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(labelled.runs, "_save", die)
        labelled.worker.run_due()
    before = only(labelled)
    assert (before.merge_job == "", before.job) == (step == "merge", "")
    assert len(labelled.jobs()) == (1 if step == "merge" else 2)

    labelled.restart()
    labelled.clock.advance(minutes=1)
    labelled.settle()

    done = only(labelled)
    assert done.status is ExecutionStatus.COMPLETED
    assert {job.name for job in labelled.jobs()} == {done.merge_job, done.job}


def test_an_update_between_the_two_jobs_does_not_reach_the_run_under_way(labelled):
    labelled.merge(labelled.captured_at)
    labelled.worker.run_due()
    labelled.schedules.update(
        labelled.ctx(), "s", {"MonitoringJobDefinitionName": "d", **_daily("DataQuality")}
    )
    labelled.definitions.delete(QUALITY, "q")
    labelled.settle()
    assert only(labelled).job.startswith("model-quality-monitoring-")
    assert only(labelled).status is ExecutionStatus.COMPLETED


def _daily(kind):
    return {"ScheduleConfig": {"ScheduleExpression": "cron(0 0 ? * * *)"}, "MonitoringType": kind}


def test_labels_that_come_late_are_found_up_to_the_run(watch):
    began = watch.clock.now()
    watch.capture(began)
    watch.merge(began)
    define(watch, StartTimeOffset="-PT5H", EndTimeOffset="-PT1H")
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=3)
    watch.label(watch.clock.now())  # hours later
    watch.clock.advance(hours=1)
    watch.settle()
    last = watch.executions()[-1]
    assert last.start == last.scheduled_at - dt.timedelta(hours=5)
    assert last.end == last.scheduled_at - dt.timedelta(hours=1)
    assert last.status is ExecutionStatus.COMPLETED
    (merging,) = [job for job in watch.jobs() if job.name == last.merge_job]
    assert "/labels/" in merging.spec.inputs[0].s3_uri


def test_without_labels_the_run_says_where_it_looked(watch):
    watch.capture(watch.clock.now())
    define(watch)
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    failed = only(watch)
    assert failed.status is ExecutionStatus.FAILED
    assert 'No S3 objects found under S3 URL "s3://data/labels"' in failed.failure_reason
    assert f"{failed.start:%Y-%m-%dT%H:00Z} to {failed.scheduled_at:%Y-%m-%dT%H:00Z}" in failed.failure_reason  # fmt: skip
    assert watch.jobs() == []


def test_labels_of_other_records_are_told_as_such(labelled):
    labelled.settle("Completed: 0 of 5 records have a label")
    failed = only(labelled)
    assert failed.status is ExecutionStatus.FAILED
    assert "No record that endpoint price captured from" in failed.failure_reason
    assert failed.failure_reason.endswith("Completed: 0 of 5 records have a label")


def test_a_merge_that_fails_says_why(labelled):
    labelled.worker.run_due()
    labelled.finish(None, status=JobStatus.FAILED, failure_reason="no such thing")
    labelled.clock.advance(seconds=2)
    labelled.worker.run_due()
    failed = only(labelled)
    assert failed.status is ExecutionStatus.FAILED
    assert failed.failure_reason == "Labels could not be merged with what was captured: no such thing"  # fmt: skip


@pytest.mark.parametrize(
    ("job_input", "said"),
    [
        ({"EndpointInput": ENDPOINT}, "needs GroundTruthS3Input"),
        ({"GroundTruthS3Input": {"S3Uri": "s3://data/labels"}}, "Exactly one of EndpointInput"),
        (
            {
                "EndpointInput": ENDPOINT | {"StartTimeOffset": "-PT1H", "EndTimeOffset": "-P1D"},
                "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
            },
            "must lie further back",
        ),
        (
            {
                "BatchTransformInput": BATCH | {"DatasetFormat": {"Parquet": {}}},
                "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
            },
            "DatasetFormat cannot be Parquet",
        ),
        ({"BatchTransformInput": BATCH}, "needs GroundTruthS3Input"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_when_it_is_defined(watch, job_input, said):
    with pytest.raises(Invalid, match=said):
        watch.define(
            QUALITY, "q", ModelQualityJobInput=job_input,
            ModelQualityAppSpecification={"ImageUri": IMAGE, "ProblemType": "Regression"},
        )  # fmt: skip


def test_model_quality_needs_its_problem(watch):
    with pytest.raises(Invalid, match="needs ProblemType"):
        watch.define(
            QUALITY, "q",
            ModelQualityJobInput={
                "EndpointInput": ENDPOINT, "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
            },
        )  # fmt: skip


def test_bias_of_a_batch_is_refused(watch):
    kind = MonitoringType.MODEL_BIAS
    with pytest.raises(Invalid, match="joins labels with what an endpoint captured"):
        watch.define(
            kind, "q",
            ModelBiasAppSpecification={"ImageUri": IMAGE, "ConfigUri": "s3://data/config.json"},
            ModelBiasJobInput={
                "BatchTransformInput": BATCH, "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
            },
        )  # fmt: skip


@pytest.fixture
def batch(watch):
    """An hourly schedule of model quality over what batch transform jobs answered."""
    watch.define(
        QUALITY, "q",
        ModelQualityAppSpecification={"ImageUri": IMAGE, "ProblemType": "Regression"},
        ModelQualityJobInput={
            "BatchTransformInput": BATCH, "GroundTruthS3Input": {"S3Uri": "s3://data/labels"},
        },
    )  # fmt: skip
    watch.schedules.create(watch.ctx(), "s", HOURLY, ())
    return watch


def test_outputs_of_batch_transform_are_merged_by_their_manifests(batch):
    began = batch.clock.now()
    hour = f"{began:%Y/%m/%d/%H}"
    batch.objects.put("data", f"batches/output/{hour}/m-1.json", b"[]")
    batch.objects.put("data", f"batches/{hour}/rows.csv.out", b"1,i,t")
    batch.label(began)
    batch.clock.advance(hours=1, minutes=1)

    batch.worker.run_due()
    (merging,) = batch.jobs()
    assert merging.spec.environment["dataset_format"] == '{"csv":{"header":false}}'
    captured = [one for one in merging.spec.inputs if one.name.startswith("endpoint_input")]
    assert [(one.s3_uri, one.local_path, one.data_type) for one in captured] == [
        (f"s3://data/batches/output/{hour}/m-1.json", f"/opt/ml/x/{hour}/m-1", "ManifestFile"),
        (f"s3://data/batches/{hour}/", f"/opt/ml/x/{hour}", "S3Prefix"),
    ]

    batch.objects.put("data", f"reports/merge/{hour}/m-1/a.csv.out.jsonl", b"{}")
    batch.settle()

    done = only(batch)
    _, analysis = batch.jobs()
    assert done.status is ExecutionStatus.COMPLETED
    environment = analysis.spec.environment
    assert environment["dataset_format"] == '{"sagemakerMergeJson":{"captureIndexNames":["batchTransformOutput"]}}'  # fmt: skip
    assert environment["monitoring_input_type"] == "BATCH_TRANSFORM_INPUT"
    assert [one.s3_uri for one in analysis.spec.inputs] == [f"s3://data/reports/merge/{hour}/"]
    assert analysis.spec.outputs[0].s3_uri == f"s3://data/reports/s/{done.scheduled_at:%Y/%m/%d/%H}"


def test_a_window_without_a_batch_says_when_the_last_one_was(batch):
    before = batch.clock.now()
    batch.objects.put("data", f"batches/output/{before:%Y/%m/%d/%H}/m.json", b"[]")
    batch.clock.advance(hours=1, minutes=1)
    batch.label(batch.clock.now())
    batch.clock.advance(hours=1)
    batch.settle()

    assert "The last record before it came at" in batch.executions()[-1].failure_reason


def test_a_batch_that_no_label_fits_is_told(batch):
    began = batch.clock.now()
    batch.objects.put("data", f"batches/output/{began:%Y/%m/%d/%H}/m.json", b"[]")
    batch.label(began)
    batch.clock.advance(hours=1, minutes=1)
    batch.settle("Completed: nothing")

    reason = only(batch).failure_reason
    assert "must be the inference id that the job appended to its row" in reason
