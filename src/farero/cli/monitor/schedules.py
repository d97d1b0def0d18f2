"""`farero monitor add`, `stop`, `start` and `rm`: SageMaker's own schedules, made in a line from a baseline."""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.deploying import role_arn
from farero.cli.monitor import columns
from farero.cli.monitor.analyzer import missing_packages
from farero.cli.monitor.captured import sample
from farero.cli.monitor.places import baseline_files, download, place
from farero.cli.monitor.timing import next_run, span_of
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded, settings

if TYPE_CHECKING:
    from farero.cli.monitor.places import Place

IMAGE = "156813124566.dkr.ecr.{}.amazonaws.com/sagemaker-model-monitor-analyzer"
#: What `run --now` looks at where there is no schedule.
WITHOUT_SCHEDULE = dt.timedelta(hours=1)
#: How long `rm` waits for a run under way.
RUN_ENDS = dt.timedelta(minutes=2)


def add(
    endpoint: str,
    *,
    every: Annotated[str, typer.Option(help="5m, 1h, 6h, 1d, or an expression: cron(…).")] = "1h",
    baseline: Annotated[str, typer.Option(help="The name of a baseline.")] = "",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Though the columns are not those of the baseline.")
    ] = False,
) -> None:
    """Judge an endpoint again and again: farero monitor add price --every 1h."""
    asked = expression(every)
    where = place(endpoint)
    name = schedule_name(endpoint)
    if any(one["MonitoringScheduleName"] == name for one in schedules_of(endpoint)):
        fail("E-EXISTS", f"{endpoint} has a schedule already", where=f"schedule {name}",
             fix=f"farero monitor rm {endpoint}   # then add it again; or: monitor show {endpoint}")  # fmt: skip
    files = baseline_files(where, baseline)
    if not anyway:
        _check_columns(where, files, baseline)
    warn_of_aws(
        "an account that has it already takes this schedule; the analysis there is AWS's own."
    )
    _create(where, name, asked, baseline)
    result({"schedule": name, "expression": asked}, escape(f"{name} judges {endpoint} by {asked}"))
    say(escape(f"next: farero monitor show {endpoint}   # after its first run"))


def stop(endpoint: str) -> None:
    """Let the schedule of an endpoint rest; farero monitor start goes on with it."""
    name = _needed(endpoint)
    guarded(lambda: client("sagemaker").stop_monitoring_schedule(MonitoringScheduleName=name))
    result({"stopped": name}, escape(f"stopped {name}"))
    say(escape(f"next: farero monitor start {endpoint}"))


def start(endpoint: str) -> None:
    """Go on with a schedule that rests, from now on."""
    name = _needed(endpoint)
    sagemaker = client("sagemaker")
    guarded(lambda: sagemaker.start_monitoring_schedule(MonitoringScheduleName=name))
    described = guarded(lambda: sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name))
    at = next_run(described)
    when = f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
    result({"started": name, "next": when}, escape(f"started {name}; its next run is at {when}"))


def rm(endpoint: str) -> None:
    """Judge an endpoint no more; baseline, labels and reports stay."""
    name = _needed(endpoint)
    remove(name)
    result({"removed": name}, escape(f"removed {name}"))


def remove(name: str) -> None:
    """Delete a schedule that `add` has made, and its definition; a run under way is let end before.

    The console's "Run now" leaves a schedule that ran once; a definition goes when no schedule uses it.
    """
    sagemaker, clock = client("sagemaker"), SystemClock()
    listed = guarded(
        lambda: sagemaker.list_monitoring_schedules(
            MonitoringJobDefinitionName=name, MaxResults=100
        )
    )
    beside = [one["MonitoringScheduleName"] for one in listed["MonitoringScheduleSummaries"]]
    for one in (name, *(other for other in beside if other != name)):
        guarded(lambda one=one: sagemaker.stop_monitoring_schedule(MonitoringScheduleName=one))
        until = clock.now() + RUN_ENDS
        while _is_running(one) and clock.now() < until:
            clock.sleep(0.3)
        guarded(lambda one=one: sagemaker.delete_monitoring_schedule(MonitoringScheduleName=one))
    guarded(lambda: sagemaker.delete_data_quality_job_definition(JobDefinitionName=name))


def own_schedule(endpoint: str) -> str:
    """Return the name of the schedule that `add` has made of an endpoint; empty if there is none."""
    name = schedule_name(endpoint)
    return name if name in [one["MonitoringScheduleName"] for one in schedules_of(endpoint)] else ""


def schedule_name(endpoint: str) -> str:
    """Return the name of the schedule that `add` makes."""
    return f"farero-{endpoint}"[:63].rstrip("-")


