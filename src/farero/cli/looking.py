"""`farero ls`, `show`, `rm`, `logs`: what runs, everything about one endpoint, what it printed, and its end."""

from __future__ import annotations

import datetime as dt
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from botocore.exceptions import ClientError

from farero.base.clock import SystemClock
from farero.cli import figures
from farero.cli.engines import engines_of
from farero.cli.monitor.schedules import own_schedules, remove
from farero.cli.output import fail, options, result, say, table
from farero.cli.session import client, guarded, is_aws
from farero.cli.updating import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUPS = ("/aws/sagemaker/Endpoints/{}", "/aws/sagemaker/TrainingJobs")
SPAN = re.compile(r"(\d+)([smhd])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def ls(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Models, configurations and jobs too.")
    ] = False,
) -> None:
    """List endpoints with their last hour (and with --all models, configurations and training jobs)."""
    sagemaker = client("sagemaker")
    endpoints = guarded(lambda: _pages(sagemaker, "list_endpoints", "Endpoints"))
    hour = figures.last_hour(client("cloudwatch")) if endpoints else {}
    totals = {
        name: figures.worst(one for (endpoint, _), one in hour.items() if endpoint == name)
        for name in (e["EndpointName"] for e in endpoints)
    }
    rows = [
        [name, e["EndpointStatus"], *totals[name].cells, _when(e["CreationTime"])]
        for e in endpoints
        for name in [e["EndpointName"]]
    ]
    data: dict[str, Any] = {
        "endpoints": endpoints,
        "last_hour": {name: one.as_json for name, one in totals.items()},
    }
    if everything:
        data["models"] = guarded(lambda: _pages(sagemaker, "list_models", "Models"))
        data["endpoint_configs"] = guarded(
            lambda: _pages(sagemaker, "list_endpoint_configs", "EndpointConfigs")
        )
        data["training_jobs"] = guarded(
            lambda: _pages(sagemaker, "list_training_jobs", "TrainingJobSummaries")
        )
    if not rows and not everything:
        say("No endpoints yet. next: farero try, or farero deploy MODEL")
    result(data, table(["ENDPOINT", "STATUS", *figures.TITLES, "CREATED"], rows) if rows else "")
    if everything and not options.as_json:
        _print_rest(data)


def show(endpoint: str) -> None:
    """Show everything about one endpoint: status, variants, images, capture, failure."""
    sagemaker = client("sagemaker")
    found = guarded(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))
    found.pop("ResponseMetadata", None)
    hour = {
        variant: one
        for (name, variant), one in figures.last_hour(client("cloudwatch"), endpoint).items()
        if name == endpoint
    }
    found["LastHour"] = {variant: one.as_json for variant, one in hour.items()}
    engines = engines_of(sagemaker, found["EndpointArn"])
    if engines:
        found["Engines"] = engines
    if options.as_json:
        result(found)
        return
    say(f"[bold]{endpoint}[/]  {found['EndpointStatus']}  since {_when(found['LastModifiedTime'])}")
    say(f"configuration {found['EndpointConfigName']}")
    if coming := found.get("PendingDeploymentSummary"):
        share = progress(found) or "no requests yet"
        say(f"coming: configuration {coming['EndpointConfigName']}, {share}")
    if reason := found.get("FailureReason"):
        sys.stdout.write(f"reason: {reason}\n")
    for variant in found.get("ProductionVariants", []):
        images = ", ".join(i.get("ResolvedImage", "") for i in variant.get("DeployedImages", []))
        count = variant.get("CurrentInstanceCount")
        size = "serverless" if "CurrentServerlessConfig" in variant else f"{count} running"
        say(
            f"variant {variant['VariantName']}: weight {variant.get('CurrentWeight', 1)}, {size}  {images}"
        )
        if engine := engines.get(variant["VariantName"]):
            say(f"  {engine}")
    _say_hour(hour)
    capture = found.get("DataCaptureConfig")
    if capture:
        say(
            f"capturing {capture['CurrentSamplingPercentage']} % of requests "
            f"({capture['CaptureStatus']}) to {capture['DestinationS3Uri']}"
        )
    say(f"next: farero invoke {endpoint} -d '1,2,3,4'   farero logs {endpoint} -f")


def _say_hour(hour: Mapping[str, figures.Figures]) -> None:
    if not any(one.requests for one in hour.values()):
        say("last hour: no requests")
    for variant, one in hour.items():
        if one.requests:
            count, share, p50, p99 = one.cells
            of = f" of {variant}" if len(hour) > 1 else ""
            say(
                f"last hour{of}: {count} requests, {share} errors, model latency p50 {p50}, p99 {p99}"
            )


