"""What an endpoint's figures say: charts, why requests failed, and what became of it when."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from farero.console.charts import STATES, Band
from farero.console.data import Cloud, UnavailableError
from farero.console.layout import card, heading, pill, table, words
from farero.console.metrics import stat
from farero.console.pages.live import live
from farero.console.plots import Plot, plots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.time_range import Range

#: Where replicas' CPU and memory are measured.
HARDWARE = "/aws/sagemaker/Endpoints"
_ERROR = re.compile(
    r"^(?:\[[^]]*\] )?([A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt)): ?(.*)"
)
_CAUSE = re.compile(r"Cause (E-[A-Z-]+): (.*)")
_MOST_LINES = 1000


def wanted(t: dict[str, str], name: str, variants: Sequence[str]) -> list[Plot]:
    """Return the plots of an endpoint."""

    def queries(
        prefix: str, metrics: Sequence[tuple[str, str, str]], namespace: str = "AWS/SageMaker"
    ) -> list[Any]:
        return [
            stat(
                f"{prefix}{place}_{number}", metric, statistic,
                {"EndpointName": name, "VariantName": variant}, namespace=namespace,
                label=" ".join(filter(None, (variant if len(variants) > 1 else "", label))) or variant,
            )
            for place, variant in enumerate(variants)
            for number, (metric, statistic, label) in enumerate(metrics)
        ]  # fmt: skip

    latency = [("ModelLatency", part, part) for part in ("p50", "p90", "p99")]
    overhead = [("OverheadLatency", part, f"{t['overhead']} {part}") for part in ("p50", "p99")]
    errors = [("Invocation4XXErrors", "Sum", "4XX"), ("Invocation5XXErrors", "Sum", "5XX")]
    cpu = [("CPUUtilization", "Average", ""), ("CPUUtilization", "Maximum", t["most"])]
    memory = [("MemoryUtilization", "Average", ""), ("MemoryUtilization", "Maximum", t["most"])]
    return [
        Plot(title=t["requests_minute"], queries=queries("r", [("Invocations", "Sum", "")]),
             is_columns=True, is_per_minute=True),
        Plot(title=t["model_latency"], queries=queries("l", latency), unit="Microseconds"),
        Plot(title=t["errors_minute"], queries=queries("e", errors), is_columns=True, is_per_minute=True,
             colours=("var(--c5)", "var(--c6)") if len(variants) == 1 else ()),
        Plot(title=t["overhead_latency"], queries=queries("o", overhead), unit="Microseconds"),
        Plot(title=t["cold_starts"], queries=queries("s", [("ModelSetupTime", "Maximum", "")]), unit="Microseconds",
             is_optional=True),
        Plot(title=t["cpu"], queries=queries("c", cpu, HARDWARE), unit="Percent", is_optional=True),
        Plot(title=t["memory"], queries=queries("m", memory, HARDWARE), unit="Percent", is_optional=True),
    ]  # fmt: skip


async def figures_of(
    cloud: Cloud, t: dict[str, str], name: str, variants: Sequence[str], shown: Range
) -> None:
    """Draw an endpoint's charts; its changes are marked in them."""

    async def changes(_: Range) -> list[Band]:
        found = await read_changes(cloud, name)
        marks = [
            (one["at"].timestamp() * 1000, one) for one in found
            if one["status"] in ("Updating", "Creating", "RollingBack", "Failed")
        ]  # fmt: skip
        return [
            Band(at, at, "", STATES["Failed" if one["status"] in ("Failed", "RollingBack") else "deploy"])
            for at, one in marks if shown.again().start_ms <= at <= shown.again().end_ms
        ]  # fmt: skip

    await plots(cloud, t, wanted(t, name, variants), shown, changes)


