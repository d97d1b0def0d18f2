"""Home: every endpoint at a glance, and what deserves a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console import time_range
from farero.console.glances import EVERY_S, Glance
from farero.console.layout import card, frame, heading, page_at, pill, table, words
from farero.console.pages.live import live
from farero.console.plots import sparkline
from farero.console.runs import asked_beside
from farero.console.units import measured, number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from farero.console.charts import Point
    from farero.console.glances import Now

Json = dict[str, Any]

#: States of a run that deserve a look.
_ADRIFT = ("CompletedWithViolations", "Failed")


def register(read: Callable[[], Awaitable[Now]]) -> None:
    """Make the page known; read: returns what it shows."""

    @page_at("/")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Home", "/") as t:
            await live(read, lambda found: _draw(t, found), EVERY_S)


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
    for name, address in jobs[:5]:
        with card():
            ui.link(name, address)
            pill("InProgress")
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
