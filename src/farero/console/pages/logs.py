"""Log groups, and the lines of one, filtered and followed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.layout import card, frame, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud

RANGES = {"15m": 900, "1h": 3600, "3h": 10800, "1d": 86400, "7d": 604800}


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @ui.page("/logs")
    async def page(group: str = "", filter: str = "", range: str = "1d") -> None:  # noqa: A002 - names in the address  # pyright: ignore[reportUnusedFunction]
        with frame(group or "Logs", "/logs") as t:
            if group:
                await _lines(cloud, t, group, filter, range if range in RANGES else "1d")
            else:
                await _groups(cloud, t)


async def _groups(cloud: Cloud, t: dict[str, str]) -> None:
    async def read() -> Any:
        return (await cloud.ask("logs", "describe_log_groups", limit=50))["logGroups"]

    def draw(found: list[Any]) -> None:
        with card():
            rows = [
                [
                    (one["logGroupName"], f"/logs?group={quote(one['logGroupName'], safe='')}"),
                    f"{one.get('storedBytes', 0) / 1000:,.1f} kB",
                ]
                for one in found
            ]
            table([t["name"], t["size"]], rows, t["empty"])

    await live(read, draw, 5.0)


async def _lines(cloud: Cloud, t: dict[str, str], group: str, pattern: str, range_: str) -> None:
    def address(range_: str, pattern: str) -> str:
        return (
            f"/logs?group={quote(group, safe='')}&range={range_}&filter={quote(pattern, safe='')}"
        )

    with ui.element("div").style("display:flex;gap:1rem;align-items:end;flex-wrap:wrap"):
        field = ui.input(t["filter"], value=pattern).props("dense")
        field.on("keydown.enter", lambda _: ui.navigate.to(address(range_, field.value or "")))
        for name in RANGES:
            link = ui.link(name, address(name, pattern))
            if name == range_:
                link.props("aria-current=true").style("font-weight:650")

    async def read() -> Any:
        since = int(time.time() - RANGES[range_]) // 10 * 10_000
        params: dict[str, Any] = {"logGroupName": group, "startTime": since, "limit": 500}
        if pattern:
            params["filterPattern"] = pattern
        return (await cloud.ask("logs", "filter_log_events", **params))["events"]

    def draw(found: list[Any]) -> None:
        with card():
            text = "\n".join(
                f"{datetime.fromtimestamp(one['timestamp'] / 1000, UTC):%H:%M:%S.%f}"[:-3]
                + f"  {one['message'].rstrip()}"
                for one in found
            )
            words(text[-500_000:] or t["empty"]).classes("f-pre").props(
                "role=log tabindex=0 aria-live=off"
            )

    await live(read, draw, 2.0)
