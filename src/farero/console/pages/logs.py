"""Log groups, and the lines of one, filtered and followed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from nicegui import ui

from farero.console import time_range
from farero.console.layout import card, frame, page_at, table
from farero.console.pages.live import live, live_text

if TYPE_CHECKING:
    from farero.console.data import Cloud
    from farero.console.time_range import Range

#: Lines that are read, and of these the newest that are shown.
_MOST_READ, _MOST_SHOWN = 10_000, 1_000
_MOST_TEXT = 500_000


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @page_at("/logs")
    async def page(group: str = "", filter: str = "") -> None:  # noqa: A002 - a name in the address  # pyright: ignore[reportUnusedFunction]
        with frame(group or "Logs", "/logs") as t:
            if group:
                shown = time_range.from_query(ui.context.client.request.query_params, "1d")
                await _lines(cloud, t, group, filter, shown)
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


async def _lines(cloud: Cloud, t: dict[str, str], group: str, pattern: str, shown: Range) -> None:
    def address(pattern: str) -> str:
        return "/logs?" + urlencode({"group": group, **shown.query, "filter": pattern})

    with ui.element("div").classes("f-filters"):
        field = ui.input(t["filter"], value=pattern).props("dense").style("min-width:16rem")
        field.on("keydown.enter", lambda _: ui.navigate.to(address(field.value or "")))
        time_range.picker(t, shown)

    async def read() -> tuple[str, str]:
        asked = shown.again()
        params: dict[str, Any] = {
            "logGroupName": group,
            "startTime": int(asked.start.timestamp()) // 10 * 10_000,
            "limit": _MOST_READ,
        }
        if not asked.is_live:
            params["endTime"] = int(asked.end_ms)
        if pattern:
            params["filterPattern"] = pattern
        found = await cloud.ask("logs", "filter_log_events", **params)
        events = found["events"]
        text = "\n".join(
            f"{datetime.fromtimestamp(one['timestamp'] / 1000).astimezone():%m-%d %H:%M:%S.%f}"[:-3]
            + f"  {one['message'].rstrip()}"
            for one in events[-_MOST_SHOWN:]
        )
        note = t["only_first"].format(count=len(events)) if "nextToken" in found else ""
        return text[-_MOST_TEXT:], note

    await live_text(t, read)
