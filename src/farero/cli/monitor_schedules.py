"""`farero monitor add` and `rm`: SageMaker's own schedules, made in a line from a baseline."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.markup import escape

from farero.cli.deploying import role_arn
from farero.cli.monitoring import app, files_of, place
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded, is_aws, settings

IMAGE = "156813124566.dkr.ecr.{}.amazonaws.com/sagemaker-model-monitor-analyzer"


@app.command()
def add(
    endpoint: str,
    *,
    every: Annotated[str, typer.Option(help="5m, 1h, 6h, 1d, or an expression: cron(…).")] = "1h",
) -> None:
    """Judge an endpoint again and again: farero monitor add price --every 1h."""
    asked = expression(every)
    bucket, prefix = place(endpoint)
    baseline = {found["Key"].rpartition("/")[2] for found in files_of(bucket, f"{prefix}baseline/")}
    if "constraints.json" not in baseline:
        fail("E-NO-BASELINE", f"{endpoint} has no baseline", where=f"s3://{bucket}/{prefix}baseline/",
             fix=f"farero monitor baseline {endpoint} train.csv")  # fmt: skip
    if is_aws():
        say("AWS has closed Model Monitor to new accounts; it takes this from older ones alone.")
    sagemaker, name = client("sagemaker"), f"farero-{endpoint}"[:63]
    where = f"s3://{bucket}/{prefix}"
    definition: dict[str, Any] = {
        "JobDefinitionName": name,
        "RoleArn": role_arn(),
        "DataQualityAppSpecification": {
            "ImageUri": IMAGE.format(settings().region),
            "Environment": {"publish_cloudwatch_metrics": "Enabled"},
        },
        "DataQualityBaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{where}baseline/constraints.json"},
            "StatisticsResource": {"S3Uri": f"{where}baseline/statistics.json"},
        },
        "DataQualityJobInput": {
            "EndpointInput": {
                "EndpointName": endpoint, "LocalPath": "/opt/ml/processing/input/endpoint",
            }
        },
        "DataQualityJobOutputConfig": {
            "MonitoringOutputs": [
                {"S3Output": {"S3Uri": f"{where}reports", "LocalPath": "/opt/ml/processing/output"}}
            ]
        },
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20,
            }
        },
    }  # fmt: skip
    guarded(lambda: sagemaker.create_data_quality_job_definition(**definition))
    config = {
        "ScheduleConfig": {"ScheduleExpression": asked},
        "MonitoringJobDefinitionName": name,
        "MonitoringType": "DataQuality",
    }
    guarded(
        lambda: sagemaker.create_monitoring_schedule(
            MonitoringScheduleName=name, MonitoringScheduleConfig=config
        )
    )
    result({"schedule": name, "expression": asked}, escape(f"{name} judges {endpoint} by {asked}"))
    say(escape(f"next: farero monitor show {endpoint}   # after its first run"))


@app.command()
def rm(endpoint: str) -> None:
    """Judge an endpoint no more; baseline and reports stay."""
    sagemaker, name = client("sagemaker"), f"farero-{endpoint}"[:63]
    guarded(lambda: sagemaker.delete_monitoring_schedule(MonitoringScheduleName=name))
    guarded(lambda: sagemaker.delete_data_quality_job_definition(JobDefinitionName=name))
    result({"removed": name}, escape(f"removed {name}"))


def expression(every: str) -> str:
    """Return AWS's expression of a span: whole hours as AWS has them, minutes as a rate."""
    if every.startswith(("cron(", "rate(")):
        return every
    found = re.fullmatch(r"([1-9]\d{0,3})([mhd])", every)
    number, unit = (int(found.group(1)), found.group(2)) if found else (0, "")
    if unit == "m":
        return f"rate({number} minute{'s' if number > 1 else ''})"
    if unit == "h" and number <= 24:
        return "cron(0 * ? * * *)" if number == 1 else f"cron(0 0/{number} ? * * *)"
    if unit == "d":
        return "cron(0 0 ? * * *)" if number == 1 else f"rate({number} days)"
    fail("E-EVERY", f"{every!r} is no span and no expression", where="--every",
         fix="5m, 1h, 6h, 1d, or 'cron(0 9 ? * MON *)'", status=WRONG_USAGE)  # fmt: skip