def schedules_of(endpoint: str) -> list[dict[str, Any]]:
    """Return all monitoring schedules of an endpoint, whoever made them, as they are described."""
    sagemaker = client("sagemaker")
    pages = sagemaker.get_paginator("list_monitoring_schedules").paginate(EndpointName=endpoint)
    names = guarded(
        lambda: [
            one["MonitoringScheduleName"]
            for page in pages
            for one in page["MonitoringScheduleSummaries"]
        ]
    )
    return [
        guarded(
            lambda name=name: sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name)
        )
        for name in names
    ]


def period(endpoint: str, now: dt.datetime) -> dt.timedelta:
    """Return how much time one run of an endpoint's schedule looks at; an hour if there is none."""
    spans = [span for one in schedules_of(endpoint) if (span := span_of(one, now))]
    return min(spans, default=WITHOUT_SCHEDULE)


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


def _needed(endpoint: str) -> str:
    """Return the name of the endpoint's schedule; ends the command if `add` has made none."""
    name = schedule_name(endpoint)
    there = [one["MonitoringScheduleName"] for one in schedules_of(endpoint)]
    if name in there:
        return name
    if there:
        fail("E-NO-SCHEDULE", f"{endpoint} has no schedule of this command; there is {', '.join(there)}",
             where=f"schedule {name}",
             fix=f"aws sagemaker stop-monitoring-schedule --monitoring-schedule-name {there[0]}")  # fmt: skip
    fail("E-NO-SCHEDULE", f"{endpoint} has no schedule", where=f"schedule {name}",
         fix=f"farero monitor add {endpoint} --every 1h")  # fmt: skip


def _is_running(name: str) -> bool:
    page = guarded(
        lambda: client("sagemaker").list_monitoring_executions(
            MonitoringScheduleName=name, MaxResults=10
        )
    )
    return any(
        one["MonitoringExecutionStatus"] in {"Pending", "InProgress"}
        for one in page["MonitoringExecutionSummaries"]
    )


def _check_columns(where: Place, files: dict[str, Any], name: str) -> None:
    """End the command if the newest records do not look like the baseline."""
    if "statistics.json" not in files:
        return
    if missing := missing_packages():
        say(f"columns were not compared: the analyzer needs {', '.join(missing)}")
        return
    records = sample(where, columns.ENOUGH)
    if not records:
        say("nothing was captured yet, so the columns could not be compared with the baseline's")
        return
    again = f"farero monitor baseline {where.endpoint} train.csv" + (
        f" --name {name}" if name else ""
    )
    with tempfile.TemporaryDirectory(prefix="farero-") as folder:
        base = Path(folder) / "baseline"
        for file, found in files.items():
            download(where.bucket, found["Key"], base / file)
        mistake = columns.check(records, base, Path(folder), again)
    if mistake is not None:
        fail("E-COLUMNS", mistake.what, where=where.uri(where.baseline(name)),
             fix=f"{mistake.fix}; or add --anyway")  # fmt: skip


def _create(where: Place, name: str, asked: str, baseline: str) -> None:
    """Make job definition and schedule; what was made goes again if the second one fails."""
    sagemaker = client("sagemaker")
    given = _definition(where, name, baseline)
    guarded(lambda: sagemaker.create_data_quality_job_definition(**given))
    config = {
        "ScheduleConfig": {"ScheduleExpression": asked},
        "MonitoringJobDefinitionName": name,
        "MonitoringType": "DataQuality",
    }
    made = False
    try:
        guarded(
            lambda: sagemaker.create_monitoring_schedule(
                MonitoringScheduleName=name, MonitoringScheduleConfig=config
            )
        )
        made = True
    finally:
        if not made:
            sagemaker.delete_data_quality_job_definition(JobDefinitionName=name)


def _definition(where: Place, name: str, baseline: str) -> dict[str, Any]:
    base = where.uri(where.baseline(baseline))
    return {
        "JobDefinitionName": name,
        "RoleArn": role_arn(),
        "DataQualityAppSpecification": {
            "ImageUri": IMAGE.format(settings().region),
            "Environment": {"publish_cloudwatch_metrics": "Enabled"},
        },
        "DataQualityBaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{base}constraints.json"},
            "StatisticsResource": {"S3Uri": f"{base}statistics.json"},
        },
        "DataQualityJobInput": {
            "EndpointInput": {
                "EndpointName": where.endpoint, "LocalPath": "/opt/ml/processing/input/endpoint",
            }
        },
        "DataQualityJobOutputConfig": {
            "MonitoringOutputs": [
                {
                    "S3Output": {
                        "S3Uri": where.uri(f"{where.prefix}reports"),
                        "LocalPath": "/opt/ml/processing/output",
                    }
                }
            ]
        },
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20,
            }
        },
    }  # fmt: skip
