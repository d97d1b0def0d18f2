"""Home: every endpoint at a glance, and what deserves a look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from nicegui import ui

from farero.console import time_range
from farero.console.data import UnavailableError
from farero.console.layout import card, frame, heading, pill, table, words
from farero.console.metrics import by_id, figures, stat
from farero.console.pages.live import live, shared
from farero.console.plots import sparkline
from farero.console.runs import asked_beside
from farero.console.units import measured, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.console.charts import Point, Series
    from farero.console.data import Cloud

Json = dict[str, Any]

EVERY_S = 3.0
#: Endpoints whose figures are shown; GetMetricData takes 500 queries at once, and a variant has four.
_MOST_ENDPOINTS = 300
_MOST_PAGES = 5
#: Five whole minutes and the one that goes on.
_RATE_MS = 6 * 60_000
#: States of a run that deserve a look.
_ADRIFT = ("CompletedWithViolations", "Failed")
_METRICS = (
    ("r", "Invocations", "Sum"), ("l", "ModelLatency", "p99"), ("x", "Invocation4XXErrors", "Sum"),
    ("y", "Invocation5XXErrors", "Sum"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glance:
    """An endpoint's last hour: a minute's requests, the slowest variant's p99 and errors, by minute."""

    requests: list[Point]
    latency: list[Point]
    errors: list[Point]
    #: The minute in which it was looked, in milliseconds since 1970.
    now: float

    @property
    def rate(self) -> float:
        """Requests a second over the last five whole minutes, or since the first of them that had any."""
        found = [(at, value or 0) for at, value in self.requests if at > self.now - _RATE_MS]
        if not found:
            return 0.0
        minutes = max((self.now - found[0][0]) // 60_000, 1)
        return sum(value for _, value in found) / minutes / 60

    @property
    def share(self) -> float | None:
        """Errors of the hour in percent of its requests; None without requests."""
        asked = sum(value or 0 for _, value in self.requests)
        return 100 * sum(value or 0 for _, value in self.errors) / asked if asked else None

    @property
    def slow(self) -> float | None:
        """The newest p99, in microseconds."""
        return next((value for _, value in reversed(self.latency) if value is not None), None)


class Now(NamedTuple):
    """What the page shows."""

    endpoints: list[Json]
    status: Json
    glances: dict[str, Glance]
    alarms: list[Json]
    jobs: list[Json]
    #: Endpoint → its newest run that looked for drift.
    drift: dict[str, Json]


def register(cloud: Cloud) -> None:
    """Make the page known."""
    read = shared(lambda: _read(cloud), EVERY_S / 2)

    @ui.page("/")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Home", "/") as t:
            await live(read, lambda found: _draw(t, found), EVERY_S)


async def _read(cloud: Cloud) -> Now:
    endpoints, status, alarms, jobs, drift = await asyncio.gather(
        _endpoints(cloud), cloud.page("status"), _alarms(cloud), _jobs(cloud), _drift(cloud)
    )
    if "disk_free_gb" in status:
        status = status | {"disk_free_gb": round(status["disk_free_gb"], 1)}
    rows = {row["name"]: row for row in status.get("endpoints", [])}
    variants = {
        one["EndpointName"]: [
            part
            for part in rows.get(one["EndpointName"], {}).get("variants", "").split(", ")
            if part
        ]
        for one in endpoints[:_MOST_ENDPOINTS]
    }
    return Now(endpoints, status, await glances(cloud, variants), alarms, jobs, drift)


async def _endpoints(cloud: Cloud) -> list[Json]:
    found: list[Json] = []
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await cloud.ask("sagemaker", "list_endpoints", MaxResults=100, **token)
        found += answer["Endpoints"]
        if not answer.get("NextToken"):
            break
        token = {"NextToken": answer["NextToken"]}
    return found


async def _alarms(cloud: Cloud) -> list[Json]:
    types = ["MetricAlarm", "CompositeAlarm"]
    try:
        answer = await cloud.ask(
            "cloudwatch", "describe_alarms", StateValue="ALARM", AlarmTypes=types
        )
    except UnavailableError:
        return []
    return [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]


async def _jobs(cloud: Cloud) -> list[Json]:
    try:
        answer = await cloud.ask(
            "sagemaker", "list_training_jobs", StatusEquals="InProgress", MaxResults=50
        )
    except UnavailableError:
        return []
    return answer.get("TrainingJobSummaries", [])


async def _drift(cloud: Cloud) -> dict[str, Json]:
    try:
        answer = await cloud.ask("sagemaker", "list_monitoring_executions", MaxResults=100)
    except UnavailableError:
        return {}
    found: dict[str, Json] = {}
    for one in answer["MonitoringExecutionSummaries"]:  # newest first
        if one["MonitoringExecutionStatus"] not in ("Pending", "InProgress"):
            found.setdefault(one.get("EndpointName", ""), one)
    return found


async def glances(cloud: Cloud, variants: dict[str, list[str]]) -> dict[str, Glance]:
    """Return the last hour of each endpoint, asked for at once."""
    queries = [
        stat(f"{kind}{place}_{number}", metric, statistic, {"EndpointName": name, "VariantName": variant})
        for place, (name, own) in enumerate(variants.items())
        for number, variant in enumerate(own)
        for kind, metric, statistic in _METRICS
    ]  # fmt: skip
    if not queries:
        return {}
    try:
        hour = time_range.latest("1h")
        found = by_id(await figures(cloud, queries, hour))
    except UnavailableError:
        return {}
    found = {id: ended(one, hour.end_ms) for id, one in found.items()}  # noqa: A001 - CloudWatch's name
    return {
        name: glance(found, place, len(own), hour.end_ms)
        for place, (name, own) in enumerate(variants.items())
    }


def ended(one: Series, now: float) -> Series:
    """Return a series without the minute that is still going on, which would look like a fall."""
    return replace(one, points=[point for point in one.points if point[0] <= now - 60_000])


def glance(found: dict[str, Series], place: int, count: int, now: float) -> Glance:
    """Bring the series of an endpoint's variants together."""

    def parts(kind: str) -> list[Series]:
        ids = (f"{kind}{place}_{number}" for number in range(count))
        return [found[one] for one in ids if one in found]

    return Glance(
        requests=together(parts("r"), sum),
        latency=together(parts("l"), max),
        errors=together([*parts("x"), *parts("y")], sum),
        now=now - now % 60_000,  # a page is drawn anew when something has changed
    )


def together(series: Sequence[Series], fold: Callable[[list[float]], float]) -> list[Point]:
    """Fold the values that series have at the same time into one."""
    times: dict[float, list[float]] = {}
    for one in series:
        for at, value in one.points:
            held = times.setdefault(at, [])
            if value is not None:
                held.append(value)
    return [(at, fold(values) if values else None) for at, values in sorted(times.items())]


def _draw(t: dict[str, str], now: Now) -> None:
    found, status, seen, alarms, jobs, drift = now
    if alarms:
        _ringing(t, alarms)
    states = [one["EndpointStatus"] for one in found]
    with ui.element("div").classes("f-figures"):
        _figure(t["endpoints"], f"{states.count('InService')}", f"{t['of']} {len(states)} InService",
                is_bad="Failed" in states)  # fmt: skip
        rate = sum(one.rate for one in seen.values())
        _figure(t["rate"], number(rate), t["last_minutes"])
        _figure(t["running_jobs"], str(len(jobs)), "", "/jobs")
        free = status.get("disk_free_gb", 0)
        _figure(
            t["free"], f"{free:,.0f} GB" if free >= 10 else f"{free:.1f} GB", "", is_bad=free < 2
        )
    rows = {row["name"]: row for row in status.get("endpoints", [])}
    with card():
        heading(t["endpoints"])
        heads = [
            t["name"],
            t["status"],
            t["rate"],
            "p99",
            t["errors"],
            t["variants"],
            t["captured"],
            *([t["monitor"]] if drift else []),
        ]
        drawn = [
            _row(t, one, rows, seen) + ([_watched(t, one, drift)] if drift else []) for one in found
        ]
        table(heads, drawn, f"{t['empty']}  farero try")
    for job in jobs[:5]:
        with card():
            ui.link(job["TrainingJobName"], f"/jobs/{quote(job['TrainingJobName'], safe='')}")
            pill(job["TrainingJobStatus"])
    notes: list[str] = status.get("notes") or []
    is_adrift = any(one["MonitoringExecutionStatus"] in _ADRIFT for one in drift.values())
    if not notes and not alarms and not is_adrift and "Failed" not in states:
        notes = [t["all_good"]]
    if notes:
        with card():
            heading(t["state"])
            for note in notes:
                words(note).classes("f-dim")


def _row(t: dict[str, str], one: Json, rows: dict[str, Json], seen: dict[str, Glance]) -> list[Any]:
    name = one["EndpointName"]
    row, hour = rows.get(name, {}), seen.get(name) or Glance([], [], [], 0)
    shown = time_range.latest("1h")

    def spark(points: list[Point], text: str, title: str, colour: str) -> Callable[[], None]:
        def draw() -> None:
            with ui.element("div").classes("f-glance"):
                words(text)
                if any(value for _, value in points):
                    sparkline(points, shown, f"{title}, {t['last_hour']}: {text}", colour)

        return draw

    share = "-" if hour.share is None else f"{number(hour.share)} %"
    return [
        (name, f"/endpoints/{quote(name, safe='')}"),
        lambda: pill(one["EndpointStatus"]),
        spark(hour.requests, number(hour.rate), t["rate"], "var(--c1)"),
        spark(hour.latency, measured(hour.slow, "Microseconds"), "p99", "var(--c3)"),
        spark(hour.errors, share, t["errors"], "var(--c6)"),
        row.get("variants", ""),
        row.get("capture", ""),
    ]


def _watched(t: dict[str, str], one: Json, drift: dict[str, Json]) -> Any:
    """Return what draws the newest run that looked for drift, with the way to it."""
    run = drift.get(one["EndpointName"])

    def draw() -> None:
        if run is not None:
            state = str(run["MonitoringExecutionStatus"])
            name = asked_beside(run["MonitoringScheduleName"])
            with ui.link(target=f"/monitor/{quote(name, safe='')}").classes("f-plain"):
                pill(state, t.get(f"run_{state}", state))

    return draw


def _ringing(t: dict[str, str], alarms: list[Json]) -> None:
    with card().classes("f-ringing").props("role=alert"):
        heading(f"{t['in_alarm']}: {len(alarms)}")
        for one in alarms[:8]:
            with ui.element("div").classes("f-facts"):
                pill("ALARM")
                ui.link(one["AlarmName"], f"/alarms/{quote(one['AlarmName'], safe='')}")
                words(one.get("StateReason", "")[:300]).classes("f-dim f-small")


def _figure(title: str, text: str, note: str, address: str = "", *, is_bad: bool = False) -> None:
    with card():
        if address:
            ui.link(title, address)
        else:
            words(title).classes("f-dim")
        words(text).classes("f-figure f-bad" if is_bad else "f-figure")
        words(note).classes("f-dim f-small")
