"""Access and doctor: what the platform tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.console.layout import card, frame, page_at, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from farero.console.data import Cloud


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @page_at("/doctor")
    async def doctor() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Doctor", "/doctor") as t:

            async def read() -> Any:
                return await cloud.page("status")

            def draw(found: dict[str, Any]) -> None:
                with card():
                    rows = [
                        [t["isolation"], found["isolation"]],
                        [t["free"], f"{found['disk_free_gb']:.1f} GB"],
                        [t["captured"], t["captured_of"].format(**found["capture"])],
                    ]
                    table(["", ""], rows, t["empty"])
                    for note in found["notes"] or [t["all_good"]]:
                        words(note).classes("f-dim")

            await live(read, draw)
