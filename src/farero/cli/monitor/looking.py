"""`farero monitor show`, `report` and `ls`: what was found, when, and what comes next."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.monitor import figures, history, kinds
from farero.cli.monitor.alerts import alerts_of
from farero.cli.monitor.places import files_of, place, place_of
from farero.cli.monitor.schedules import kind_of, schedules_of
from farero.cli.monitor.timing import expression_of, missed, next_run
from farero.cli.output import lines, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.cli.monitor.history import Report

#: How the line of a kind begins.
_NAMES = {kinds.BIAS: "bias", kinds.EXPLAIN: "attributions"}
#: Columns that `show` lists without --all.
LISTED = 30
#: The least height of the bars' scale: smaller distances do not matter.
TOP = 0.1
#: In the order in which a person wants to know them.
EFFECTS = ("shift", "spread", "outside", "gap", "new", "share")
SEVERITIES = ("critical", "warning", "notice", "none", "")


def show(
    endpoint: str,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All columns, not 30.")] = False,
) -> None:
    """Show the last verdict, the windows before it, schedules and alerts."""
    where, now = place(endpoint), SystemClock().now()
    described = schedules_of(endpoint)
    found = history.reports(where, described)
    labelled = history.reports(where, described, kind=kinds.QUALITY)
    others = {
        kind: held[-1]
        for kind in (kinds.BIAS, kinds.EXPLAIN)
        if (held := history.reports(where, described, kind=kind))
    }
    if not found and not labelled and not others and not described:
        history.not_judged(where)
    past = [(report, report.verdict()) for report in found[-history.BACK :]]
    schedules = [_schedule(one, now) for one in described]
    alerts = alerts_of(endpoint, described)
    told: dict[str, Any] = {"endpoint": endpoint, "schedules": schedules, "alerts": alerts}
    blocks: list[str] = []
    if past:
        report, verdict = past[-1]
        told |= {
            **verdict,
            "report": f"s3://{report.bucket}/{report.prefix}",
            "judged": report.at.isoformat(),
            "history": [_window(one, seen) for one, seen in past],
        }
        blocks += [
            escape(_verdict(verdict, report.at, now)), _columns(past, everything=everything),
            _findings(verdict), figures.estimated(verdict.get("estimated") or {}),
        ]  # fmt: skip
    elif not labelled and not others:
        blocks.append(escape(f"{endpoint} was not judged yet."))
    if labelled:
        measured: dict[str, Any] = labelled[-1].verdict().get("quality") or {}
        told["measured"] = {**measured, "judged": labelled[-1].at.isoformat()}
        blocks.append(figures.measured(measured))
    for kind, last in others.items():
        seen = last.verdict()
        told[kind.reports] = {**seen, "judged": last.at.isoformat()}
        blocks.append(escape(f"{_NAMES[kind]}: {_verdict(seen, last.at, now)}"))
    after = [_schedule_line(one, now) for one in schedules]
    after += [_alert_line(one) for one in alerts]
    blocks.append(escape("\n".join(after)))
    result(told, "\n\n".join(block for block in blocks if block))
    if past:
        say(escape(f"\nnext: farero monitor report {endpoint}"))


def report(
    endpoint: str,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", dir_okay=False)] = None,
    quality: Annotated[bool, typer.Option("--quality", help="Of quality by labels.")] = False,
    bias: Annotated[bool, typer.Option("--bias", help="Of bias.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Of attributions.")] = False,
) -> None:
    """Fetch the last report, one HTML page that needs nothing else."""
    kind = kind_of(quality=quality, bias=bias, explain=explain) or kinds.DATA
    last = history.last_report(place(endpoint), kind)
    called = "drift" if kind is kinds.DATA else kind.reports
    target = output or Path(f"{endpoint}-{called}.html")
    key = f"{last.prefix}report.html"
    guarded(lambda: client("s3").download_file(last.bucket, key, str(target)))
    result({"report": str(target)}, escape(f"{target}   # open it in a browser"))


def ls() -> None:
    """List endpoints that are watched or have a baseline, with their last verdict."""
    sagemaker, now = client("sagemaker"), SystemClock().now()
    pages = sagemaker.get_paginator("list_endpoints").paginate()
    names = guarded(lambda: [e["EndpointName"] for page in pages for e in page["Endpoints"]])
    found = [one for name in names if (one := _monitor(name, now))]
    titles = ["ENDPOINT", "SEVERITY", "JUDGED", "NEXT RUN", "VERDICT"]
    rows = [
        [one["endpoint"], one["severity"] or "-", _ago(one["age_s"]), _next(one, now), one["sentence"]]
        for one in found
    ]  # fmt: skip
    result({"monitors": found}, lines(titles, rows) if rows else "")
    if not rows:
        say("No baselines yet. next: farero monitor baseline ENDPOINT train.csv")


def _monitor(name: str, now: dt.datetime) -> dict[str, Any] | None:
    where = place_of(guarded(lambda: client("sagemaker").describe_endpoint(EndpointName=name)))
    if where is None:
        return None
    described = schedules_of(name)
    if not described and not files_of(where.bucket, f"{where.prefix}baseline"):
        return None
    runs = history.reports(where, described)
    last = runs[-1].verdict() if runs else {}
    schedules = [_schedule(one, now) for one in described]
    return {
        "endpoint": name,
        "judged": f"{runs[-1].at:%Y-%m-%d %H:%M:%S}" if runs else "never",
        "age_s": round((now - runs[-1].at).total_seconds()) if runs else None,
        "severity": last.get("severity", ""),
        "sentence": last.get("sentence", ""),
        "schedules": schedules,
        "missed": sum(len(one["missed"]) for one in schedules),
    }


def _schedule(described: dict[str, Any], now: dt.datetime) -> dict[str, Any]:
    name = described["MonitoringScheduleName"]
    executions = guarded(
        lambda: client("sagemaker").list_monitoring_executions(
            MonitoringScheduleName=name, SortBy="ScheduledTime", SortOrder="Descending",
            MaxResults=100,
        )
    )["MonitoringExecutionSummaries"]  # fmt: skip
    last: dict[str, Any] = executions[0] if executions else {}
    upcoming = next_run(described)
    return {
        "name": name,
        "type": described.get("MonitoringType", "DataQuality"),
        "status": described["MonitoringScheduleStatus"],
        "expression": expression_of(described),
        "next": upcoming.isoformat() if upcoming else None,
        "last_status": last.get("MonitoringExecutionStatus"),
        "last_at": last["ScheduledTime"].isoformat() if last else None,
        "last_reason": last.get("FailureReason"),
        "failed": sum(one["MonitoringExecutionStatus"] == "Failed" for one in executions),
        "executions": len(executions),
        "missed": [moment.isoformat() for moment in missed(described, executions, now)],
    }


def _window(report: Report, verdict: dict[str, Any]) -> dict[str, Any]:
    return {
        "at": report.at.isoformat(),
        "severity": verdict["severity"],
        "rows": verdict["rows"],
        "distances": {one["name"]: history.distance(one) for one in verdict["columns"]},
    }


def _verdict(verdict: dict[str, Any], at: dt.datetime, now: dt.datetime) -> str:
    ago = _ago((now - at).total_seconds())
    return f"{verdict['severity']}, {ago}: {verdict['sentence']}"


def _findings(verdict: dict[str, Any]) -> str:
    rows = [[f["severity"], f["column"] or "all", f["text"]] for f in verdict["findings"]]
    return lines(["SEVERITY", "COLUMN", "WHAT"], rows) if rows else ""


def _columns(past: Sequence[tuple[Report, dict[str, Any]]], *, everything: bool) -> str:
    """Return the table of columns: the worst first, each with its distances in the last windows."""
    verdict = past[-1][1]
    severity: dict[str, str] = {}
    for finding in verdict["findings"]:
        severity.setdefault(finding["column"], finding["severity"])
    columns = sorted(
        verdict["columns"],
        key=lambda one: (SEVERITIES.index(severity.get(one["name"], "")), one["adjusted"]),
    )
    if not columns:
        return ""
    shown = columns if everything else columns[:LISTED]
    before = [{one["name"]: history.distance(one) for one in seen["columns"]} for _, seen in past]
    top = max([TOP, *(value for window in before for value in window.values() if value)])
    rows = [
        [
            one["name"], one["state"], severity.get(one["name"], "-"), _p(one), _effect(one),
            _detectable(one), history.sparkline([w.get(one["name"]) for w in before], top),
        ]
        for one in shown
    ]  # fmt: skip
    titles = ["COLUMN", "VERDICT", "SEVERITY", "ADJUSTED P", "EFFECT", "WOULD FIND"]
    titles.append(f"LAST {len(past)} (0 to {top:.2g})" if len(past) > 1 else "DISTANCE")
    text = lines(titles, rows)
    rest = len(columns) - len(shown)
    return text + (f"\n… and {rest} more; --all lists them" if rest else "")


def _p(column: dict[str, Any]) -> str:
    return "" if column["state"] == "not enough data" else f"{column['adjusted']:.1e}"


def _effect(column: dict[str, Any]) -> str:
    """Return the first effect that matters, or else the distance of the distributions."""
    effects, reasons = column["effects"], column["reasons"]
    names = [*(name for name in EFFECTS if name in reasons), *history.DISTANCES]
    name = next((name for name in names if name in effects), "")
    return f"{name} {effects[name]:+.3f}" if name else ""


def _detectable(column: dict[str, Any]) -> str:
    return f"{column['detectable']:.2f} sd" if column.get("detectable") else ""


def _schedule_line(one: dict[str, Any], now: dt.datetime) -> str:
    text = f"schedule {one['name']}: {one['status']}, {one['expression']}"
    if one["next"]:
        text += f", next run {_until(one['next'], now)}"
    if one["last_status"]:
        text += f"; last one {one['last_status']}"
    if one["last_status"] == "Failed" and one["last_reason"]:
        text += f": {one['last_reason']}"
    if one["failed"]:
        text += f"\n  {one['failed']} of the last {one['executions']} runs failed"
    if one["missed"]:
        text += f"\n  {len(one['missed'])} windows without a run, the last one at {one['missed'][-1][:16]}"
    return text


def _alert_line(one: dict[str, Any]) -> str:
    of = f" of {one['schedule']}" if "schedule" in one else ""
    return f"alert {one['name']}{of}: {one['state']}"


def _next(one: dict[str, Any], now: dt.datetime) -> str:
    if not one["schedules"]:
        return "no schedule"
    coming = sorted(schedule["next"] for schedule in one["schedules"] if schedule["next"])
    text = _until(coming[0], now) if coming else one["schedules"][0]["status"].lower()
    return text + (f", {one['missed']} missed" if one["missed"] else "")


def _until(moment: str, now: dt.datetime) -> str:
    seconds = (dt.datetime.fromisoformat(moment) - now).total_seconds()
    return f"in {_span(seconds)}" if seconds > 0 else "due"


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