async def read_changes(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    """Return what became of an endpoint, newest first; `for` is how long it stayed so, None for the newest."""
    answer = await cloud.page("history", f"endpoint={quote(name)}")
    found: list[dict[str, Any]] = []
    until: datetime | None = None
    for one in answer.get("changes", []):
        at = datetime.fromisoformat(one["at"])
        found.append({**one, "at": at, "for": until - at if until else None})
        until = at
    return found


async def timeline(cloud: Cloud, t: dict[str, str], name: str) -> None:
    """Draw what became of an endpoint."""

    async def read() -> Any:
        return await read_changes(cloud, name)

    def draw(found: list[dict[str, Any]]) -> None:
        rows = [
            [
                f"{one['at'].astimezone():%Y-%m-%d %H:%M:%S}",
                lambda state=one["status"]: pill(state),
                one["config"],
                ", ".join(f"{v} {weight:g} x {count}" for v, weight, count in one["variants"]),
                took(one["for"]) if one["for"] else t["now"],
                _reason(one.get("reason") or "" if one["status"] != "InService" or _is_news(found, place) else ""),
            ]
            for place, one in enumerate(found[:20])
        ]  # fmt: skip
        with card():
            heading(t["timeline"])
            heads = [t["time"], t["status"], t["config"], t["traffic"], t["lasted"], t["reason"]]
            table(heads, rows, t["empty"])

    await live(read, draw, 3.0)


def _is_news(found: Sequence[dict[str, Any]], place: int) -> bool:
    before = found[place + 1] if place + 1 < len(found) else {}
    return found[place].get("reason") != before.get("reason")


def _reason(text: str) -> Any:
    return lambda: words(text[:600]).classes("f-reason")


def took(span: timedelta) -> str:
    """Return a duration in its two largest units."""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    parts = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]
    for place, (size, name) in enumerate(parts[:-1]):
        if seconds >= size:
            less, small = parts[place + 1]
            return f"{seconds // size:.0f} {name} {seconds % size // less:.0f} {small}"
    return ""


def causes(events: Sequence[dict[str, Any]]) -> list[tuple[str, int, datetime]]:
    """Return (error, how often, when last) of log lines, the most frequent first; numbers do not tell errors apart."""
    counts: Counter[str] = Counter()
    last: dict[str, int] = {}
    example: dict[str, str] = {}
    for event in events:
        line = str(event.get("message", "")).strip()
        found = _CAUSE.search(line) or _ERROR.match(line)
        if found is None:
            continue
        key = re.sub(r"\d+(\.\d+)?", "#", f"{found[1]}: {found[2]}")
        counts[key] += 1
        example[key] = f"{found[1]}: {found[2]}"
        last[key] = max(last.get(key, 0), int(event.get("timestamp", 0)))
    return [
        (example[key], count, datetime.fromtimestamp(last[key] / 1000, UTC))
        for key, count in counts.most_common(10)
    ]


async def errors_of(cloud: Cloud, t: dict[str, str], name: str, shown: Range) -> None:
    """Draw why requests failed, as the log tells since the endpoint was made."""
    group = f"/aws/sagemaker/Endpoints/{name}"

    async def read() -> Any:
        asked = shown.again().aligned()
        made = (await cloud.ask("sagemaker", "describe_endpoint", EndpointName=name))[
            "CreationTime"
        ]
        params: dict[str, Any] = {
            "logGroupName": group, "filterPattern": "?Error ?Exception ?Cause", "limit": _MOST_LINES,
            "startTime": int(max(asked.start_ms, made.timestamp() * 1000)), "endTime": int(asked.end_ms),
        }  # fmt: skip
        try:
            return causes(
                (await cloud.ask("logs", "filter_log_events", **params)).get("events", [])
            )
        except UnavailableError as error:
            if "ResourceNotFound" in str(error):
                return []
            raise

    def draw(found: list[tuple[str, int, datetime]]) -> None:
        if not found:
            return
        address = f"/logs?group={quote(group, safe='')}&filter=" + quote(
            "?Error ?Exception ?Cause", safe=""
        )
        with card():
            heading(t["causes"])
            rows = [
                [
                    _reason(text),
                    f"{count:,}",
                    f"{at.astimezone():%Y-%m-%d %H:%M:%S}",
                    (t["logs"], address),
                ]
                for text, count, at in found
            ]
            table([t["cause"], t["times"], t["last_seen"], ""], rows, t["empty"])

    await live(read, draw, 5.0)
