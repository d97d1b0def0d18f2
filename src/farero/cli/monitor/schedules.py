"""`farero monitor stop`, `start` and `rm`: the schedules that `add` has made, and all that an endpoint has."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.monitor import kinds
from farero.cli.monitor.timing import next_run, span_of
from farero.cli.output import WRONG_USAGE, fail, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from farero.cli.monitor.kinds import Kind

Quality = Annotated[bool, typer.Option("--quality", help="That of model quality, by labels.")]
Bias = Annotated[bool, typer.Option("--bias", help="That of bias.")]
Explain = Annotated[bool, typer.Option("--explain", help="That of attributions.")]

#: What `run --now` looks at where there is no schedule.
WITHOUT_SCHEDULE = dt.timedelta(hours=1)
#: How long `rm` waits for a run under way.
RUN_ENDS = dt.timedelta(minutes=2)


def stop(
    endpoint: str, *, quality: Quality = False, bias: Bias = False, explain: Explain = False
) -> None:
    """Let the schedules of an endpoint rest, or the one named; farero monitor start goes on with them."""
    names = _needed(endpoint, kind_of(quality=quality, bias=bias, explain=explain))
    for name in names:
        guarded(
            lambda name=name: client("sagemaker").stop_monitoring_schedule(
                MonitoringScheduleName=name
            )
        )
    result({"stopped": names}, escape(f"stopped {', '.join(names)}"))
    say(escape(f"next: farero monitor start {endpoint}"))


def start(
    endpoint: str, *, quality: Quality = False, bias: Bias = False, explain: Explain = False
) -> None:
    """Go on with schedules that rest, from now on."""
    names = _needed(endpoint, kind_of(quality=quality, bias=bias, explain=explain))
    sagemaker = client("sagemaker")
    coming: dict[str, str] = {}
    for name in names:
        guarded(lambda name=name: sagemaker.start_monitoring_schedule(MonitoringScheduleName=name))
        described = guarded(
            lambda name=name: sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name)
        )
        at = next_run(described)
        coming[name] = f"{at:%Y-%m-%d %H:%M} UTC" if at else ""
    told = [f"started {name}; its next run is at {when}" for name, when in coming.items()]
    result({"started": names, "next": coming}, escape("\n".join(told)))


def rm(
    endpoint: str, *, quality: Quality = False, bias: Bias = False, explain: Explain = False
) -> None:
    """Judge an endpoint no more; baselines, labels and reports stay."""
    names = _needed(endpoint, kind_of(quality=quality, bias=bias, explain=explain))
    for name in names:
        remove(name)
    result({"removed": names}, escape(f"removed {', '.join(names)}"))


def remove(name: str) -> None:
    """Delete a schedule that `add` has made, and its definition; a run under way is let end before.

    The console's "Run now" leaves a schedule that ran once; a definition goes when no schedule uses it.
    """
    sagemaker, clock = client("sagemaker"), SystemClock()
    described = guarded(lambda: sagemaker.describe_monitoring_schedule(MonitoringScheduleName=name))
    family = family_of(described)
    kind = next(one for one in kinds.KINDS if one.family == family)
    listed = guarded(
        lambda: sagemaker.list_monitoring_schedules(
            MonitoringJobDefinitionName=name, MonitoringTypeEquals=family, MaxResults=100
        )
    )
    beside = [one["MonitoringScheduleName"] for one in listed["MonitoringScheduleSummaries"]]
    for one in (name, *(other for other in beside if other != name)):
        guarded(lambda one=one: sagemaker.stop_monitoring_schedule(MonitoringScheduleName=one))
        until = clock.now() + RUN_ENDS
        while _is_running(one) and clock.now() < until:
            clock.sleep(0.3)
        guarded(lambda one=one: sagemaker.delete_monitoring_schedule(MonitoringScheduleName=one))
    delete = getattr(sagemaker, f"delete_{kind.operations}_job_definition")
    guarded(lambda: delete(JobDefinitionName=name))


def own_schedules(endpoint: str) -> list[str]:
    """Return the names of the schedules that `add` has made of an endpoint."""
    there = {one["MonitoringScheduleName"] for one in schedules_of(endpoint)}
    own = [kinds.schedule_name(kind, endpoint) for kind in kinds.KINDS]
    return [name for name in own if name in there]


def kind_of(*, quality: bool, bias: bool, explain: bool) -> Kind | None:
    """Return the kind of schedule that options name; None for none, and the command ends at two."""
    asked = ((kinds.QUALITY, quality), (kinds.BIAS, bias), (kinds.EXPLAIN, explain))
    given = [kind for kind, on in asked if on]
    if len(given) > 1:
        flags = [kind.flag for kind in given]
        fail("E-KIND", f"{' and '.join(flags)} are different schedules", where="farero monitor",
             fix=f"one of them at a time, as {flags[0]}", status=WRONG_USAGE)  # fmt: skip
    return given[0] if given else None


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


def family_of(described: dict[str, Any]) -> str:
    """Return the MonitoringType of a described schedule."""
    return str(described.get("MonitoringType", kinds.DATA.family))


def period(endpoint: str, now: dt.datetime) -> dt.timedelta:
    """Return how much time one run of an endpoint's schedule of its data looks at; an hour if there is none."""
    own = [one for one in schedules_of(endpoint) if family_of(one) == kinds.DATA.family]
    spans = [span for one in own if (span := span_of(one, now))]
    return min(spans, default=WITHOUT_SCHEDULE)


def _needed(endpoint: str, kind: Kind | None) -> list[str]:
    """Return the names of the endpoint's schedules, or of that of a kind; ends the command without one."""
    own = own_schedules(endpoint)
    name = kinds.schedule_name(kind or kinds.DATA, endpoint)
    found = own if kind is None else [one for one in own if one == name]
    if found:
        return found
    there = [one["MonitoringScheduleName"] for one in schedules_of(endpoint)]
    others = [one for one in there if one not in own]
    if kind is None and others:
        fail("E-NO-SCHEDULE", f"{endpoint} has no schedule of this command; there is {', '.join(others)}",
             where=f"schedule {name}",
             fix=f"aws sagemaker stop-monitoring-schedule --monitoring-schedule-name {others[0]}")  # fmt: skip
    flag, of = ("", "") if kind is None else (f" {kind.flag}", f" of {kind.family}")
    fail("E-NO-SCHEDULE", f"{endpoint} has no schedule{of}", where=f"schedule {name}",
         fix=f"farero monitor add {endpoint}{flag} --every 1h")  # fmt: skip


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
