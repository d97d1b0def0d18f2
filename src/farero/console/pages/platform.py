"""Access and doctor: what the platform tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.layout import card, frame, heading, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @ui.page("/access")
    async def access() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Access", "/access") as t:

            async def read() -> Any:
                return (await cloud.ask("iam", "list_users"))["Users"]

            def draw(found: list[Any]) -> None:
                with card():
                    heading(t["users"])
                    rows = [[u["UserName"], u["Arn"], f"{u['CreateDate']:%Y-%m-%d}"] for u in found]
                    table([t["name"], "ARN", t["created"]], rows, t["empty"])

            await live(read, draw, 5.0)

    @ui.page("/doctor")
    async def doctor() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Doctor", "/doctor") as t:

            async def read() -> Any:
                return await cloud.page("status")

            def draw(found: dict[str, Any]) -> None:
                with card():
                    rows = [
                        [t["isolation"], found["isolation"]],
                        [t["free"], f"{found['disk_free_gb']:.1f} GB"],
                        [
                            t["captured"],
                            ", ".join(f"{k}: {v}" for k, v in found["capture"].items()),
                        ],
                    ]
                    table(["", ""], rows, t["empty"])
                    for note in found["notes"] or [t["all_good"]]:
                        words(note).classes("f-dim")

            await live(read, draw)
