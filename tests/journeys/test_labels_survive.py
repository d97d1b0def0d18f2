"""kill -9 of the worker at every step of a run with labels, on a real platform: nothing is lost, nothing done twice."""

import datetime as dt
import json
import os
import signal

import pytest

ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
RECORDS = 250


@pytest.fixture
def captured(platform):
    """A platform with an endpoint's captures of an hour ago and their labels; nothing is served."""
    s3, sagemaker = platform.client("s3"), platform.client("sagemaker")
    bucket = platform.bucket
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=b"no archive")
    container = {"Image": XGBOOST, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "A", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
    }  # fmt: skip
    capture = {
        "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }  # fmt: skip
    sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=[variant], DataCaptureConfig=capture
    )
    sagemaker.create_endpoint(EndpointName="price", EndpointConfigName="c")
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    half = {"observedContentType": "text/csv", "encoding": "CSV"}
    records, labels = [], []
    for number in range(RECORDS):
        meta = {"eventId": f"e{number}", "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        data = {
            "endpointInput": half | {"mode": "INPUT", "data": f"{number},2"},
            "endpointOutput": half | {"mode": "OUTPUT", "data": f"{number}"},
        }
        records.append({"captureData": data, "eventMetadata": meta, "eventVersion": "0"})
        label = {"data": f"{number + 1}", "encoding": "CSV"}
        labels.append({"groundTruthData": label, "eventMetadata": {"eventId": f"e{number}"}, "eventVersion": "0"})  # fmt: skip
    for place, lines in (("captured/price/A", records), ("labels", labels)):
        body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        s3.put_object(Bucket=bucket, Key=f"{place}/{at:%Y/%m/%d/%H/%M-%S}-000-a.jsonl", Body=body)
    return platform


def begin(platform):
    """Define a run over the last two hours, and make it due."""
    sagemaker, bucket = platform.client("sagemaker"), platform.bucket
    sagemaker.create_model_quality_job_definition(
        JobDefinitionName="d", RoleArn=ROLE,
        ModelQualityAppSpecification={"ImageUri": ANALYZER, "ProblemType": "Regression"},
        ModelQualityJobInput={
            "EndpointInput": {
                "EndpointName": "price", "LocalPath": "/opt/ml/processing/input_data",
                "InferenceAttribute": "0",
            },
            "GroundTruthS3Input": {"S3Uri": f"s3://{bucket}/labels"},
        },
        ModelQualityJobOutputConfig={
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"s3://{bucket}/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        JobResources={
            "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5,
            }
        },
    )  # fmt: skip
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName="s",
        MonitoringScheduleConfig={
            "ScheduleConfig": {
                "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT2H",
                "DataAnalysisEndTime": "-PT0H",
            },
            "MonitoringJobDefinitionName": "d", "MonitoringType": "ModelQuality",
        },
    )  # fmt: skip


def kill_worker(platform):
    """kill -9, and wait until there is another one."""
    before = platform.control.info()["worker"]
    os.kill(before, signal.SIGKILL)
    platform.wait(lambda: platform.control.info()["worker"] not in {None, before})


@pytest.mark.journey
def test_a_run_with_labels_survives_kill_9_at_every_step(captured):
    sagemaker = captured.client("sagemaker")

    def jobs():
        found = sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return sorted(one["ProcessingJobName"].rpartition("-20")[0] for one in found)

    def over():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName="s")
        (one,) = found["MonitoringExecutionSummaries"] or [{"MonitoringExecutionStatus": "Pending"}]
        return None if one["MonitoringExecutionStatus"] in {"Pending", "InProgress"} else one

    begin(captured)
    kill_worker(captured)
    captured.wait(jobs, 60)
    kill_worker(captured)
    captured.wait(lambda: len(jobs()) == 2, 90)
    kill_worker(captured)
    done = captured.wait(over, 90)

    assert done["MonitoringExecutionStatus"] == "Completed", done.get("FailureReason")
    assert jobs() == ["groundtruth-merge", "model-quality-monitoring"]
    s3 = captured.client("s3")

    def read(prefix, name=""):
        listed = s3.list_objects_v2(Bucket=captured.bucket, Prefix=prefix)["Contents"]
        (key,) = [one["Key"] for one in listed if one["Key"].endswith(name)]
        return s3.get_object(Bucket=captured.bucket, Key=key)["Body"].read()

    assert read("reports/merge/price/A/").count(b"\n") == RECORDS
    statistics = json.loads(read("reports/price/s/", "/statistics.json"))
    assert statistics["dataset"]["item_count"] == RECORDS
    assert statistics["regression_metrics"]["mae"]["value"] == pytest.approx(1.0)
