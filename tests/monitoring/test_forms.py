"""What a schedule may run: the four families, batch transform, and a definition within the schedule itself."""

import datetime as dt
import json

import pytest

from farero.base.errors import Invalid
from farero.monitoring import windows
from farero.records.monitoring import ExecutionStatus, MonitoringType

DATA = MonitoringType.DATA_QUALITY
CLARIFY = "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"
ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
ENDPOINT = {"EndpointName": "price", "LocalPath": "/opt/ml/processing/input/endpoint"}
EVERY_HOUR = {"ScheduleExpression": "cron(0 * ? * * *)"}


def hourly(name, kind="DataQuality"):
    return {
        "ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinitionName": name, "MonitoringType": kind,
    }  # fmt: skip


def run(watch, config):
    """Make a schedule, let an hour pass, return its execution and its last job."""
    watch.schedules.create(watch.ctx(), "s", config, ())
    watch.clock.advance(hours=1, minutes=1)
    watch.settle()
    (done,) = watch.executions()
    return done, watch.jobs()[-1] if watch.jobs() else None


def batch(watch, dataset_format):
    source = {
        "DataCapturedDestinationS3Uri": "s3://data/batches/", "DatasetFormat": dataset_format,
        "LocalPath": "/opt/ml/processing/input/batch",
    }  # fmt: skip
    watch.define(DATA, "b", DataQualityJobInput={"BatchTransformInput": source})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Csv": {"Header": True}}, {"csv": {"header": True}}),
        ({"Csv": {}}, {"csv": {"header": False}}),
        ({"Json": {"Line": True}}, {"json": {"lines": True}}),
        ({"Parquet": {}}, {"parquet": {}}),
    ],
)
def test_a_batch_is_judged_without_an_endpoint(watch, given, told):
    batch(watch, given)
    hour = watch.clock.now()
    watch.objects.put("data", f"batches/{hour:%Y/%m/%d/%H}/a.csv.out", b"1,2\n")
    done, job = run(watch, hourly("b"))
    assert (done.status, done.endpoint) == (ExecutionStatus.COMPLETED, "")
    environment = job.spec.environment
    assert json.loads(environment["dataset_format"]) == told
    assert environment["monitoring_input_type"] == "BATCH_TRANSFORM_INPUT"
    assert "sagemaker_endpoint_name" not in environment
    assert [(one.s3_uri, one.local_path) for one in job.spec.inputs] == [
        (
            f"s3://data/batches/{hour:%Y/%m/%d/%H}/",
            f"/opt/ml/processing/input/batch/{hour:%Y/%m/%d/%H}",
        )
    ]
    assert job.spec.outputs[0].s3_uri == f"s3://data/reports/s/{done.scheduled_at:%Y/%m/%d/%H}"


def test_a_batch_of_no_format_or_two_is_refused(watch):
    for given in ({}, {"Csv": {}, "Parquet": {}}):
        with pytest.raises(Invalid, match="exactly one of Csv, Json and Parquet"):
            batch(watch, given)


def test_a_batch_that_did_not_run_says_where_it_looked(watch):
    batch(watch, {"Csv": {}})
    done, _ = run(watch, hourly("b"))
    assert done.status is ExecutionStatus.FAILED
    assert 'under S3 URL "s3://data/batches"' in done.failure_reason


@pytest.mark.parametrize(
    ("kind", "prefix", "analysis"),
    [
        ("ModelBias", "model-bias-monitoring-", "MODEL_BIAS"),
        ("ModelExplainability", "model-explainability-monitoring-", "MODEL_EXPLAINABILITY"),
    ],
)
def test_clarifys_families_are_told_their_configuration_and_baseline(watch, kind, prefix, analysis):
    for name in ("config.json", "analysis.json"):
        watch.objects.put("data", f"clarify/{name}", b"{}")
    with_labels = kind == "ModelBias"
    labels = {"GroundTruthS3Input": {"S3Uri": "s3://data/labels"}} if with_labels else {}
    watch.define(
        MonitoringType(kind), "c",
        **{
            f"{kind}AppSpecification": {"ImageUri": CLARIFY, "ConfigUri": "s3://data/clarify/config.json"},
            f"{kind}BaselineConfig": {"ConstraintsResource": {"S3Uri": "s3://data/clarify/analysis.json"}},
            f"{kind}JobInput": {"EndpointInput": ENDPOINT | {"ProbabilityThresholdAttribute": 0.8}} | labels,
        },
    )  # fmt: skip
    for leave in (watch.capture, watch.label, watch.merge):
        leave(watch.clock.now())
    done, job = run(watch, hourly("c", kind))
    assert (done.status, done.kind) == (ExecutionStatus.COMPLETED, kind)
    assert job.name.startswith(prefix)
    assert len(job.name) <= 63  # the SDK describes the job by its name
    environment = job.spec.environment
    assert environment["analysis_type"] == analysis
    assert environment["analysis_config"] == "/opt/ml/processing/input/config"
    assert environment["baseline_constraints"] == "/opt/ml/processing/baseline/constraints"
    assert environment["probability_threshold_attribute"] == "0.8"
    halves = {"captureIndexNames": ["endpointInput", "endpointOutput"]}
    form = "sagemakerMergeJson" if with_labels else "sagemakerCaptureJson"
    assert json.loads(environment["dataset_format"]) == {form: halves}
    where = {one.name: one.s3_uri for one in job.spec.inputs}
    assert where["analysis_config"] == "s3://data/clarify/config.json"
    assert where["constraints"] == "s3://data/clarify/analysis.json"


