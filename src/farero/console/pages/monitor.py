"""Monitoring schedules, and one of them: its state, its executions, and what to do with it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.data import UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, pill, table, words
from farero.console.pages import monitor_alerts, monitor_figures
from farero.console.pages.asking import attempt
from farero.console.pages.live import live
from farero.console.pages.monitor_figures import moment, severity, storage_file
from farero.console.runs import ENDED, ONCE, Run, Runs, beside, newest_of, once
from farero.monitoring import windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.data import Cloud

Json = dict[str, Any]

_MOST_PAGES = 5
_EVERY_S = 5.0


def register(cloud: Cloud) -> None:
    """Make the pages known."""
    runs = Runs(cloud)
    configs: dict[tuple[str, object], Json] = {}

    @page_at("/monitor")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Monitor", "/monitor") as t:

            async def read() -> Any:
                found = await schedules(cloud)
                last = await newest_of(runs, [one["MonitoringScheduleName"] for one in found])
                told = await asyncio.gather(*(_config(cloud, configs, one) for one in found))
                return found, told, last, await monitor_alerts.raised(cloud)

            await live(read, lambda found: _list(t, *found), _EVERY_S)

    @page_at("/monitor/{name}")
    async def one(name: str, run: str = "", feature: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
        with frame(name, "/monitor") as t:

            async def read() -> Any:
                found = await cloud.ask(
                    "sagemaker", "describe_monitoring_schedule", MonitoringScheduleName=name
                )
                found.pop("LastMonitoringExecutionSummary", None)
                done = await runs.of(name, found.get("EndpointName", ""))
                shown = _shown(done, run)
                detail = await monitor_figures.detail(runs, shown, feature) if shown else None
                broken = await runs.violations(shown) if shown else None
                return (
                    found,
                    done,
                    shown,
                    detail,
                    broken,
                    await monitor_alerts.of_schedule(cloud, name),
                )

            def draw(found: Any) -> None:
                schedule, done, shown, detail, broken, alerts = found
                _state(cloud, t, schedule, done)
                if shown is not None:
                    monitor_figures.draw(t, name, shown, done, detail, broken)
                monitor_alerts.draw_alerts(t, alerts, moment)
                _executions(t, name, done, shown)

            await live(read, draw)
            if feature:
                ui.run_javascript("document.getElementById('feature')?.scrollIntoView()")


async def of_endpoint(cloud: Cloud, t: dict[str, str], endpoint: str) -> None:
    """Draw who watches an endpoint's data, and what was found last."""
    runs = Runs(cloud)

    async def read() -> Any:
        found = [
            one["MonitoringScheduleName"] for one in await schedules(cloud, EndpointName=endpoint)
        ]
        return found, await newest_of(runs, found) if found else {}

    def draw(found: tuple[list[str], dict[str, list[Run]]]) -> None:
        with card():
            heading(t["monitored"])
            rows = [[(name, address(name)), _last(t, found[1].get(name, []))] for name in found[0]]
            table(
                [t["name"], t["verdict"]],
                rows,
                f"{t['not_monitored']}  farero monitor add {endpoint}",
            )

    await live(read, draw, _EVERY_S)


async def schedules(cloud: Cloud, **which: str) -> list[Json]:
    """Return schedules, without the runs that were asked for beside another one. Raises UnavailableError."""
    found: list[Json] = []
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await cloud.ask(
            "sagemaker", "list_monitoring_schedules", MaxResults=100, SortBy="Name",
            SortOrder="Ascending", **which, **token,
        )  # fmt: skip
        found += answer["MonitoringScheduleSummaries"]
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    others = tuple(beside(one["MonitoringScheduleName"]) for one in found)
    return [one for one in found if not one["MonitoringScheduleName"].startswith(others)]


def address(schedule: str, **query: str) -> str:
    """Return the address of a schedule's page."""
    told = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value)
    return f"/monitor/{quote(schedule, safe='')}" + (f"?{told}" if told else "")


def next_run(schedule: Json, done: Sequence[Run], now: datetime) -> datetime | None:
    """Return when a schedule runs next; None if it does not. A rate counts from the run before."""
    expression = _expression(schedule.get("MonitoringScheduleConfig", {}))
    if schedule["MonitoringScheduleStatus"] != "Scheduled" or expression == windows.NOW:
        return None
    own = [one.at for one in done if one.schedule == schedule["MonitoringScheduleName"]]
    began = own[0] if own else schedule["CreationTime"]
    return windows.following(expression, now, began)


async def _config(cloud: Cloud, kept: dict[tuple[str, object], Json], one: Json) -> Json:
    """Return how a schedule is set; asked for again when it has changed."""
    key = (one["MonitoringScheduleName"], one["LastModifiedTime"])
    if key not in kept:
        if len(kept) > 1000:
            kept.clear()
        try:
            found = await cloud.ask(
                "sagemaker", "describe_monitoring_schedule", MonitoringScheduleName=key[0]
            )
        except UnavailableError:
            return one
        kept[key] = found
    return kept[key]


