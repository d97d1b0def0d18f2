"""Home: every endpoint at a glance, and what deserves a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.layout import card, frame, heading, pill, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud


def register(cloud: Cloud) -> None:
    """Make the page known."""

    @ui.page("/")
    async def page() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Home", "/") as t:

            async def read() -> Any:
                found = await cloud.ask("sagemaker", "list_endpoints", MaxResults=100)
                status = await cloud.page("status")
                return (
                    found["Endpoints"],
                    status["notes"],
                    {r["name"]: r for r in status["endpoints"]},
                )

            await live(read, lambda found: _draw(t, *found))


def _draw(t: dict[str, str], found: list[Any], notes: list[str], rows: dict[str, Any]) -> None:
    states = [one["EndpointStatus"] for one in found]
    with ui.element("div").classes("f-figures"):
        for title, figure in (
            ("InService", states.count("InService")),
            ("Failed", states.count("Failed")),
            (t["endpoints"], len(states)),
        ):
            with card():
                words(title).classes("f-dim")
                words(figure).classes("f-figure")
    with card():
        heading(t["endpoints"])
        table(
            [t["name"], t["status"], t["variants"], t["captured"], t["last"]],
            [
                [
                    (one["EndpointName"], f"/endpoints/{quote(one['EndpointName'])}"),
                    lambda state=one["EndpointStatus"]: pill(state),
                    rows.get(one["EndpointName"], {}).get("variants", ""),
                    rows.get(one["EndpointName"], {}).get("capture", ""),
                    f"{one['LastModifiedTime']:%Y-%m-%d %H:%M}",
                ]
                for one in found
            ],
            f"{t['empty']}  farero try",
        )
    with card():
        heading(t["state"])
        for note in notes or [t["all_good"]]:
            words(note).classes("f-dim")
