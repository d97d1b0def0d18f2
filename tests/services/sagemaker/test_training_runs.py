"""Training through the whole gateway: unmodified boto3 calls, a real process, its model and its logs."""

import io
import tarfile

import pytest

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


@pytest.fixture
def data(cloud):
    """Twenty rows in the default bucket, the label first: twice the first feature."""
    rows = "".join(f"{2 * n},{n},{n % 3}\n" for n in range(20))
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="in/train.csv", Body=rows.encode())
    return f"s3://{cloud.bucket}/in/train.csv"


def start(cloud, uri, **parameters):
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    cloud.client("sagemaker").create_training_job(
        TrainingJobName="iris",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/SageMakerRole",
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": source},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{cloud.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters=parameters,
    )


@pytest.fixture
def ended(supervisor, cloud, wait_for):
    """A function: work, woken by the process's end, until the job has ended; return its description."""
    sagemaker, wake = cloud.client("sagemaker"), cloud.worker.wake_socket()

    def look():
        wake.wait(0.05)
        cloud.run()
        described = sagemaker.describe_training_job(TrainingJobName="iris")
        return described if described["TrainingJobStatus"] != "InProgress" else None

    yield lambda: wait_for(look, 30)
    wake.close()


def test_builtin_xgboost_trains_a_model(cloud, data, ended):
    start(cloud, data, num_round="5", objective="reg:squarederror")

    job = ended()
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    archive = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()

    assert (job["TrainingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert names == ["xgboost-model"]
    assert [metric["MetricName"] for metric in job["FinalMetricDataList"]] == ["train:rmse"]


def test_log_is_there_as_the_sdk_reads_it(cloud, data, ended):
    start(cloud, data, num_round="3", objective="reg:squarederror")
    ended()
    logs, group = cloud.client("logs"), "/aws/sagemaker/TrainingJobs"

    streams = logs.describe_log_streams(
        logGroupName=group, logStreamNamePrefix="iris/", orderBy="LogStreamName", limit=1
    )
    name = streams["logStreams"][0]["logStreamName"]
    page = logs.get_log_events(
        logGroupName=group, logStreamName=name, startTime=0, startFromHead=True
    )
    end = logs.get_log_events(
        logGroupName=group,
        logStreamName=name,
        nextToken=page["nextForwardToken"],
        startFromHead=True,
    )
    rounds = logs.filter_log_events(logGroupName=group, filterPattern='"#011train-rmse"')["events"]

    assert name.startswith("iris/algo-1-")
    assert "nextToken" not in streams
    assert [event["message"].partition("#011")[0] for event in rounds] == ["[0]", "[1]", "[2]"]
    assert end["nextForwardToken"] == page["nextForwardToken"]


def test_wrong_hyperparameter_is_the_callers_fault(cloud, data, ended):
    start(cloud, data, num_round="3", eta="7")

    job = ended()

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Hyperparameter eta: 7.0 is not in [0, 1]")
