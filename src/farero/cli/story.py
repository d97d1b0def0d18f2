"""`farero try`: the whole workflow on a small bundled data set, through the same AWS calls that anyone makes."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farero.base.clock import SystemClock
from farero.cli.capturing import summary
from farero.cli.deploying import IMAGES, ROLE
from farero.cli.output import fail, options, result, say, step
from farero.cli.session import client, guarded, settings

if TYPE_CHECKING:
    from collections.abc import Callable

SPECIES = ("setosa", "versicolor", "virginica")
FLOWERS = ("5.1,3.5,1.4,0.2", "6.0,2.9,4.5,1.5", "6.9,3.1,5.4,2.1")
POLL_S = 0.05


def try_it(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the endpoint running.")] = False,
) -> None:
    """Train on iris, deploy, predict, and look at the captured requests: everything for real."""
    started = time.monotonic()
    name = f"try-iris-{time.strftime('%H%M%S')}"
    bucket = f"sagemaker-{settings().region}-{settings().account}"
    s3, sagemaker, runtime = client("s3"), client("sagemaker"), client("sagemaker-runtime")
    with step("put iris.csv into S3") as uploading:
        body = files("farero.cli").joinpath("data/iris.csv").read_bytes()
        guarded(lambda: s3.put_object(Bucket=bucket, Key=f"{name}/train/iris.csv", Body=body))
        uploading.note(f"s3://{bucket}/{name}/train/iris.csv")
    with step("train XGBoost") as training:
        guarded(lambda: sagemaker.create_training_job(**_training(name, bucket)))
        job = _wait(
            lambda: sagemaker.describe_training_job(TrainingJobName=name),
            "TrainingJobStatus",
            "Completed",
        )
        training.note(_metrics(job))
    with step("deploy with data capture"):
        guarded(lambda: _deploy(sagemaker, name, bucket, job["ModelArtifacts"]["S3ModelArtifacts"]))
        _wait(lambda: sagemaker.describe_endpoint(EndpointName=name), "EndpointStatus", "InService")
    answers: list[str] = []
    with step("predict three flowers"):
        for flower in FLOWERS:
            answer = guarded(lambda flower=flower: runtime.invoke_endpoint(
                EndpointName=name, ContentType="text/csv", Body=flower))  # fmt: skip
            answers.append(answer["Body"].read().decode().strip())
    for flower, answer in zip(FLOWERS, answers, strict=True):
        say(f"    {flower}  ->  {_species(answer)}")
    with step("find the captured records") as finding:
        records = _captured(s3, bucket, f"{name}/capture/", len(FLOWERS))
        finding.note(f"{len(records)} in s3://{bucket}/{name}/capture/")
    for record in records:
        say("    " + summary(record))
    if not keep:
        for call in (
            lambda: sagemaker.delete_endpoint(EndpointName=name),
            lambda: sagemaker.delete_endpoint_config(EndpointConfigName=name),
            lambda: sagemaker.delete_model(ModelName=name),
        ):
            guarded(call)
    seconds = time.monotonic() - started
    result(
        {
            "seconds": round(seconds, 2),
            "predictions": answers,
            "captured": len(records),
            "kept": keep,
        }
    )
    say(f"Done in {seconds:.1f} s: trained, deployed, predicted and captured, for real.")
    if keep:
        say(
            f"next: farero invoke {name} -d '5.1,3.5,1.4,0.2'   farero capture tail {name}   farero rm {name}"
        )
    else:
        say(
            'next: eval "$(farero env)" and run your own boto3 or SageMaker code; farero try --keep to look around'
        )


def _training(name: str, bucket: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGES["xgboost"], "TrainingInputMode": "File"},
        "RoleArn": f"arn:aws:iam::{settings().account}:role/{ROLE}",
        "HyperParameters": {
            "num_round": "30",
            "objective": "multi:softmax",
            "num_class": "3",
            "max_depth": "3",
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/{name}/train/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{name}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def _deploy(sagemaker: Any, name: str, bucket: str, model_data: str) -> None:
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=f"arn:aws:iam::{settings().account}:role/{ROLE}",
        PrimaryContainer={"Image": IMAGES["xgboost"], "ModelDataUrl": model_data},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{bucket}/{name}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
        },
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def _wait(describe: Callable[[], dict[str, Any]], member: str, wanted: str) -> dict[str, Any]:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = guarded(describe)
        if found[member] == wanted:
            return found
        if found[member] in ("Failed", "Stopped"):
            fail("E-TRY", found.get("FailureReason", f"it ended as {found[member]}"), where=member)
        SystemClock().sleep(POLL_S)
    fail("E-TRY", f"{member} was not {wanted} after 300 s", fix="farero status")


def _metrics(job: dict[str, Any]) -> str:
    found = job.get("FinalMetricDataList", [])
    return ", ".join(f"{m['MetricName']} {m['Value']:.4g}" for m in found)


def _species(answer: str) -> str:
    return SPECIES[round(float(answer.split(",", maxsplit=1)[0]))]


def _captured(s3: Any, bucket: str, prefix: str, wanted: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    records: list[dict[str, Any]] = []
    while len(records) < wanted and time.monotonic() < deadline:
        SystemClock().sleep(POLL_S)
        listed = guarded(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix)).get(
            "Contents", []
        )
        bodies = [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed]
        records = [json.loads(line) for body in bodies for line in body.splitlines()]
    if len(records) < wanted and not options.quiet:
        say(f"    only {len(records)} of {wanted} records arrived within 10 s: farero doctor")
    return records