def inline(**changes):
    return {
        "MonitoringAppSpecification": {"ImageUri": ANALYZER},
        "MonitoringInputs": [{"EndpointInput": ENDPOINT}],
        "MonitoringOutputConfig": {
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": "s3://data/old", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        "MonitoringResources": {
            "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5,
            }
        },
        "RoleArn": "arn:aws:iam::123456789012:role/monitor",
        "Environment": {"publish_cloudwatch_metrics": "Enabled", "mine": "1"},
    } | changes  # fmt: skip


def test_a_definition_within_the_schedule_runs_with_its_environment(watch):
    watch.capture(watch.clock.now())
    config = {"ScheduleConfig": EVERY_HOUR, "MonitoringJobDefinition": inline()}
    done, job = run(watch, config)
    assert (done.status, done.definition, done.endpoint) == (
        ExecutionStatus.COMPLETED, "", "price",
    )  # fmt: skip
    environment = job.spec.environment
    assert (environment["mine"], environment["publish_cloudwatch_metrics"]) == ("1", "Enabled")
    assert environment["analysis_type"] == "DATA_QUALITY"
    assert job.spec.outputs[0].s3_uri.startswith("s3://data/old/price/s/")


def test_a_users_own_program_may_be_a_monitor(watch):
    watch.capture(watch.clock.now())
    app = {
        "ImageUri": "me/mine:1", "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/x.py"],
        "ContainerArguments": ["--strict"],
    }  # fmt: skip
    config = {
        "ScheduleConfig": EVERY_HOUR,
        "MonitoringJobDefinition": inline(MonitoringAppSpecification=app),
    }
    done, job = run(watch, config)
    assert done.status is ExecutionStatus.COMPLETED
    assert job.spec.arguments == ("--strict",)
    assert job.given["AppSpecification"]["ContainerEntrypoint"] == app["ContainerEntrypoint"]


def test_a_schedule_needs_one_definition(watch):
    both = hourly("d") | {"MonitoringJobDefinition": inline()}
    for config in ({"ScheduleConfig": EVERY_HOUR}, both):
        with pytest.raises(Invalid, match="exactly one of MonitoringJobDefinitionName"):
            watch.schedules.create(watch.ctx(), "s", config, ())


def test_a_week_of_hours_is_run_hour_by_hour(watch):
    first = watch.clock.now()
    for hour in range(24 * 7 + 1):
        watch.capture(first + dt.timedelta(hours=hour))
    watch.schedules.create(watch.ctx(), "s", hourly("d"), ())
    watch.clock.advance(hours=24 * 7)
    watch.settle()
    found = watch.executions()
    assert 167 <= len(found) <= 169
    assert {one.status for one in found} == {ExecutionStatus.COMPLETED}
    assert [one.start for one in found[1:]] == [one.end for one in found[:-1]]
    assert len({one.job for one in found}) == len(found)


AT = dt.datetime(2020, 1, 9, 13, tzinfo=dt.UTC)
PLAIN = (AT - dt.timedelta(hours=1), AT)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [  # the first row is AWS's example ("Schedule model quality monitoring jobs")
        ("-P8D", "-P1D", (AT - dt.timedelta(days=8), AT - dt.timedelta(days=1))),
        ("P8D", "P1D", (AT - dt.timedelta(days=8), AT - dt.timedelta(days=1))),
        (None, None, PLAIN),
        ("-PT3H", None, (AT - dt.timedelta(hours=3), AT)),
        (None, "-P1D", (PLAIN[0] - dt.timedelta(days=1), AT - dt.timedelta(days=1))),
    ],
)
def test_offsets_are_subtracted_from_the_moment_of_the_run(start, end, expected):
    assert windows.shifted(AT, PLAIN, start, end) == expected
