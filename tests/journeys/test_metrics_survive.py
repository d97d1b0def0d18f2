"""kill -9 and a locked database, on a real platform: at most a second of metrics is lost, none is torn or told twice."""

import datetime as dt
import os
import signal
import sqlite3
import sys

import pytest
from tests.endpoints.bench import IMAGE, ROLE, archive

NAME = "survivor"
DIMENSIONS = {"EndpointName": NAME, "VariantName": "AllTraffic"}
#: 30 values over three seconds.
SLOW = 'import time; [print(f"loss={n}", flush=True) or time.sleep(0.1) for n in range(1, 31)]'


@pytest.fixture
def totals(shared_platform):
    """A function: namespace, metric, dimensions → Sum and SampleCount of the last two hours."""
    cloudwatch = shared_platform.client("cloudwatch")

    def read(namespace, name, dimensions):
        now = dt.datetime.now(dt.UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, Period=60, Statistics=["Sum", "SampleCount"],
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - dt.timedelta(hours=2), EndTime=now + dt.timedelta(minutes=2),
        )["Datapoints"]  # fmt: skip
        return sum(one["Sum"] for one in points), sum(one["SampleCount"] for one in points)

    return read


@pytest.fixture(scope="module")
def invoke(shared_platform):
    """A function that sends so many requests to an endpoint in service, each answered."""
    sagemaker = shared_platform.client("sagemaker")
    bucket = shared_platform.bucket
    shared_platform.client("s3").put_object(
        Bucket=bucket, Key=f"{NAME}/model.tar.gz", Body=archive()
    )
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{NAME}/model.tar.gz"}
    sagemaker.create_model(ModelName=NAME, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic", "ModelName": NAME, "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )

    def send(count, **config):
        runtime = shared_platform.client("sagemaker-runtime", **config)
        for _ in range(count):
            runtime.invoke_endpoint(EndpointName=NAME, Body=b"1,2", ContentType="text/csv")

    yield send
    sagemaker.delete_endpoint(EndpointName=NAME)


def requests(totals):
    return totals("AWS/SageMaker", "Invocations", DIMENSIONS)[0]


def pids(platform):
    info = platform.control.info()
    return [*info["gateways"], info["worker"]]


def kill(platform, which):
    """kill -9, and wait until another one answers."""
    before = pids(platform)
    os.kill(before[which], signal.SIGKILL)
    platform.wait(lambda: pids(platform)[which] not in (None, before[which]))
    platform.control.wait_ready(80)


def test_a_killed_gateway_loses_what_it_had_not_stored_and_nothing_else(
    shared_platform, invoke, totals
):
    start = requests(totals)
    invoke(10)
    shared_platform.wait(lambda: requests(totals) == start + 10)

    invoke(7)
    kill(shared_platform, 0)
    left = requests(totals)
    invoke(5)
    shared_platform.wait(lambda: requests(totals) >= left + 5)

    assert start + 10 <= left <= start + 17
    count = requests(totals)
    assert count == left + 5
    # Every metric of a request is there or none is.
    for name in ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors"):
        assert totals("AWS/SageMaker", name, DIMENSIONS) == (0, count)
    for name in ("ModelLatency", "OverheadLatency"):
        assert totals("AWS/SageMaker", name, DIMENSIONS)[1] == count


def test_a_locked_database_holds_up_no_request_and_loses_none(shared_platform, invoke, totals):
    start = requests(totals)
    path = shared_platform.data_dir / "telemetry.db"
    other = sqlite3.connect(path, isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")

    # A writer waits for fifteen seconds: one that held a request up would let it time out.
    invoke(20, read_timeout=10, retries={"total_max_attempts": 1})
    during = requests(totals)
    other.execute("ROLLBACK")
    other.close()
    shared_platform.wait(lambda: requests(totals) >= start + 20, 30)

    assert during == start
    assert requests(totals) == start + 20


def test_a_jobs_values_are_told_once_though_the_worker_is_killed(shared_platform, totals):
    sagemaker = shared_platform.client("sagemaker")
    job = "survivor-job"
    sagemaker.create_training_job(
        TrainingJobName=job, RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [sys.executable, "-c", SLOW],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9]+)"}],
        },
        OutputDataConfig={"S3OutputPath": f"s3://{shared_platform.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )  # fmt: skip

    def told():
        return totals("/aws/sagemaker/TrainingJobs", "loss", {"TrainingJobName": job})

    shared_platform.wait(lambda: told()[1])
    kill(shared_platform, -1)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=job, WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )

    assert told() == (30 * 31 / 2, 30)
