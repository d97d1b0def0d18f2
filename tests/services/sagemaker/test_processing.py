"""Processing jobs through the whole gateway: scripts and the monitor's analyzer as real processes, and every refusal."""

import json

import numpy as np
import pytest
from botocore.exceptions import ClientError

ANALYZER = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
CODE = "/opt/ml/processing/input/code"


@pytest.fixture
def ended(supervisor, cloud, wait_for):
    """A function: work, woken by the process's end, until the job has ended; return its description."""
    sagemaker, wake = cloud.client("sagemaker"), cloud.worker.wake_socket()

    def look(name):
        wake.wait(0.05)
        cloud.run()
        described = sagemaker.describe_processing_job(ProcessingJobName=name)
        is_over = described["ProcessingJobStatus"] not in {"InProgress", "Stopping"}
        return described if is_over else None

    yield lambda name="job": wait_for(lambda: look(name), 30)
    wake.close()


def entry(name, uri, path):
    source = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": source}


def start(
    cloud,
    name="job",
    *,
    image=SKLEARN,
    inputs=(),
    entrypoint=None,
    arguments=(),
    environment=None,
    output="/opt/ml/processing/output",
):
    app = {"ImageUri": image}
    if entrypoint:
        app["ContainerEntrypoint"] = entrypoint
    if arguments:
        app["ContainerArguments"] = list(arguments)
    return cloud.client("sagemaker").create_processing_job(
        ProcessingJobName=name, AppSpecification=app, RoleArn=ROLE,
        ProcessingResources={"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}},
        ProcessingInputs=list(inputs), Environment=environment or {},
        ProcessingOutputConfig={"Outputs": [
            {"OutputName": "out", "S3Output": {"S3Uri": f"s3://{cloud.bucket}/out", "LocalPath": output, "S3UploadMode": "EndOfJob"}},
        ]},
    )  # fmt: skip


def script(cloud, text):
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="code/work.py", Body=text.encode())
    return [entry("code", f"s3://{cloud.bucket}/code/work.py", CODE)]


def text_of(cloud, key):
    return cloud.client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read().decode()


def test_a_script_reads_inputs_and_leaves_outputs_and_a_log(cloud, ended):
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="in/a.csv", Body=b"1\n2\n3\n")
    inputs = script(
        cloud,
        "import os, sys\n"
        "rows = open('/opt/ml/processing/input/data/a.csv'.replace('/opt/ml', os.environ['SAGEMAKER_BASE_DIR'])).read().split()\n"
        "open(sys.argv[2] + '/sum.txt', 'w').write(str(sum(map(int, rows))) + os.environ['WORD'])\n"
        "print('summed', len(rows))\n",
    )
    inputs.append(entry("data", f"s3://{cloud.bucket}/in/", "/opt/ml/processing/input/data"))
    created = start(
        cloud, inputs=inputs, entrypoint=["python3", f"{CODE}/work.py"],
        arguments=["--out", "/opt/ml/processing/output/deep"], environment={"WORD": "!"}, output="/opt/ml/processing/output/deep",
    )  # fmt: skip
    job = ended()

    assert created["ProcessingJobArn"].endswith(":processing-job/job")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["ProcessingEndTime"] >= job["ProcessingStartTime"]
    assert job["AppSpecification"]["ContainerArguments"] == [
        "--out",
        "/opt/ml/processing/output/deep",
    ]
    assert text_of(cloud, "out/sum.txt") == "6!"
    logs = cloud.client("logs")
    stream = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs")["logStreams"][
        0
    ]["logStreamName"]
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream
    )["events"]
    assert stream.startswith("job/algo-1-")
    assert [event["message"] for event in events] == ["summed 3"]


def test_a_script_that_fails_says_why(cloud, ended):
    inputs = script(cloud, "raise ValueError('no such column: price')\n")
    start(cloud, inputs=inputs, entrypoint=["python3", f"{CODE}/work.py"])
    job = ended()
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: ValueError: no such column: price, exit code: 1"


def baseline(
    cloud,
    name="baseline",
    content=None,
    form='{"csv": {"header": true, "output_columns_position": "START"}}',
):
    """Ask for a baseline with the very request of the SageMaker SDK's suggest_baseline."""
    rows = np.random.default_rng(1).normal(size=(500, 2)).round(3)
    content = content if content is not None else "y,x\n" + "".join(f"{a},{b}\n" for a, b in rows)
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="train/train.csv", Body=content.encode())
    place = "/opt/ml/processing/input/baseline_dataset_input"
    start(
        cloud, name, image=ANALYZER, inputs=[entry("baseline_dataset_input", f"s3://{cloud.bucket}/train/train.csv", place)],
        environment={
            "dataset_format": form, "dataset_source": place, "output_path": "/opt/ml/processing/output",
            "publish_cloudwatch_metrics": "Disabled",
        },
    )  # fmt: skip


