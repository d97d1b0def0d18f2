"""What an endpoint and a job take of the machine, what a job prints, and an endpoint's last hour; through boto3 and CLI."""

import datetime as dt
import json
import sys

import pytest
from tests.endpoints.bench import IMAGE, ROLE, archive

#: Four values, each followed by 2 s of work; in one line, as the parameter must be.
BUSY = (
    'import time; [print(f"loss={1 / 2 ** n}", flush=True) or '
    "any(time.process_time() > 2 * (n + 1) for _ in iter(int, 1)) for n in range(4)]"
)
ENDPOINT = {"EndpointName": "measured", "VariantName": "AllTraffic"}
HOST = {"Host": "measured-job/algo-1"}


@pytest.fixture
def read(shared_platform):
    """A function: namespace, metric, dimensions → the datapoints of the last minutes, oldest first."""
    cloudwatch = shared_platform.client("cloudwatch")

    def points(namespace, name, dimensions):
        now = dt.datetime.now(dt.UTC)
        found = cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=name, Period=60,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=now - dt.timedelta(minutes=10), EndTime=now + dt.timedelta(minutes=2),
            Statistics=["Average", "Sum", "SampleCount", "Minimum", "Maximum"],
        )["Datapoints"]  # fmt: skip
        return sorted(found, key=lambda point: point["Timestamp"])

    return points


@pytest.fixture(scope="module")
def endpoint(shared_platform):
    """An endpoint in service; deleted in the end."""
    sagemaker = shared_platform.client("sagemaker")
    shared_platform.client("s3").put_object(
        Bucket=shared_platform.bucket, Key="measured/model.tar.gz", Body=archive()
    )
    container = {
        "Image": IMAGE,
        "ModelDataUrl": f"s3://{shared_platform.bucket}/measured/model.tar.gz",
    }
    sagemaker.create_model(ModelName="measured", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic", "ModelName": "measured",
        "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="measured", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="measured", EndpointConfigName="measured")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="measured", WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )
    yield sagemaker.describe_endpoint(EndpointName="measured")
    sagemaker.delete_endpoint(EndpointName="measured")


def test_replicas_and_jobs_are_measured_and_a_jobs_values_told(shared_platform, endpoint, read):
    sagemaker = shared_platform.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="measured-job", RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [sys.executable, "-c", BUSY],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        OutputDataConfig={"S3OutputPath": f"s3://{shared_platform.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )  # fmt: skip

    cpu = shared_platform.wait(lambda: read("/aws/sagemaker/TrainingJobs", "CPUUtilization", HOST))
    memory = shared_platform.wait(
        lambda: read("/aws/sagemaker/Endpoints", "MemoryUtilization", ENDPOINT)
    )
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="measured-job", WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )

    # a busy machine gives it less than a core, and looks at the clock a moment before it looks at the process
    assert 5 < cpu[0]["Maximum"] <= 150
    assert cpu[0]["Unit"] == "Percent"
    assert 0 < memory[0]["Average"] < 50
    for name, most in (("CPUUtilization", 1000), ("DiskUtilization", 100)):
        (first, *_) = read("/aws/sagemaker/Endpoints", name, ENDPOINT)
        assert 0 <= first["Minimum"] <= first["Maximum"] <= most
    told = read("/aws/sagemaker/TrainingJobs", "loss", {"TrainingJobName": "measured-job"})
    assert sum(point["SampleCount"] for point in told) == 4
    assert sum(point["Sum"] for point in told) == 1 + 0.5 + 0.25 + 0.125
    done = sagemaker.describe_training_job(TrainingJobName="measured-job")
    assert [(m["MetricName"], m["Value"]) for m in done["FinalMetricDataList"]] == [("loss", 0.125)]


def test_the_last_hour_is_shown(shared_platform, endpoint, read):
    before = shared_platform.farero("show", "measured").stdout
    runtime = shared_platform.client("sagemaker-runtime", retries={"total_max_attempts": 1})
    for body in (b"1,2", b"1,2", b"1,2", b"no"):
        try:
            runtime.invoke_endpoint(EndpointName="measured", Body=body, ContentType="text/csv")
        except runtime.exceptions.ModelError:
            assert body == b"no"

    shared_platform.wait(
        lambda: sum(one["Sum"] for one in read("AWS/SageMaker", "Invocations", ENDPOINT)) == 4
    )
    as_json = json.loads(shared_platform.farero("--json", "show", "measured").stdout)
    shown = shared_platform.farero("show", "measured").stdout
    listed = shared_platform.farero("ls").stdout

    assert "last hour: no requests" in before
    hour = as_json["LastHour"]["AllTraffic"]
    assert (hour["requests"], hour["error_rate"]) == (4, 0.25)
    assert 0 < hour["p50_us"] <= hour["p99_us"] < 10_000_000
    assert "last hour: 4 requests, 25 % errors, model latency p50 " in shown
    (line,) = [one for one in listed.splitlines() if one.startswith("measured ")]
    assert line.split()[:5] == ["measured", "InService", "4", "25", "%"]
    assert "REQUESTS/H" in listed
