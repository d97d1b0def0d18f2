"""The worker killed while monitoring schedules run: no window is lost and none is judged twice (P6)."""

import threading

import pytest

pytestmark = pytest.mark.chaos

ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
SCHEDULES = [f"killed-{number}" for number in range(5)]
ENDED = {"Completed", "CompletedWithViolations", "Failed", "Stopped"}


def definition(bucket, endpoint):
    """What CreateDataQualityJobDefinition takes: look at an endpoint's captures, write below `killed/`."""
    return {
        "JobDefinitionName": "killed",
        "DataQualityAppSpecification": {"ImageUri": IMAGE},
        "DataQualityJobInput": {
            "EndpointInput": {
                "EndpointName": endpoint,
                "LocalPath": "/opt/ml/processing/input/endpoint",
            }
        },
        "DataQualityJobOutputConfig": {
            "MonitoringOutputs": [
                {
                    "S3Output": {
                        "S3Uri": f"s3://{bucket}/killed",
                        "LocalPath": "/opt/ml/processing/output",
                    }
                }
            ]
        },
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
        "RoleArn": ROLE,
    }


def test_a_worker_killed_at_any_moment_loses_no_window_and_doubles_none(shared_bench, chance):
    bench = shared_bench
    sagemaker, bucket = bench.sagemaker, bench.platform.bucket
    bench.deploy("watched")
    with bench.load("watched", total=40) as load:
        pass
    bench.check_capture("watched", load)
    sagemaker.create_data_quality_job_definition(**definition(bucket, "watched"))

    for name in SCHEDULES:
        sagemaker.create_monitoring_schedule(
            MonitoringScheduleName=name,
            MonitoringScheduleConfig={
                "ScheduleConfig": {
                    "ScheduleExpression": "NOW",
                    "DataAnalysisStartTime": "-PT2H",
                    "DataAnalysisEndTime": "PT0H",
                },
                "MonitoringJobDefinitionName": "killed",
                "MonitoringType": "DataQuality",
            },
        )
        threading.Event().wait(chance.uniform(0.05, 1.0))  # the moment is what is tested
        bench.kill("worker")

    def executions():
        return sagemaker.list_monitoring_executions(
            MonitoringJobDefinitionName="killed", MaxResults=100
        )["MonitoringExecutionSummaries"]

    bench.platform.wait(
        lambda: (
            sum(one["MonitoringExecutionStatus"] in ENDED for one in executions()) == len(SCHEDULES)
        ),
        seconds=120,
    )
    found = executions()
    assert sorted(one["MonitoringScheduleName"] for one in found) == SCHEDULES
    assert {one["MonitoringExecutionStatus"] for one in found} == {"Completed"}, found
    assert len({one["ProcessingJobArn"] for one in found}) == len(SCHEDULES)
    jobs = sagemaker.list_processing_jobs(NameContains="model-monitoring", MaxResults=100)
    of_these = {one["ProcessingJobArn"] for one in found}
    ended = [
        one["ProcessingJobStatus"]
        for one in jobs["ProcessingJobSummaries"]
        if one["ProcessingJobArn"] in of_these
    ]
    assert ended == ["Completed"] * len(SCHEDULES)
    keys = [
        one["Key"] for one in bench.s3.list_objects_v2(Bucket=bucket, Prefix="killed/")["Contents"]
    ]
    assert sum(key.endswith("/statistics.json") for key in keys) == len(SCHEDULES)
    for name in SCHEDULES:
        sagemaker.delete_monitoring_schedule(MonitoringScheduleName=name)
    sagemaker.delete_data_quality_job_definition(JobDefinitionName="killed")
