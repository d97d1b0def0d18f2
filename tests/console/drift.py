"""A schedule on the stage whose runs find drift: a baseline, captured requests of the last hour, an hourly schedule."""

from __future__ import annotations

import datetime as dt
import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero_monitor.dataset import Source
from farero_monitor.monitor import take_baseline

if TYPE_CHECKING:
    from tests.console.conftest import Stage

NAMES = ["score", "height", "colour"]
IMAGE = "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"


def watch(stage: Stage, name: str) -> None:
    """Deploy an endpoint of this name and watch it by a schedule of this name, which has not run yet."""
    stage.deploy(name, "echo")
    s3, bucket, sagemaker = stage.client("s3"), stage.platform.bucket, stage.client("sagemaker")
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.csv"
        rows = [",".join(NAMES), *(_row(draw, 0.0, "red blue green") for _ in range(2000))]
        train.write_text("\n".join(rows), encoding="utf-8")
        take_baseline(Source(train, "csv"), Path(folder) / "out", workers=1)
        for file in (Path(folder) / "out").iterdir():
            s3.put_object(Bucket=bucket, Key=f"{name}/baseline/{file.name}", Body=file.read_bytes())
    capture(stage, name, [_row(draw, 0.8, "red blue violet") for _ in range(500)])
    sagemaker.create_data_quality_job_definition(
        JobDefinitionName=name, RoleArn=ROLE,
        DataQualityAppSpecification={"ImageUri": IMAGE},
        DataQualityBaselineConfig={
            "ConstraintsResource": {"S3Uri": f"s3://{bucket}/{name}/baseline/constraints.json"},
            "StatisticsResource": {"S3Uri": f"s3://{bucket}/{name}/baseline/statistics.json"},
        },
        DataQualityJobInput={
            "EndpointInput": {"EndpointName": name, "LocalPath": "/opt/ml/processing/input/endpoint"}
        },
        DataQualityJobOutputConfig={
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"s3://{bucket}/{name}/reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        JobResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
        },
    )  # fmt: skip
    assert stage.settled(name) == "InService"
    config = {
        "ScheduleConfig": {"ScheduleExpression": "cron(0 0 1 1 ? 2099)"},  # never by itself
        "MonitoringJobDefinitionName": name, "MonitoringType": "DataQuality",
    }  # fmt: skip
    sagemaker.create_monitoring_schedule(
        MonitoringScheduleName=name, MonitoringScheduleConfig=config
    )


def capture(stage: Stage, endpoint: str, rows: list[str]) -> None:
    """Put captured requests of ten minutes ago where the endpoint's captures lie; a row begins with the answer."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    lines = [_record(row, at, number) for number, row in enumerate(rows)]
    key = f"capture/{endpoint}/AllTraffic/{at:%Y/%m/%d/%H}/00-00-000-made-up.jsonl"
    stage.client("s3").put_object(
        Bucket=stage.platform.bucket, Key=key, Body="\n".join(lines).encode()
    )


def run_once(stage: Stage, name: str) -> dict[str, Any]:
    """Have a schedule's definition look at the last hour, as "Run now" does; return the execution when it has ended."""
    config = {
        "ScheduleConfig": {
            "ScheduleExpression": "NOW", "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
        },
        "MonitoringJobDefinitionName": name, "MonitoringType": "DataQuality",
    }  # fmt: skip
    stage.client("sagemaker").create_monitoring_schedule(
        MonitoringScheduleName=f"{name}-now-1", MonitoringScheduleConfig=config
    )
    return stage.platform.wait(lambda: ran(stage, name), 90)[0]


def ran(stage: Stage, name: str) -> list[dict[str, Any]]:
    """Return the executions asked for beside a schedule that have ended."""
    listed = stage.client("sagemaker").list_monitoring_executions(EndpointName=name)
    found = listed["MonitoringExecutionSummaries"]
    return [
        one for one in found if one["MonitoringExecutionStatus"] not in ("Pending", "InProgress")
    ]


def place(stage: Stage, execution: dict[str, Any]) -> tuple[str, str]:
    """Return bucket and prefix of what an execution left."""
    job = execution["ProcessingJobArn"].rpartition("/")[2]
    told = stage.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    uri = told["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix.rstrip("/")


def _row(draw: random.Random, shift: float, colours: str) -> str:
    return f"{draw.gauss(0, 1):.4f},{draw.gauss(shift, 1):.4f},{draw.choice(colours.split())}"


def _record(row: str, at: dt.datetime, number: int) -> str:
    answer, _, asked = row.partition(",")
    half = {"observedContentType": "text/csv", "encoding": "CSV"}
    data = {
        "endpointInput": {**half, "mode": "INPUT", "data": asked},
        "endpointOutput": {**half, "mode": "OUTPUT", "data": answer},
    }
    metadata = {"eventId": f"made-up-{number}", "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})