def test_the_analyzer_suggests_a_baseline_and_judges_a_window(cloud, ended):
    baseline(cloud)
    job = ended("baseline")
    assert (job["ProcessingJobStatus"], job.get("FailureReason")) == ("Completed", None)
    assert job["ExitMessage"] == "Completed: Job completed successfully with no violations."
    found = json.loads(text_of(cloud, "out/statistics.json"))
    assert [feature["name"] for feature in found["features"]] == ["y", "x"]
    assert (
        json.loads(text_of(cloud, "out/constraints.json"))["monitoring_config"][
            "datatype_check_threshold"
        ]
        == 1.0
    )

    half = '{"observedContentType":"text/csv","mode":"%s","data":"%s","encoding":"CSV"}'
    record = '{"captureData":{"endpointInput":%s,"endpointOutput":%s},"eventMetadata":{"eventId":"e","inferenceTime":"2026-01-05T10:00:00Z"},"eventVersion":"0"}\n'
    lines = "".join(
        record % (half % ("INPUT", f"{n % 7}.5"), half % ("OUTPUT", "abc")) for n in range(300)
    )
    s3 = cloud.client("s3")
    s3.put_object(
        Bucket=cloud.bucket,
        Key="captured/ep/AllTraffic/2026/01/05/10/00-00-000-a.jsonl",
        Body=lines.encode(),
    )
    for name in ("statistics.json", "constraints.json"):
        s3.copy_object(
            Bucket=cloud.bucket,
            Key=f"base/{name}",
            CopySource={"Bucket": cloud.bucket, "Key": f"out/{name}"},
        )
    base = "/opt/ml/processing/baseline"
    start(
        cloud, "window", image=ANALYZER,
        inputs=[
            entry("endpoint", f"s3://{cloud.bucket}/captured/ep", "/opt/ml/processing/input/endpoint"),
            entry("constraints", f"s3://{cloud.bucket}/base/constraints.json", f"{base}/constraints"),
            entry("baseline", f"s3://{cloud.bucket}/base/statistics.json", f"{base}/stats"),
        ],
        environment={
            "dataset_format": '{"sagemakerCaptureJson":{"captureIndexNames":["endpointInput","endpointOutput"]}}',
            "dataset_source": "/opt/ml/processing/input/endpoint", "output_path": "/opt/ml/processing/output",
            "publish_cloudwatch_metrics": "Disabled", "baseline_constraints": f"{base}/constraints/constraints.json",
            "baseline_statistics": f"{base}/stats/statistics.json",
        },
    )  # fmt: skip
    judged = ended("window")
    assert judged["ProcessingJobStatus"] == "Completed"
    violations = json.loads(text_of(cloud, "out/constraint_violations.json"))["violations"]
    assert (
        judged["ExitMessage"]
        == f"CompletedWithViolations: Job completed successfully with {len(violations)} violations."
    )
    assert {(v["feature_name"], v["constraint_check_type"]) for v in violations} >= {
        ("y", "data_type_check"),
        ("x", "baseline_drift_check"),
    }
    assert text_of(cloud, "out/report.html").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("content", "form", "said"),
    [
        ("", '{"csv": {"header": true}}', "train.csv is empty: it has no header line."),
        ("y,x\n" + "1,2,3\n" * 9, '{"csv": {"header": true}}', "9 of 9 lines"),
        (
            "y,x\n1,2\n",
            '{"xml": {}}',
            "dataset_format names none of csv, json, parquet, sagemakerCaptureJson",
        ),
        ("y,x\n1,2\n", "csv", "dataset_format is not a JSON object: csv"),
    ],
)
def test_bad_data_is_told_in_message_and_reason(cloud, ended, content, form, said):
    baseline(cloud, content=content, form=form)
    job = ended("baseline")
    assert job["ProcessingJobStatus"] == "Failed"
    assert said in job["ExitMessage"]
    assert said in job["FailureReason"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def test_what_cannot_run_is_refused_at_once(cloud):
    sagemaker = cloud.client("sagemaker")
    other = refused(start, cloud=cloud, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1")
    assert other["Code"] == "ValidationException"
    assert "ContainerEntrypoint" in other["Message"]
    nothing = [entry("data", f"s3://{cloud.bucket}/nothing/", "/opt/ml/processing/input")]
    assert (
        "No S3 objects found under S3 URL"
        in refused(start, cloud=cloud, inputs=nothing, entrypoint=["x"])["Message"]
    )
    outside = [entry("data", f"s3://{cloud.bucket}/nothing/", "/etc")]
    assert (
        "must lie below /opt/ml/"
        in refused(start, cloud=cloud, inputs=outside, entrypoint=["x"])["Message"]
    )
    unknown = refused(sagemaker.describe_processing_job, ProcessingJobName="nobody")
    assert (unknown["Code"], unknown["Message"]) == (
        "ValidationException",
        "Requested resource not found.",
    )
    start(cloud, entrypoint=["true"])
    again = refused(start, cloud=cloud, entrypoint=["true"])
    assert again["Code"] == "ResourceInUse"
    assert again["Message"].startswith(
        "Processing job names must be unique within an AWS account and region"
    )
    names = [
        job["ProcessingJobName"]
        for job in sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    ]
    assert names == ["job"]


def test_a_running_job_can_be_stopped_and_a_training_job_may_have_its_name(cloud, ended):
    inputs = script(cloud, "import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    start(cloud, inputs=inputs, entrypoint=["python3", f"{CODE}/work.py"])
    cloud.run()
    sagemaker = cloud.client("sagemaker")
    sagemaker.stop_processing_job(ProcessingJobName="job")
    assert (
        sagemaker.describe_processing_job(ProcessingJobName="job")["ProcessingJobStatus"]
        == "Stopping"
    )
    assert ended()["ProcessingJobStatus"] == "Stopped"
    error = refused(sagemaker.stop_processing_job, ProcessingJobName="job")
    assert (
        error["Message"]
        == "The request was rejected because the processing job is in status Stopped."
    )
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