def _list(
    t: dict[str, str],
    found: list[Json],
    told: Sequence[Json],
    last: dict[str, list[Run]],
    raised: set[str],
) -> None:
    now = datetime.now(UTC)
    rows: list[list[Any]] = []
    for summary, whole in zip(found, told, strict=True):
        name, endpoint = summary["MonitoringScheduleName"], summary.get("EndpointName", "")
        done = last.get(name, [])
        upcoming = next_run({**whole, **summary}, done, now)
        rows.append([
            (name, address(name)),
            _last(t, done),
            (endpoint, f"/endpoints/{quote(endpoint, safe='')}") if endpoint else "",
            t.get(f"monitors_{summary.get('MonitoringType', '')}", summary.get("MonitoringType", "")),
            lambda state=summary["MonitoringScheduleStatus"], alert=name in raised: _status(t, state, alert),
            _when(moment(done[0].at) if done else t["never"]),
            _when(moment(upcoming) if upcoming else ""),
        ])  # fmt: skip
    with card():
        heads = [
            t["name"], t["verdict"], t["endpoint"], t["type"], t["status"], t["last_run"], t["next_run"],
        ]  # fmt: skip
        table(heads, rows, f"{t['empty']}  farero monitor add")


def _status(t: dict[str, str], state: str, alert: bool) -> None:  # noqa: FBT001 - drawn from a row
    pill(state)
    if alert:
        pill("InAlert", t["alert_InAlert"])


def _when(text: str) -> Any:
    return lambda: words(text).classes("f-when")


def _last(t: dict[str, str], done: Sequence[Run]) -> Any:
    """Return what draws the newest verdict in a few words."""

    def draw() -> None:
        for newest in done[:1]:
            if newest.report is None:
                pill(newest.status)
                text = newest.reason
            else:
                severity(t, newest.report.severity)
                text = newest.report.sentence_in(t["locale"])
            words(text[:160]).classes("f-dim f-small f-reason f-told")

    return draw


def _shown(done: Sequence[Run], job: str) -> Run | None:
    """Return the run that the address names, else the newest that has a report, else the newest that ended well."""
    named = [one for one in done if job and one.job == job]
    told = [one for one in done if one.report is not None]
    return next(iter([*named, *told, *(one for one in done if one.status in ENDED)]), None)


def _state(cloud: Cloud, t: dict[str, str], schedule: Json, done: Sequence[Run]) -> None:
    name = schedule["MonitoringScheduleName"]
    config: Json = schedule.get("MonitoringScheduleConfig", {})
    expression = _expression(config)
    upcoming = next_run(schedule, done, datetime.now(UTC))
    is_on = schedule["MonitoringScheduleStatus"] == "Scheduled"

    async def now() -> None:
        given = {
            **config,
            "ScheduleConfig": {
                "ScheduleExpression": windows.NOW, "DataAnalysisStartTime": "-PT1H", "DataAnalysisEndTime": "-PT0H",
            },
        }  # fmt: skip
        named = once(name, datetime.now(UTC))
        done = await attempt(
            lambda: cloud.do(
                "sagemaker", "create_monitoring_schedule",
                MonitoringScheduleName=named, MonitoringScheduleConfig=given,
            )
        )  # fmt: skip
        if done is not None:
            ui.notify(t["run_asked"])

    async def switch() -> None:
        operation = "stop_monitoring_schedule" if is_on else "start_monitoring_schedule"
        await attempt(lambda: cloud.do("sagemaker", operation, MonitoringScheduleName=name))

    with card():
        with ui.element("div").classes("f-facts"):
            pill(schedule["MonitoringScheduleStatus"])
            if endpoint := schedule.get("EndpointName"):
                ui.link(endpoint, f"/endpoints/{quote(endpoint, safe='')}")
            kind = schedule.get("MonitoringType", "")
            words(t.get(f"monitors_{kind}", kind)).classes("f-dim")
            words(expression).classes("f-dim f-code")
            if upcoming:
                words(f"{t['next_run']}: {moment(upcoming)}").classes("f-dim")
        if schedule.get("FailureReason"):
            words(schedule["FailureReason"]).classes("f-pre f-bad")
        with ui.element("div").classes("f-answers f-after"):
            button(t["run_now"], now)
            if expression != windows.NOW:
                button(t["stop"] if is_on else t["start"], switch, quiet=True)
            words(t["run_now_what"]).classes("f-dim f-small")


def _expression(config: Json) -> str:
    when: Json = config.get("ScheduleConfig") or {}
    return str(when.get("ScheduleExpression", windows.NOW))


def _executions(t: dict[str, str], name: str, done: Sequence[Run], shown: Run | None) -> None:
    def status(run: Run) -> Any:
        return lambda: pill(run.status)

    def told(run: Run) -> Any:
        def draw() -> None:
            if run.report is not None:
                severity(t, run.report.severity)
                words(run.report.sentence_in(t["locale"])).classes("f-dim f-small f-told")
            elif run.reason or run.trouble:
                words((run.reason or run.trouble)[:600]).classes("f-reason f-told")

        return draw

    rows = [
        [
            (moment(run.at), address(name, run=run.job)) if run.job and run != shown else _when(moment(run.at)),
            told(run),
            status(run),
            f"{run.report.rows:,}" if run.report and run.report.rows else "",
            t["asked_for"] if ONCE in run.schedule and run.schedule != name else "",
            storage_file(t["page"], f"{run.place}/report.html") if run.report else "",
        ]
        for run in done
    ]  # fmt: skip
    with card():
        heading(t["executions"])
        table([t["time"], t["verdict"], t["status"], t["records"], "", ""], rows, t["no_runs"])
