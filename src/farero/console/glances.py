"""What the home page shows: every endpoint at a glance, read from the gateway. Draws nothing.

Apart from the page, so that it can be asked for while NiceGUI is still being imported.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from farero.console import time_range
from farero.console.data import Cloud, UnavailableError, shared
from farero.console.metrics import by_id, figures, stat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from farero.base.config import Settings
    from farero.console.charts import Point, Series

Json = dict[str, Any]

EVERY_S = 3.0
#: Endpoints whose figures are shown; GetMetricData takes 500 queries at once, and a variant has four.
_MOST_ENDPOINTS = 300
_MOST_PAGES = 5
#: Five whole minutes and the one that goes on.
_RATE_MS = 6 * 60_000
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
    #: Name and address of each that runs.
    jobs: list[tuple[str, str]]
    #: Endpoint → its newest run that looked for drift.
    drift: dict[str, Json]


class Home(NamedTuple):
    """The gateway, and what all who look at the home page read it by."""

    cloud: Cloud
    read: Callable[[], Awaitable[Now]]


def home(settings: Settings) -> Home:
    """Return the gateway of `settings`, and a reader of its home page."""
    cloud = Cloud(settings)
    return Home(cloud, shared(lambda: _read(cloud), EVERY_S / 2))


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


async def _jobs(cloud: Cloud) -> list[tuple[str, str]]:
    """Return (name, address of its page) of each job that runs."""
    found = await asyncio.gather(
        _running(cloud, "Training", "/jobs"), _running(cloud, "Processing", "/jobs/processing")
    )
    return [job for some in found for job in some]


async def _running(cloud: Cloud, kind: str, folder: str) -> list[tuple[str, str]]:
    operation = f"list_{kind.lower()}_jobs"
    try:
        answer = await cloud.ask("sagemaker", operation, StatusEquals="InProgress", MaxResults=50)
    except UnavailableError:
        return []
    names = (one[f"{kind}JobName"] for one in answer[f"{kind}JobSummaries"])
    return [(name, f"{folder}/{quote(name, safe='')}") for name in names]


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