def rm(endpoint: str) -> None:
    """Delete an endpoint with its configuration, models and schedule, after listing them."""
    sagemaker = client("sagemaker")
    found = guarded(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))
    config = found["EndpointConfigName"]
    models = _models_of(sagemaker, config)
    things = [f"endpoint {endpoint}", f"configuration {config}", *[f"model {m}" for m in models]]
    schedules: list[str] = [] if is_aws() else own_schedules(endpoint)
    things += [f"monitoring schedule {schedule}" for schedule in schedules]
    if not options.yes and not options.as_json and sys.stdin.isatty():
        for thing in things:
            say(f"  {thing}")
        if not typer.confirm("Delete these?"):
            raise typer.Exit(1)
    for schedule in schedules:
        remove(schedule)
    guarded(lambda: sagemaker.delete_endpoint(EndpointName=endpoint))
    guarded(lambda: sagemaker.delete_endpoint_config(EndpointConfigName=config))
    for model in models:
        guarded(lambda model=model: sagemaker.delete_model(ModelName=model))
    result({"deleted": things}, "\n".join(f"deleted {thing}" for thing in things))


def logs(
    name: Annotated[str, typer.Argument(help="An endpoint, a training job, or a log group.")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    since: Annotated[str, typer.Option(help="How far back: 90s, 10m, 2h, 1d.")] = "1h",
    pattern: Annotated[str, typer.Option("--filter", help="A CloudWatch filter pattern.")] = "",
) -> None:
    """Print what an endpoint or a job wrote."""
    start = SystemClock().now() - _span(since)
    watch = client("logs")
    group, prefix = _find_logs(watch, name)
    seen: set[str] = set()
    events: list[dict[str, Any]] = []
    while True:
        for event in guarded(lambda: list(_events(watch, group, prefix, start, pattern))):
            if event["eventId"] in seen:
                continue
            seen.add(event["eventId"])
            events.append(event)
            if not options.as_json:
                sys.stdout.write(_line(event))
        if not follow:
            break
        sys.stdout.flush()
        SystemClock().sleep(0.5)
    if options.as_json:
        result(events)
    elif not events:
        say(f"no lines in {group} in the last {since}")


def _find_logs(watch: Any, name: str) -> tuple[str, str]:
    if name.startswith("/"):
        return name, ""
    group = GROUPS[0].format(name)
    found = guarded(lambda: watch.describe_log_groups(logGroupNamePrefix=group)["logGroups"])
    if any(g["logGroupName"] == group for g in found):
        return group, ""
    try:
        streams = watch.describe_log_streams(
            logGroupName=GROUPS[1], logStreamNamePrefix=f"{name}/"
        )["logStreams"]
    except ClientError:
        streams = []
    if streams:
        return GROUPS[1], f"{name}/"
    fail("E-NO-LOGS", f"neither an endpoint nor a training job called '{name}' has written anything",
         fix="farero ls --all")  # fmt: skip


def _events(
    watch: Any, group: str, prefix: str, start: dt.datetime, pattern: str
) -> Iterator[dict[str, Any]]:
    request: dict[str, Any] = {"logGroupName": group, "startTime": int(start.timestamp() * 1000)}
    if prefix:
        request["logStreamNamePrefix"] = prefix
    if pattern:
        request["filterPattern"] = pattern
    while True:
        page = watch.filter_log_events(**request)
        yield from page["events"]
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def _line(event: dict[str, Any]) -> str:
    moment = dt.datetime.fromtimestamp(event["timestamp"] / 1000, dt.UTC)
    stream = event["logStreamName"].split("/")[-1][:12]
    return (
        f"{moment:%H:%M:%S}.{event['timestamp'] % 1000:03d} {stream} {event['message'].rstrip()}\n"
    )


def _span(text: str) -> dt.timedelta:
    found = SPAN.fullmatch(text)
    if not found:
        fail("E-SINCE", f"'{text}' is no span of time", fix="--since 10m", status=2)
    return dt.timedelta(seconds=int(found.group(1)) * UNITS[found.group(2)])


def _models_of(sagemaker: Any, config: str) -> list[str]:
    try:
        found = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    except ClientError:
        return []
    return sorted({v["ModelName"] for v in found["ProductionVariants"]})


def _pages(sagemaker: Any, operation: str, member: str) -> list[dict[str, Any]]:
    pages = sagemaker.get_paginator(operation).paginate()
    return [item for page in pages for item in page[member]]


def _when(moment: dt.datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _print_rest(data: dict[str, Any]) -> None:
    for title, member, name in [
        ("MODEL", "models", "ModelName"),
        ("CONFIGURATION", "endpoint_configs", "EndpointConfigName"),
    ]:
        rows = [[item[name], _when(item["CreationTime"])] for item in data[member]]
        result(None, table([title, "CREATED"], rows))
    rows = [
        [j["TrainingJobName"], j["TrainingJobStatus"], _when(j["CreationTime"])]
        for j in data["training_jobs"]
    ]
    result(None, table(["TRAINING JOB", "STATUS", "CREATED"], rows))
