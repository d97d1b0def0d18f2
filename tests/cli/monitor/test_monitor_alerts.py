"""What `show` and `label` tell of schedules and alerts that were made elsewhere, with boto3."""

import datetime as dt
import json

import pytest

ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
CLUSTER = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}}  # fmt: skip


@pytest.fixture(scope="module")
def flats(watch, rows_of):
    """An endpoint with captures, labels to come, and a daily schedule of model quality that looks a week back."""
    watched = watch("flats-late")
    watched.send(rows_of(30, seed=41), ids=[f"l-{index}" for index in range(30)])
    watched.platform.wait(lambda: len(watched.captured()) >= 30, 60)
    bucket, sagemaker = watched.platform.bucket, watched.platform.client("sagemaker")
    constraints = '{"version": 0.0, "regression_constraints": {}}'
    watched.platform.client("s3").put_object(Bucket=bucket, Key="late/constraints.json", Body=constraints)  # fmt: skip
    sagemaker.create_model_quality_job_definition(
        JobDefinitionName="flats-late", RoleArn=ROLE, JobResources=CLUSTER,
        ModelQualityBaselineConfig={"ConstraintsResource": {"S3Uri": f"s3://{bucket}/late/constraints.json"}},
        ModelQualityAppSpecification={"ImageUri": IMAGE, "ProblemType": "Regression"},
        ModelQualityJobInput={
            "EndpointInput": {
                "EndpointName": watched.name, "LocalPath": "/opt/ml/processing/input/endpoint",
                "InferenceAttribute": "0", "StartTimeOffset": "-P8D", "EndTimeOffset": "-P1D",
            },
            "GroundTruthS3Input": {"S3Uri": f"s3://{bucket}/late/truth"},
        },
        ModelQualityJobOutputConfig={
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"s3://{bucket}/late/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
    )  # fmt: skip
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName="flats-late",
        MonitoringScheduleConfig={
            "ScheduleConfig": {"ScheduleExpression": "cron(0 0 ? * * *)"},
            "MonitoringJobDefinitionName": "flats-late", "MonitoringType": "ModelQuality",
        },
    )  # fmt: skip
    yield watched
    sagemaker.delete_monitoring_schedule(MonitoringScheduleName="flats-late")


def test_labels_go_to_the_ground_truth_of_the_schedule_and_late_ones_are_counted(flats):
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=20)
    record = flats.captured()[0]
    record["eventMetadata"] |= {
        "inferenceId": "old-1",
        "inferenceTime": f"{old:%Y-%m-%dT%H:%M:%SZ}",
    }
    flats.platform.client("s3").put_object(
        Bucket=flats.platform.bucket, Body=json.dumps(record, separators=(",", ":")) + "\n",
        Key=f"model-monitor/data-capture/{flats.name}/AllTraffic/{old:%Y/%m/%d/%H}/00-00-000-old.jsonl",
    )  # fmt: skip
    path = flats.folder / "labels.csv"
    path.write_text("id,label\nold-1,200\n" + "".join(f"l-{index},250\n" for index in range(20)))

    told = flats.json("monitor", "label", flats.name, str(path))

    truth = f"s3://{flats.platform.bucket}/late/truth/"
    assert told["labels"].startswith(f"{truth}{dt.datetime.now(dt.UTC):%Y/%m}/")
    assert (told["uploaded"], told["matched"], told["late"]) == (21, 21, 1)


def test_show_tells_of_schedules_made_elsewhere_and_of_alarms_on_their_metrics(flats):
    flats.platform.client("cloudwatch").put_metric_alarm(
        AlarmName="flats-late-rmse", Namespace="aws/sagemaker/Endpoints/model-metrics", MetricName="rmse",
        Dimensions=[{"Name": "Endpoint", "Value": flats.name}, {"Name": "MonitoringSchedule", "Value": "flats-late"}],
        Statistic="Average", Period=60, EvaluationPeriods=1, Threshold=10, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip

    told = flats.json("monitor", "show", flats.name)

    assert [(one["name"], one["type"]) for one in told["schedules"]] == [
        ("flats-late", "ModelQuality")
    ]
    alarm = next(one for one in told["alerts"] if one["kind"] == "alarm")
    assert alarm["name"] == "flats-late-rmse"
    assert any(one["kind"] == "monitoring alert" for one in told["alerts"])
    shown = flats.farero("monitor", "show", flats.name).stdout
    assert "schedule flats-late: Scheduled, cron(0 0 ? * * *), next run in" in shown
    assert "alert flats-late-rmse: " in shown


def test_stop_names_a_schedule_that_it_has_not_made(flats):
    done = flats.farero("monitor", "stop", flats.name, check=False)
    assert (
        "E-NO-SCHEDULE  flats-late has no schedule of this command; there is flats-late"
        in done.stderr
    )
    assert "fix:   aws sagemaker stop-monitoring-schedule --monitoring-schedule-name flats-late" in done.stderr  # fmt: skip
