"""Model quality of batch transform: outputs as a transform job of AWS leaves them, labels that come later, a verdict.

What a job leaves: "Capture data from batch transform job", SageMaker's Developer Guide.
"""

import datetime as dt
import json
import subprocess
import sys
import uuid

import numpy as np
import pytest

ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
ROWS = 300


@pytest.fixture(scope="module")
def world(shared_platform, tmp_path_factory):
    """Clients and a bucket with a baseline of model quality: prices that are told well."""
    s3, sagemaker = shared_platform.client("s3"), shared_platform.client("sagemaker")
    folder = tmp_path_factory.mktemp("batch-quality")
    told = np.random.default_rng(1).normal(100.0, 20.0, 1000)
    sold = told + np.random.default_rng(2).normal(0.0, 5.0, 1000)
    lines = [f"{one:.4f},{other:.4f}" for one, other in zip(told, sold, strict=True)]
    (folder / "validation.csv").write_text("\n".join(["told,sold", *lines]))
    subprocess.run(
        [sys.executable, "-m", "farero_monitor", "quality", "validation.csv", "--problem", "regression",
         "--prediction", "told", "--label", "sold", "-o", "base"], cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    s3.upload_file(str(folder / "base" / "constraints.json"), shared_platform.bucket, "batch/base/constraints.json")  # fmt: skip
    return shared_platform, s3, sagemaker


def leave_job(platform, s3, place, told, *, as_json=False, ids=True):
    """Leave what a transform job that began a minute ago leaves; return the ids of its rows and its hour's folder."""
    now = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    known, began = [str(uuid.uuid4()) for _ in told], f"{now:%Y-%m-%dT%H:%M:%SZ}"
    if as_json:
        rows = [
            {"output": value, "SageMakerInferenceId": one, "SageMakerInferenceTime": began}
            for value, one in zip(told, known, strict=True)
        ]
        lines = [json.dumps(row) for row in rows]
    else:
        lines = [f"{value}, {one},{began}" if ids else f"{value}" for value, one in zip(told, known, strict=True)]  # fmt: skip
    half = len(lines) // 2
    for name, part in (("a.csv.out", lines[:half]), ("more/b.csv.out", lines[half:])):
        s3.put_object(Bucket=platform.bucket, Key=f"{place}/told/{name}", Body="\n".join(part).encode())  # fmt: skip
    manifest = [{"prefix": f"s3://{platform.bucket}/{place}/told/"}, "a.csv.out", "more/b.csv.out"]
    hour = f"{now:%Y/%m/%d/%H}"
    s3.put_object(Bucket=platform.bucket, Key=f"{place}/captured/output/{hour}/{uuid.uuid4()}.json",
                  Body=json.dumps(manifest).encode())  # fmt: skip
    return known, hour


def leave_labels(platform, s3, place, hour, known, sold):
    lines = [
        json.dumps({"groundTruthData": {"data": f"{value:.4f}", "encoding": "CSV"},
                    "eventMetadata": {"eventId": one}, "eventVersion": "0"})
        for one, value in zip(known, sold, strict=True)
    ]  # fmt: skip
    s3.put_object(Bucket=platform.bucket, Key=f"{place}/labels/{hour}/labels.jsonl", Body="\n".join(lines).encode())  # fmt: skip


def judge(platform, sagemaker, place, name, *, dataset_format, attribute):
    """Make a definition and a schedule NOW; return its execution."""
    role = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
    root = f"s3://{platform.bucket}/{place}"
    sagemaker.create_model_quality_job_definition(
        JobDefinitionName=name, RoleArn=role,
        ModelQualityAppSpecification={
            "ImageUri": ANALYZER, "ProblemType": "Regression",
            "Environment": {"publish_cloudwatch_metrics": "Enabled"},
        },
        ModelQualityBaselineConfig={
            "ConstraintsResource": {"S3Uri": f"s3://{platform.bucket}/batch/base/constraints.json"}
        },
        ModelQualityJobInput={
            "BatchTransformInput": {
                "DataCapturedDestinationS3Uri": f"{root}/captured", "DatasetFormat": dataset_format,
                "LocalPath": "/opt/ml/processing/input", "InferenceAttribute": attribute,
            },
            "GroundTruthS3Input": {"S3Uri": f"{root}/labels"},
        },
        ModelQualityJobOutputConfig={
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"{root}/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        JobResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 20}},
    )  # fmt: skip
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName=name,
        MonitoringScheduleConfig={
            "MonitoringJobDefinitionName": name, "MonitoringType": "ModelQuality",
            "ScheduleConfig": {
                "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT2H", "DataAnalysisEndTime": "-PT0H",
            },
        },
    )  # fmt: skip

    def ended():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName=name)
        found = found["MonitoringExecutionSummaries"]
        over = found and found[0]["MonitoringExecutionStatus"] not in {"Pending", "InProgress"}
        return found[0] if over else None

    return platform.wait(ended, 120)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("as_json", "given", "attribute"),
    [(False, {"Csv": {"Header": False}}, "0"), (True, {"Json": {"Line": True}}, "output")],
    ids=["csv", "json"],
)
def test_outputs_of_a_transform_job_are_measured_by_labels_that_come_later(
    world, as_json, given, attribute
):
    platform, s3, sagemaker = world
    place = f"batch-{'json' if as_json else 'csv'}"
    told = np.random.default_rng(3).normal(100.0, 20.0, ROWS).round(4)
    known, hour = leave_job(platform, s3, place, told.tolist(), as_json=as_json)
    # the world has changed: errors are eight times as large
    sold = told + np.random.default_rng(4).normal(0.0, 40.0, ROWS)
    leave_labels(platform, s3, place, hour, known[:250], sold[:250])

    done = judge(platform, sagemaker, place, place, dataset_format=given, attribute=attribute)

    assert done["MonitoringExecutionStatus"] == "CompletedWithViolations", done
    job = sagemaker.describe_processing_job(
        ProcessingJobName=done["ProcessingJobArn"].rpartition("/")[2]
    )
    at = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    key = at.removeprefix(f"s3://{platform.bucket}/")
    body = s3.get_object(Bucket=platform.bucket, Key=f"{key}/statistics.json")["Body"].read()
    found = json.loads(body)
    error = told[:250] - sold[:250].round(4)
    assert found["dataset"]["item_count"] == 250
    assert found["regression_metrics"]["rmse"]["value"] == pytest.approx(np.sqrt((error**2).mean()))
    metrics = platform.client("cloudwatch").list_metrics(
        Namespace="aws/sagemaker/ModelMonitoring/model-metrics", MetricName="rmse",
        Dimensions=[{"Name": "MonitoringSchedule", "Value": place}],
    )["Metrics"]  # fmt: skip
    assert [one["Dimensions"] for one in metrics] == [
        [{"Name": "MonitoringSchedule", "Value": place}]
    ]


@pytest.mark.journey
def test_outputs_without_ids_and_labels_of_others_say_what_to_do(world):
    platform, s3, sagemaker = world
    csv = {"Csv": {"Header": False}}
    _, hour = leave_job(platform, s3, "batch-bare", [1.5] * 20, ids=False)
    leave_labels(platform, s3, "batch-bare", hour, ["x"], [1.0])
    _, hour = leave_job(platform, s3, "batch-others", [1.5] * 20)
    leave_labels(platform, s3, "batch-others", hour, ["x"], [1.0])

    bare = judge(platform, sagemaker, "batch-bare", "batch-bare", dataset_format=csv, attribute="0")
    others = judge(platform, sagemaker, "batch-others", "batch-others", dataset_format=csv, attribute="0")  # fmt: skip

    assert bare["MonitoringExecutionStatus"] == "Failed"
    assert "run the transform job with GenerateInferenceId" in bare["FailureReason"]
    assert others["MonitoringExecutionStatus"] == "Failed"
    assert "all for other ids" in others["FailureReason"]
    assert "the inference id that its transform job appended" in others["FailureReason"]
